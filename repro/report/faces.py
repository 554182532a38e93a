"""The faces of a report, chosen by the suffix of a file.

Another package adds one as an entry point of the group `repro.reports`: its name there
is the suffix without the first dot, its value a function like ours (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import OptionError
from repro.extensions import Extensions
from repro.files import replace_bytes
from repro.words import visible

if TYPE_CHECKING:
    from repro.report.report import Report

FACES = Extensions(
    "repro.reports",
    "report",
    OptionError,
    {
        "json": "repro.report.for_programs:json_text",
        "md": "repro.report.markdown:markdown",
        "csv": "repro.report.for_programs:csv_text",
        "html": "repro.report.html:html",
        "badge.json": "repro.report.for_programs:badge_json",
    },
)


def face_name(file: Path) -> str:
    """Name the face that a file gets; nothing of it is imported.

    Raises:
        ValueError: there is none of its suffix; the message says what is allowed.
    """
    fitting = [name for name in FACES.names() if file.name.endswith(f".{name}")]
    if not fitting:
        suffixes = ", ".join(f".{name}" for name in FACES.names())
        raise ValueError(f"must end with one of {suffixes}")
    return max(fitting, key=len)


def write_report(file: Path, report: Report) -> None:
    """Write a report beside its place and then into it, as its suffix says.

    Raises:
        OptionError: the suffix is unknown or the file cannot be written.
    """
    try:
        name = face_name(file)
    except ValueError as error:
        raise OptionError(f"the report is {str(file)!r}; it {error}") from error
    face: Callable[[Report], str | bytes] = FACES.load(name)
    content = face(report)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = visible(content).encode()
        replace_bytes(file, content)
    except OSError as error:
        raise OptionError(f"the report {file} cannot be written: {error}") from error
