"""What other packages add by name: tables of entry points, with our own in them.

Both are written and found in the same way, `NAME = "module:object"`. Our own stand in
the code, so that nothing has to be read from the disk to find them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points


class Extensions:
    """A group of entry points.

    Args:
        group: its name in a package's `pyproject.toml`.
        built_in: ours, which no other package can replace.
    """

    def __init__(self, group: str, built_in: Mapping[str, str]) -> None:
        self._group = group
        self._built_in = built_in

    def find(self, name: str) -> EntryPoint | None:
        """Find what has a name; nothing is imported."""
        if name in self._built_in:
            return EntryPoint(name, self._built_in[name], self._group)
        return installed(self._group).get(name)

    def names(self) -> list[str]:
        """Name all, the built-in ones first."""
        return [
            *self._built_in,
            *sorted(set(installed(self._group)) - set(self._built_in)),
        ]


@lru_cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Read what is installed, when a name that is not built in asks for it."""
    return {found.name: found for found in entry_points(group=group)}
