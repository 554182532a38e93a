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
