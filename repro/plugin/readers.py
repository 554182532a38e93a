"""From the text of an option to its value.

Each is given the folder that relative paths start from, and raises a ValueError that
goes on a sentence: "it must be ...".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repro.files import parse_size

if TYPE_CHECKING:
    from repro.published import Precision

# Written out: importing the type would cost every project that has the plugin.
PRECISIONS: tuple[Precision, ...] = (
    *("fp32", "tf32", "amp-fp16", "amp-bf16", "fp16", "bf16"),
)

ENGINES = ("local", "ray")


def path(text: str, base: Path) -> Path:
    """Give a path, started from a folder."""
    return base / Path(text).expanduser()


def folder_or_none(text: str, base: Path) -> Path | None:
    """Give a path, or None where it says `none`."""
    return None if text == "none" else path(text, base)


def expected(text: str, base: Path) -> Path | str:
    """Give the place of published numbers, or `embedded`."""
    return text if text == "embedded" else path(text, base)


def plain(text: str, base: Path) -> str:
    """Give the text as it is."""
    return text


def accelerators(text: str, base: Path) -> tuple[str, ...]:
    """Give the names of accelerators."""
    from repro.evaluation.acceleration import read_names

    return read_names(text)


def positive(text: str, base: Path) -> int:
    """Give a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def percent(text: str, base: Path) -> float:
    """Give a share above 0 and up to 1 that is written in percent."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError("must be a number of percent above 0, at most 100")
    return share


def exit_status(text: str, base: Path) -> int:
    """Give what a process can exit with, but success."""
    number = int(text)
    if not 1 <= number <= 255:
        raise ValueError("must be between 1 and 255")
    return number


def size(text: str, base: Path) -> int:
    """Give a number of bytes from `500M` or `20G`."""
    return parse_size(text)


def precision(text: str, base: Path) -> str | None:
    """Give the name of an arithmetic, or None where it says `published`."""
    if text == "published":
        return None
    if text not in PRECISIONS:
        raise ValueError(f"must be one of published, {', '.join(PRECISIONS)}")
    return text


def switch(text: str, base: Path) -> bool:
    """Give a truth value."""
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False}
    known |= {"no": False, "on": True, "off": False, "": False}
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def engine(text: str, base: Path) -> str:
    """Give the name of an engine."""
    if text not in ENGINES:
        raise ValueError(f"must be one of {', '.join(ENGINES)}")
    return text


def shard(text: str, base: Path) -> str:
    """Give a part of several, `I/N`."""
    from repro.planning.shards import parse_shard

    return str(parse_shard(text))


def report(text: str, base: Path) -> Path:
    """Give the path of a report, whose suffix is its kind."""
    from repro.report.faces import FACES

    file = path(text, base)
    if not file.name.endswith(tuple(FACES)):
        raise ValueError(f"must end with {', '.join(FACES)}")
    if file.is_dir():
        raise ValueError("is a folder")
    return file
