"""CLIP_benchmark's table `benchmark.csv`: zero-shot results of open_clip's checkpoints.

It prints fractions as Python prints floats: in full, but without zeros at the end.
Class names and templates of imagenet1k in clip_benchmark/datasets/ at 48de38c are those
that open_clip ships, one by one. `mean_per_class_recall` is scikit-learn's
`balanced_accuracy_score` (clip_benchmark/metrics/zeroshot_classification.py).
"""

from __future__ import annotations

from pathlib import Path

from repro.importing.open_clip import checkpoint_row
from repro.importing.tables import (
    Cells,
    Row,
    Table,
    make_rows,
    origin_note,
    printed_numbers,
    read_table,
)

COLUMNS = ("dataset", "model", "pretrained", "task")
_NUMBERS = (
    {"acc1": "top1"},
    {"acc5": "top5"},
    {"mean_per_class_recall": "mean_per_class_recall"},
)
_DATASETS = {"imagenet1k", "wds/imagenet1k"}
#: Decimals of a share of 50,000 images.
_DECIMALS = 5
_REPOSITORY = "https://github.com/LAION-AI/CLIP_benchmark"
_URL = f"{_REPOSITORY}/blob/main/benchmark/benchmark.csv"
_PRECISION_NOTE = (
    "autocast to float16, CUDA's default, unless --no_amp is given, "
    f"{_REPOSITORY}/blob/48de38c1689fa6d8b4dd53e3370c669c3bb18117/clip_benchmark/cli.py"
)


def clip_benchmark_table(file: Path, url: str = "") -> Table:
    """Read the rows of imagenet1k; preprocessing is that of the installed open_clip.

    Args:
        file: the table.
        url: where it can be read, at a commit.

    Raises:
        ExpectedError: the file is no such table.
    """
    import open_clip

    table, digest = read_table(file, COLUMNS)
    found = [
        (number, cells)
        for number, cells in enumerate(table, 2)
        if cells["dataset"] in _DATASETS and cells["task"] == "zeroshot_classification"
    ]
    # Weights that were files on somebody's disk were not published.
    rows = [
        (number, cells) for number, cells in found if "/" not in cells["pretrained"]
    ]
    left_out = len(found) - len(rows)
    return Table(
        library="open_clip",
        maker="clip_benchmark",
        version=open_clip.__version__,
        title="CLIP benchmark",
        code=_REPOSITORY,
        source="CLIP_benchmark, benchmark.csv, dataset imagenet1k",
        url=url or _URL,
        kind="clip",
        unit="fraction",
        rows=make_rows(file, rows, _row, "model", "pretrained"),
        precision="amp-fp16",
        precision_note=_PRECISION_NOTE,
        protocol_note=f"preprocessing as in open_clip {open_clip.__version__}",
        note=f"{origin_note(file, len(rows), digest)}; {left_out:,} of weights that "
        "are not published are left out; gflops are not in the table",
    )


def _row(cells: Cells) -> Row:
    numbers = printed_numbers(cells, _NUMBERS)
    full = {metric: _in_full(text) for metric, text in numbers.items()}
    return checkpoint_row(cells["model"], cells["pretrained"], full, gflops=1.0)


def _in_full(text: str) -> str:
    """Write the zeros that Python leaves out: `0.665` of 50,000 images is exact."""
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<{_DECIMALS}}"
