"""Supervised models, built by timm."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from repro.errors import ExpectedError
from repro.published import ModelSpec


def build_timm(spec: ModelSpec, location: Path) -> nn.Module:
    """Build a timm model; the spec's options are those of `timm.create_model`.

    Raises:
        ExpectedError: timm does not have the architecture or refuses the options.
    """
    import timm

    try:
        model: nn.Module = timm.create_model(
            spec.architecture, pretrained=False, **spec.options
        )
    except (RuntimeError, TypeError, ValueError) as error:
        raise ExpectedError(
            f"timm {timm.__version__} cannot build model {spec.id!r} "
            f"({spec.architecture}, {spec.options}): {error}"
        ) from error
    return model
