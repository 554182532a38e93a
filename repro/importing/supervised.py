"""Accuracies of supervised checkpoints: timm's results-imagenet.csv, and torchvision's.

Every weights entry of the installed torchvision says its own. Digits are those of its
documentation, which prints the same floats: a zero that ends a number is not printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from repro.errors import ExpectedError
from repro.importing.preprocessing import timm_preprocessing, torchvision_preprocessing
from repro.importing.tables import (
    Cells,
    Row,
    Table,
    make_rows,
    origin_note,
    printed_numbers,
    read_table,
    unknown_checkpoint,
)
from repro.importing.writing import class_list

_TIMM_COLUMNS = ("model", "img_size", "param_count", "crop_pct", "interpolation")
_TIMM_NUMBERS = (
    {"top1": "top1", "top1_err": "error"},
    {"top5": "top5", "top5_err": "error5"},
)
_TIMM_REPOSITORY = "https://github.com/huggingface/pytorch-image-models"
_TIMM_URL = f"{_TIMM_REPOSITORY}/blob/main/results/results-imagenet.csv"
#: `bulk_runner.py`, which the commit that added it says to be used for validation runs.
_TIMM_PRECISION = (
    "autocast to float16, the default type of validate.py --amp, without "
    "--channels-last: so bulk_runner.py says to validate all models, "
    f"{_TIMM_REPOSITORY}/blob/aa4b5850c1543fa488abf260f18390eda46cf85d/bulk_runner.py"
)
_GONE_FROM_TIMM = (
    " has no such checkpoint; its crop mode, mean and std are assumed to be timm's "
    "defaults"
)
#: GFLOPs a million parameters at 224 pixels, about that of ResNet-50 and ViT-B/16.
_GFLOPS = 0.2


def timm_table(file: Path, url: str = "") -> Table:
    """Read the table; crop mode, mean and std are those of the installed timm.

    Args:
        file: the table.
        url: where it can be read, at a commit.

    Raises:
        ExpectedError: the file is no such table.
    """
    import timm

    rows, digest = read_table(file, _TIMM_COLUMNS, _TIMM_NUMBERS)
    return _timm_table(
        url=url or _TIMM_URL,
        rows=make_rows(file, enumerate(rows, 2), _timm_row, "model"),
        precision="amp-fp16",
        precision_note=_TIMM_PRECISION,
        protocol_note=f"crop mode, mean and std as in timm {timm.__version__}",
        note=origin_note(file, len(rows), digest)
        + "; gflops are estimated from param_count "
        "and img_size and only order the cases",
    )


def timm_checkpoint(name: str) -> Table:
    """Read what the installed timm says of a checkpoint, or of an architecture's own.

    Its protocol is that of `timm validate`: the size, the crop and the filter for
    tests, in float32. The table of numbers is no part of timm.

    Raises:
        ExpectedError: timm has no such checkpoint of ImageNet's 1,000 classes.
    """
    import timm
    from timm.data import resolve_data_config

    owner = f"timm {timm.__version__}"
    config = timm_configuration(name)
    if not config:
        raise unknown_checkpoint(owner, name, timm.list_pretrained())
    if config["num_classes"] != len(class_list().split()):
        raise ExpectedError(
            f"{name} of {owner} has {config['num_classes']:,} classes, so it has no "
            "accuracy on ImageNet-1k of its own; name one that ends with in1k"
        )
    asked = resolve_data_config(pretrained_cfg=config, use_test_size=True)
    repository, tag = config.get("hf_hub_id", ""), config.get("tag", "")
    row = Row(
        checkpoint=f"{config['architecture']}.{tag}".rstrip("."),
        preprocessing=timm_preprocessing(asked),
        numbers={},
        gflops=1.0,
        file=_file(repository) or config.get("url", ""),
    )
    return _timm_table(
        url=_TIMM_URL,
        rows=(row,),
        precision="fp32",
        precision_note="float32, as validate.py computes without --amp",
        protocol_note=f"test size, crop, mean and std of {owner}",
    )


def _timm_table(**own: Any) -> Table:
    """Make a table with what is the same of every one of timm."""
    import timm

    return Table(
        library="timm",
        version=timm.__version__,
        title="PyTorch Image Models (timm)",
        code=_TIMM_REPOSITORY,
        source="timm, results-imagenet.csv",
        kind="supervised",
        **own,
    )


def _file(repository: str) -> str:
    return f"hf://{repository}/model.safetensors" if repository else ""


def _timm_row(cells: Cells) -> Row:
    import timm

    name = cells["model"]
    config = timm_configuration(name)
    size = int(cells["img_size"])
    numbers = printed_numbers(cells, _TIMM_NUMBERS)
    parameters = float(cells["param_count"].replace(",", ""))
    preprocessing = timm_preprocessing(
        {
            "input_size": (3, size, size),
            "crop_pct": _unrounded(cells["crop_pct"], config),
            "crop_mode": config.get("crop_mode", "center"),
            "interpolation": cells["interpolation"],
            "mean": config.get("mean", (0.485, 0.456, 0.406)),
            "std": config.get("std", (0.229, 0.224, 0.225)),
        }
    )
    return Row(
        checkpoint=name,
        preprocessing=preprocessing,
        numbers=numbers,
        gflops=round(_GFLOPS * parameters * (size / 224) ** 2, 2),
        file=_file(config.get("hf_hub_id", "")),
        note="" if config else f"timm {timm.__version__}{_GONE_FROM_TIMM}",
    )


def timm_configuration(name: str) -> dict[str, Any]:
    """Give timm's configuration of a checkpoint; empty where it has none any more."""
    import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:
        return {}
    return config.to_dict() if config else {}


