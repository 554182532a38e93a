"""What keeps a file from being the weights of a model, in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from math import prod
from typing import Any

import msgspec

from repro.stored.pickles import Table, Unread
from repro.stored.tensors import StoredTensor
from repro.words import counted, listed

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


#: What a file without tensors by name has in it, and what leads on from there.
_LEADS = (
    (
        r"^numpy.*\._(reconstruct|frombuffer)$",
        "Its arrays are NumPy's: save each as a tensor, with torch.from_numpy",
    ),
    (r"^(ds_version|ds_config)$", "Join the parts with zero_to_fp32.py of DeepSpeed"),
    (r"^param_groups$", "That is an optimizer's: the weights are in another file"),
)


def without_tensors(content: Any, unread: Collection[str]) -> str:
    """Say what a file is that holds no tensors by name, and what leads on.

    Args:
        content: all that it holds.
        unread: the classes of objects in it.
    """
    names = [*map(str, content), *unread] if isinstance(content, Table) else [*unread]
    leads = (to for pattern, to in _LEADS if any(re.search(pattern, n) for n in names))
    otherwise = "Ask its publisher for the state dict"
    return f"it is {kind_of(content)}. {next(leads, otherwise)}"


def shown(names: Iterable[object]) -> str:
    """Write the first few names of entries, none of them long."""
    texts = [str(name) for name in names]
    return listed([t if len(t) <= 40 else f"{t[:37]}..." for t in texts], most=6)


def kind_of(value: object) -> str:
    """Say what a value is, in a few words."""
    if isinstance(value, StoredTensor):
        return "a single tensor"
    if isinstance(value, Unread):
        return f"an object ({value.of!s:.60})"
    if isinstance(value, Table | list | tuple) and not value:
        return "empty"
    if isinstance(value, Table):
        return f"a table of {shown(value)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {counted(len(value), 'value')}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
