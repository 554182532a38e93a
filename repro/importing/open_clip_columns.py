"""The 38 columns of open_clip's table: which are of cases, and why others are not.

They are the datasets of DataComp, whose list of tasks has their sizes and metrics. That
the table has these metrics was seen by comparing it with CLIP_benchmark's own, which
has 13 of its checkpoints: where accuracy and mean per class are far apart, only the one
that DataComp names agrees.

The benchmark reads class names and templates from two files of text beside the shards.
Of some sets a library ships the same lists, of the others these files are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def _set(
    column: str,
    task: str,
    images: int,
    classes: int | str,
    tolerance: str,
    *,
    metric: str = "top1",
    names: str = "",
    templates: str = "",
    outputs: str | None = None,
    like: str = "",
) -> OtherSet:
    """Make the set of a column, in the shards that DataComp's evaluation downloads.

    Where no other table has its numbers, or not by the same prompts, its tolerance is
    that of the column which it is `like`.
    """
    shards = f"wds_{task.replace('/', '-')}_test"
    shipped = f"clip_benchmark=={VERSION}"
    return OtherSet(
        column=column,
        id=task.rpartition("/")[2].replace("_", "-"),
        images=images,
        classes=classes,
        metric=metric,
        names=f"{shipped}:{names}" if names else None,
        templates=f"{shipped}:{templates or names}" if names else None,
        outputs=outputs,
        tolerance=tolerance,
        reason=f"nothing to compare it with; that of {like}: {_COMPARED}"
        if like
        else _COMPARED,
        folder=f"{shards}/test",
        url=f"https://huggingface.co/datasets/djghosh/{shards}",
        note=f"size, and metric of its column: {TASKS}",
    )


_RECALL = "mean_per_class_recall"
_LIST = "imagenet-1k.txt"
SETS = (
    _set(
        "Caltech-101",
        "vtab/caltech101",
        6085,
        102,
        "1.88",
        metric=_RECALL,
        names="caltech101_vtab",
        templates="caltech101",
    ),
    _set(
        "CLEVR Counts",
        "vtab/clevr_count_all",
        15_000,
        8,
        "1.08",
        names="clevr_count_all",
    ),
    _set("Country211", "country211", 21_100, 211, "0.15", names="country211"),
    _set("EuroSAT", "vtab/eurosat", 5400, 10, "1.04", names="eurosat"),
    _set("GTSRB", "gtsrb", 12_630, 43, "0.752", names="gtsrb"),
    _set("ImageNet Sketch", "imagenet_sketch", 50_889, _LIST, "0.097"),
    _set("ImageNet v2", "imagenetv2", 10_000, 1000, "0.23"),
    _set(
        "ImageNet-A",
        "imagenet-a",
        7500,
        "imagenet_a_synsets.txt",
        "0.177",
        outputs=_LIST,
    ),
    _set(
        "ImageNet-R",
        "imagenet-r",
        30_000,
        "imagenet_r_synsets.txt",
        "0.1",
        outputs=_LIST,
    ),
    _set(
        "KITTI Vehicle Distance",
        "vtab/kitti_closest_vehicle_distance",
        711,
        4,
        "1.128",
        names="kitti_closest_vehicle_distance",
    ),
    _set("MNIST", "mnist", 10_000, 10, "1.8", names="mnist"),
    _set(
        "Oxford Flowers-102",
        "vtab/flowers",
        6149,
        102,
        "0.494",
        metric=_RECALL,
        names="flowers",
    ),
    _set(
        "Oxford-IIIT Pet",
        "vtab/pets",
        3669,
        37,
        "0.409",
        metric=_RECALL,
        names="pets",
    ),
    _set("PatchCamelyon", "vtab/pcam", 32_768, 2, "1.358", names="pcam"),
)

#: Sets whose class names and templates are in files beside their shards alone.
BESIDE = (
    _set("CIFAR-10", "cifar10", 10_000, 10, "0.31", like="CIFAR-100"),
    _set("CIFAR-100", "vtab/cifar100", 10_000, 100, "0.31"),
    _set(
        "CLEVR Distance",
        "vtab/clevr_closest_object_distance",
        15_000,
        6,
        "1.08",
        like="CLEVR Counts",
    ),
    _set("Camelyon17", "wilds/camelyon17", 85_054, 2, "1.358", like="PatchCamelyon"),
    _set("Describable Textures", "vtab/dtd", 1880, 47, "0.377"),
    _set("FGVC Aircraft", "fgvc_aircraft", 3333, 100, "0.288", metric=_RECALL),
    _set("Food-101", "food101", 25_250, 101, "0.313", like="Stanford Cars"),
    _set("ImageNet-O", "imagenet-o", 2000, 200, "0.177", like="ImageNet-A"),
    _set("ObjectNet", "objectnet", 18_574, 113, "0.296"),
    _set("Pascal VOC 2007", "voc2007", 14_976, 20, "0.162"),
    _set("RESISC45", "vtab/resisc45", 6300, 45, "0.379"),
    _set("Rendered SST2", "renderedsst2", 1821, 2, "1.042"),
    _set("STL-10", "stl10", 8000, 10, "0.105"),
    _set("SUN397", "sun397", 108_754, 397, "0.042"),
    _set("SVHN", "vtab/svhn", 26_032, 10, "1.8", like="MNIST"),
    _set("Stanford Cars", "cars", 8041, 196, "0.313"),
)

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
