"""Building the pixel store, against decoding and resizing alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PIL import Image
from torchvision import transforms

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
    strata = range(1 if setting.is_quick else 3)
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
            parts={
                "together, s": found.ours.median,
                "apart, s": found.other.median,
                **_profile(_paths(dataset, strata)[:200]),
            },
        )
    ]


def _profile(paths: Sequence[Path]) -> dict[str, float]:
    """Time the steps of a photograph alone, and what sharing the decode can save."""
    images = [limits.decode(path) for path in paths]

    def each(work: Callable[[], object]) -> float:
        return 1000 * min(seconds(work) for _ in range(3)) / len(paths)

    def resize(steps: Sequence[Callable[[Image.Image], Image.Image]]) -> float:
        apply = transforms.Compose(steps)
        return each(lambda: [apply(image) for image in images])

    decode = each(lambda: [limits.decode(path) for path in paths])
    bilinear, bicubic = (
        resize(plain.SUPERVISED_GEOMETRY),
        resize(plain.CLIP_GEOMETRY),
    )
    both = bilinear + bicubic
    return {
        "decode, ms": decode,
        "resize and crop, bilinear, ms": bilinear,
        "resize and crop, bicubic, ms": bicubic,
        "ratio that decoding once allows": (decode + both) / (2 * decode + both),
    }


def _geometries(setting: Setting) -> list[Geometry]:
    protocols = setting.stand_ins.release.protocols
    return [protocols["supervised"].geometry_steps, protocols["clip"].geometry_steps]


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
