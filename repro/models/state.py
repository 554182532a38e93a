"""Which tensors of a weights file count: the one place that decides it.

What a file holds by name are its *states*: dictionaries of tensors, at the top or under
an entry. The entry of one that lies deeper is written with dots: `state.model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import WeightsError
from repro.models.weights import read_entries
from repro.words import listed

if TYPE_CHECKING:
    from torch import Tensor

StateDict = dict[str, "Tensor"]

#: Deeper than this no training script keeps weights.
_DEPTH = 3


def read_state_dict(path: Path, weights_key: str = "") -> StateDict:
    """Read the tensors of a weights file, memory-mapped where the format allows it.

    Without `weights_key` they are what the file is, or its only entry that holds
    tensors. Of several none is preferred, least of all an average of the weights.

    Args:
        path: a file saved by torch or safetensors.
        weights_key: entry that holds the tensors, where the file holds more.

    Raises:
        WeightsError: the file is damaged, does not have the entry, holds several and
            none was named, or holds other things than tensors there.
    """
    content = read_entries(path)
    key = weights_key or _only_entry(path, content)
    state = _entry(path, content, key) if key else content
    check_names(path, state)
    other = [name for name, value in state.items() if not _is_tensor(value)]
    if other and key:
        raise WeightsError(
            f"the entry {key!r} of {path} holds {_kind(state[other[0]])} "
            f"({other[0]!r}) among its tensors; {_advice(content, key)}"
        )
    if other:
        raise WeightsError(
            f"{path} is no bare state dict: it has {_entries(content)}; a state dict "
            "holds tensors only"
        )
    return state


def state_entries(path: Path) -> tuple[str, ...]:
    """List the entries of a weights file that hold tensors by name and nothing else.

    Raises:
        WeightsError: it is damaged or needs more than tensors and plain values.
    """
    return tuple(
        key
        for key, state in _states(read_entries(path))
        if key and all(map(_is_tensor, state.values()))
    )


def check_names(path: Path, state: Mapping[Any, object]) -> None:
    """Refuse tensors that have a number, say, in place of a name.

    Raises:
        WeightsError: one has.
    """
    for key in state:
        if not isinstance(key, str):
            raise WeightsError(
                f"{path} is no state dict: it has an entry {key!r} where names of "
                "tensors are expected. Ask its publisher for the state dict"
            )


def _entries(names: Iterable[object]) -> str:
    """Write the first few names of entries, none of them long."""
    texts = map(str, names)
    return listed([t if len(t) <= 40 else f"{t[:37]}..." for t in texts], most=6)


def _states(
    content: Mapping[Any, Any], prefix: str = "", depth: int = _DEPTH
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield what holds tensors, with its entry; that of the top is empty.

    An optimizer numbers its tensors, so that they have no entry of this kind.
    """
    if any(map(_is_tensor, content.values())):
        yield prefix, content
    for name, value in content.items():
        if depth and isinstance(name, str) and isinstance(value, dict):
            inner = f"{prefix}.{name}" if prefix else name
            yield from _states(value, inner, depth - 1)


def _only_entry(path: Path, content: Mapping[Any, Any]) -> str:
    """Give the entry that is meant where none was named; empty for the whole file.

    Raises:
        WeightsError: there are several.
    """
    keys = [key for key, _ in _states(content)]
    if len(keys) < 2:
        return "".join(keys)
    inside = [key for key in keys if key]
    beside = " beside tensors of its own" * (len(inside) < len(keys))
    raise WeightsError(
        f"{path} holds tensors under {_entries(inside)}{beside}, and the model does "
        "not say which of them were measured; name the entry as weights_key"
    )


def _entry(path: Path, content: Mapping[Any, Any], key: str) -> dict[str, Any]:
    """Find an entry by its name, or by names joined with dots.

    Raises:
        WeightsError: it does not exist or holds no tensors by name.
    """
    found: Any = content
    # A name may hold dots itself; then it is the whole of it.
    for name in [key] if key in content else key.split("."):
        if not isinstance(found, dict) or name not in found:
            raise WeightsError(
                f"{path} has no entry {key!r}; it has {_entries(content)}: "
                f"{_advice(content, key)}"
            )
        found = found[name]
    if isinstance(found, dict) and any(map(_is_tensor, found.values())):
        return found
    raise WeightsError(
        f"the entry {key!r} of {path} is {_kind(found)}, where a state dict is "
        f"expected; {_advice(content, key)}"
    )


def _advice(content: Mapping[Any, Any], tried: str) -> str:
    """Say what weights_key can be."""
    keys = [key for key, _ in _states(content) if key != tried]
    named = [key for key in keys if key]
    if named:
        return f"weights_key can be {_entries(named)}"
    return "leave weights_key out" if keys else "it holds no weights"


def _kind(value: object) -> str:
    """Say what a value is, in a few words."""
    if isinstance(value, dict):
        return f"a table of {_entries(value)}" if value else "empty"
    if _is_tensor(value):
        return "a single tensor"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
