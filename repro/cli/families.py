"""Which families a command is about, and where their weights lie."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from repro.errors import OptionError
from repro.published import Family, Release

Chosen = tuple[Release, Family]


def checkpoints_folder(checkpoints: Path | None) -> Path:
    """Insist on a folder for weights.

    Raises:
        OptionError: none was named.
    """
    if checkpoints is None:
        raise OptionError(
            "no folder for the weights: name one with --checkpoints DIR or "
            "REPRO_CHECKPOINTS"
        )
    return checkpoints.expanduser()


def choose_families(
    releases: Sequence[Release], patterns: Sequence[str]
) -> list[Chosen]:
    """List the families that one of the patterns matches; all without a pattern.

    Raises:
        OptionError: a pattern matches none.
    """
    known = [(release, f) for release in releases for f in release.families.values()]
    for pattern in patterns:
        if not any(fnmatchcase(family.id, pattern) for _, family in known):
            raise OptionError(
                f"no family is named {pattern!r}; there are "
                f"{', '.join(family.id for _, family in known)}"
            )
    return [
        (release, family)
        for release, family in known
        if not patterns or any(fnmatchcase(family.id, p) for p in patterns)
    ]
