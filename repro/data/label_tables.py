"""A table of labels beside images: which file, or folder, is of which class.

| table | where |
|---|---|
| `labels` or `metadata`, or the only `.csv`, `.tsv`, `.jsonl` | in the folder |
| `<folder>`, `<folder>_labels`, `labels`, `metadata` of these kinds | beside it |
| `<folder>.txt` of two columns, as Caffe has it | beside it, or in `meta` there |
| `<folder>_annotations.txt`, as Tiny ImageNet has it | there, or above `images` |
| `LOC_val_solution.csv`, as Kaggle has it | there, or up to four folders above |

Columns are parted by commas, semicolons, tabs or blanks. The first is the file, with or
without its suffix, the second its class, unless a line of headings says otherwise or
another column has the suffixes of images. Or each class has a column, with 1 in the
lines of its images and 0 in all others.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from repro.data.class_names import composed, is_numbered, name_classes
from repro.data.listing import IMAGE_SUFFIXES, is_named_so
from repro.errors import DatasetError
from repro.files import decode_json
from repro.published import DatasetSpec

KAGGLE = "LOC_val_solution.csv"
_ENDINGS = (".csv", ".tsv", ".jsonl")
_LONGEST_LINE = 4000
#: A table of ImageNet's 50,000 validation images has 3 MB.
LARGEST = 250_000_000
_ABOVE = 4
_MARK = re.compile(r"[01](\.0*)?")
_BOXES = re.compile(r"^(n\d{8})(?:(?: \1)?(?: -?\d+){4})+$")
# The surest heading comes first, since a table can have several.
_FILES = "file filename path filepath image imageid imagename imagepath name id"
_CLASSES = "wnid synset class classname category label labels target predictionstring"


class LabelTable(msgspec.Struct, frozen=True):
    """What a table says: `rows` are classes, by files or folders as they stand there.

    `assumed` says how the classes were understood.
    """

    source: Path
    rows: dict[str, str]
    assumed: str = ""

    def class_of(self, name: str) -> str | None:
        """Give the class of a file by its path below the folder, or by its own name."""
        path = PurePosixPath(composed(name))
        for key in (path, path.with_suffix(""), path.name, path.stem):
            if found := self.rows.get(str(key)):
                return found
        return None

    def of_folders(self, folders: Iterable[str]) -> dict[str, str]:
        """Give the classes of those folders that it names."""
        spelt = ((folder, self.rows.get(composed(folder))) for folder in folders)
        return {folder: class_ for folder, class_ in spelt if class_}


def find_table(spec: DatasetSpec, root: Path) -> LabelTable | None:
    """Find the table of the images in a folder, and read it.

    Raises:
        DatasetError: it cannot be read, or its labels are no classes.
    """
    file = table_of(root)
    if file is None:
        return None
    table = read_table(spec, file)
    # Paths may begin above the folder, or be those of another machine.
    rows = {row.removeprefix(f"{root.name}/"): c for row, c in table.rows.items()}
    bare = {re.split(r"[/\\]", row)[-1]: class_ for row, class_ in rows.items()}
    if len(bare) == len(rows):
        rows = bare
    return msgspec.structs.replace(table, rows=rows)


def table_of(root: Path) -> Path | None:
    """Find the file of labels of a folder."""
    beside = root.parent
    inside = [
        file
        for ending in _ENDINGS
        for file in sorted(root.glob(f"*{ending}"))
        if is_named_so(file.name, (ending,))
    ]
    above = [folder / KAGGLE for folder in (root, *root.absolute().parents[:_ABOVE])]
    if root.name not in {"val", "test", "validation"}:
        above = above[:1]
    places = [
        *_called(root, "labels", "metadata"),
        *(inside if len(inside) == 1 else []),
        root / f"{root.name}_annotations.txt",
        *_called(beside, root.name, f"{root.name}_labels", "labels", "metadata"),
        *above,
    ]
    if root.name == "images":
        places.append(beside / f"{beside.name}_annotations.txt")
    texts = (folder / f"{root.name}.txt" for folder in (beside, beside / "meta"))
    tables = filter(Path.is_file, places)
    return next(itertools.chain(tables, filter(_has_two_columns, texts)), None)


def _called(folder: Path, *names: str) -> list[Path]:
    return [folder / f"{name}{ending}" for name in names for ending in _ENDINGS]


def _has_two_columns(file: Path) -> bool:
    """Whether a text is a table: a list of files without labels has the same name."""
    try:
        with file.open("rb") as stream:
            return len(stream.readline(_LONGEST_LINE).split()) == 2
    except OSError:
        return False


def read_table(spec: DatasetSpec, file: Path) -> LabelTable:
    """Read a table of labels.

    Raises:
        DatasetError: see `find_table`.
    """
    pairs = list(_pairs(file))
    rows: dict[str, str] = {}
    for name, label in pairs:
        if rows.setdefault(name, label) != label:
            raise DatasetError(
                f"{file} says two classes of {name!r}, {rows[name]!r} and {label!r}; "
                "remove the wrong line"
            )
    classes, assumed = understand_labels(spec, file, list(dict.fromkeys(rows.values())))
    return LabelTable(
        file, {name: classes[label] for name, label in rows.items()}, assumed
    )


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    is_json = file.suffix == ".jsonl"
    try:
        if file.stat().st_size > LARGEST:
            raise DatasetError(f"{file} is too large for a table of labels; move it")
        lines = file.read_text("utf-8-sig").splitlines()
        rows = list(filter(None, (_of_json if is_json else _of_text)(lines)))
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(
            f"{file} cannot be read as a table of labels: {error}. Write lines "
            "<file>,<class> in UTF-8, or move it away"
        ) from error
    rows = _classes_marked(file, rows)
    files, classes, has_head = _columns(rows[0] if rows else ())
    for row in rows[1:] if has_head else rows:
        if len(row) <= max(files, classes) or not row[files].strip():
            raise DatasetError(
                f"{file} has a line {','.join(row)!r}; write lines <file>,<class>"
            )
        name = composed(row[files].strip().removeprefix("./"))
        # Kaggle writes boxes behind the class: `n03995372 85 1 499 272`, and the class
        # again before each further one.
        label = composed(row[classes].strip())
        yield name, _BOXES.sub(r"\1", label)


def _classes_marked(file: Path, rows: list[list[str]]) -> list[list[str]]:
    """Write the class in each line where a 1 below its heading says it (one-hot).

    Raises:
        DatasetError: a line marks none or several.
    """
    head, *lines = rows or [[]]
    is_even = all(len(line) == len(head) for line in lines)
    if len(head) < 3 or not lines or not is_even or _columns(head)[2]:
        return rows
    words = map(_letters, head)
    files = next((at for at, one in enumerate(words) if one in _FILES.split()), 0)
    marks = [[*line[:files], *line[files + 1 :]] for line in lines]
    if not all(_MARK.fullmatch(mark.strip()) for line in marks for mark in line):
        return rows
    names = [*head[:files], *head[files + 1 :]]
    written = [["file", "class"]]
    for line, marked in zip(lines, marks, strict=True):
        said = [n for n, mark in zip(names, marked, strict=True) if float(mark) == 1]
        if len(said) != 1:
            raise DatasetError(
                f"{file} marks {len(said)} classes of {line[files]!r} with 1, where "
                "an image has one; write lines <file>,<class>"
            )
        written.append([line[files], *said])
    return written


def _of_text(lines: Sequence[str]) -> Iterator[list[str]]:
    first = next(iter(lines), "")
    parting = next((sign for sign in ",\t; " if sign in first), ",")
    return csv.reader(lines, delimiter=parting)


def _of_json(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield what the first line calls its values, then those of each line."""
    rows = [decode_json(line, dict[str, Any]) for line in lines if line]
    heads = list(next(iter(rows), ()))
    yield heads
    for row in rows:
        yield [str(row.get(head, "")) for head in heads]


