"""`repro import`: published tables become files of published numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repro.cli.options import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.importing.rows import Row, Table

_TABLE: Any = click.Path(exists=True, dir_okay=False, path_type=Path)

_table_argument = click.argument("table", type=_TABLE, metavar="TABLE.csv")
_url_option = click.option(
    "--url",
    default="",
    metavar="URL",
    help="Where the table can be read, at a commit. [default: the library's main]",
)


def _writing_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--check",
            is_flag=True,
            help="Write nothing; exit with 1 where a number would change.",
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Folder of the release. [default: expected/NAME]",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=Group, name="import")
def import_() -> None:
    """Write what a library publishes as a release.

    Importing again shows what an update changes.
    """


@import_.command()
@_writing_options
def torchvision(output: Path | None, *, check: bool) -> None:
    """Import the accuracies of the installed torchvision."""
    from repro.importing.torchvision import torchvision_table

    _import(torchvision_table(), output, check=check)


@import_.command()
@_table_argument
@_url_option
@_writing_options
def timm(table: Path, url: str, output: Path | None, *, check: bool) -> None:
    """Import timm's results-imagenet.csv."""
    from repro.importing.timm import timm_table

    _import(timm_table(table, url), output, check=check)


@import_.command(name="open_clip")
@_table_argument
@_url_option
@_writing_options
def open_clip(table: Path, url: str, output: Path | None, *, check: bool) -> None:
    """Import ImageNet 1k of open_clip's openclip_results.csv."""
    from repro.importing.open_clip import open_clip_table

    _import(open_clip_table(table, url), output, check=check)


@import_.command(name="clip_benchmark")
@_table_argument
@_url_option
@_writing_options
def clip_benchmark(table: Path, url: str, output: Path | None, *, check: bool) -> None:
    """Import imagenet1k of CLIP_benchmark's benchmark.csv."""
    from repro.importing.clip_benchmark import clip_benchmark_table

    _import(clip_benchmark_table(table, url), output, check=check)


def _import(table: Table, output: Path | None, *, check: bool) -> None:
    from repro.importing.changes import changes
    from repro.importing.writing import write_release

    folder = output or Path("expected", table.id)
    found = changes(folder, table)
    lines = list(found.lines())
    # All of a new release is new; its numbers are in the file.
    for line in lines if found.is_update else lines[-1:]:
        click.echo(line)
    owner = f"{table.library} {table.version}"
    gone = [row for row in table.rows if row.note]
    _echo_rows(f"kept and marked, since {owner} does not have them", gone)
    bare = [row for row in table.rows if not row.numbers]
    _echo_rows("left out, since no accuracy is published for them", bare)
    if check:
        sys.exit(1 if found else 0)
    write_release(folder, table)
    click.echo(f"{len(table.rows):,} rows of {table.id} in {folder}")


def _echo_rows(what: str, rows: list[Row]) -> None:
    if rows:
        names = ", ".join(row.checkpoint for row in rows[:5])
        click.echo(f"{len(rows):,} {what}: {names}{', ...' * (len(rows) > 5)}")
