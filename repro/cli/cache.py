"""`repro cache`: what lies in the cache, whether it is sound, and making it smaller."""

from __future__ import annotations

import time
from pathlib import Path

import click
from tabulate import tabulate

from repro.cli.options import cache_option
from repro.data.housekeeping import (
    Store,
    check_store,
    drop_store,
    list_stores,
    make_room,
    remove_parts,
)
from repro.errors import OptionError
from repro.files import parse_size, shown_size


@click.group()
def cache() -> None:
    """List, check and shrink the decoded pixels on disk."""


@cache.command("list")
@cache_option
def list_(cache: Path | None) -> None:
    """List the pixel stores, the last used first."""
    folder = _folder(cache)
    stores = list_stores(folder)
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
        click.echo(tabulate(rows, headers=headers, disable_numparse=True))
    total = shown_size(sum(store.size for store in stores))
    click.echo(f"{folder}: {len(stores):,} stores of decoded pixels, {total}")


@cache.command()
@cache_option
@click.pass_context
def check(context: click.Context, cache: Path | None) -> None:
    """Compare decoded pixels with their checksums.

    Stores with damage are deleted; they are made again when they are needed. The exit
    status is 1 when there were any.
    """
    stores = list_stores(_folder(cache))
    damaged = 0
    for store in stores:
        faults = check_store(store)
        for fault in faults:
            click.echo(fault, err=True)
        if faults:
            drop_store(store)
            damaged += 1
    sound = len(stores) - damaged
    click.echo(f"{sound:,} stores are sound, {damaged:,} were damaged and deleted")
    context.exit(1 if damaged else 0)


@cache.command()
@click.option(
    "--limit",
    metavar="SIZE",
    help="Drop what was not used for longest until the rest fits: 500M, 20G.",
)
@click.option("--all", "everything", is_flag=True, help="Drop all stores.")
@cache_option
def prune(cache: Path | None, limit: str | None, *, everything: bool) -> None:
    """Drop pixel stores; they are made again when they are needed.

    With --limit a store that was used within the last ten minutes stays.
    """
    folder = _folder(cache)
    if (limit is None) != everything:
        raise click.UsageError("give either --limit SIZE or --all")
    remove_parts(folder)
    dropped = _drop_all(folder) if limit is None else make_room(folder, _size(limit))
    freed = shown_size(sum(store.size for store in dropped))
    click.echo(f"dropped {len(dropped):,} stores of decoded pixels, {freed}")


def _drop_all(folder: Path) -> list[Store]:
    stores = list_stores(folder)
    for store in stores:
        drop_store(store)
    return stores


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}", param_hint="--limit") from error


def _folder(cache: Path | None) -> Path:
    if cache is None:
        raise OptionError("--cache is none; name the folder that is meant")
    return cache
