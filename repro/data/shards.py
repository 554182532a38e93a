"""Datasets in numbered files: which files of a folder belong to one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePath

from repro.data.listing import class_folders, is_named_so
from repro.errors import DatasetError
from repro.published import DatasetSpec

#: `set-00003-of-00014`, some with a hash behind.
_SHARD = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<number>\d+)(?:-of-(?P<of>\d+))?(?:-[0-9a-f]{16})?"
)
#: Of these a file without a number can be a set too; tars are many other things.
_ALONE = {".parquet"}
_WORDS = re.compile(r"[a-z]+\d*")


def find_shards(spec: DatasetSpec, data: Path, suffix: str) -> Path | None:
    """Find the folder of a dataset's shards, or the one file that it is."""
    if data.is_file():
        return data if data.suffix == suffix else None
    root = data / spec.folder
    if root.is_file():
        return root if root.suffix == suffix else None
    for folder in (root, root / "data", data, data / "data"):
        sets = _sets(folder, suffix)
        if sets and class_folders(spec, folder):
            return None
        # Beside other datasets a set is known by its name alone.
        if folder in (root, root / "data"):
            if sets:
                return folder
        elif any(_is_called(spec, name) for name in sets):
            return folder
    return None


def list_shards(spec: DatasetSpec, root: Path, suffix: str) -> list[Path]:
    """List the shards of a dataset, in their order.

    Raises:
        DatasetError: one is missing, or several sets could be meant.
    """
    if root.is_file():
        return [root]
    sets = _sets(root, suffix)
    called = [name for name in sets if _is_called(spec, name)]
    chosen = called or [n for n in sets if "train" not in _words(n)] or list(sets)
    if len(chosen) != 1:
        raise DatasetError(
            f"{root} holds shards of {', '.join(map(repr, sorted(chosen)[:4]))}; move "
            f"those that are not of {spec.title} away, or name the folder as one"
        )
    found = sets[chosen[0]]
    numbers = sorted(found)
    for number, files in found.items():
        if len(files) > 1:
            raise DatasetError(
                f"{root}: of {chosen[0]!r} shard {number} is there twice, as "
                f"{' and '.join(file.name for file, _ in files[:2])}; move what is of "
                "another download away"
            )
    total = max((of for (_, of), *_ in found.values()), default=0)
    wanted = range(total) if total else range(numbers[0], numbers[-1])
    if missing := sorted(set(wanted) - set(numbers)):
        raise DatasetError(
            f"{root}: of {chosen[0]!r} shard {missing[0]} is missing, and "
            f"{len(missing) - 1:,} more; download them again"
        )
    return [found[number][0][0] for number in numbers]


def last_unsaid(shards: list[Path]) -> str:
    """Say that shards may be missing behind the last one, where no name tells."""
    match = _SHARD.fullmatch(shards[-1].stem)
    if match is None or match["of"]:
        return ""
    return f"shards after {shards[-1].name}, whose names do not say how many there are"


def unique_name(class_: str, wanted: str, taken: set[str], otherwise: str) -> str:
    """Name an image `<class>/<image>`; where another has its name, by its place."""
    name = f"{class_}/{wanted.rpartition('/')[2] or otherwise}"
    if name in taken:
        name = f"{class_}/{otherwise}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _sets(folder: Path, suffix: str) -> dict[str, dict[int, list[tuple[Path, int]]]]:
    """Give the shards of a folder: by set and number, with how many there should be."""
    sets: dict[str, dict[int, list[tuple[Path, int]]]] = defaultdict(dict)
    for file, name, number, of in _shards(folder, suffix):
        sets[name].setdefault(number, []).append((file, of))
    return sets


def _shards(folder: Path, suffix: str) -> Iterator[tuple[Path, str, int, int]]:
    for file in sorted(folder.glob(f"*{suffix}")) if folder.is_dir() else ():
        if not is_named_so(file.name, (suffix,)):
            continue
        match = _SHARD.fullmatch(file.stem)
        if match and file.is_file():
            yield file, match["set"], int(match["number"]), int(match["of"] or 0)
        elif suffix in _ALONE and file.is_file():
            yield file, file.stem, 0, 0


def _words(name: str) -> set[str]:
    return set(_WORDS.findall(name.lower()))


def _is_called(spec: DatasetSpec, name: str) -> bool:
    wanted = PurePath(spec.folder).name.lower()
    found = _words(name)
    return wanted in found or (wanted == "val" and "validation" in found)
