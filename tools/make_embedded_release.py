"""Make the embedded release: images, checkpoints and published values.

It repeats "Scaling Laws of Synthetic Images" (arXiv:2312.04567) in miniature:
handwritten digits are the real data, digits drawn from fonts the synthetic data, and
a small timm ViT and a small open_clip model are trained at six sizes of training set.

Everything is seeded, yet training on another machine or with other versions rounds
differently and ends in slightly other weights, with slightly other published values.
Both are written together, so that they always belong together.

Needs scikit-learn and matplotlib besides what `repro` needs.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from embedded_release.digits import CLASSES, split_digits, write_validation_images
from embedded_release.plain import (
    load,
    measure_clip,
    measure_supervised,
    open_validation,
)
from embedded_release.pools import (
    read_pools,
    render_real,
    render_synthetic,
    write_pool,
)
from embedded_release.recipes import (
    FAMILIES,
    PROTOCOLS,
    SYNTHETIC_SIZES,
    Family,
    build_tokenizer,
    clip_config_text,
)
from embedded_release.training import train
from embedded_release.writing import (
    CLIP_CONFIG_FILE,
    MERGES_FILE,
    Reference,
    format_references,
    format_release,
)
from tabulate import tabulate
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT = Path(__file__).resolve().parent.parent / "repro" / "embedded"
SEED = 20231207
STEPS = 1000


class TrainingRun(NamedTuple):
    """One checkpoint to train, and where its images come from and it goes to."""

    family: Family
    size: int
    pools: Path
    output: Path
    steps: int


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="FOLDER",
        help="where the release is written (default: repro/embedded)",
    )
    parser.add_argument(
        "--measure-only",
        action="store_true",
        help="measure the checkpoints that are there; train and render nothing",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=STEPS,
        metavar="N",
        help="batches that each checkpoint is trained for (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        metavar="N",
        help="checkpoints trained at once, a core each (default: %(default)s)",
    )
    return parser.parse_args()


def checkpoint_file(output: Path, family: Family, size: int) -> Path:
    """Tell where a checkpoint lies in the release."""
    return output / "checkpoints" / family.name / f"{size}.pt"


def write_texts(output: Path) -> None:
    """Write the release's description, its CLIP configuration and its merges."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "release.toml").write_text(format_release(), encoding="utf-8")
    (output / CLIP_CONFIG_FILE).write_text(clip_config_text(), encoding="utf-8")
    # open_clip skips the first line, and a line's end would begin an empty merge.
    merges = gzip.compress(b"#version: no merges, every byte is a token", mtime=0)
    (output / MERGES_FILE).write_bytes(merges)


def render_images(output: Path, pools: Path) -> None:
    """Write the validation images, and both pools of training images."""
    split, validation, real, synthetic = (
        np.random.default_rng(seed) for seed in np.random.SeedSequence(SEED).spawn(4)
    )
    training_digits, validation_digits = split_digits(split)
    write_validation_images(validation_digits, output / "val", validation)
    write_pool(
        pools, "real", render_real(training_digits, real), training_digits.labels
    )
    count = max(SYNTHETIC_SIZES)
    photographs = tqdm(
        render_synthetic(count, synthetic), "drawing synthetic digits", count
    )
    labels = np.arange(count) % len(CLASSES)
    write_pool(pools, "synthetic", photographs, labels)


def train_checkpoint(run: TrainingRun) -> None:
    """Train one checkpoint and write its weights, in a process of its own."""
    torch.set_num_threads(1)
    loader = run.family.loader
    pixels, labels = read_pools(run.pools, run.family.pools, loader, run.size)
    weights = train(
        loader,
        pixels,
        labels,
        PROTOCOLS[loader],
        build_tokenizer(run.output / MERGES_FILE),
        steps=run.steps,
        seed=SEED,
    )
    file = checkpoint_file(run.output, run.family, run.size)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights, file)


def train_all(output: Path, pools: Path, steps: int, workers: int) -> None:
    """Train every checkpoint of every family."""
    runs = [
        TrainingRun(family, size, pools, output, steps)
        for family in FAMILIES
        for size in family.sizes
    ]
    # Forked processes would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        finished = executor.map(train_checkpoint, runs)
        for _ in tqdm(finished, "training checkpoints", len(runs)):
            pass


def measure_all(output: Path) -> list[Reference]:
    """Measure every checkpoint with the plain loop."""
    tokenizer = build_tokenizer(output / MERGES_FILE)
    references = []
    for family in FAMILIES:
        validation = open_validation(output / "val", family.protocol)
        for size in family.sizes:
            model = load(family.loader, checkpoint_file(output, family, size))
            published = (
                measure_supervised(model, validation)
                if family.loader == "timm"
                else measure_clip(model, tokenizer, validation)
            )
            references.append(
                Reference(family.name, str(size), family.protocol.name, published)
            )
    return references


def format_summary(references: Sequence[Reference]) -> str:
    """Lay out the published values as a table."""
    rows = [
        (reference.family, reference.checkpoint, *reference.published)
        for reference in references
    ]
    headers = ("family", "checkpoint", "top-1 %", "top-5 %", "loss")
    alignment = ("left", *["right"] * (len(headers) - 1))
    return tabulate(rows, headers, disable_numparse=True, colalign=alignment)


def main() -> None:
    """Make the release, or only measure it again."""
    arguments = parse_arguments()
    output: Path = arguments.output
    if not arguments.measure_only:
        write_texts(output)
        with tempfile.TemporaryDirectory() as folder:
            pools = Path(folder)
            render_images(output, pools)
            train_all(output, pools, arguments.steps, arguments.workers)
    # Models this small lose more time to a second thread than it saves.
    torch.set_num_threads(1)
    references = measure_all(output)
    text = format_references(references)
    (output / "references.toml").write_text(text, encoding="utf-8")
    print(format_summary(references))


if __name__ == "__main__":
    main()
