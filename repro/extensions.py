"""What other packages add by name: tables of entry points, with our own in them.

Both are written and found in the same way, `NAME = "module:object"`. Our own stand in
the code, so that nothing has to be read from the disk to find them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class Extensions:
    """A group of entry points.

    Args:
        group: its name in a package's `pyproject.toml`.
        thing: what one is, in messages.
        error: what is raised where one cannot be had.
        built_in: ours, which no other package can replace.
    """

    def __init__(
        self,
        group: str,
        thing: str,
        error: type[Exception],
        built_in: Mapping[str, str] | None = None,
    ) -> None:
        self._group = group
        self._thing = thing
        self._error = error
        self._built_in = built_in or {}

    def find(self, name: str) -> EntryPoint | None:
        """Find what has a name; nothing is imported."""
        if name in self._built_in:
            return EntryPoint(name, self._built_in[name], self._group)
        return installed(self._group).get(name)

    def names(self) -> list[str]:
        """Name all, the built-in ones first."""
        added = set(installed(self._group)) - set(self._built_in)
        return [*self._built_in, *sorted(added)]

    def load(self, name: str, kind: type | None = None) -> Any:
        """Import what has a name.

        Args:
            name: of the entry point.
            kind: what it has to be an instance of.

        Raises:
            Exception: the one of this table; there is none of that name, it cannot be
                imported, or is something else.
        """
        found = self.find(name)
        if found is None:
            raise self._error(
                f"there is no {self._thing} {name!r}; there are "
                f"{', '.join(self.names())}"
            )
        called = f"the {self._thing} {name!r} ({found.value})"
        try:
            loaded = found.load()
        except (ImportError, AttributeError) as error:
            raise self._error(
                f"{called} cannot be imported: {error}; install its package again"
            ) from error
        if kind is not None and not isinstance(loaded, kind):
            raise self._error(
                f"{called} is of {type(loaded)} and not a {kind.__name__}; "
                "mend its package"
            )
        return loaded


@lru_cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Read what is installed, when a name that is not built in asks for it."""
    return {found.name: found for found in entry_points(group=group)}
