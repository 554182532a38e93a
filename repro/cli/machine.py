"""`repro env` and `repro cache`: what this machine has, and what it keeps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click
from tabulate import tabulate

from repro.cli.options import Command, Group, device_option, own_cache_option, read_with
from repro.cli.output import echo
from repro.data.housekeeping import (
    check_store,
    drop_store,
    list_stores,
    make_room,
    remove_parts,
)
from repro.files import shown_size
from repro.options import option as read
from repro.words import counted

#: What its plugins for pytest are called tells more than what they are.
_GROUPS = {
    "pytest11": "pytest plugins",
    "repro.loaders": "loaders",
    "repro.metrics": "metrics",
    "repro.engines": "engines",
}


@click.command(cls=Command)
@device_option
def env(device: str) -> None:
    """Print what a bug report needs.

    Versions, machine and device; no path, no user, no host, no value of a variable.
    """
    for label, text in _rows(device):
        echo(f"{label:<16}{text}")


def _rows(device: str) -> Iterator[tuple[str, str]]:
    from repro.engine.device import choose_device
    from repro.records.identity import describe_environment

    found = describe_environment(str(choose_device(device)))
    yield from found.packages.items()
    for package in ("pytest", "pytest-xdist"):
        yield package, metadata.version(package)
    yield "python", found.python
    yield "system", found.system
    yield "cpu", f"{found.cpu}, {found.cores} cores"
    yield "decoder", found.decoder
    yield "device", found.device
    if found.cuda:
        yield "cuda", f"{found.cuda}, driver {found.driver}"
    for group, label in _GROUPS.items():
        owners = {
            f"{point.dist.name} {point.dist.version}"
            for point in metadata.entry_points(group=group)
            if point.dist is not None
        }
        if owners:
            yield label, ", ".join(sorted(owners))
    names = sorted(name for name in os.environ if name.startswith("REPRO_"))
    yield "variables set", ", ".join(names) or "none of REPRO_*"


@click.group(cls=Group)
def cache() -> None:
    """List, check and shrink the decoded pixels on disk."""


@cache.command("list")
@own_cache_option
def list_(cache: Path) -> None:
    """List the pixel stores, the last used first."""
    stores = list_stores(cache)
    rows = [
        (
            store.path.name,
            store.identity.dataset,
            store.identity.geometry,
            f"{store.images:,}",
            shown_size(store.size),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(store.used)),
        )
        for store in stores
    ]
    if rows:
        headers = ["store", "dataset", "geometry", "images", "size", "last used"]
        echo(tabulate(rows, headers=headers, disable_numparse=True))
    total = shown_size(sum(store.size for store in stores))
    echo(f"{cache}: {counted(len(stores), 'store')} of decoded pixels, {total}")


@cache.command()
@own_cache_option
@click.pass_context
def check(context: click.Context, cache: Path) -> None:
    """Compare decoded pixels with their checksums.

    Stores with damage are deleted; they are made again when they are needed. The exit
    status is 1 when there were any.
    """
    stores = list_stores(cache)
    damaged = 0
    for store in stores:
        faults = check_store(store)
        for fault in faults:
            echo(fault, err=True)
        if faults:
            drop_store(store)
            damaged += 1
    sound = len(stores) - damaged
    verbs = "is" if sound == 1 else "are", "was" if damaged == 1 else "were"
    sums = f"{counted(sound, 'store')} {verbs[0]} sound"
    echo(f"{sums}, {damaged:,} {verbs[1]} damaged and deleted")
    context.exit(1 if damaged else 0)


@cache.command()
@click.option(
    "--limit",
    callback=read_with(read.size),
    metavar="SIZE",
    help="Drop what was not used for longest until the rest fits: 500M, 20G.",
)
@click.option("--all", "everything", is_flag=True, help="Drop all stores.")
@own_cache_option
def prune(cache: Path, limit: int | None, *, everything: bool) -> None:
    """Drop pixel stores; they are made again when they are needed.

    With --limit a store that was used within the last ten minutes stays.
    """
    if (limit is None) != everything:
        raise click.UsageError("give either --limit SIZE or --all")
    remove_parts(cache)
    if limit is None:
        dropped = list_stores(cache)
        for store in dropped:
            drop_store(store)
    else:
        dropped = make_room(cache, limit).dropped
    freed = shown_size(sum(store.size for store in dropped))
    echo(f"dropped {counted(len(dropped), 'store')} of decoded pixels, {freed}")
