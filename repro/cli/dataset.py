"""`repro dataset check`: whether a copy of a dataset is what it should be."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from repro.cli.options import Group, cache_option, expected_option
from repro.cli.output import Bar, echo
from repro.data.bytewise import ReadImages, read_images
from repro.data.dataset import Dataset, read_dataset
from repro.data.examination import examine
from repro.data.listing import Listing
from repro.data.readers import suppose_images
from repro.data.recognition import Recognised, recognise
from repro.data.trusted_copy import read_record, write_record
from repro.errors import DatasetError, NotAvailableError, OptionError
from repro.published import DatasetSpec, Release, read_releases


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
