"""`repro schema`: the format of published numbers for editors."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from repro.cli.options import FILE, Command
from repro.cli.output import echo
from repro.files import replace_bytes
from repro.published import METRICS
from repro.published.json_schema import release_schema


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="Write it there instead of printing it.",
)
def schema(output: Path | None) -> None:
    """Print the JSON Schema of files of published numbers.

    Editors complete and check keys with it; metrics of other packages are in it.
    """
    METRICS.load()
    text = msgspec.json.format(msgspec.json.encode(release_schema())) + b"\n"
    if output is None:
        echo(text, nl=False)
        return
    replace_bytes(output, text)
    echo(output)
