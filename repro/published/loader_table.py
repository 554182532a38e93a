"""Which loaders there are: the built-in ones and those of other packages.

Another package adds a loader as an entry point of the group `repro.loaders`: its name
there is what `loader` of a model says, its value the class (docs/extending.md).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

GROUP = "repro.loaders"

_BUILT_IN = {
    "timm": "repro.models.libraries.timm:TimmLoader",
    "open_clip": "repro.models.libraries.open_clip:OpenClipLoader",
    "torchvision": "repro.models.libraries.torchvision:TorchvisionLoader",
}


def find_entry_point(name: str) -> EntryPoint | None:
    """Find the entry point of a loader; nothing is imported."""
    if name in _BUILT_IN:
        return EntryPoint(name, _BUILT_IN[name], GROUP)
    return _installed().get(name)


def loader_names() -> list[str]:
    """Name all loaders, the built-in ones first."""
    return [*_BUILT_IN, *sorted(set(_installed()) - set(_BUILT_IN))]


@lru_cache
def _installed() -> dict[str, EntryPoint]:
    """Read what is installed, when a name that is not built in asks for it."""
    return {found.name: found for found in entry_points(group=GROUP)}