def _unrounded(printed: str, config: Mapping[str, Any]) -> float:
    """Undo the rounding of the table's crop_pct where timm knows the exact one."""
    for key in ("test_crop_pct", "crop_pct"):
        exact = config.get(key)
        if exact and f"{exact:.3f}" == printed:
            return float(exact)
    return float(printed)


_TORCHVISION_PRECISION = (
    "float32: evaluate() of the reference script has no autocast, https://github.com/"
    "pytorch/vision/blob/017e9b99b5daddec3d82d5b05fe26f6834c48fa9/references/"
    "classification/train.py"
)
_TORCHVISION_METRICS: dict[str, str] = {"top1": "acc@1", "top5": "acc@5"}


def torchvision_table() -> Table:
    """Read all classification entries of the installed torchvision."""
    from torchvision import models

    return _torchvision_table(
        _torchvision_row(architecture, entry)
        for architecture in models.list_models(module=models)
        for entry in models.get_model_weights(architecture)
    )


def torchvision_checkpoint(name: str) -> Table:
    """Read one entry, such as `mobilenet_v2.IMAGENET1K_V1`, or the default one.

    Raises:
        ExpectedError: the installed torchvision has none of that name.
    """
    import torchvision
    from torchvision import models

    architecture, _, wanted = name.partition(".")
    owner = f"torchvision {torchvision.__version__}"
    if architecture not in (known := models.list_models(module=models)):
        raise unknown_checkpoint(owner, architecture, known)
    entries = models.get_model_weights(architecture)
    if wanted and wanted not in entries.__members__:
        raise unknown_checkpoint(
            owner, name, [f"{architecture}.{entry.name}" for entry in entries]
        )
    return _torchvision_table(
        [_torchvision_row(architecture, entries[wanted or "DEFAULT"])]
    )


def _torchvision_table(rows: Iterable[Row]) -> Table:
    import torchvision

    version = torchvision.__version__.partition("+")[0]
    return Table(
        library="torchvision",
        version=version,
        title="Models and pre-trained weights of torchvision",
        code="https://github.com/pytorch/vision",
        source=f"torchvision {version}, the entries of torchvision.models",
        url=f"https://github.com/pytorch/vision/tree/v{version}/torchvision/models",
        kind="supervised",
        rows=tuple(rows),
        precision="fp32",
        precision_note=_TORCHVISION_PRECISION,
        protocol_note="transforms() of the weights entry",
    )


def _torchvision_row(architecture: str, entry: Any) -> Row:
    measured = entry.meta["_metrics"]["ImageNet-1K"]
    return Row(
        checkpoint=f"{architecture}.{entry.name}",
        preprocessing=torchvision_preprocessing(entry.transforms()),
        numbers={
            metric: str(measured[key])
            for metric, key in _TORCHVISION_METRICS.items()
            # Weights for features alone have no accuracy.
            if math.isfinite(measured[key])
        },
        gflops=entry.meta["_ops"],
        file=entry.url,
    )