def _letters(heading: str) -> str:
    return re.sub(r"[^a-z]", "", heading.casefold())


def _columns(row: Sequence[str]) -> tuple[int, int, bool]:
    """Say which columns hold files and classes, and whether a row is their heading."""
    heads = list(map(_letters, row))
    files = [heads.index(word) for word in _FILES.split() if word in heads]
    classes = [heads.index(word) for word in _CLASSES.split() if word in heads]
    if files and not classes and len(row) == 2:
        # Whatever it is called, it is not the file: `id,breed`.
        return files[0], int(not files[0]), True
    if files and classes:
        return files[0], classes[0], True
    named = (at for at, one in enumerate(row) if one.lower().endswith(IMAGE_SUFFIXES))
    file = next(named, 0)
    # A number of the line can stand before both.
    return file, file + 1 if row[file + 1 :] or not file else file - 1, False


def understand_labels(
    spec: DatasetSpec,
    source: Path,
    labels: Sequence[str],
    *,
    counted_from_zero: bool = False,
) -> tuple[dict[str, str], str]:
    """Say which class each label is, and how that was concluded.

    Args:
        spec: the dataset.
        source: where they were read.
        labels: each one once.
        counted_from_zero: whether numbers begin with 0 there even if no label is 0.

    Raises:
        DatasetError: one is no class.
    """
    numbers = {label: int(label) for label in labels} if is_numbered(labels) else {}
    are_names = is_numbered(spec.classes)
    if numbers and (counted_from_zero or not are_names):
        has_zero = counted_from_zero or 0 in numbers.values()
        if has_zero and max(numbers.values()) < len(spec.classes):
            said = f"labels of {source} taken as places in the list of classes, from 0"
            places = {n: spec.classes[at] for n, at in numbers.items()}
            if not set(labels) <= set(spec.classes):
                return places, said
            if all(label == class_ for label, class_ in places.items()):
                return places, ""
            raise DatasetError(
                f"{source} has numbers for labels, which may be names of classes or "
                f"their places in the list of {spec.title}, and these differ: "
                f"{_other_place(places)}. Sort the images into folders of classes"
            )
    if numbers and not are_names:
        raise DatasetError(
            f"{source} has labels from {min(numbers.values())} to "
            f"{max(numbers.values())}, and it is not known in which order they number "
            f"the {len(spec.classes):,} classes of {spec.title}; write names of "
            f"classes such as {spec.classes[0]} in their place"
        )
    named = name_classes(spec, labels)
    if named.unknown:
        raise DatasetError(
            f"{source} has the label {named.unknown[0]!r}, which is no class of "
            f"{spec.title}; its classes are called as {spec.classes[0]} is"
        )
    return named.classes, named.assumed


