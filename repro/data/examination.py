"""Whether a copy of a dataset is what it should be, seen from names and sizes alone."""

from __future__ import annotations

import filecmp
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from repro.data.class_names import WORDNET, base, is_numbered
from repro.data.labels import label_faults, set_faults
from repro.data.listing import (
    IMAGE_SUFFIXES,
    Image,
    Listing,
)
from repro.data.readers import Found, find_reader
from repro.data.validation import devkit_beside
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted, counted_names

#: Files whose names are looked at where no image is found.
_LOOKED_AT = 1000
#: Classes of ImageNet, whose models have them in the order of their numbers.
_IMAGENET = 1000
#: Of images that are not read, which may be among others.
_OF_IMAGES = (".heic", ".heif", ".avif", ".jp2", ".jpe")
#: Characters that an error may have, so that it can be read in a table of results.
MESSAGE = 450
#: Fewer bytes are no picture: what has them is found elsewhere, as damaged.
LEAST_BYTES = 64
#: So many pairs of the same name and size are compared byte by byte, and no more.
COMPARED_PAIRS = 500


def quick_faults(spec: DatasetSpec, listing: Listing) -> Iterator[str]:
    """Yield what is wrong with a copy, a sentence each, without opening a file."""
    images = list(listing.all())
    names = [image.name for image in images]
    yield from _order_faults(spec)
    yield from set_faults(spec, names)
    if empty := [image.name for image in images if not image.size]:
        said = counted_names(empty, "image is empty", "images are empty")
        yield f"{said}; restore them"
    if hidden := [name for name in names if "/." in name]:
        said = counted_names(hidden, "hidden file", "hidden files")
        yield f"{said} that some systems leave beside images; remove them"


def count_fault(spec: DatasetSpec, listing: Listing) -> str:
    """Say how many images are missing or too many; empty if none are."""
    counts = {name: len(found) for name, found in listing.images.items()}
    total = sum(counts.values())
    if total == spec.images and not (_is_validation(spec) and _uneven(spec, counts)):
        return ""
    found = (
        f"it holds {total:,} images; {spec.title} has {spec.images:,}"
        if total != spec.images
        else f"it holds as many images as {spec.title}, but not of every class"
    )
    if listing.may_lack and total < spec.images:
        found += f", which may be in {listing.may_lack}"
    return (
        f"{found}. {_uneven(spec, counts)}Restore the missing files or remove those "
        "that do not belong there"
    )


def _order_faults(spec: DatasetSpec) -> Iterator[str]:
    """Yield that labels would be wrong although every folder is there."""
    order = spec.outputs or spec.classes
    wordnet = all(WORDNET.fullmatch(name) for name in order)
    if wordnet and list(order) != sorted(order):
        yield (
            f"the list of classes of {spec.id!r} is not sorted by WordNet id, as the "
            "outputs of models are; correct it in the release"
        )
    # Of a set of its own, only the author knows in which order its models were trained:
    # torchvision's ImageFolder sorts numbers as text.
    is_imagenet = len(order) == _IMAGENET and is_numbered(order)
    if is_imagenet and list(order) != sorted(order, key=int):
        yield (
            f"the list of classes of {spec.id!r} sorts numbers as text (10 before 2), "
            "so labels would be wrong; correct it in the release"
        )


def _is_validation(spec: DatasetSpec) -> bool:
    """Whether a dataset has 50 images of each class, as ImageNet's validation set."""
    is_wordnet = all(map(WORDNET.fullmatch, spec.classes))
    return is_wordnet and spec.images == 50 * len(spec.classes)


def _uneven(spec: DatasetSpec, counts: dict[str, int]) -> str:
    """Name a class with an unusual number of images, where classes are balanced."""
    if spec.images % len(spec.classes):
        return ""
    expected = spec.images // len(spec.classes)
    wrong = [name for name, count in counts.items() if count != expected]
    if not 0 < len(wrong) <= len(spec.classes) // 2:
        return ""
    first = wrong[0]
    return (
        f"Class {first} has {counts[first]:,} instead of {expected:,}"
        f"{_others(len(wrong) - 1)}. "
    )


def _others(count: int) -> str:
    if not count:
        return ""
    return f", and {count:,} more {'class differs' if count == 1 else 'classes differ'}"


