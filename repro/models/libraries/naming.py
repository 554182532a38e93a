"""Names of published checkpoints: `ARCHITECTURE.TAG`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.published import ModelSpec


def split_tag(spec: ModelSpec) -> tuple[str, str]:
    """Split what a spec names into architecture and tag; the tag may be empty."""
    architecture, _, tag = spec.architecture.partition(".")
    return architecture, tag
