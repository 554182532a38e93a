"""`repro import`: published tables become files of published numbers."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repro.cli.options import EXISTING_FILE, EXISTING_FOLDER, FOLDER, Group
from repro.cli.output import echo, echo_lines
from repro.errors import ExpectedError, OptionError
from repro.importing.grids import FORMATS
from repro.published import METRICS
from repro.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.importing.entering import Compared
    from repro.importing.grids import Files, Format
    from repro.importing.tables import Row, Table
    from repro.published import Release, Shares, Source


_table_argument = click.argument("table", type=EXISTING_FILE, metavar="TABLE.csv")
_url_option = click.option(
    "--url",
    default="",
    metavar="URL",
    help="Where the table can be read, at a commit. [default: the library's main]",
)


def _writing_options(command: Callable[..., None]) -> Callable[..., None]:
    check = click.option(
        "--check",
        is_flag=True,
        help="Write nothing; exit with 1 where a number would change.",
    )
    output = click.option(
        "-o",
        "--output",
        type=FOLDER,
        metavar="DIR",
        help="Folder of the release. [default: expected/NAME]",
    )
    return output(check(command))


@click.group(cls=Group, name="import")
def import_() -> None:
    """Write what a library publishes as a release.

    Importing again shows what an update changes.
    """


@import_.command()
@_writing_options
def torchvision(output: Path | None, *, check: bool) -> None:
    """Import the accuracies of the installed torchvision."""
    from repro.importing.supervised import torchvision_table

    _import(torchvision_table(), output, check=check)


def _add_import(name: str, module: str, said: str) -> None:
    """Add the command of a library whose table is a file."""

    @import_.command(name=name, help=said)
    @_table_argument
    @_url_option
    @_writing_options
    def command(table: Path, url: str, output: Path | None, *, check: bool) -> None:
        read = pkgutil.resolve_name(f"repro.importing.{module}:{name}_table")
        _import(read(table, url), output, check=check)


@import_.command(name="open_clip")
@_table_argument
@_url_option
@click.option(
    "--data-path",
    type=EXISTING_FOLDER,
    metavar="DIR",
    help="Folder with the shards of the benchmark: class names are read beside them.",
)
@_writing_options
def open_clip_(
    table: Path, url: str, data_path: Path | None, output: Path | None, *, check: bool
) -> None:
    """Import the accuracies of open_clip's openclip_results.csv."""
    from repro.importing.open_clip import open_clip_table

    _import(open_clip_table(table, url, data_path), output, check=check)


_add_import("timm", "supervised", "Import timm's results-imagenet.csv.")
_add_import(
    "clip_benchmark",
    "clip_benchmark",
    "Import imagenet1k of CLIP_benchmark's benchmark.csv.",
)


@import_.command(name="model-card")
@click.argument("card", metavar="FILE|hf://OWNER/NAME")
@click.option(
    "--url", default="", metavar="URL", help="Where FILE can be read, at a commit."
)
@_writing_options
def model_card(card: str, url: str, output: Path | None, *, check: bool) -> None:
    """Import the accuracies of a model card of the Hub.

    Its model-index has numbers and no protocol: config.json of timm or
    open_clip_config.json beside it say the library's own, which counts. A card of the
    Hub is downloaded, with these.
    """
    from repro.importing.model_card import card_table, find_card
    from repro.importing.writing import as_release

    read = card_table(find_card(card, url))
    as_release(read)
    _import(read, output, check=check)
    echo(read.protocol_note)


