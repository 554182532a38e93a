"""Name the model of a library that some tensors are of."""

from __future__ import annotations

from pathlib import Path

from repro.errors import ExpectedError
from repro.models.architecture import infer_architecture, usual_models
from repro.models.faults import Shapes, find_faults
from repro.models.libraries import find_loader
from repro.models.skeleton import skeleton
from repro.published import ModelSpec


def fitting_model(shapes: Shapes, weights_key: str = "") -> ModelSpec | None:
    """Find a usual model of a library that every name and shape fits."""
    architecture = infer_architecture(shapes)
    if architecture is None:
        return None
    for loader, name, options in usual_models(architecture):
        spec = ModelSpec(
            id="main",
            loader=loader,
            architecture=name,
            options=options,
            weights_key=weights_key,
        )
        try:
            with skeleton():
                model = find_loader(loader).build(spec, Path())
        except ExpectedError:  # The library has no model of that name.
            continue
        wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
        if not find_faults(shapes, wanted).number:
            return spec
    return None


def options_text(spec: ModelSpec) -> str:
    """Write the options of a model as they are said behind its name."""
    return "".join(f", {key} = {value}" for key, value in spec.options.items())
