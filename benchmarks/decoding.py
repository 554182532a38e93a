"""Building the pixel store, against decoding and resizing alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import limits, plain
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import compare, seconds, spread
from repro.data.dataset import Dataset
from repro.data.pixels import PixelStore
from repro.published import Geometry


def decode_limits(setting: Setting) -> list[Row]:
    """Measure how fast photographs are decoded, and decoded and resized."""
    paths = _paths(setting.stand_ins.dataset("most"), [0])[: _images(setting)]
    found: list[Row] = []
    for name, geometry in (
        ("decode", []),
        ("decode, resize, crop", plain.SUPERVISED_GEOMETRY),
    ):
        rates = [
            len(paths)
            / seconds(partial(limits.decoding, paths, setting.cores, geometry))
            for _ in range(setting.repetitions)
        ]
        found.append(
            Row(
                id=f"limit-{name.partition(',')[0]}{'-resize' * bool(geometry)}",
                what=f"{name}, alone, {setting.cores} threads",
                unit="images/s",
                value=spread(rates),
            )
        )
    return found


def cold_build(setting: Setting) -> list[Row]:
    """Build a store from nothing, against decode and resize alone."""
    dataset, geometry = setting.stand_ins.dataset("most"), _geometries(setting)[0]
    strata = range(1 if setting.is_quick else 2)
    paths = _paths(dataset, strata)
    found = compare(
        lambda: _build(setting, dataset, [geometry], strata),
        lambda: limits.decoding(paths, setting.cores, plain.SUPERVISED_GEOMETRY),
        setting.repetitions,
    )
    return [
        Row(
            id="cold-build",
            what="cold store build / decode and resize alone",
            unit="ratio",
            value=found.ratio,
            goal=Goal(1.05),
            parts={
                "build, images/s": len(paths) / found.ours.median,
                "decode and resize alone, images/s": len(paths) / found.other.median,
            },
        )
    ]


def both_geometries(setting: Setting) -> list[Row]:
    """Build the stores of both geometries together, against one after the other."""
    dataset, geometries = setting.stand_ins.dataset("most"), _geometries(setting)
    strata = range(1)

    def separately() -> None:
        for geometry in geometries:
            _build(setting, dataset, [geometry], strata)

    found = compare(
        lambda: _build(setting, dataset, geometries, strata),
        separately,
        setting.repetitions,
    )
    return [
        Row(
            id="both-geometries",
            what="both geometries from one decode / two builds",
            unit="ratio",
            value=found.ratio,
            goal=Goal(0.75),
            parts={"together, s": found.ours.median, "apart, s": found.other.median},
        )
    ]


def _geometries(setting: Setting) -> list[Geometry]:
    protocols = setting.stand_ins.release.protocols
    return [protocols["supervised"].pixels, protocols["clip"].pixels]


def _paths(dataset: Dataset, strata: Sequence[int]) -> list[Path]:
    return [
        dataset.root / dataset.files[index]
        for stratum in strata
        for index in dataset.strata[stratum]
    ]


def _images(setting: Setting) -> int:
    return 400 if setting.is_quick else 1000


def _build(
    setting: Setting,
    dataset: Dataset,
    geometries: Sequence[Geometry],
    strata: Sequence[int],
) -> None:
    with setting.empty_cache() as cache:
        store = PixelStore(dataset, geometries[0], cache, setting.cores, geometries)
        for _ in store.iterate(strata):
            pass


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [
    decode_limits,
    cold_build,
    both_geometries,
]
