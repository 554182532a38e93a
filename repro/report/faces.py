"""The faces of a report, chosen by the suffix of a file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import OptionError
from repro.files import replace_bytes

if TYPE_CHECKING:
    from repro.report.report import Report

#: Suffix -> function from a report to the file's content; the first that fits counts.
FACES = {
    ".badge.json": "repro.report.badge:badge_json",
    ".json": "repro.report.json_report:json_text",
    ".md": "repro.report.markdown:markdown",
    ".csv": "repro.report.csv_report:csv_text",
    ".html": "repro.report.html:html",
}


def write_report(file: Path, report: Report) -> None:
    """Write a report beside its place and then into it, as its suffix says.

    Raises:
        OptionError: the suffix is unknown or the file cannot be written.
    """
    content = _face(file)(report)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, content.encode("utf-8"))
    except OSError as error:
        raise OptionError(f"the report {file} cannot be written: {error}") from error


def _face(file: Path) -> Callable[[Report], str]:
    for suffix, place in FACES.items():
        if file.name.endswith(suffix):
            module, _, name = place.partition(":")
            face: Callable[[Report], str] = getattr(
                importlib.import_module(module), name
            )
            return face
    raise OptionError(
        f"the report {file} has no known suffix; it must end with {', '.join(FACES)}"
    )
