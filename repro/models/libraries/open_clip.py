"""open_clip: an architecture, or with a pretrained tag its checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import WeightsError
from repro.files import at_home
from repro.models.libraries import Loader
from repro.models.libraries.common import (
    building,
    fill_from_arrays,
    handing,
    hub_file,
    offline,
    reason,
    refuse_weights,
    split_tag,
)

if TYPE_CHECKING:
    from torch import nn

    from repro.models.state import StateDict
    from repro.published import ModelSpec


class OpenClipLoader(Loader):
    """`architecture` is such as `ViT-B-32` or `ViT-B-32.laion2b_s34b_b79k`.

    The options are those of `open_clip.create_model`.
    """

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Build an architecture, of a configuration of the release if it has one."""
        import open_clip

        if spec.config:
            with building(open_clip, spec):
                open_clip.add_model_config(location / spec.config)
            return _create(spec, spec.architecture, spec.options)
        return _create(spec, split_tag(spec)[0], spec.options)

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Have open_clip convert and resize the tensors of a published file."""
        if not _is_published(spec):
            return None
        from open_clip import factory

        with handing(factory, "load_state_dict", state):
            return _published(spec, "tensors")

    def load_arrays(self, spec: ModelSpec, file: Path) -> nn.Module | None:
        """Have open_clip read the arrays of a model that was trained with JAX."""
        if _is_published(spec):
            return _published(spec, str(file))
        from open_clip.convert import load_big_vision_weights

        model = self.build(spec, file.parent)
        load = partial(load_big_vision_weights, model)
        return fill_from_arrays(model, file, load)

    def cached(self, spec: ModelSpec) -> Path | None:
        """Look into the caches of Hugging Face and of open_clip."""
        if not _is_published(spec):
            return None
        import open_clip

        config = open_clip.get_pretrained_cfg(*split_tag(spec))
        repository, _, file = config.get("hf_hub", "").rpartition("/")
        names = [file] if file else []
        names += ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
        if repository and (found := hub_file(repository, names)):
            return found
        own = at_home("~/.cache/clip") / Path(config.get("url", "")).name
        return own if own.is_file() else None


def _is_published(spec: ModelSpec) -> bool:
    """Whether a spec names a checkpoint of open_clip, not an architecture alone."""
    return bool(split_tag(spec)[1]) and not spec.config


def _published(spec: ModelSpec, file: str) -> nn.Module:
    """Build a published checkpoint from what open_clip reads where a file is."""
    import open_clip

    name, tag = split_tag(spec)
    # OpenAI's checkpoints need QuickGELU whatever the architecture's name says.
    quick_gelu = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False)
    model = _create(spec, name, {"force_quick_gelu": quick_gelu} | spec.options)
    try:
        open_clip.load_checkpoint(model, file, weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"does not fit open_clip {spec.architecture}: {reason(error)}"
        ) from error
    return model


def _create(spec: ModelSpec, name: str, options: dict[str, Any]) -> nn.Module:
    import open_clip

    refuse_weights(spec, ("load_weights", "pretrained", "pretrained_image"))
    with building(open_clip, spec), _quiet(), offline():
        # No device: parameters that have no memory yet cannot be moved.
        model: nn.Module = open_clip.create_model(
            name, load_weights=False, device=None, **options
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from warning that there are no weights: they come from a file."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
