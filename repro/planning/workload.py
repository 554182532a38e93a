"""What cases need besides time: photographs, pixels, weights, operations."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from repro.cases import Case
from repro.data.dataset import count_strata
from repro.data.layout import DECODED_AT_ONCE, stored_bytes
from repro.published import DatasetSpec, Geometry

#: Bytes of a photograph: ImageNet's validation tar has 6,744,924,160 for 50,000.
PHOTOGRAPH_BYTES = 6_744_924_160 // 50_000
#: Seconds of a core for decoding a photograph of ImageNet, and for bringing it into
#: one geometry (bilinear): Pillow, measured over 1,000 of them.
DECODE_SECONDS = 1 / 638
RESIZE_SECONDS = 1 / 347 - 1 / 638
#: Height and width of images that are used as they are, before they are seen.
SMALL = 32, 32

#: What tells which images a case is about: a dataset, its folder, and where that lies.
Images = tuple[str, str, Path | None]
#: A pixel store: images and geometry.
Stored = tuple[Images, str]


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What cases take; images are counted, `read` and `stored` are in bytes.

    A photograph is decoded again where the geometries of one stratum together exceed
    memory, so `decodes` can be above `photographs`. `decode_seconds` are those of one
    core. The size of `unsized` weights files is unknown; they are not here.
    """

    cases: int
    datasets: int
    photographs: int
    decodes: int
    geometries: int
    stores: int
    evaluated: int
    operations: float
    prompts: int
    photograph_bytes: int
    weights_bytes: int
    unsized: int
    pixels_read: int
    stored: int
    decode_seconds: float


def workload(
    cases: Collection[Case],
    checkpoints: Path | None = None,
    limit: int | None = None,
    there: Mapping[Stored, int | None] = MappingProxyType({}),
    data: Path | None = None,
) -> Workload:
    """Add up what cases take.

    Args:
        cases: that are going to run.
        checkpoints: folder of the user's weights.
        limit: how many images of each dataset at least.
        there: of pixel stores how many crops are there already, None for all.
        data: folder of the datasets; None where releases have their own.
    """
    specs = {which_images(case, data): case.dataset for case in cases}
    images = {name: images_of(spec, limit) for name, spec in specs.items()}
    seen = [images[which_images(case, data)] for case in cases]
    each = [_NOTHING]
    for name, wanted in _missing_stores(cases, there, data).items():
        copied = {geometry: there.get((name, geometry)) or 0 for geometry in wanted}
        strata = strata_of(specs[name], limit)
        each.append(_decoding(wanted, images[name], strata, copied))
    made = _Decoding(*map(sum, zip(*each, strict=True)))
    weights = _weights_sizes(cases, checkpoints)
    sized = [size for size in weights.values() if size is not None]
    return Workload(
        cases=len(cases),
        datasets=len(specs),
        photographs=made.photographs,
        decodes=made.decodes,
        geometries=len({case.protocol.geometry for case in cases}),
        stores=made.stores,
        evaluated=sum(seen),
        operations=sum(
            case.gflops * 1e9 * number / case.dataset.images
            for case, number in zip(cases, seen, strict=True)
        ),
        prompts=_prompts(cases),
        photograph_bytes=made.decodes * PHOTOGRAPH_BYTES,
        weights_bytes=sum(sized),
        unsized=len(weights) - len(sized),
        pixels_read=sum(
            stored_bytes(_size(case.protocol.geometry_steps), number)
            for case, number in zip(cases, seen, strict=True)
        ),
        stored=made.stored,
        decode_seconds=made.seconds,
    )


class _Decoding(NamedTuple):
    """What it takes to make stores that are missing."""

    photographs: int
    decodes: int
    stores: int
    stored: int
    seconds: float


_NOTHING = _Decoding(0, 0, 0, 0, 0)


