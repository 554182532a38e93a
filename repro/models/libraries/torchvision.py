"""torchvision: an architecture, or with the name of a weights entry its checkpoint."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import ExpectedError, WeightsError
from repro.models.libraries import Loader
from repro.models.libraries.common import (
    building,
    cannot_build,
    handing,
    reason,
    split_tag,
    torch_hub_file,
)

if TYPE_CHECKING:
    from torch import nn

    from repro.models.state import StateDict
    from repro.published import ModelSpec


class TorchvisionLoader(Loader):
    """`architecture` is such as `resnet50` or `resnet50.IMAGENET1K_V2`.

    The options are those of `torchvision.models.get_model`.
    """

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Build an architecture."""
        return _create(spec, None)

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Have torchvision take the settings and the names of a weights entry."""
        if not split_tag(spec)[1]:
            return None
        from torchvision.models import WeightsEnum

        entry = _entry(spec)
        try:
            # A builder takes an entry only, whose only way to tensors is a download.
            with handing(WeightsEnum, "get_state_dict", state):
                return _create(spec, entry)
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


def _create(spec: ModelSpec, entry: Any) -> nn.Module:
    import torchvision

    with building(torchvision, spec), warnings.catch_warnings():
        # Two architectures announce that their initialisation will change.
        warnings.simplefilter("ignore", FutureWarning)
        model: nn.Module = torchvision.models.get_model(
            split_tag(spec)[0], weights=entry, **spec.options
        )
    return model
