"""The 38 columns of open_clip's table: which are of cases, and why others are not.

They are the datasets of DataComp, whose list of tasks has their sizes and metrics. That
the table has these metrics was seen by comparing it with CLIP_benchmark's own, which
has 13 of its checkpoints: where accuracy and mean per class are far apart, only the one
that DataComp names agrees.

The benchmark reads class names and templates from two files of text beside the shards.
Of some sets a library ships the same lists, of the others these files are needed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from repro.errors import ExpectedError
from repro.importing.rows import OtherSet
from repro.published.files import read_text

IMAGENET = "ImageNet 1k"
#: Columns that are no numbers of a dataset.
ABOUT = {
    "name",
    "pretrained",
    "params (M)",
    "FLOPs (B)",
    "Average perf. on 38 datasets",
}
VERSION = "1.6.2"
TASKS = (
    "https://github.com/mlfoundations/datacomp/blob/"
    "2d7bde7c28a9e5cacb3cdbc84dcdf5ea9a1d65f3/tasklist.yml"
)
NAMES, TEMPLATES = "classnames.txt", "zeroshot_classification_templates.txt"
_COMPARED = (
    "the most that CLIP_benchmark's table differs by for 13 checkpoints in both, "
    "https://github.com/LAION-AI/CLIP_benchmark/blob/"
    "48de38c1689fa6d8b4dd53e3370c669c3bb18117/benchmark/benchmark.csv"
)


def _set(row: Mapping[str, str]) -> OtherSet:
    """Make the set of a column, in the shards that DataComp's evaluation downloads.

    Where no other table has its numbers, or not by the same prompts, its tolerance is
    that of the column which it is `like`.
    """
    task, names, like = row["task"], row["names"], row["like"]
    classes, templates = row["classes"], row["templates"] or names
    shards = f"wds_{task.replace('/', '-')}_test"
    shipped = f"clip_benchmark=={VERSION}"
    return OtherSet(
        column=row["column"],
        id=task.rpartition("/")[2].replace("_", "-"),
        images=int(row["images"]),
        classes=int(classes) if classes.isdigit() else classes,
        metric=row["metric"],
        names=f"{shipped}:{names}" if names else None,
        templates=f"{shipped}:{templates}" if names else None,
        outputs=row["outputs"] or None,
        tolerance=row["tolerance"],
        reason=f"nothing to compare it with; that of {like}: {_COMPARED}"
        if like
        else _COMPARED,
        folder=f"{shards}/test",
        url=f"https://huggingface.co/datasets/djghosh/{shards}",
        note=f"size, and metric of its column: {TASKS}",
    )


def _sets(prompts: str) -> tuple[OtherSet, ...]:
    """Read the sets whose class names and templates are in one place."""
    table = read_text(Path(__file__).with_name("open_clip_sets.csv")).splitlines()
    return tuple(
        _set(row) for row in csv.DictReader(table) if row["prompts"] == prompts
    )


SETS = _sets("shipped")
#: Sets whose class names and templates are in files beside their shards alone.
BESIDE = _sets("beside")

#: Why there is no case of some columns.
LEFT_OUT = {
    "the recall of a retrieval": ("Flickr", "MSCOCO"),
    "the Jaccard index of associations": ("WinoGAViL",),
    "a macro F1": ("iWildCam",),
    "the accuracy in the worst group or region": ("FMoW", "GeoDE"),
    "the top-5 accuracy in the worst group": ("Dollar Street",),
}


def sets_of(columns: Sequence[str], data: Path | None) -> Iterator[OtherSet]:
    """Yield the sets that a table has numbers of, and whose class names are known.

    Args:
        columns: of the table.
        data: folder with the shards of the benchmark and the files beside them.

    Raises:
        ExpectedError: such a file is not one of class names or templates.
    """
    yield from (other for other in SETS if other.column in columns)
    for other in BESIDE:
        folder = _beside(other, data)
        if other.column in columns and folder and (folder / NAMES).is_file():
            templates = _lines(folder / TEMPLATES)
            yield msgspec.structs.replace(
                other,
                names=_class_names(other, folder / NAMES),
                templates=tuple(text.replace("{c}", "{}") for text in templates),
            )


def _class_names(other: OtherSet, file: Path) -> tuple[str, ...]:
    names = _lines(file)
    if len(names) != other.classes:
        raise ExpectedError(
            f"{file}: has {len(names)} class names, but {other.column} has "
            f"{other.classes} classes; get it again from {other.url}"
        )
    return names


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(line.strip() for line in read_text(file).splitlines())


def _beside(other: OtherSet, data: Path | None) -> Path | None:
    """Give the folder of a set's files of text, above the one of its shards."""
    return data / Path(other.folder).parent if data else None


def left_out(
    columns: Sequence[str], sets: Sequence[OtherSet], data: Path | None
) -> Iterator[str]:
    """Yield which columns of a table give no case, and why."""
    had = {other.column for other in sets}
    missing = [o for o in BESIDE if o.column in columns and o.column not in had]
    if missing:
        folder = _beside(missing[0], data or Path("DIR"))
        asked = "is missing" if data else "is read with --data-path DIR"
        yield (
            f"{', '.join(other.column for other in missing)}: accuracies by class "
            f"names in files beside the images; {folder}/{NAMES} {asked}"
        )
    for reason, names in LEFT_OUT.items():
        if found := [name for name in columns if name in names]:
            yield f"{', '.join(found)}: {reason}"
    told = {IMAGENET, *ABOUT, *(other.column for other in (*SETS, *BESIDE))}
    told |= {name for names in LEFT_OUT.values() for name in names}
    if others := [name for name in columns if name not in told]:
        yield f"{', '.join(others)}: not known"
