"""What an option is, written as a field of a dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


# Comparing and printing it would cost every start of pytest.
@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Option:
    """One option: `--repro-NAME`, ini `repro_NAME`, environment `REPRO_NAME`.

    `read` turns text and the folder that relative paths start from into a value.
    Where no value was given, `otherwise` finds one if it is there, else it is
    `default`. A flag is an option whose default is False.
    """

    help: str
    read: Callable[[str, Path], Any]
    default: Any = None
    otherwise: Callable[[pytest.Config], Any] | None = None
    metavar: str | None = None
    repeatable: bool = False
    in_marker: bool = True
    name: str = ""

    @property
    def flag(self) -> bool:
        """Whether it is given without a value on the command line."""
        return self.default is False

    @property
    def flag_name(self) -> str:
        """How it is written on the command line."""
        return f"--repro-{self.name.replace('_', '-')}"

    @property
    def ini_name(self) -> str:
        """How it is written in an ini file."""
        return f"repro_{self.name}"

    @property
    def variable(self) -> str:
        """How it is written in the environment."""
        return f"REPRO_{self.name.upper()}"


def option(meaning: str, read: Callable[[str, Path], Any], **others: Any) -> Any:
    """Make a field of a dataclass an option; the arguments are those of `Option`."""
    made = Option(meaning, read, **others)
    return dataclasses.field(default=made.default, metadata={"option": made})


def options_of(settings: type) -> tuple[Option, ...]:
    """List the options that are the fields of a dataclass, in their order."""
    return tuple(
        dataclasses.replace(field.metadata["option"], name=field.name)
        for field in dataclasses.fields(settings)
    )
