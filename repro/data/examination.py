"""Whether a copy of a dataset is what it should be: the checks of every entrance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

from repro.data.checks import count_fault, quick_faults
from repro.data.halfway import placing_faults
from repro.data.labels import label_faults
from repro.data.listing import IMAGE_SUFFIXES, Listing
from repro.data.readers import Found, find_reader
from repro.data.validation import devkit_beside
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted

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
