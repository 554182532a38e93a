"""What a weights file holds, and which of its tensors count: the one place for both.

What a file holds by name are its *states*: dictionaries of tensors, at the top or under
an entry. The entry of one that lies deeper is written with dots: `state.model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from repro.errors import WeightsError
from repro.models.weights import read_entries
from repro.words import listed

if TYPE_CHECKING:
    from torch import Tensor

StateDict = dict[str, "Tensor"]

#: Entries that training scripts keep the state dict in, the one that is meant first,
#: an average of the weights last.
USUAL_ENTRIES = (
    "state_dict",
    "model",
    "model_state_dict",
    "module",
    "net",
    "weights",
    "state_dict_ema",
)
#: What `DistributedDataParallel` and `torch.compile` put before each name.
WRAPPERS = ("module.", "_orig_mod.")

#: Deeper than this no training script keeps weights.
_DEPTH = 3


class Contents(msgspec.Struct, frozen=True):
    """What a weights file holds: all of it, and in it the states by their entries.

    The entry of a state at the top is empty.
    """

    path: Path
    saved: Mapping[Any, Any]
    states: tuple[tuple[str, Mapping[Any, Any]], ...]

    def usual(self) -> tuple[str, StateDict]:
        """Choose the state that a training script means, with its entry.

        It is what a person is shown first, and nothing is measured because of it.

        Raises:
            WeightsError: there is none, or its tensors have no names.
        """
        states = dict(self.states)
        if not states:
            names = _shown(self.saved) or "nothing"
            raise WeightsError(f"{self.path} holds no tensors; it has {names}")
        usual = (entry for entry in USUAL_ENTRIES if entry in states)
        entry = next(usual, max(states, key=lambda entry: _tensors(states[entry])))
        return entry, self.named(states[entry])

    def state(self, entry: str) -> StateDict:
        """Give the state of an entry, or without one the only state that there is.

        Raises:
            WeightsError: the entry does not exist or holds other things, or none was
                named and there are several.
        """
        entry = entry or self._only_entry()
        state = self._found(entry) if entry else self.saved
        found = self.named(state)
        if len(found) == len(state):
            return found
        other = next(name for name in state if name not in found)
        if entry:
            raise WeightsError(
                f"the entry {entry!r} of {self.path} holds {_kind(state[other])} "
                f"({other!r}) among its tensors; {self._advice(entry)}"
            )
        raise WeightsError(
            f"{self.path} is no bare state dict: it has {_shown(self.saved)}; a state "
            "dict holds tensors only"
        )

    def named(self, state: Mapping[Any, Any]) -> StateDict:
        """Give the tensors of a state.

        Raises:
            WeightsError: one has a number, say, in place of a name.
        """
        for key in state:
            if not isinstance(key, str):
                raise WeightsError(
                    f"{self.path} is no state dict: it has an entry {key!r} where "
                    "names of tensors are expected. Ask its publisher for the state "
                    "dict"
                )
        return {name: value for name, value in state.items() if _is_tensor(value)}

    def _only_entry(self) -> str:
        """Give the entry that is meant where none was named; empty for the whole file.

        Of several none is preferred, least of all an average of the weights.
        """
        entries = [entry for entry, _ in self.states]
        if len(entries) < 2:
            return "".join(entries)
        inside = [entry for entry in entries if entry]
        beside = " beside tensors of its own" * (len(inside) < len(entries))
        raise WeightsError(
            f"{self.path} holds tensors under {_shown(inside)}{beside}, and the model "
            "does not say which of them were measured; name the entry as weights_key"
        )

    def _found(self, entry: str) -> Mapping[Any, Any]:
        """Find an entry by its name, or by names joined with dots."""
        found: Any = self.saved
        # A name may hold dots itself; then it is the whole of it.
        for name in [entry] if entry in self.saved else entry.split("."):
            if not isinstance(found, dict) or name not in found:
                raise WeightsError(
                    f"{self.path} has no entry {entry!r}; it has "
                    f"{_shown(self.saved)}: {self._advice(entry)}"
                )
            found = found[name]
        if isinstance(found, dict) and _tensors(found):
            return found
        raise WeightsError(
            f"the entry {entry!r} of {self.path} is {_kind(found)}, where a state dict "
            f"is expected; {self._advice(entry)}"
        )

    def _advice(self, tried: str) -> str:
        """Say what weights_key can be."""
        entries = [entry for entry, _ in self.states if entry != tried]
        if named := [entry for entry in entries if entry]:
            return f"weights_key can be {_shown(named)}"
        return "leave weights_key out" if entries else "it holds no weights"


def read_contents(path: Path) -> Contents:
    """Read a weights file, memory-mapped where the format allows it.

    Raises:
        WeightsError: it is damaged or needs more than tensors and plain values.
    """
    saved = read_entries(path)
    return Contents(path, saved, tuple(_states(saved)))


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
    return read_contents(path).state(weights_key)


def state_entries(path: Path) -> tuple[str, ...]:
    """List the entries of a weights file that hold tensors by name and nothing else.

    Raises:
        WeightsError: it is damaged or needs more than tensors and plain values.
    """
    states = read_contents(path).states
    return tuple(e for e, state in states if e and _tensors(state) == len(state))


def common_prefix(names: Iterable[str], known: tuple[str, ...] = WRAPPERS) -> str:
    """Give what wrapping a model in others has put before all names; mostly nothing."""
    rest, found = list(names), ""
    while rest and (
        prefix := next((p for p in known if all(n.startswith(p) for n in rest)), "")
    ):
        found += prefix
        rest = [name.removeprefix(prefix) for name in rest]
    return found


def _shown(names: Iterable[object]) -> str:
    """Write the first few names of entries, none of them long."""
    texts = map(str, names)
    return listed([t if len(t) <= 40 else f"{t[:37]}..." for t in texts], most=6)


def _states(
    content: Mapping[Any, Any], prefix: str = "", depth: int = _DEPTH
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield what holds tensors, with its entry; that of the top is empty.

    An optimizer numbers its tensors, so that they have no entry of this kind.
    """
    if _tensors(content):
        yield prefix, content
    for name, value in content.items():
        if depth and isinstance(name, str) and isinstance(value, dict):
            inner = f"{prefix}.{name}" if prefix else name
            yield from _states(value, inner, depth - 1)


def _tensors(state: Mapping[Any, object]) -> int:
    return sum(map(_is_tensor, state.values()))


def _kind(value: object) -> str:
    """Say what a value is, in a few words."""
    if isinstance(value, dict):
        return f"a table of {_shown(value)}" if value else "empty"
    if _is_tensor(value):
        return "a single tensor"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