def _missing_stores(
    cases: Iterable[Case], there: Mapping[Stored, int | None], data: Path | None
) -> dict[Images, dict[str, Geometry]]:
    """List the geometries, by their text, that are still to be made of each dataset."""
    missing: dict[Images, dict[str, Geometry]] = {}
    for case in cases:
        images, geometry = which_images(case, data), case.protocol.geometry
        if there.get((images, geometry), 0) is not None:
            wanted = missing.setdefault(images, {})
            wanted[geometry] = case.protocol.geometry_steps
    return missing


def _size(geometry: Geometry) -> tuple[int, int]:
    """Give the height and width of images; as they are, only small ones are used."""
    return geometry.output_size if geometry.steps else SMALL


def _decoding(
    wanted: Mapping[str, Geometry], images: int, strata: int, copied: Mapping[str, int]
) -> _Decoding:
    """Say what it takes to make some stores, of which some crops are only copied."""
    sizes = [stored_bytes(_size(geometry), 1) for geometry in wanted.values()]
    # All geometries of a stratum are in memory at once; more of them, one pass more.
    passes = -(-sum(sizes) * (images // strata) // DECODED_AT_ONCE)
    # A photograph is decoded where one geometry of it is nowhere.
    decoded = images - min(copied.values())
    resized = sum(images - number for number in copied.values())
    return _Decoding(
        photographs=decoded,
        decodes=decoded * passes,
        stores=len(sizes),
        stored=sum(sizes) * images,
        seconds=decoded * passes * DECODE_SECONDS + resized * RESIZE_SECONDS,
    )


def which_images(case: Case, data: Path | None) -> Images:
    """Tell which images a case is about, as far as names and places tell."""
    return case.dataset.id, case.dataset.folder, data or case.release.own_data


def images_of(spec: DatasetSpec, limit: int | None) -> int:
    """Count the images of a dataset that are evaluated: whole strata."""
    if limit is None:
        return spec.images
    each = spec.images / _all_strata(spec)
    return min(spec.images, round(strata_of(spec, limit) * each))


def strata_of(spec: DatasetSpec, limit: int | None) -> int:
    """Count the strata of a dataset that are evaluated, its classes being even."""
    number = _all_strata(spec)
    if limit is None:
        return number
    return min(number, -(-limit * number // spec.images))


def _all_strata(spec: DatasetSpec) -> int:
    return count_strata(spec.images, spec.images // len(spec.classes))


def _prompts(cases: Iterable[Case]) -> int:
    """Count the prompts of zero-shot cases, each checkpoint having a text tower."""
    towers: dict[tuple[str, str, str], int] = {}
    for case in cases:
        if text := case.protocol.text:
            outputs = case.dataset.outputs or case.dataset.classes
            names = _length(text.classnames, len(outputs))
            number = names * _length(text.templates, 80)
            towers[case.family.id, case.checkpoint, case.protocol.id] = number
    return sum(towers.values())


def _length(texts: tuple[str, ...] | str, named: int) -> int:
    """Count texts; where only a name stands for them, as many as that mostly means."""
    return named if isinstance(texts, str) else len(texts)


def _weights_sizes(
    cases: Iterable[Case], checkpoints: Path | None
) -> dict[tuple[str, str, str], int | None]:
    sizes: dict[tuple[str, str, str], int | None] = {}
    for case in cases:
        place = case.release.id, case.family.id, case.checkpoint
        if place not in sizes:
            sizes[place] = _weights_size(case, checkpoints)
    return sizes


def _weights_size(case: Case, checkpoints: Path | None) -> int | None:
    """Give the bytes of a weights file that is here, or that its release records.

    The caches of libraries are not looked into: that imports the libraries.
    """
    names = case.weights_names
    folder = case.weights_folder(checkpoints)
    for name in names if folder else ():
        with contextlib.suppress(OSError):
            return (folder / name).stat().st_size if folder else None
    recorded = case.release.checksums
    found = (recorded.get(f"{case.family.id}/{name}") for name in names)
    return next((checksum.size for checksum in found if checksum), None)
