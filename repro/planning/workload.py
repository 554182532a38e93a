"""What cases need besides time: photographs, pixels, weights, operations."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from repro.cases import WEIGHTS_SUFFIXES, Case
from repro.data.dataset import count_strata
from repro.data.layout import DECODED_AT_ONCE, stored_bytes
from repro.published import DatasetSpec, Geometry

#: Bytes of a photograph: ImageNet's validation tar has 6,744,924,160 for 50,000.
PHOTOGRAPH_BYTES = 6_744_924_160 // 50_000
#: Seconds of a core for decoding a photograph of ImageNet, and for bringing it into
#: one geometry (bilinear): Pillow, measured over 1,000 of them.
DECODE_SECONDS = 1 / 638
RESIZE_SECONDS = 1 / 347 - 1 / 638

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
    there: Collection[Stored] = (),
    data: Path | None = None,
) -> Workload:
    """Add up what cases take.

    Args:
        cases: that are going to run.
        checkpoints: folder of the user's weights.
        limit: how many images of each dataset at least.
        there: pixel stores that are complete already.
        data: folder of the datasets; None where releases have their own.
    """
    wanted: dict[Images, set[str]] = {}
    specs: dict[Images, DatasetSpec] = {}
    parsed: dict[str, Geometry] = {}
    for case in cases:
        images_there = which_images(case, data)
        specs.setdefault(images_there, case.dataset)
        parsed[case.protocol.geometry] = case.protocol.geometry_steps
        if (images_there, case.protocol.geometry) not in there:
            wanted.setdefault(images_there, set()).add(case.protocol.geometry)
    images = {name: images_of(spec, limit) for name, spec in specs.items()}
    stratum = {name: n // strata_of(specs[name], limit) for name, n in images.items()}
    decodes = photographs = stored = 0
    decode_seconds = 0.0
    for name, geometries in wanted.items():
        sizes = [stored_bytes(parsed[text], 1) for text in geometries]
        passes = -(-sum(sizes) * stratum[name] // DECODED_AT_ONCE)
        photographs += images[name]
        decodes += images[name] * passes
        stored += sum(sizes) * images[name]
        each = passes * DECODE_SECONDS + len(sizes) * RESIZE_SECONDS
        decode_seconds += images[name] * each
    weights = _weights_sizes(cases, checkpoints)
    sized = [size for size in weights.values() if size is not None]
    return Workload(
        cases=len(cases),
        datasets=len(specs),
        photographs=photographs,
        decodes=decodes,
        geometries=len(parsed),
        stores=sum(map(len, wanted.values())),
        evaluated=sum(images[which_images(case, data)] for case in cases),
        operations=sum(
            case.gflops * 1e9 * images[which_images(case, data)] / case.dataset.images
            for case in cases
        ),
        prompts=_prompts(cases),
        photograph_bytes=decodes * PHOTOGRAPH_BYTES,
        weights_bytes=sum(sized),
        unsized=len(weights) - len(sized),
        pixels_read=sum(
            stored_bytes(case.protocol.geometry_steps, images[which_images(case, data)])
            for case in cases
        ),
        stored=stored,
        decode_seconds=decode_seconds,
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
            names = _length(text.classnames, 1000)
            number = names * _length(text.templates, 80)
            towers[case.family.id, case.checkpoint, case.protocol.id] = number
    return sum(towers.values())


def _length(texts: tuple[str, ...] | str, named: int) -> int:
    """Count texts; where only a name stands for them, they are those of ImageNet."""
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
    names = [f"{case.checkpoint}{suffix}" for suffix in WEIGHTS_SUFFIXES]
    folder = case.weights_folder(checkpoints)
    for name in names if folder else ():
        with contextlib.suppress(OSError):
            return (folder / name).stat().st_size if folder else None
    recorded = case.release.checksums
    found = (recorded.get(f"{case.family.id}/{name}") for name in names)
    return next((checksum.size for checksum in found if checksum), None)
