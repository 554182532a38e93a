"""Finding out which images there are: read once, remembered, compared when decoded."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xxhash

from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import compare, seconds, spread
from repro import files
from repro.data.dataset import Dataset, index_dataset
from repro.data.listing import read_image
from repro.published import DatasetSpec

CLASSES = 1000
FILES = 50_000


def warm_start(setting: Setting) -> list[Row]:
    """Index 50,000 files, all of which are remembered, up to their strata."""
    per_class = FILES // CLASSES // (10 if setting.is_quick else 1)
    names = tuple(f"n{number:08}" for number in range(CLASSES))
    spec = DatasetSpec(
        id="many",
        title="many small files",
        folder="many",
        classes=names,
        images=CLASSES * per_class,
    )
    with setting.empty_cache() as cache:
        _write(cache / spec.folder, names, per_class)
        # What is younger is not remembered.
        time.sleep(files.YOUNG_NANOSECONDS / 1e9 + 0.5)
        cold = seconds(partial(_index, spec, cache))
        taken = [
            seconds(partial(_index, spec, cache))
            for _ in range(setting.repetitions + 1)
        ]
    return [
        Row(
            id="warm-start",
            what=f"start of a warm run on {spec.images:,} files",
            unit="s",
            value=spread(taken[1:]),
            goal=Goal(1.0),
            parts={"the first time, files of 12 bytes, s": cold},
        )
    ]


def reading(setting: Setting) -> list[Row]:
    """Read photographs and take their digests, against decoding and resizing them."""
    dataset = setting.stand_ins.dataset("most")
    geometry = setting.stand_ins.release.protocols["supervised"].geometry_steps
    images = dataset.digests[: 100 if setting.is_quick else 500]
    output = np.empty((3, *geometry.output_size), np.uint8)

    def decode() -> None:
        for index in range(len(images)):
            dataset.planar_pixels(index, [geometry], [output])

    def read() -> None:
        for index, digest in enumerate(images):
            read_image(dataset.place(index), digest)

    found = compare(read, decode, setting.repetitions)
    contents = [read_image(dataset.place(index)) for index in range(len(images))]
    each = 1e6 / len(contents)
    return [
        Row(
            id="digests",
            what="read and digest all photographs / decode and resize them, one core",
            unit="ratio",
            value=found.ratio,
            goal=Goal(0.05),
            parts={
                "bytes of a photograph": sum(map(len, contents)) / len(contents),
                "XXH3-128, microseconds each": each
                * seconds(lambda: [xxhash.xxh3_128_digest(c) for c in contents]),
                "SHA-256, microseconds each": each
                * seconds(lambda: [hashlib.sha256(c).digest() for c in contents]),
                "decode and resize, microseconds each": each * found.other.median,
            },
        )
    ]


def _write(root: Path, names: tuple[str, ...], per_class: int) -> None:
    for name in names:
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(per_class):
            file = folder / f"{number:08}.JPEG"
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, f"{name[-6:]}{number:6}".encode())
            os.close(descriptor)


def _index(spec: DatasetSpec, cache: Path) -> Dataset:
    dataset = index_dataset(spec, cache, cache=cache, part=True)
    assert len(dataset.fingerprint) == len("xxh3:") + 64
    assert sum(map(len, dataset.strata)) == len(dataset)
    return dataset


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [warm_start, reading]
