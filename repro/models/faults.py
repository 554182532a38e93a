"""Compare the tensors of a file with those that a model has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod

import msgspec

from repro.words import counted

Shapes = Mapping[str, tuple[int, ...]]

#: What torch counts since 0.4.1 and no model that is evaluated looks at.
UNUSED = "num_batches_tracked"
#: Names that a sentence quotes of each kind, and how much of them.
_SHOWN, _LONGEST = 2, 90


class Faults(msgspec.Struct, frozen=True):
    """What keeps tensors from being those of a model, by name."""

    missing: list[str]
    unknown: list[str]
    reshaped: dict[str, str]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.missing) + len(self.unknown) + len(self.reshaped)

    def __str__(self) -> str:
        reshaped = [f"{name} {how}" for name, how in self.reshaped.items()]
        said = (
            _said(self.missing, "key is missing", "keys are missing"),
            _said(self.unknown, "key is unknown", "keys are unknown"),
            _said(reshaped, "has another shape", "have another shape"),
        )
        return ", ".join(filter(None, said))


def find_faults(found: Shapes, wanted: Shapes, ignored: Collection[str] = ()) -> Faults:
    """Compare names and shapes; one value is one value, however it is shaped.

    Args:
        found: shapes of the tensors of a file.
        wanted: those of a model.
        ignored: what the file may have beside them.
    """
    return Faults(
        missing=[n for n in wanted if n not in found and not n.endswith(UNUSED)],
        unknown=[n for n in found if n not in wanted and n not in ignored],
        reshaped={
            name: f"{list(shape)} instead of {list(wanted[name])}"
            for name, shape in found.items()
            if name in wanted and shape != wanted[name]
            if prod(shape) != 1 or prod(wanted[name]) != 1
        },
    )


def _said(names: list[str], one: str, many: str) -> str:
    if not names:
        return ""
    shown = [n if len(n) <= _LONGEST else f"{n[: _LONGEST - 3]}..." for n in names]
    more = " ..." * (len(names) > _SHOWN)
    return f"{counted(len(names), one, many)} ({', '.join(shown[:_SHOWN])}{more})"