@import_.command()
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option(
    "--source",
    required=True,
    metavar="NAME",
    help="Where the table is printed: a [source.NAME] of the release.",
)
@click.option(
    "--title", metavar="TEXT", help="Title of a source that is not there yet."
)
@click.option("--url", metavar="URL", help="Where that one can be opened.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: seen]")
@click.option(
    "--table",
    "number",
    type=click.IntRange(1),
    metavar="N",
    help="Which table of FILE, where it has several.",
)
@click.option(
    "--header-rows",
    type=click.IntRange(0),
    metavar="N",
    help="How many rows are headings. [default: those above the first rule]",
)
@click.option("--checkpoint", metavar="NAME", help="All numbers are of this one.")
@click.option("--family", metavar="NAME", help="All numbers are of this family.")
@click.option("--dataset", metavar="NAME", help="All numbers are of this dataset.")
@click.option("--protocol", metavar="NAME", help="All numbers are of this protocol.")
@click.option(
    "--metric", type=click.Choice(list(METRICS)), help="All numbers are of this metric."
)
@click.option(
    "--as",
    "meanings",
    multiple=True,
    metavar="LABEL=WHAT",
    help="What a heading or name means: 'Model=checkpoint' (its column has their "
    "names), 'IN-A=dataset:imagenet-a', 'Acc.=top1', 'Year=skip'; repeatable. A label "
    "may also be 'column 3' or 'row 5'.",
)
@click.option(
    "--unit",
    type=click.Choice(["percent", "fraction"]),
    help="What shares of the images are printed as. [default: seen]",
)
@click.option(
    "--decimal-comma",
    is_flag=True,
    help="Commas stand before decimals, as in 91,73.",
)
@click.option(
    "--runs",
    type=click.IntRange(2, 10_000),
    metavar="N",
    help="Of how many runs numbers with a \u00b1 are the mean.",
)
@click.option(
    "--spread",
    type=click.Choice(["standard deviation", "standard error"]),
    help="What stands after the \u00b1.",
)
@click.option("--only-new", is_flag=True, help="Leave numbers alone that differ.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 where a number differs."
)
@click.option(
    "-o",
    "--output",
    type=EXISTING_FOLDER,
    default=Path("expected"),
    metavar="DIR",
    help="Folder of the release. [default: the only one in expected/]",
)
def table(
    file: Path,
    source: str,
    title: str | None,
    url: str | None,
    output: Path,
    *,
    only_new: bool,
    check: bool,
    **reading: Any,
) -> None:
    """Enter a printed table into a release.

    FILE has it in Markdown, LaTeX, HTML, CSV or TSV; - reads what is pasted. How rows
    and columns are understood is shown; what is not known is asked for.
    """
    from repro.importing import entering
    from repro.importing.entering import with_files

    if check and only_new:
        raise OptionError("--only-new has no effect beside --check; leave one out")
    if reading["spread"] and reading["runs"] is None:
        raise OptionError("--spread has no effect without --runs; add how many")
    release = entering.find_release(output)
    known = entering.origin_source(release, source, title, url)
    compared, linked, written = _understood(file, release, known, **reading)
    if check:
        sys.exit(1 if compared.different else 0)
    if compared.different and not only_new:
        echo(
            "nothing is written: correct the table or the release, or enter only what "
            "is new with --only-new"
        )
        sys.exit(1)
    contents = dict(with_files(release, linked))
    if compared.added:
        place = entering.release_file(release)
        old = contents.get(place) or (place.read_bytes() if place.exists() else b"")
        contents[place] = entering.appended(old, written)
    if contents:
        entering.enter(output, contents)
        echo(f"written to {', '.join(map(str, contents))}")


def _understood(
    file: Path,
    release: Release,
    source: Source,
    *,
    form: Format | None,
    number: int | None,
    header_rows: int | None,
    meanings: tuple[str, ...],
    unit: Shares | None,
    decimal_comma: bool,
    runs: int | None,
    spread: str | None,
    **given: Any,
) -> tuple[Compared, Files, str]:
    """Read a table, say how it was understood, and write what is new as TOML."""
    from repro.importing import entering
    from repro.importing.entering import new_files
    from repro.importing.grids import one_grid, read_grids
    from repro.importing.labels import DIMENSIONS, Labels
    from repro.importing.printed import understand

    text, name = _read(file)
    labels = Labels(release, meanings)
    everywhere = {key: given[key] for key in DIMENSIONS if given[key] is not None}
    try:
        grid = one_grid(read_grids(text, form), number, header_rows)
        found = understand(
            grid, release, labels, everywhere, unit, decimal_comma=decimal_comma
        )
        compared = entering.compare(found, release, source.id)
        origin = entering.Origin(
            source=source,
            unit=found.unit,
            runs=runs,
            spread=spread or "",
            note=f"{grid.title} of {name}",
        )
        written = entering.references_text(compared.added, origin, release.sources)
        linked = new_files(release, found.files)
    except ExpectedError as error:
        raise ExpectedError(f"{name}: {error}") from None
    echo_lines((*found.lines, *linked.lines, "", *compared.lines()))
    return compared, linked.files, written


def _read(file: Path) -> tuple[str, str]:
    """Give the text of a file, and what to call it."""
    if str(file) == "-":
        return sys.stdin.read(), "the text that was pasted"
    from repro.published.files import read_text

    return read_text(file), file.name


def _import(table: Table, output: Path | None, *, check: bool) -> None:
    from repro.importing.writing import changes, write_release

    for line in table.left_out:
        echo(f"left out: {line}")
    folder = output or Path("expected", table.id)
    found = changes(folder, table)
    lines = list(found.lines())
    # All of a new release is new; its numbers are in the file.
    echo_lines(lines if found.is_update else lines[-1:])
    owner = f"{table.library} {table.version}"
    gone = [row for row in table.rows if row.note]
    _echo_rows(f"kept and marked, since {owner} does not have them", gone)
    bare = [row for row in table.rows if not row.numbers]
    _echo_rows("left out, since no accuracy is published for them", bare)
    if check:
        sys.exit(1 if found else 0)
    write_release(folder, table)
    echo(f"{counted(len(table.rows), 'row')} of {table.id} in {folder}")


def _echo_rows(what: str, rows: list[Row]) -> None:
    if rows:
        names = ", ".join(row.checkpoint for row in rows[:5])
        echo(f"{len(rows):,} {what}: {names}{', ...' * (len(rows) > 5)}")
