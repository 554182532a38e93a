"""Whether a copy of a dataset is what it should be, seen from names and sizes alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from repro.data.class_names import Named, is_numbered
from repro.data.halfway import loose_fault, placing_faults
from repro.data.labels import label_faults
from repro.data.listing import (
    IMAGE_SUFFIXES,
    Listing,
    dead_link,
    image_files,
    subfolders,
)
from repro.data.naming import WORDNET, set_faults
from repro.data.readers import Found, find_reader
from repro.data.validation import devkit_beside
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted, counted_names

_NUMBER = re.compile(r"\d+")


#: What may lie where images are looked for, by its name, and what to do.
_INSTEAD = (
    (r"\.(zip|tar\.\w+|tgz|7z|rar)$", "unpack it"),
    (
        r"\.arrow$",
        "write it with datasets.load_from_disk(...).to_parquet('val-0-of-1.parquet')",
    ),
    (
        r"\.(npy|pt|pth)$",
        "save images and labels with numpy.savez, as x_test and y_test",
    ),
    (
        r"tfrecord|\.l?mdb$|-\d{5}-of-\d{5}$",
        "it needs a reader of datasets, which a package of yours can add "
        "(docs/extending.md)",
    ),
)


_LOOSE = "image lies right in it", "images lie right in it"


def lies_instead(place: Path) -> str:
    """Say what a file or folder is that is not read as images; empty if unknown."""
    ways = (do for pattern, do in _INSTEAD if re.search(pattern, place.name))
    return next((f"{place.name} is there: {do}" for do in ways), "")


def class_fault(
    spec: DatasetSpec,
    root: Path,
    named: Named,
    known: Sequence[DatasetSpec],
    *,
    part: bool,
) -> str:
    """Say how class folders differ from the classes of a dataset; empty if they fit.

    Args:
        spec: what the dataset has to be.
        root: where the class folders lie.
        named: which class each of them is of.
        known: other datasets, one of which this may be.
        part: whether some of the classes are enough.
    """
    present = set(named.classes.values())
    missing = [name for name in spec.classes if name not in present]
    unknown = sorted(named.unknown)
    for name in missing:
        if (root / name).is_symlink() and not (root / name).exists():
            return f"a class folder is missing: {dead_link(root / name)}"
    some = part and len(missing) < len(spec.classes)
    if not unknown and (some or not missing):
        return ""
    hint = _inside(spec, root, unknown) or _which_set(
        spec, present | set(unknown), known
    )
    if not present and not unknown:
        hint = _without_folders(root)
    elif loose := loose_fault(root):
        hint += f". {loose}"
    if some or not missing:
        other = counted_names(unknown, "is no class of it", "are no classes of it")
        what = "that folder" if len(unknown) == 1 else "those folders"
        return f"it is not {spec.title}: {other}{hint or f'. Move {what} away'}"
    parts = [
        counted_names(missing, "is missing", "are missing"),
        counted_names(unknown, "does not belong there", "do not belong there"),
    ]
    return (
        f"it is not {spec.title}: of its {counted(len(spec.classes), 'class folder')} "
        f"{' and '.join(filter(None, parts))}"
        f"{hint or '. Restore what is missing and move the rest away'}"
    )


def quick_faults(spec: DatasetSpec, listing: Listing) -> Iterator[str]:
    """Yield what is wrong with a copy, a sentence each, without opening a file."""
    images = [image for found in listing.images.values() for image in found]
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
    numbers = all(_NUMBER.fullmatch(name) for name in order)
    if numbers and list(order) != sorted(order, key=int):
        yield (
            f"the list of classes of {spec.id!r} sorts numbers as text (10 before 2), "
            "so labels would be wrong; correct it in the release"
        )


def _inside(spec: DatasetSpec, root: Path, unknown: Sequence[str]) -> str:
    """Say that the class folders lie one folder deeper, as some archives unpack."""
    for name in unknown[:3]:
        if len(set(spec.classes) & set(subfolders(root / name))) > 1:
            return f". Class folders lie in {root / name}; name it or move them up"
    return ""


def _without_folders(root: Path) -> str:
    """Say what a folder holds in which no class folders are."""
    if found := counted_names(image_files(root), *_LOOSE):
        return (
            f". {found}: sort them into folders of classes, or write labels.csv with "
            "lines <file>,<class> beside them"
        )
    said = map(lies_instead, sorted(root.iterdir()))
    return next((f". {found}" for found in said if found), "")


def _which_set(spec: DatasetSpec, found: set[str], known: Sequence[DatasetSpec]) -> str:
    """Guess what class folders belong to, when it is not the dataset wanted."""
    same = [o.title for o in known if o is not spec and set(o.classes) == found]
    if same:
        return f". These are the classes of {' or of '.join(same)}"
    if not found:
        return ""
    if is_numbered(found) and not is_numbered(spec.classes):
        order = "of the list, or ImageNet-V2's" if "0" in found else "of another list"
        return (
            f". Its folders are numbers: they may be places {order}; sorted "
            "as text, 10 would come before 2. Write which class each is into a file "
            "labels.csv in it, a line such as "
            f"{min(found, key=int)},{spec.classes[0]} for each folder"
        )
    wanted = all(map(WORDNET.fullmatch, spec.classes))
    if wanted and not any(map(WORDNET.fullmatch, found)):
        return (
            ". Its folders are not named by WordNet ids such as "
            f"{spec.classes[0]}; name them so, or write which class each is into a "
            f"file labels.csv in it, a line <folder>,{spec.classes[0]} for each"
        )
    if found.isdisjoint(spec.classes) and len(found) == len(spec.classes):
        return (
            ". Rename them, or write which class each is into a file labels.csv in it, "
            f"a line <folder>,{spec.classes[0]} for each"
        )
    return ""


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


#: Files whose names are looked at where no image is found.
_LOOKED_AT = 1000
#: Of images that are not read, which may be among others.
_OF_IMAGES = (".heic", ".heif", ".avif", ".jp2", ".jpe")
#: Characters that an error may have, so that it can be read in a table of results.
MESSAGE = 450


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
    names = [image.name for images in listing.images.values() for image in images]
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
