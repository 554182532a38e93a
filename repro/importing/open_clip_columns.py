"""The 38 columns of open_clip's table: which are of cases, and why others are not.

They are the datasets of DataComp, whose list of tasks has their sizes and metrics. That
the table has these metrics was seen by comparing it with CLIP_benchmark's own, which
has 13 of its checkpoints: where accuracy and mean per class are far apart, only the one
that DataComp names agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.importing.rows import OtherSet

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
TOLERANCE_REASON = (
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
) -> OtherSet:
    """Make the set of a column, in the shards that DataComp's evaluation downloads."""
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

#: Why there is no case of some columns.
LEFT_OUT = {
    "accuracies by class names that no library ships: the benchmark reads them from "
    "files beside the images": (
        "Camelyon17",
        "CIFAR-10",
        "CIFAR-100",
        "Describable Textures",
        "FGVC Aircraft",
        "Food-101",
        "ImageNet-O",
        "ObjectNet",
        "Pascal VOC 2007",
        "Rendered SST2",
        "RESISC45",
        "Stanford Cars",
        "STL-10",
        "SUN397",
    ),
    "accuracies by class names that are not known: of the same checkpoints, "
    "CLIP_benchmark's table has others by up to 9.66 and 21.42 points": (
        "CLEVR Distance",
        "SVHN",
    ),
    "the recall of a retrieval": ("Flickr", "MSCOCO"),
    "the Jaccard index of associations": ("WinoGAViL",),
    "a macro F1": ("iWildCam",),
    "the accuracy in the worst group or region": ("FMoW", "GeoDE"),
    "the top-5 accuracy in the worst group": ("Dollar Street",),
}


def left_out(columns: Sequence[str]) -> Iterator[str]:
    """Yield which columns of a table give no case, and why."""
    told = {IMAGENET, *ABOUT, *(other.column for other in SETS)}
    for reason, names in LEFT_OUT.items():
        if found := [name for name in columns if name in names]:
            yield f"{', '.join(found)}: {reason}"
        told |= set(names)
    if others := [name for name in columns if name not in told]:
        yield f"{', '.join(others)}: not known"
