"""Name the model of a library that some tensors are of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from repro.errors import ExpectedError
from repro.models.architecture import infer_architecture, usual_models
from repro.models.faults import Shapes, find_faults
from repro.models.libraries import find_loader
from repro.models.skeleton import uninitialised
from repro.published import ModelSpec

#: Arguments of a function that take the number of classes.
_CLASSES = ("num_classes", "n_classes", "classes")


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
        if _fits(spec, Path(), shapes):
            return spec
    return None


def fitting_code(
    shapes: Shapes, code: Path, classes: int, weights_key: str = "", prefix: str = ""
) -> ModelSpec | None:
    """Find what in a file of Python builds a model that every name and shape fits.

    Runs the file, and calls what it defines.

    Args:
        shapes: of the tensors of a weights file.
        code: the file of Python.
        classes: what is tried for an argument `num_classes`.
        weights_key: the entry of the weights file that they are in.
        prefix: what was taken off all their names; a part of it may be the model's.

    Raises:
        ExpectedError: the file cannot be run.
    """
    steps = prefix.split(".")[:-1]
    tails = ["".join(f"{step}." for step in steps[n:]) for n in range(len(steps) + 1)]
    named = [{f"{tail}{name}": s for name, s in shapes.items()} for tail in tails]
    for name, options in _calls(code, classes):
        spec = ModelSpec(
            id="main",
            loader="python",
            architecture=name,
            code=code.name,
            options=options,
            weights_key=weights_key,
        )
        if any(_fits(spec, code.parent, names) for names in named):
            return spec
    return None


def _calls(code: Path, classes: int) -> Iterator[tuple[str, dict[str, int]]]:
    """List how the functions and classes of a file can be called."""
    from repro.models.libraries.python import makers, parameters_of

    for name, make in makers(code).items():
        parameters = parameters_of(make)
        needed = {one for one, is_needed in parameters.items() if is_needed}
        if not needed:
            yield name, {}
        if needed <= set(_CLASSES):
            yield from ((name, {one: classes}) for one in _CLASSES if one in parameters)


def _fits(spec: ModelSpec, location: Path, shapes: Shapes) -> bool:
    try:
        loader = find_loader(spec.loader)
        model = uninitialised(lambda: loader.build(spec, location))
    except ExpectedError:  # There is no model of that name, or not so.
        return False
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    return not find_faults(shapes, wanted).number


def options_text(spec: ModelSpec) -> str:
    """Write the options of a model as they are said behind its name."""
    return "".join(f", {key} = {value}" for key, value in spec.options.items())