def examine(
    spec: DatasetSpec,
    found: Found,
    data: Path,
    known: Sequence[DatasetSpec] = (),
    *,
    part: bool = False,
) -> tuple[Listing | None, list[str]]:
    """List the images of a copy and say what names and sizes prove wrong, in sentences.

    Args:
        spec: what the dataset has to be.
        found: where it lies, and how.
        data: folder beside which a devkit is looked for.
        known: other datasets, to say which one it is when it is not this.
        part: whether a part of its images is enough.

    Raises:
        DatasetError: it cannot be read, or has no labels.
    """
    reader = find_reader(found.reader)
    if fault := reader.refusal(spec, found.root, known, part=part):
        return None, [fault]
    listing = reader.list(spec, found.root, data)
    names = [image.name for image in listing.all()]
    devkit = None if spec.files else devkit_beside(found.root, data)
    faults = [
        *reader.faults(spec, listing),
        *placing_faults(listing),
        *quick_faults(spec, listing),
        *label_faults(spec, names, devkit, known),
    ]
    if not part and (fault := count_fault(spec, listing)):
        faults.append(fault)
    if not names:
        unread = f"; {said}" if (said := _unread(found)) else ""
        faults.append(f"it holds no <class>/<image> of {spec.title}{unread}")
    elif len(names) < spec.images and (said := _unread(found, _OF_IMAGES)):
        faults.append(said)
    return listing, faults


def _unread(found: Found, suffixes: Collection[str] = ()) -> str:
    """Say what the files are that lie where images are looked for; mostly nothing.

    Args:
        found: where that is.
        suffixes: those that are told; without, the one that most files have.
    """
    files = found.root.glob("*/*") if found.root.is_dir() else ()
    counts = Counter(file.suffix for file in islice(files, _LOOKED_AT))
    told = {s: n for s, n in counts.items() if not suffixes or s.lower() in suffixes}
    suffix = max(told, key=lambda one: told[one], default="")
    if not suffix or suffix.lower() in IMAGE_SUFFIXES:
        return ""
    end = "ends" if told[suffix] == 1 else "end"
    return (
        f"{counted(told[suffix], 'file')} there {end} in {suffix[:20]}, and images in "
        f"{', '.join(IMAGE_SUFFIXES)}: convert them without loss"
    )


def refusal(root: Path, faults: Sequence[str]) -> DatasetError:
    """Make one error of the faults of a copy, the first of them in full."""
    text = f"{root}: "
    for number, fault in enumerate(faults):
        if number and len(text) + len(fault) > MESSAGE:
            more = len(faults) - number
            return DatasetError(f"{text}{more} more: see `repro dataset check`")
        text += f"{fault}. "
    return DatasetError(text.removesuffix(". "))


# What tells an image from all others, whatever folder it lies in.
_OWN_NAME = re.compile(
    r"ILSVRC2012_val_\d{8}(_n\d{8})?|n\d{8}_\d+|[0-9a-f]{32,64}", re.IGNORECASE
)


def repeated_names(names: Iterable[str]) -> list[str]:
    """List the file names that stand in two classes and tell one image from another."""
    first: dict[str, str] = {}
    repeated: set[str] = set()
    for name in names:
        class_, file = name.partition("/")[0], base(name)
        if first.setdefault(file, class_) != class_:
            repeated.add(file)
    return sorted(
        file for file in repeated if _OWN_NAME.fullmatch(file.rpartition(".")[0])
    )


def placing_faults(listing: Listing) -> Iterator[str]:
    """Yield what is half-made about a copy, however its images lie."""
    yield from _nested_faults(listing)
    yield from _repeated_faults(listing)


def _nested_faults(listing: Listing) -> Iterator[str]:
    """Yield that images lie deeper than others; where all do, it was meant so."""
    depths = {image.name.count("/") for image in listing.all()}
    if len(depths) < 2:
        return
    nested = [image.name for image in listing.all() if image.name.count("/") > 1]
    one, several = "image lies in a folder", "images lie in folders"
    if found := counted_names(nested, one, several):
        yield f"{found} inside class folders, others do not; move them up or away"


def _repeated_faults(listing: Listing) -> Iterator[str]:
    """Yield that one image is in two classes, by its name or by name and bytes."""
    names = set(repeated_names(image.name for image in listing.all()))
    twice = sorted(names | _same_bytes(listing, names))
    two = "in two classes"
    if found := counted_names(twice, f"image stands {two}", f"images stand {two}"):
        yield f"{found}; remove the copies"


def _same_bytes(listing: Listing, known: set[str]) -> set[str]:
    alike: dict[tuple[str, int], list[Image]] = defaultdict(list)
    for image in listing.all():
        # An image without a place lies in its class folder.
        is_file = image.place is None and image.size >= LEAST_BYTES
        if is_file and base(image.name) not in known:
            alike[base(image.name), image.size].append(image)
    pairs = [
        (name, found[0], other)
        for (name, _), found in alike.items()
        for other in found[1:]
        if other.name.partition("/")[0] != found[0].name.partition("/")[0]
    ]
    return {
        name
        for name, one, other in pairs[:COMPARED_PAIRS]
        if filecmp.cmp(listing.root / one.name, listing.root / other.name, False)
    }
