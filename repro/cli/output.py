"""What commands print."""

from __future__ import annotations

from pathlib import Path

import click

from repro.words import visible


def echo(
    text: str | bytes | Path = "",
    *,
    err: bool = False,
    nl: bool = True,
    fg: str | None = None,
    dim: bool = False,
) -> None:
    """Print a text as text, whoever wrote what it quotes; its style is click's."""
    said = text.decode() if isinstance(text, bytes) else str(text)
    click.secho(visible(said), err=err, nl=nl, fg=fg, dim=dim or None)
