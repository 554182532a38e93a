"""timm: an architecture, or with a tag a checkpoint that timm publishes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import WeightsError
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
    torch_hub_file,
)

if TYPE_CHECKING:
    from torch import nn

    from repro.models.state import StateDict
    from repro.published import ModelSpec


class TimmLoader(Loader):
    """`architecture` is a name of timm, such as `resnet50` or `resnet50.a1_in1k`.

    The options are those of `timm.create_model`.
    """

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Build an architecture."""
        return _create(spec, {})

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Have timm rename, resize and cut the tensors of a published file."""
        if not split_tag(spec)[1]:
            return None
        from timm.models import _builder

        # As tensors in its configuration timm would copy them twice.
        with handing(_builder, "load_state_dict", state):
            return _published(spec, {"file": "tensors", "custom_load": False})

    def load_arrays(self, spec: ModelSpec, file: Path) -> nn.Module | None:
        """Have timm read the arrays of a model that was trained with JAX."""
        if split_tag(spec)[1]:
            return _published(spec, {"file": str(file), "custom_load": True})
        model: Any = self.build(spec, file.parent)
        load = getattr(model, "load_pretrained", None)
        return fill_from_arrays(model, file, load) if load else None

    def cached(self, spec: ModelSpec) -> Path | None:
        """Look into the cache of Hugging Face, then into that of torch.hub."""
        if not split_tag(spec)[1]:
            return None
        import timm

        try:
            config = timm.get_pretrained_cfg(spec.architecture)
        except RuntimeError:  # It does not have the tag.
            return None
        if config is None:
            return None
        file = config.hf_hub_filename
        names = [file] if file else ["model.safetensors", "pytorch_model.bin"]
        found = hub_file(config.hf_hub_id, names) if config.hf_hub_id else None
        return found or (torch_hub_file(config.url) if config.url else None)


def _published(spec: ModelSpec, overlay: dict[str, Any]) -> nn.Module:
    """Build a model with changes to what timm knows of its published weights."""
    if "num_classes" in spec.options:
        # Else timm leaves a head random that is not the published one's size.
        overlay["num_classes"] = spec.options["num_classes"]
    try:
        return _create(spec, {"pretrained_cfg_overlay": overlay})
    # Of arrays that are none of its models', timm raises what it likes.
    except Exception as error:
        raise WeightsError(f"cannot be read by timm: {reason(error)}") from error


def _create(spec: ModelSpec, options: dict[str, Any]) -> nn.Module:
    import timm

    refuse_weights(spec, ("checkpoint_path", "pretrained"))
    with building(timm, spec), offline():
        model: nn.Module = timm.create_model(
            spec.architecture, pretrained=bool(options), **options, **spec.options
        )
    return model
