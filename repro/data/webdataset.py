"""Images in WebDataset's tar shards, `KEY.jpg` beside `KEY.cls`, read in place.

Of several files that say a label, `.cls` counts before `.json`, and that before `.txt`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from repro.data.label_tables import understand_labels
from repro.data.listing import IMAGE_SUFFIXES, Image, Listing, Reader
from repro.data.packed import tar_members
from repro.data.shards import find_shards, last_unsaid, list_shards, unique_name
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted, counted_names, spelt

_LABELS = (".cls", ".json", ".txt")
#: Nothing that says a label is larger.
_LARGEST = 2**20
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
        images: dict[str, list[Image]] = {name: [] for name in spec.classes}
        unlabelled: list[str] = []
        taken: set[str] = set()
        for number, (image, label) in enumerate(found):
            if not label:
                unlabelled.append(spelt(image.name))
                continue
            class_ = classes[label]
            name = unique_name(class_, spelt(image.name), taken, f"{number:08}")
            images[class_].append(Image(name, image.stamp, image.place))
        for members in images.values():
            members.sort(key=lambda image: image.name)
        return Listing(
            root,
            f"in {counted(len(shards), 'shard')} of WebDataset",
            images,
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


def webdataset_labels(spec: DatasetSpec, root: Path) -> tuple[list[str], list[str]]:
    """Give the labels of a dataset's shards, each once; nothing names them.

    Raises:
        DatasetError: the shards cannot be read.
    """
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
    from repro.data.places import read_image

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
