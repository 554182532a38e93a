"""Images in tars, read where they are in them, and datasets in numbered files."""

from __future__ import annotations

import itertools
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from pathlib import Path, PurePath

import msgspec

from repro.data.label_tables import understand_labels
from repro.data.listing import (
    IMAGE_SUFFIXES,
    Image,
    Listing,
    Member,
    Reader,
    by_class,
    class_folders,
    is_named_so,
    read_image,
)
from repro.errors import DatasetError
from repro.files import UNREADABLE, stamp_of
from repro.published import DatasetSpec
from repro.words import counted, counted_names, spelt

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


# Tars ---------------------------------------------------------------------------------


class PackedReader(Reader):
    """`<class>/<image>` in a tar that stands in the place of the folder."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the tar; a folder that is there too comes first."""
        root = data / spec.folder
        packed = root.with_name(f"{root.name}.tar")
        return packed if packed.is_file() and not root.is_dir() else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List its members by their folders."""
        known, others = set(spec.classes), []
        images: list[tuple[str, Image]] = []
        for member in tar_members(root):
            name, class_ = _in_class(member.name, known)
            if class_:
                images.append((class_, Image(name, member.stamp, member.place)))
            else:
                others.append(name)
        if others:
            said = counted_names(others, "image is", "images are")
            raise DatasetError(
                f"{root} is not {spec.title}: {said} in no folder of a class; pack it "
                "again without"
            )
        return Listing(root, "in class folders of the tar", by_class(spec, images))


def _in_class(name: str, classes: Container[str]) -> tuple[str, str]:
    """Find the class of an image in a tar, which may have folders above it."""
    parts = PurePath(name).parts
    for place, part in enumerate(parts[:-1]):
        if part in classes:
            return "/".join(parts[place:]), part
    return name, ""


def tar_members(
    tar: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES
) -> Iterator[Image]:
    """Find the images of a tar, or other files, and where their bytes begin.

    Raises:
        DatasetError: it is compressed, damaged or none.
    """
    try:
        whole = stamp_of(tar.stat())
        with tarfile.open(tar, "r:") as archive:
            for entry in archive:
                if entry.isreg() and is_named_so(PurePath(entry.name).name, suffixes):
                    place = Member(tar, entry.name, entry.offset_data, entry.size)
                    stamp = msgspec.structs.replace(
                        whole, size=entry.size, offset=entry.offset_data
                    )
                    yield Image(entry.name, stamp, place)
            if archive.offset >= whole.size:
                # Its last member, or the mark of the end, is not all there.
                raise tarfile.ReadError(
                    f"its last file ends at byte {archive.offset:,}"
                )
    # Of sparse files tarfile reads more, and takes its numbers on trust.
    except (tarfile.TarError, *UNREADABLE) as error:
        raise DatasetError(
            f"{tar} ({tar.stat().st_size:,} bytes) is cut off or no plain tar: "
            f"{error}. Download it again; it must not be compressed"
        ) from error


_LABELS = (".cls", ".json", ".txt")


#: Nothing that says a label is larger.
_LARGEST = 1_000_000


#: So many members show whether a tar is one of these.
_FIRST = 8


class WebDatasetReader(Reader):
    """`KEY.jpg` and `KEY.cls`, `KEY.json` or `KEY.txt` in tars such as `val-00.tar`."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder of the shards, or the one that there is."""
        root = find_shards(spec, data, ".tar")
        if root is None:
            return None
        try:
            first = list_shards(spec, root, ".tar")[0]
            members = tar_members(first, (*IMAGE_SUFFIXES, *_LABELS))
            names = [member.name for member in itertools.islice(members, _FIRST)]
        except DatasetError:
            # A folder of shards is said to be wrong when it is listed.
            return root if root.is_dir() else None
        return root if any(name.endswith(_LABELS) for name in names) else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images of all shards by what stands beside them."""
        shards = list_shards(spec, root, ".tar")
        found = [pair for shard in shards for pair in _labelled(shard)]
        texts = list(dict.fromkeys(label for _, label in found if label))
        classes, assumed = understand_labels(spec, root, texts, counted_from_zero=True)
        images: list[tuple[str, Image]] = []
        unlabelled: list[str] = []
        taken: set[str] = set()
        for number, (image, label) in enumerate(found):
            if not label:
                unlabelled.append(spelt(image.name))
                continue
            class_ = classes[label]
            name = unique_name(class_, spelt(image.name), taken, f"{number:08}")
            images.append((class_, Image(name, image.stamp, image.place)))
        return Listing(
            root,
            f"in {counted(len(shards), 'shard')} of WebDataset",
            by_class(spec, images),
            (assumed,) if assumed else (),
            tuple(unlabelled),
            last_unsaid(shards),
        )

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterator[str]:
        """Yield that images have no label."""
        one, several = "image has no label", "images have no label"
        if found := counted_names(listing.unlabelled, one, several):
            yield (
                f"{found}: no .cls, .txt or .json with `label` of the same name lies "
                "beside"
            )

    def labels(
        self, spec: DatasetSpec, root: Path
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Give the labels of all shards; nothing names them."""
        shards = list_shards(spec, root, ".tar")
        found = (label for shard in shards for _, label in _labelled(shard) if label)
        return list(dict.fromkeys(found)), []


def _labelled(shard: Path) -> Iterator[tuple[Image, str]]:
    """Yield the images of a shard with their labels as they stand there.

    Raises:
        DatasetError: the tar is damaged, or a label cannot be read.
    """
    images: dict[str, list[Image]] = {}
    labels: dict[str, dict[str, str]] = {}
    for member in tar_members(shard, (*IMAGE_SUFFIXES, *_LABELS)):
        folder, slash, file = member.name.rpartition("/")
        stem, _, suffix = file.partition(".")
        key = f"{folder}{slash}{stem}"
        if not member.name.lower().endswith(_LABELS):
            images.setdefault(key, []).append(member)
        else:
            kind = f".{suffix.lower()}"
            labels.setdefault(key, {})[kind] = _label(shard, member, suffix.lower())
    for key, found in images.items():
        said = labels.get(key, {})
        label = next(filter(None, map(said.get, _LABELS)), None)
        yield _image_of(shard, key, found), label or ""


def _image_of(shard: Path, key: str, found: list[Image]) -> Image:
    """Choose the image of a sample: `KEY.jpg` where `KEY.mask.png` is there too.

    Raises:
        DatasetError: there are several.
    """
    bare = [one for one in found if one.name.removeprefix(key).count(".") == 1]
    chosen = bare or found
    if len(chosen) > 1:
        one, other = (spelt(image.name) for image in chosen[:2])
        raise DatasetError(
            f"{shard} has several images of the key {spelt(key)!r}, {one} and {other}; "
            "keys end at the first dot, and each has one image: write it again so"
        )
    return chosen[0]


def _label(shard: Path, member: Image, suffix: str) -> str:
    assert member.place is not None
    if member.size > _LARGEST:
        raise DatasetError(f"{shard}: {member.name} is too large for a label")
    content = read_image(member.place)
    try:
        if suffix != "json":
            return content.decode().strip()
        said = json.loads(content)
        label = said.get("label", "") if isinstance(said, dict) else ""
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{shard}: {member.name} cannot be read as a label: {error}. "
            "Download the shard again"
        ) from error
    return str(label) if isinstance(label, str | int) else ""
