"""Faults that are described in a file, so that others plant what nobody tuned on.

```toml
[[fault]]
name = "blurred images, and top-5 printed as top-1"
checkpoint = "supervised/real/320"
kind = "pixels"                        # pixels, labels, text, weights, ...
is_called = ["ImageNet mean/std"]      # names that are right; none if nothing knows it
protocol = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }
text = { names = ["0", "1"], templates = ["{}"] }
arithmetic = "bfloat16"
weights = "supervised/real/640"        # measured in place of the checkpoint's own
code = "ours.py"                       # beside the file: image(), state(), logits() or
                                       # labels()
calls = { image = "blurred" }          # where they have other names there
numbers = { top1 = "top5", loss = "loss / 2" }
hits = "protocol"                      # or "checkpoint", or "dataset"
```

All but the name, the checkpoint and the kind may be left out. What the fault `hits`
tells how the other checkpoints of the release were measured, which the run has measured
too: wrong weights or digits are those of one checkpoint, wrong labels those of all that
were measured with these images, else all of the protocol have it. `protocol` and `text`
replace fields of `Plain`. `numbers` are published in place of what was measured: sums
of it, or digits.
"""

from __future__ import annotations

import ast
import dataclasses
import operator
import runpy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import torch

from repro.cases import Case

from .plain import Plain

Kind = Literal["pixels", "labels", "text", "weights", "arithmetic", "bookkeeping"]

Hit = Literal["checkpoint", "protocol", "dataset"]
_HITS: dict[Kind, Hit] = {
    "labels": "dataset",
    "weights": "checkpoint",
    "bookkeeping": "checkpoint",
}
_SUMS: dict[type[ast.AST], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
Hook = Literal["image", "state", "logits", "labels"]
_HOOKS: tuple[Hook, ...] = get_args(Hook)


class HeldOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault of the file; `is_called` are the names under which it is found."""

    name: str
    checkpoint: str
    kind: Kind
    is_called: tuple[str, ...] = ()
    protocol: dict[str, Any] = {}
    text: dict[str, Any] = {}
    arithmetic: Literal["", "bfloat16", "float16"] = ""
    weights: str = ""
    code: str = ""
    calls: dict[Hook, str] = {}
    numbers: dict[str, str] = {}
    hits: Hit | Literal[""] = ""

    def is_hit(self, other: Case, protocol: str) -> bool:
        """Tell whether another case has the fault too, where this has a protocol."""
        hits = self.hits or _HITS.get(self.kind, "protocol")
        return hits == "dataset" or (
            hits == "protocol" and other.protocol.id == protocol
        )

    def of_plain(self, plain: Plain, folder: Path) -> Plain:
        """Give the pipeline that has the fault; `folder` has the code.

        Raises:
            TypeError: a field that the pipeline does not have.
        """
        changes = {n: _tuples(v) for n, v in (self.protocol | self.text).items()}
        if self.arithmetic:
            changes["autocast"] = getattr(torch, self.arithmetic)
        if self.code:
            found = runpy.run_path(str(folder / self.code))
            calls = self.calls or {hook: hook for hook in _HOOKS if hook in found}
            changes |= {f"on_{hook}": found[name] for hook, name in calls.items()}
        return dataclasses.replace(plain, **changes)

    def published(self, measured: dict[str, str]) -> dict[str, str]:
        """Give the numbers that are published where these were measured."""
        return measured | {
            metric: _printed_like(measured[metric], formula, measured)
            for metric, formula in self.numbers.items()
        }


class _File(msgspec.Struct, forbid_unknown_fields=True):
    fault: tuple[HeldOut, ...]


def read_held_out(file: Path) -> tuple[HeldOut, ...]:
    """Read the faults of a TOML or JSON file.

    Raises:
        msgspec.ValidationError: it has something else.
    """
    decode = msgspec.json.decode if file.suffix == ".json" else msgspec.toml.decode
    return decode(file.read_bytes(), type=_File).fault


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _printed_like(digits: str, formula: str, measured: dict[str, str]) -> str:
    """Compute a formula; what is a number alone is printed as it stands."""
    tree = ast.parse(formula, mode="eval").body
    if isinstance(tree, ast.Constant):
        return formula
    places = len(digits.partition(".")[2])
    return f"{_value(tree, measured):.{places}f}"


def _value(tree: ast.AST, measured: dict[str, str]) -> Decimal:
    if isinstance(tree, ast.Constant):
        return Decimal(str(tree.value))
    if isinstance(tree, ast.Name):
        return Decimal(measured[tree.id])
    if isinstance(tree, ast.BinOp) and type(tree.op) in _SUMS:
        sides = _value(tree.left, measured), _value(tree.right, measured)
        return _SUMS[type(tree.op)](*sides)
    raise ValueError(f"{ast.unparse(tree)!r} is no sum of metrics and numbers")
