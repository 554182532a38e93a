"""Names and shapes of tensors: what training did to them, what no model has so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from math import prod
from typing import Any, TypeVar

import msgspec

from repro.stored.pickles import Unread
from repro.stored.tensors import StoredTensor, Table
from repro.words import counted, listed, shortened

Shapes = Mapping[str, tuple[int, ...]]

#: What torch counts since 0.4.1 and no model that is evaluated looks at.
UNUSED = "num_batches_tracked"
#: Names that a sentence quotes of each kind, and how much of them.
_SHOWN, _LONGEST = 2, 90
T = TypeVar("T")


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
    shown = [shortened(name, _LONGEST) for name in names]
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
    return listed([shortened(str(name), 40) for name in names], most=6)


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
    return shortened(repr(value), 40)


#: What is done -> pattern of the old names, and what they are called today.
_RENAMED: tuple[tuple[str, str, str], ...] = (
    (
        "wrappers of torch removed",
        r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.",
        "",
    ),
    ("names of 2021 replaced (ViT)", r"(layer_\d+\.mlp)\.linear_1\.", r"\1.0."),
    ("names of 2021 replaced (ViT)", r"(layer_\d+\.mlp)\.linear_2\.", r"\1.3."),
    (
        "names of 2017 replaced (DenseNet)",
        r"(denselayer\d+\.\w+)\.([12])\.(?=\w+$)",
        r"\1\2.",
    ),
)


def _is_number(tensor: StoredTensor) -> bool:
    return tensor.values == 1


def _is_causal(tensor: StoredTensor) -> bool:
    """Whether it is the mask of a text tower, which follows from its size alone."""
    import torch

    if len(tensor.shape) != 2 or tensor.shape[0] != tensor.shape[1]:
        return False
    if tensor.shape[0] > 1024 or tensor.dtype not in {"float16", "float32"}:
        return False
    mask = torch.full(tensor.shape, float("-inf")).triu(1)
    return torch.equal(tensor.read().float(), mask)


#: Entries that are no weights, as long as they are what they are called.
_BESIDE: tuple[tuple[str, Callable[[StoredTensor], bool]], ...] = (
    (r"n_averaged", _is_number),  # of torch.optim.swa_utils
    (r"steps?|initted|decay|num_updates", _is_number),  # of averages of others
    (r"input_resolution|context_length|vocab_size", _is_number),  # of OpenAI's CLIP
    (r"attn_mask", _is_causal),
    (r"(.*\.)?total_(ops|params)", _is_number),  # of thop, which counts operations
)


def without_beside(state: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Leave out what stands in state dicts and is no weights."""

    def is_beside(name: str, tensor: StoredTensor) -> bool:
        last = name.removeprefix("module.")
        return any(re.fullmatch(p, last) and holds(tensor) for p, holds in _BESIDE)

    return {name: t for name, t in state.items() if not is_beside(name, t)}


def renamed(state: Mapping[str, T]) -> tuple[dict[str, T], tuple[str, ...]]:
    """Give tensors the names of today, and say what had others."""
    found, said = dict(state), []
    for what, pattern, today in _RENAMED:
        new = {re.sub(pattern, today, name): value for name, value in found.items()}
        # Two that would have one name stay apart.
        if new.keys() != found.keys() and len(new) == len(found):
            found = new
            said.append(what)
    return found, tuple(dict.fromkeys(said))


def common_prefixes(names: Iterable[str]) -> Iterator[str]:
    """Yield what may be removed from the front of all names, from nothing on.

    Where one model is a part of another, it is the name of that part.
    """
    rest, prefix = list(names), ""
    while True:
        yield prefix
        more = "".join(rest[0].partition(".")[:2]) if rest else ""
        is_common = more.endswith(".") and all(name.startswith(more) for name in rest)
        # A number is a place in a list of modules, and no name of a model.
        if not is_common or more[:-1].isdigit():
            return
        prefix += more
        rest = [name.removeprefix(more) for name in rest]


def whole_parts(names: Collection[str], wanted: Collection[str]) -> list[str]:
    """List the parts of a state dict that have every name that is wanted.

    A part is what its names begin with: of `encoder_q.fc.bias` it is `encoder_q`.
    """
    first = next(iter(wanted), "")
    ends = (n.removesuffix(f".{first}") for n in names if n.endswith(f".{first}"))
    return [part for part in ends if all(f"{part}.{name}" in names for name in wanted)]


def without_parts(state: Mapping[str, T]) -> dict[str, T]:
    """Give the tensors of a body and a head of OpenMMLab by their own names.

    Empty where the names are not made of these two parts.
    """
    parts = {name.partition(".")[0] for name in state}
    found = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    is_both = parts == {"backbone", "head"} and len(found) == len(state)
    return found if is_both else {}


def most_common_prefix(names: Iterable[str]) -> str:
    """Give what most names begin with, but not all; empty where there is none."""
    counts = Counter("".join(name.partition(".")[:2]) for name in names)
    (prefix, count), *_ = counts.most_common(1) or [("", 0)]
    is_most = counts.total() > count > counts.total() / 2
    return prefix if is_most and prefix.endswith(".") else ""
