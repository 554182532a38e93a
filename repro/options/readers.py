"""From the text of an option to its value.

Each is given the folder that relative paths start from, and raises a ValueError that
goes on a sentence: "it must be ...". What a reader needs to know is imported when a
value was given.
"""

from __future__ import annotations

from pathlib import Path


def path(text: str, base: Path) -> Path:
    """Give a path, started from a folder; `..` in it is gone."""
    from repro.files import at_home, is_there

    found = base / at_home(text)
    try:
        is_there(found)
    except OSError as error:
        raise ValueError(f"is no path that can be: {error.strerror}") from error
    return found.resolve() if ".." in found.parts else found


def folder(text: str, base: Path) -> Path:
    """Give the path of a folder, which need not be there yet."""
    found = path(text, base)
    if found.is_file():
        raise ValueError("must be a folder, and is a file")
    return found


def folder_or_none(text: str, base: Path) -> Path | None:
    """Give the path of a folder, or None where it says `none`."""
    return None if text == "none" else folder(text, base)


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


def images_at_once(text: str, base: Path) -> int | str:
    """Give a number of images, or `remembered` as it is."""
    if text == "remembered":
        return text
    if not text.lstrip("-").isdigit():
        raise ValueError("must be a whole number, or remembered")
    return positive(text, base)


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
    from repro.files import parse_size

    return parse_size(text)


def precision(text: str, base: Path) -> str | None:
    """Give the name of an arithmetic, or None where it says `published`."""
    from repro.published import GUARDED, PRECISIONS

    if text == "published":
        return None
    if text not in (GUARDED, *PRECISIONS):
        known = ", ".join(("published", GUARDED, *PRECISIONS))
        raise ValueError(f"must be one of {known}")
    return text


def switch(text: str, base: Path) -> bool:
    """Give a truth value."""
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False}
    known |= {"no": False, "on": True, "off": False, "": False}
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def engine(text: str, base: Path) -> str:
    """Give the name of an engine; nothing of it is imported."""
    from repro.engine.protocol import ENGINES

    if ENGINES.find(text) is None:
        raise ValueError(f"must be one of {', '.join(ENGINES.names())}")
    return text


def shard(text: str, base: Path) -> str:
    """Give a part of several, `I/N`."""
    from repro.planning.costs import parse_shard

    return str(parse_shard(text))


def report(text: str, base: Path) -> Path:
    """Give the path of a report, whose suffix is its kind."""
    from repro.report.faces import face_name

    file = path(text, base)
    face_name(file)
    if file.is_dir():
        raise ValueError("is a folder")
    return file
