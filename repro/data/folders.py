"""Images in folders, one for each class, and what is wrong with such folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.data.class_names import (
    WORDNET,
    Named,
    class_from_files,
    is_numbered,
    name_classes,
)
from repro.data.label_tables import find_table
from repro.data.listing import (
    Listing,
    Reader,
    class_folders,
    dead_link,
    image_files,
    image_names,
    images_below,
    subfolders,
)
from repro.data.validation import devkit_beside
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted, counted_names

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


class FolderReader(Reader):
    """`<class>/<image>`, the label being the place of the class in the list of classes.

    A folder that nothing else takes is one of these, and what it lacks is said.
    """

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder of the dataset, or one that has most of its classes."""
        root = data / spec.folder
        if root.is_dir():
            return root
        if not data.is_dir():
            return None
        found = len(class_folders(spec, data)) or len(_named(spec, data, 1).classes)
        return data if 2 * found > len(spec.classes) else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images of the classes that have a folder."""
        named = _named(spec, root)
        folders = {class_: folder for folder, class_ in named.classes.items()}
        images = {
            class_: sorted(
                images_below(root / folder, class_, placed=folder != class_),
                key=lambda image: image.name,
            )
            for class_ in spec.classes
            if (folder := folders.get(class_)) is not None
        }
        assumed = (named.assumed,) if named.assumed else ()
        return Listing(root, "in class folders", images, assumed)

    def refusal(
        self, spec: DatasetSpec, root: Path, known: Sequence[DatasetSpec], *, part: bool
    ) -> str:
        """Say how the folders differ from the classes."""
        return class_fault(spec, root, _named(spec, root), known, part=part)

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterator[str]:
        """Yield what shows that sorting or copying stopped half-way."""
        return folder_faults(spec, listing)


def _named(spec: DatasetSpec, root: Path, least: float = 0) -> Named:
    """Find out which class each folder is of.

    Args:
        spec: the dataset.
        root: where the folders lie.
        least: which part of the classes must have a folder before those are listed.

    Raises:
        DatasetError: a folder, or a table of labels, cannot be read.
    """
    folders = subfolders(root)
    named = name_classes(spec, folders)
    # Nothing is looked for where all is as usual.
    if named.classes or not folders:
        return named
    if (table := find_table(spec, root)) and (told := table.of_folders(folders)):
        found = name_classes(spec, folders, told)
        return Named(found.classes, found.unknown, f"classes told by {table.source}")
    if len(folders) < least * len(spec.classes):
        return named
    devkit = devkit_beside(root, root)

    def class_of(name: str) -> str:
        try:
            return devkit.class_of(name) if devkit else ""
        except DatasetError:
            return ""

    files = {folder: image_names(root, [folder]) for folder in folders}
    return class_from_files(spec, files, class_of if devkit else None)


def loose_fault(folder: Path) -> str:
    """Say that images lie where class folders should be; empty if none do."""
    beside = "beside the class folders"
    loose = image_files(folder)
    if found := counted_names(loose, f"image lies {beside}", f"images lie {beside}"):
        return f"{found}; sort them into their classes, or remove the copies"
    return ""


def folder_faults(spec: DatasetSpec, listing: Listing) -> Iterator[str]:
    """Yield what is half-made about class folders, whether all are wanted or a part."""
    if fault := loose_fault(listing.root):
        yield fault
    counts = {name: len(found) for name, found in listing.images.items()}
    total = sum(counts.values())
    empty = [name for name, count in counts.items() if not count]
    one, several = "class folder is empty", "class folders are empty"
    if empty and 0 < total < spec.images:
        yield (
            f"{counted_names(empty, one, several)} while others hold images; fill or "
            f"remove {'it' if len(empty) == 1 else 'them'}"
        )
    if short := _stopped_at(spec, counts):
        whole = spec.images // len(spec.classes)
        missing = len(spec.classes) - len(counts)
        yield (
            f"class folder {short} holds {counts[short]:,} of {whole:,} images, "
            f"{len(counts) - 1:,} others are whole and {missing:,} "
            f"{'is' if missing == 1 else 'are'} missing, as if copying or unpacking "
            "stopped there; finish it, or remove that folder"
        )


def _stopped_at(spec: DatasetSpec, counts: dict[str, int]) -> str:
    """Name the one class folder that is not whole, where others are missing."""
    whole, rest = divmod(spec.images, len(spec.classes))
    short = [name for name, count in counts.items() if count < whole]
    missing = len(counts) < len(spec.classes)
    is_so = not rest and missing and len(short) == 1 and len(counts) > 2
    even = all(count == whole for name, count in counts.items() if name not in short)
    return short[0] if is_so and even and counts[short[0]] else ""


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
