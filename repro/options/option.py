"""What an option is: a field of `Settings` that knows its names and how it is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

COMMAND_LINE, MARKER, INI, ENVIRONMENT, DEFAULT = range(5)


class Given:
    """Where a value comes from; a place with a smaller rank counts before."""

    __slots__ = ("name", "rank")

    def __init__(self, rank: int, name: str) -> None:
        self.rank = rank
        self.name = name


class Option(Generic[T]):
    """One option: `--repro-NAME`, ini `repro_NAME`, environment `REPRO_NAME`.

    A descriptor and no dataclass's field: every start of pytest pays for the table,
    also where nothing is asked of repro.

    Args:
        help: what it means, beginning with a word that can be written large.
        read: from text, and the folder that relative paths start from, to a value; it
            raises a ValueError that goes on a sentence: "it must be ...".
        default: where no value was given; a flag is an option whose default is False.
        otherwise: from the project's folder to what counts in place of the default.
        metavar: what stands for the value in the help.
        repeatable: whether its value is a tuple of what `read` gives.
        in_marker: whether the marker `repro` takes it.
    """

    __slots__ = (
        *("help", "read", "default", "otherwise"),
        *("metavar", "repeatable", "in_marker", "name"),
    )

    def __init__(
        self,
        help: str,  # noqa: A002
        read: Callable[[str, Path], Any],
        default: Any = None,
        *,
        otherwise: Callable[[Path], Any] | None = None,
        metavar: str | None = None,
        repeatable: bool = False,
        in_marker: bool = True,
    ) -> None:
        self.help = help
        self.read = read
        self.default = default
        self.otherwise = otherwise
        self.metavar = metavar
        self.repeatable = repeatable
        self.in_marker = in_marker

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, settings: None, owner: type) -> Option[T]: ...
    @overload
    def __get__(self, settings: object, owner: type) -> T: ...
    def __get__(self, settings: Any, owner: type) -> Any:
        return self if settings is None else settings.values[self.name]

    def __set__(self, settings: object, value: T) -> None:
        raise AttributeError(f"{self.name} is settled; settings do not change")

    @property
    def flag(self) -> bool:
        """Whether it is given without a value on the command line."""
        return self.default is False

    @property
    def flag_name(self) -> str:
        """How it is written on the command line of pytest."""
        return f"--repro-{self.name.replace('_', '-')}"

    @property
    def ini_name(self) -> str:
        """How it is written in an ini file."""
        return f"repro_{self.name}"

    @property
    def variable(self) -> str:
        """How it is written in the environment."""
        return f"REPRO_{self.name.upper()}"

    def read_given(self, given: Any, base: Path, said: str) -> Any:
        """Read what was given, in whichever place.

        Args:
            given: text, a truth value, or several of a repeatable option; text of such
                a one is split as `PATH` is, wherever it stands.
            base: the folder that relative paths start from.
            said: how the place calls it, for errors.

        Raises:
            OptionError: the value is not allowed.
        """
        if not self.repeatable:
            return self._read(given, base, said)
        is_list = isinstance(given, list | tuple)
        several = given if is_list else str(given).split(os.pathsep)
        return tuple(self._read(one, base, said) for one in several if one != "")

    def _read(self, one: Any, base: Path, said: str) -> Any:
        try:
            return self.read(str(one), base)
        except ValueError as error:
            is_number = "invalid literal" in str(error)
            expected = "must be a whole number" if is_number else str(error)
            from repro.errors import OptionError

            raise OptionError(f"{said} is {str(one)!r}; it {expected}") from None

    def in_absence(self, project: Path) -> Any:
        """Give what counts where no value was given."""
        return self.otherwise(project) if self.otherwise else self.default


def refuse_empty(given: object, said: str) -> None:
    """Refuse what a shell makes of a variable that is not set.

    In the ini file and in the environment it stands for leaving the option out.

    Raises:
        OptionError: a value is empty, or one of several.
    """
    if given == "" or (isinstance(given, list | tuple) and "" in given):
        from repro.errors import OptionError

        raise OptionError(f"{said} is empty; give a value, or leave it out")


# From the text of an option to its value: `Option.read`. What a reader needs to know is
# imported when a value was given.


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
