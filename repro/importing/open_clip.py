"""open_clip's table `openclip_results.csv`: zero-shot accuracies as fractions.

Its 38 columns are the datasets of DataComp, whose list of tasks has their sizes and
metrics. That the table has these metrics was seen by comparing it with CLIP_benchmark's
own, which has 13 of its checkpoints: where accuracy and mean per class are far apart,
only the one that DataComp names agrees.

The benchmark reads class names and templates from two files of text beside the shards.
Of some sets a library ships the same lists, of the others these files are needed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import ExpectedError
from repro.importing.preprocessing import open_clip_preprocessing
from repro.importing.tables import (
    Cells,
    OtherSet,
    Row,
    Table,
    make_rows,
    origin_note,
    printed_numbers,
    read_table,
    unknown_checkpoint,
)
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


COLUMNS = ("name", "pretrained", "FLOPs (B)")
_NUMBERS = ({IMAGENET: "top1"},)
_REPOSITORY = "https://github.com/mlfoundations/open_clip"
_URL = f"{_REPOSITORY}/blob/main/docs/openclip_results.csv"
_PRECISION_NOTE = (
    "float32 for the images, if the table was made with the benchmark whose 38 "
    "datasets it has; that encodes the text in float16 autocast, https://github.com/mlfoundations/"
    "datacomp/blob/4a8df1992566ef8334773f7152e1855b1f716162/eval_utils/wds_eval.py"
)
#: Of 13 checkpoints in both tables, the largest difference: ViT-B-32 laion2b_e16.
_TOLERANCE = (
    "0.122",
    "the table does not say in which precision it was made; CLIP_benchmark, in float16 "
    "autocast, gives up to 0.122 points (61 images) else for the same checkpoints, "
    "https://github.com/LAION-AI/CLIP_benchmark/blob/"
    "48de38c1689fa6d8b4dd53e3370c669c3bb18117/benchmark/benchmark.csv",
)
_GONE = (
    " has no such checkpoint; its preprocessing is assumed to be open_clip's default "
    "at 224 pixels"
)
#: What open_clip does where a checkpoint says nothing else.
PREPROCESSING: dict[str, Any] = {
    "size": 224,
    "resize_mode": "shortest",
    "interpolation": "bicubic",
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}


def open_clip_table(file: Path, url: str = "", data: Path | None = None) -> Table:
    """Read the table; preprocessing is that of the installed open_clip.

    Its other columns that are accuracies come along, as far as their classes are known.

    Args:
        file: the table.
        url: where it can be read, at a commit.
        data: folder with the shards of the benchmark, and class names beside them.

    Raises:
        ExpectedError: the file is no such table.
    """
    rows, digest = read_table(file, COLUMNS, _NUMBERS)
    columns = [name for name in rows[0] if name] if rows else []
    sets = tuple(sets_of(columns, data))
    row = partial(_row, sets=sets)
    table = _table(
        make_rows(file, enumerate(rows, 2), row, "name", "pretrained"),
        _PRECISION_NOTE,
        url,
        _TOLERANCE,
        origin_note(file, len(rows), digest),
    )
    return msgspec.structs.replace(
        table, others=sets, left_out=tuple(left_out(columns, sets, data))
    )


def open_clip_checkpoint(name: str, *, has_file: bool) -> Table:
    """Read what the installed open_clip says of a checkpoint, such as `RN50.openai`.

    Its protocol is that of open_clip's own zero-shot evaluation of ImageNet: the names
    and templates that it ships. An architecture alone is enough where the weights are
    in a file. The table of numbers is no part of open_clip.

    Raises:
        ExpectedError: open_clip does not have it, or it is not said which weights.
    """
    import open_clip

    owner = f"open_clip {open_clip.__version__}"
    architecture, _, tag = name.partition(".")
    if architecture not in (known := open_clip.list_models()):
        raise unknown_checkpoint(owner, architecture, known)
    names = [
        f"{architecture}.{each}"
        for each in open_clip.list_pretrained_tags_by_model(architecture)
    ]
    if tag and name not in names:
        raise unknown_checkpoint(owner, name, names)
    if not tag and not has_file:
        raise ExpectedError(
            f"{owner} has {len(names)} checkpoints of {architecture}; name one, such "
            f"as {', '.join(names[:5]) or 'none'}, or a file with --ckpt"
        )
    size = open_clip.get_model_config(architecture)["vision_cfg"]["image_size"]
    bare = Row(
        checkpoint=name,
        preprocessing=open_clip_preprocessing(PREPROCESSING | {"size": size}),
        numbers={},
        gflops=1.0,
    )
    return _table(
        (checkpoint_row(architecture, tag, {}, 1.0) if tag else bare,),
        precision_note="float32, as the model is created unless asked otherwise",
    )


def _table(
    rows: tuple[Row, ...],
    precision_note: str,
    url: str = "",
    tolerance: tuple[str, str] | None = None,
    note: str = "",
) -> Table:
    import open_clip

    return Table(
        library="open_clip",
        version=open_clip.__version__,
        title="OpenCLIP",
        code=_REPOSITORY,
        source="open_clip, openclip_results.csv, column ImageNet 1k",
        url=url or _URL,
        kind="clip",
        unit="fraction",
        rows=rows,
        precision="fp32",
        precision_note=precision_note,
        tolerance=tolerance,
        protocol_note=f"preprocessing as in open_clip {open_clip.__version__}",
        note=note,
    )


def _row(cells: Cells, sets: Sequence[OtherSet]) -> Row:
    # They count image and text, and a multiply-add as two.
    gflops = float(cells["FLOPs (B)"].replace(",", "")) / 2
    numbers = printed_numbers(cells, _NUMBERS)
    row = checkpoint_row(cells["name"], cells["pretrained"], numbers, gflops)
    found = {
        other.id: printed_numbers(cells, ({other.column: other.id},))[other.id]
        for other in sets
        if cells.get(other.column)
    }
    return msgspec.structs.replace(row, others=found)


def checkpoint_row(
    name: str, tag: str, numbers: Mapping[str, str], gflops: float
) -> Row:
    """Make the row of a checkpoint of open_clip, preprocessed as open_clip has it.

    Raises:
        ValueError: no geometry is that preprocessing.
    """
    import open_clip

    config = _configuration(name, tag)
    repository = config.get("hf_hub", "")
    if repository.endswith("/"):
        repository += "open_clip_model.safetensors"
    return Row(
        checkpoint=f"{name}.{tag}",
        preprocessing=open_clip_preprocessing(PREPROCESSING | config),
        numbers=numbers,
        gflops=gflops,
        file=f"hf://{repository}" if repository else config.get("url", ""),
        note="" if config else f"open_clip {open_clip.__version__}{_GONE}",
    )


def _configuration(name: str, tag: str) -> dict[str, Any]:
    """Give open_clip's settings; empty where it has no such checkpoint any more."""
    import open_clip

    model = open_clip.get_model_config(name)
    config: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag)
    if not model or not config:
        return {}
    return {"size": model["vision_cfg"]["image_size"]} | config
