"""`repro inspect` and `repro dataset`: what lies in weights files and with images."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from repro.cli.options import (
    EXISTING_FILE,
    Command,
    Group,
    cache_option,
    expected_option,
)
from repro.cli.output import Bar, echo, echo_lines
from repro.data.dataset import Dataset, ReadImages, read_dataset, read_images
from repro.data.digests import read_record, write_record
from repro.data.examination import examine
from repro.data.listing import Listing
from repro.data.readers import Recognised, recognise, suppose_images
from repro.errors import DatasetError, NotAvailableError, OptionError, ReproError
from repro.files import shown_size
from repro.models.inspection import Architecture, Inspection, inspect_weights
from repro.published import DatasetSpec, Release, read_releases

_ASSUMED = {"heads", "text heads"}


@click.command(cls=Command)
@click.argument("file", type=EXISTING_FILE)
@expected_option
def inspect(file: Path, expected: tuple[Path | str, ...]) -> None:
    """Say what a weights file holds and would load as.

    Nothing in it is executed; a file that would need that is refused with the reason.
    """
    found = inspect_weights(file)
    for label, text in _rows(found):
        echo(f"  {label:<14}{text}" if label else text)
    if found.graph:
        echo('  loads as      a model of loader = "onnx"')
        return
    echo_lines(_fits(found, read_releases(expected)))


def _rows(found: Inspection) -> Iterator[tuple[str, str]]:
    # It builds models, with torch: what only looks into images does without.
    from repro.models.skeleton import fitting_models, options_text

    yield "", f"{found.path}: {shown_size(found.size)}, {found.format}"
    if found.graph:
        yield "input", "; ".join(map(str, found.graph.inputs))
        yield "output", "; ".join(map(str, found.graph.outputs))
    elif found.entry:
        beside = f"; beside it {', '.join(found.others)}" if found.others else ""
        yield "state dict", f"in the entry {found.entry!r}{beside}"
    else:
        yield "state dict", "the file itself"
    if found.rivals:
        rivals = ", ".join(repr(name) if name else "the file" for name in found.rivals)
        yield "weights_key", f"has to be named: {rivals} holds tensors too"
    if found.done:
        yield "read with", "; ".join(found.done)
    types = ", ".join(
        dtype if len(found.dtypes) == 1 else f"{count:,} of {dtype}"
        for dtype, count in found.dtypes.items()
    )
    tensors = f"{len(found.shapes):,} with {found.parameters:,} parameters"
    yield "tensors", f"{tensors}, {types}"
    if found.architecture:
        yield "architecture", _described(found.architecture)
    specs = [] if found.graph else [*fitting_models(found.shapes)]
    named = [f"{s.architecture} in {s.loader}{options_text(s)}" for s in specs]
    if named:
        yield "name", "; or ".join(named)
    elif not found.architecture:
        names = ", ".join(list(found.shapes)[:3])
        yield "architecture", f"not known; names such as {names}"
    if found.logit_scale is not None:
        yield "logit scale", f"{found.logit_scale:.6g}"


def _described(architecture: Architecture) -> str:
    kind = "CLIP" if architecture.kind == "clip" else "supervised"
    facts = ", ".join(
        f"{name} {count:,}" + " (of 64 channels, as usual)" * (name in _ASSUMED)
        for name, count in architecture.facts.items()
    )
    said = f"{architecture.family}: {facts}" if facts else architecture.family
    return f"{kind}, {said}"


def _fits(found: Inspection, releases: Sequence[Release]) -> Iterator[str]:
    """Try every model of the releases, and say which of them it loads as."""
    import torch

    from repro.models.building import load_checkpoint

    misfits: list[str] = []
    fitting = 0
    for release in releases:
        for spec in release.models.values():
            if "{" in spec.architecture:
                continue  # An architecture for each checkpoint, known by its name.
            label = f"{spec.id} of {release.id} ({spec.loader} {spec.architecture})"
            try:
                load_checkpoint(spec, release.location, found.path, torch.device("cpu"))
            except ReproError as error:
                said = str(error).replace(f"{found.path} ", "it ", 1).split(". ")
                # What would make it load is worth a sentence more.
                why = [said[0], *(one for one in said[1:] if "weights_key" in one)]
                misfits.append(f"  not as        {label}: {'. '.join(why)}")
                continue
            fitting += 1
            yield f"  loads as      {label}"
    yield from misfits
    if not fitting:
        yield "  loads as      no model of the releases"


@click.group(cls=Group)
def dataset() -> None:
    """Know the images that numbers are measured on."""


@dataset.command()
@click.argument("path", type=click.Path(path_type=Path))
@expected_option
@cache_option
@click.option(
    "--dataset",
    "name",
    metavar="NAME",
    help="Which dataset it should be. [default: recognised by its layout]",
)
@click.option(
    "--bytes",
    "bytewise",
    is_flag=True,
    help="Read and decode every image, not only names and sizes.",
)
@click.option(
    "--record",
    is_flag=True,
    help="Read every image, and trust this copy from now on.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=256),
    metavar="N",
    help="Images at once, where they are read. [default: one for each core]",
)
def check(
    path: Path,
    expected: tuple[Path | str, ...],
    cache: Path | None,
    name: str | None,
    bytewise: bool,
    record: bool,
    jobs: int | None,
) -> None:
    """Check a dataset, its tar, or a folder of datasets.

    PATH is where the images lie.

    The exit code is 1 when something is wrong with them.
    """
    if jobs and not (bytewise or record):
        raise OptionError(
            "--jobs has no effect, since no image is read; add --bytes or --record, or "
            "leave --jobs out"
        )
    if not path.exists():
        raise NotAvailableError(f"{path} does not exist; name a folder of images")
    owners = _owners(read_releases(expected))
    specs = [spec for spec, _ in owners.values()]
    if name is not None:
        if name not in owners:
            raise OptionError(
                f"--dataset {name!r} is not known; there are {', '.join(owners)}"
            )
        spec = owners[name][0]
        found = [Recognised(spec, suppose_images(spec, path), path)]
    else:
        found = recognise(path, specs)
    at_once = (jobs or os.cpu_count() or 1) if bytewise or record else 0
    results = [
        _check(one, specs, owners[one.spec.id][1], cache, at_once, record=record)
        for one in found
    ]
    if not all(results):
        sys.exit(1)


def _owners(
    releases: Sequence[Release],
) -> dict[str, tuple[DatasetSpec, Release]]:
    """List the datasets of all releases by name; the first of a name counts."""
    owners: dict[str, tuple[DatasetSpec, Release]] = {}
    for release in releases:
        for spec in release.datasets.values():
            owners.setdefault(spec.id, (spec, release))
    return owners


def _check(
    found: Recognised,
    known: Sequence[DatasetSpec],
    release: Release,
    cache: Path | None,
    jobs: int,
    *,
    record: bool,
) -> bool:
    """Check one dataset, say what was found, and tell whether nothing is wrong."""
    listing, faults = examine(found.spec, found.found, found.data, known)
    remarks: list[str] = []
    images = None
    if listing is None:
        echo(f"{found.found.root}:")
    else:
        how = ", ".join((listing.layout, *listing.assumed))
        echo(f"{found.found.root}: {found.spec.title}, {how}")
        images = _index(found, listing, cache, faults)
    if listing and images:
        read = _read(images, jobs) if jobs else None
        if read:
            faults += read.faults()
            remarks += read.remarks()
        sums = read.sums if read else None
        sizes = listing.sizes() | (read.sizes if read else {})
        recorded = read_record(release, found.spec)
        if recorded and (fault := recorded.difference(sizes, sums)):
            faults.append(f"it {fault}")
        elif recorded:
            remarks.append(f"it is the copy recorded in {recorded.source}")
        elif record and sums and not faults:
            file = write_record(release, found.spec, sizes, sums)
            remarks.append(f"this copy is trusted from now on: {file}")
    _say(faults, remarks, "every image was decoded" if jobs else "names and sizes")
    return not faults


def _index(
    found: Recognised, listing: Listing, cache: Path | None, faults: list[str]
) -> Dataset | None:
    """Say how many images there are and what tells them from all others."""
    try:
        images = read_dataset(found.spec, listing, cache)
    except DatasetError as error:
        faults.append(str(error))
        return None
    echo(
        f"  {len(images):,} images of {len(images.classes):,} classes, "
        f"fingerprint {images.fingerprint}"
    )
    return images


def _say(faults: Sequence[str], remarks: Sequence[str], how: str) -> None:
    for fault in faults:
        echo(f"  fault: {fault}", err=True)
    for remark in remarks:
        echo(f"  {remark}")
    if not faults:
        echo(f"  nothing wrong ({how})")


def _read(images: Dataset, jobs: int) -> ReadImages:
    bar = Bar(images.name)
    bar.begin("decoding", 0, sum(max(0, size) for size in images.sizes))
    try:
        return read_images(images, jobs, bar.advance)
    finally:
        bar.close()
