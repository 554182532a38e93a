"""A deed in a folder of its own: begun, disturbed, done to its end and compared."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from .deeds import REPRO, Deed
from .disturbances import DISTURBANCES, FULL, Known, size, small_disk
from .processes import age, done, left_over

_ALREADY = "these parts are run 1 of"


class World:
    """Deeds with what they begin with, each time in a new folder."""

    def __init__(self, folder: Path, deeds: dict[str, Deed]) -> None:
        self._folder = folder
        self._deeds = deeds

    def undisturbed(self, name: str) -> Known:
        """Do a deed, and give what comes of it."""
        with self._begun() as place:
            start, before = time.monotonic(), size(place)
            if said := self._finish(name, place):
                sys.exit(f"{name} fails undisturbed: {said}")
            result, seconds = self._deeds[name].result(place), time.monotonic() - start
            return Known(result, seconds, size(place) - before)

    def disturb(self, name: str, how: str, drawn: random.Random, known: Known) -> str:
        """Disturb a deed and do it to its end; say what is not as it should be."""
        result, deed = known.result, self._deeds[name]
        with self._begun(mounted=how == FULL) as place:
            DISTURBANCES[how](deed.command, place, drawn, known)
            for there in left_over(place):
                return f"process {there} is left"
            if deed.halfway(place) not in (None, result):
                return "what is there is half of it"
            age(place / "tmp")
            if said := self._finish(name, place):
                return f"done again it fails: {said}"
            if found := _difference(deed.result(place), result):
                return f"another result: {found}"
            check = done((*REPRO, "cache", "check"), place)
            if check.returncode:
                return f"a damaged cache: {check.stdout}"
            names = [file.name for file in (place / "tmp").iterdir()]
            # Pytest keeps folders of its own of runs that failed.
            left = [name for name in names if not name.startswith("pytest-of-")]
            return f"left in the temporary folder: {left[:5]}" if left else ""

    def _finish(self, name: str, place: Path) -> str:
        deed = self._deeds[name]
        found = done(deed.command, place)
        if found.returncode and deed.after and _ALREADY in found.stdout + found.stderr:
            found = done(deed.after, place)
        return (found.stdout + found.stderr)[-2000:] if found.returncode else ""

    @contextlib.contextmanager
    def _begun(self, *, mounted: bool = False) -> Iterator[Path]:
        with (
            TemporaryDirectory() as folder,
            small_disk(folder) if mounted else contextlib.nullcontext(),
        ):
            place = Path(folder, "world")
            shutil.copytree(self._folder, place)
            (place / "tmp").mkdir(exist_ok=True)
            yield place


def _difference(ours: object, theirs: object, where: str = "") -> str:
    """Say where two results differ first; empty where they do not."""
    if (
        isinstance(ours, dict)
        and isinstance(theirs, dict)
        and ours.keys() == theirs.keys()
    ):
        parts = ((ours[key], theirs[key], f"{where}.{key}") for key in ours)
    elif (
        isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs)
    ):
        pairs = enumerate(zip(ours, theirs, strict=True))
        parts = ((a, b, f"{where}[{number}]") for number, (a, b) in pairs)
    else:
        return "" if ours == theirs else f"{where} {ours!r:.200} for {theirs!r:.200}"
    return next(filter(None, (_difference(*part) for part in parts)), "")