def understand_named_labels(
    spec: DatasetSpec,
    source: Path,
    labels: Sequence[str],
    names: Sequence[str],
    named_by: Path,
) -> tuple[dict[str, str], str]:
    """Say which class each label is: by the names that files give them, or its place.

    Args:
        spec: the dataset.
        source: where labels were read.
        labels: each one once.
        names: of the labels 0, 1 and so on, as the files have them; none if they do
            not.
        named_by: the file that has them.

    Raises:
        DatasetError: one is no class, or nothing is understood of the names.
    """
    named = name_classes(spec, names)
    places_are_names = is_numbered(spec.classes) and not named.classes
    if not names or not is_numbered(labels) or places_are_names:
        classes, said = understand_labels(spec, source, labels, counted_from_zero=True)
        if names and is_numbered(labels) and not said:
            said = (
                f"labels of {source} taken as the numbers that classes are called by; "
                f"{named_by.name} names them {names[0][:60]!r} and so on"
            )
        return classes, said
    numbers = {str(number): name for number, name in enumerate(names)}
    if not named.classes:
        raise DatasetError(
            f"{named_by} names labels {names[0]!r} and so on, which are no "
            f"classes of {spec.title}, so their order need not be that of its classes, "
            f"such as {spec.classes[0]}; call the classes as that file does"
        )
    # Its place among the classes would be that of another one.
    for label in labels:
        if (name := numbers.get(label, "")) not in named.classes:
            raise DatasetError(
                f"{named_by} names the label {label} {name!r}, which is no class "
                f"of {spec.title}; its classes are called as {spec.classes[0]} is"
            )
    how = f"{named.assumed}, " if named.assumed else ""
    return (
        {label: named.classes[numbers[label]] for label in labels},
        f"{how}in the order that {named_by.name} names them",
    )


def _other_place(places: dict[str, str]) -> str:
    label, class_ = next((n, c) for n, c in places.items() if n != c)
    return f"{label} is the place of {class_}"
