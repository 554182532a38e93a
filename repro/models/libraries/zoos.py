"""timm, torchvision and open_clip: architectures, and checkpoints that they publish."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import ExpectedError, WeightsError
from repro.files import at_home
from repro.models.libraries import Loader
from repro.models.libraries.common import (
    building,
    cannot_build,
    fill_from_arrays,
    handing,
    hub_file,
    offline,
    refuse_weights,
    split_tag,
    torch_hub_file,
)
from repro.words import reason

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
        return _timm_model(spec, {})

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
        return _timm_model(spec, {"pretrained_cfg_overlay": overlay})
    # Of arrays that are none of its models', timm raises what it likes.
    except Exception as error:
        raise WeightsError(f"cannot be read by timm: {reason(error)}") from error


def _timm_model(spec: ModelSpec, options: dict[str, Any]) -> nn.Module:
    import timm

    refuse_weights(spec, ("checkpoint_path", "pretrained"))
    with building(timm, spec), offline():
        model: nn.Module = timm.create_model(
            spec.architecture, pretrained=bool(options), **options, **spec.options
        )
    return model


class TorchvisionLoader(Loader):
    """`architecture` is such as `resnet50` or `resnet50.IMAGENET1K_V2`.

    The options are those of `torchvision.models.get_model`.
    """

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Build an architecture."""
        return _torchvision_model(spec, None)

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Have torchvision take the settings and the names of a weights entry."""
        if not split_tag(spec)[1]:
            return None
        from torchvision.models import WeightsEnum

        entry = _entry(spec)
        try:
            # A builder takes an entry only, whose only way to tensors is a download.
            with handing(WeightsEnum, "get_state_dict", state):
                return _torchvision_model(spec, entry)
        except ExpectedError as error:
            raise WeightsError(
                f"does not fit torchvision {spec.architecture}: {reason(error)}"
            ) from error

    def cached(self, spec: ModelSpec) -> Path | None:
        """Look into the cache of torch.hub."""
        if not split_tag(spec)[1]:
            return None
        try:
            return torch_hub_file(_entry(spec).url)
        except ExpectedError:  # The installed torchvision does not have the entry.
            return None


def _entry(spec: ModelSpec) -> Any:
    """Find a weights entry.

    Raises:
        ExpectedError: torchvision does not have it.
    """
    import torchvision

    architecture, tag = split_tag(spec)
    try:
        entries = torchvision.models.get_model_weights(architecture)
    except ValueError as error:
        raise cannot_build(torchvision, spec, reason(error)) from error
    if tag not in entries.__members__:
        raise cannot_build(
            torchvision, spec, f"its weights are {', '.join(entries.__members__)}"
        )
    return entries[tag]


def _torchvision_model(spec: ModelSpec, entry: Any) -> nn.Module:
    import torchvision

    with building(torchvision, spec), warnings.catch_warnings():
        # Two architectures announce that their initialisation will change.
        warnings.simplefilter("ignore", FutureWarning)
        model: nn.Module = torchvision.models.get_model(
            split_tag(spec)[0], weights=entry, **spec.options
        )
    return model


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
            return _open_clip_model(spec, spec.architecture, spec.options)
        return _open_clip_model(spec, split_tag(spec)[0], spec.options)

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Have open_clip convert and resize the tensors of a published file."""
        if not _is_published(spec):
            return None
        from open_clip import factory

        with handing(factory, "load_state_dict", state):
            return _published_by_open_clip(spec, "tensors")

    def load_arrays(self, spec: ModelSpec, file: Path) -> nn.Module | None:
        """Have open_clip read the arrays of a model that was trained with JAX."""
        if _is_published(spec):
            return _published_by_open_clip(spec, str(file))
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


def _published_by_open_clip(spec: ModelSpec, file: str) -> nn.Module:
    """Build a published checkpoint from what open_clip reads where a file is."""
    import open_clip

    name, tag = split_tag(spec)
    # OpenAI's checkpoints need QuickGELU whatever the architecture's name says.
    quick_gelu = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False)
    model = _open_clip_model(
        spec, name, {"force_quick_gelu": quick_gelu} | spec.options
    )
    try:
        open_clip.load_checkpoint(model, file, weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"does not fit open_clip {spec.architecture}: {reason(error)}"
        ) from error
    return model


def _open_clip_model(spec: ModelSpec, name: str, options: dict[str, Any]) -> nn.Module:
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
