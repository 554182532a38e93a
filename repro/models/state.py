"""What a weights file holds, and which of its tensors count: the one place for both.

What a file holds by name are its *states*: dictionaries of tensors, at the top or under
an entry. The entry of one that lies deeper is written with dots: `state.model`. What is
loaded is a *reading*: a state without what wrapping and older libraries did to it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from repro.errors import WeightsError
from repro.models.containers import Container, damaged, read_container
from repro.models.names import (
    common_prefixes,
    kind_of,
    renamed,
    shown,
    without_beside,
    without_parts,
    without_tensors,
)
from repro.stored.pickles import Unread, is_module
from repro.stored.tensors import StoredTensor, Table
from repro.words import counted

if TYPE_CHECKING:
    from torch import Tensor

StateDict = dict[str, "Tensor"]
Stored = dict[str, StoredTensor]

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
#: What optimizers keep of each parameter; no state of a model is called so.
_OF_OPTIMIZERS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "step"}

#: A state with so many times fewer tensors than another is not taken for weights too.
_FEW = 20
#: Deeper than this no training script keeps weights, and no model modules.
_DEPTH, _MODULES = 5, 64
#: No file of weights has more entries; one that repeats its own tables has.
_MOST = 2**17
#: The largest models have some thousands, beside averages of them.
_MOST_TENSORS = 20_000


class State(msgspec.Struct, frozen=True):
    """Tensors by name, as a file has them, and what else stands among them.

    `metadata` are the versions of modules that torch writes down.
    """

    entry: str
    tensors: Stored
    others: tuple[str, ...] = ()
    metadata: Any = None


class Reading(msgspec.Struct, frozen=True):
    """Tensors by the names that a model may have, and what was done to get there."""

    entry: str
    prefix: str
    tensors: Stored
    done: tuple[str, ...]
    metadata: Any = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}


class Contents(msgspec.Struct, frozen=True, dict=True):
    """What a weights file holds: all of it, and in it the states by their entries.

    The entry of a state at the top is empty.
    """

    path: Path
    container: Container

    @cached_property
    def states(self) -> tuple[State, ...]:
        """What holds tensors by name."""
        walk = _Walk(self.path)
        return tuple(walk.states(self.container.content))

    @property
    def entries(self) -> list[str]:
        """Names of what is at the top."""
        return [str(name) for name, _ in _items(self.container.content)]

    @property
    def has_arrays(self) -> bool:
        """Whether these are arrays of JAX, which name their places with slashes."""
        named = any("/" in str(name) for name in self.entries)
        return self.container.format == "NumPy archive" and named

    def usual(self) -> State:
        """Choose the state that a training script means.

        It is what a person is shown first, and nothing is measured because of it.

        Raises:
            WeightsError: there is none.
        """
        states = {state.entry: state for state in self.states}
        if not states:
            raise self._nothing()
        usual = (entry for entry in USUAL_ENTRIES if entry in states)
        largest = max(states, key=lambda entry: len(states[entry].tensors))
        return states[next(usual, largest)]

    def chosen(self, entry: str) -> tuple[State, ...]:
        """Give the state of an entry, or without one all that may be meant.

        Raises:
            WeightsError: there is none, or the entry holds other things.
        """
        if entry:
            return (self._found(entry),)
        if not self.states:
            raise self._nothing()
        # A few tensors beside hundreds are no model, but a random generator's, say.
        most = max(len(state.tensors) for state in self.states)
        return tuple(s for s in self.states if len(s.tensors) * _FEW > most)

    def only(self, entry: str) -> State:
        """Give the state of an entry, or without one the only one that there is.

        Raises:
            WeightsError: there is none, or there are several and none was named.
        """
        states = self.chosen(entry)
        if len(states) > 1:
            raise self.several([state.entry for state in states])
        return states[0]

    def several(self, entries: list[str]) -> WeightsError:
        """Say that none of several states is preferred, least of all an average."""
        inside = [entry for entry in entries if entry]
        beside = " beside tensors of its own" * (len(inside) < len(entries))
        return WeightsError(
            f"{self.path} holds tensors under {shown(inside)}{beside}, and the model "
            "does not say which of them were measured; name the entry as weights_key"
        )

    def readings(self, state: State, named: str = "") -> Iterator[Reading]:
        """Yield a state as it may be meant, the plainest first.

        Args:
            state: one of this file.
            named: the entry that was asked for, if one was.
        """
        kept = without_beside(state.tensors)
        tensors, replaced = renamed(kept)
        done = [f"entry {state.entry!r} chosen"] * (state.entry != named)
        if beside := [name for name in state.tensors if name not in kept]:
            done.append(f"{shown(beside)} left out")
        for prefix in common_prefixes(tensors):
            removed = [f"prefix {prefix!r} removed"] * bool(prefix)
            yield Reading(
                entry=state.entry,
                prefix=prefix,
                tensors={n.removeprefix(prefix): t for n, t in tensors.items()},
                done=(*removed, *done, *replaced, *self.unread),
                metadata=_unprefixed(state.metadata, prefix),
            )
        if joined := without_parts(tensors):
            said = ("parts 'backbone.' and 'head.' joined", *done, *replaced)
            yield Reading(state.entry, "", joined, (*said, *self.unread))

    def read(self, tensors: Stored) -> StateDict:
        """Read some of its tensors, memory-mapped where the format allows it.

        Raises:
            WeightsError: some cannot be computed with, or the file is damaged.
        """
        self.check_readable(tensors)
        try:
            return {name: tensor.read() for name, tensor in tensors.items()}
        except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise damaged(self.path, f"{error!s:.100}") from error

    def check_readable(self, tensors: Stored) -> None:
        """Refuse tensors that are kept in a form that no plain model computes with.

        Raises:
            WeightsError: there are some; the message says what they are.
        """
        kinds = {name: tensor.special for name, tensor in tensors.items()}
        if found := [name for name, kind in kinds.items() if kind]:
            raise WeightsError(
                f"{self.path} holds tensors that are {kinds[found[0]]} "
                f"({shown(found[:1])}"
                f"{f' and {len(found) - 1:,} more' * (len(found) > 1)}), which no "
                "plain model computes with; ask its publisher for float32 or float16"
            )

    @property
    def unread(self) -> list[str]:
        """Say what was left as it is, if anything was."""
        names = self.container.unread
        said = [f"{counted(names.total(), 'object')} left unread ({shown(names)})"]
        return said * bool(names) + ["code left unread"] * self.container.has_code

    def _nothing(self) -> WeightsError:
        if self.container.has_code:
            return WeightsError(
                f"{self.path} is a frozen TorchScript program, whose tensors have no "
                "names; ask its publisher for the state dict"
            )
        found = without_tensors(self.container.content, self.container.unread)
        return WeightsError(f"{self.path} holds no tensors by name: {found}")

    def _found(self, entry: str) -> State:
        """Find an entry by its name, or by names joined with dots.

        The last of them can be what the names of tensors begin with there.
        """
        found = self.container.content
        # A name may hold dots itself; then it is the whole of it.
        names = [entry] if entry in self.entries else entry.split(".")
        for place, name in enumerate(names):
            inside = {str(key): value for key, value in _items(found)}
            if name not in inside or isinstance(found, StoredTensor):
                if part := self._part(entry, found, ".".join((*names[place:], ""))):
                    return part
                raise WeightsError(
                    f"{self.path} has no entry {entry!r}; it has "
                    f"{shown(self.entries)}: {self._advice(entry)}"
                )
            found = inside[name]
        state = _Walk(self.path).state(entry, found)
        if state is None:
            raise WeightsError(
                f"the entry {entry!r} of {self.path} is {kind_of(found)}, where a "
                f"state dict is expected; {self._advice(entry)}"
            )
        return state

    def _part(self, entry: str, content: object, start: str) -> State | None:
        """Give the tensors whose names begin so, by the rest of their names."""
        whole = _Walk(self.path).state(entry, content)
        named = whole.tensors.items() if whole else ()
        tensors = {n.removeprefix(start): t for n, t in named if n.startswith(start)}
        return State(entry, tensors) if tensors else None

    def _advice(self, tried: str) -> str:
        """Say what weights_key can be."""
        entries = [state.entry for state in self.states if state.entry != tried]
        if named := [entry for entry in entries if entry]:
            return f"weights_key can be {shown(named)}"
        return "leave weights_key out" if entries else "it holds no weights"


def read_contents(path: Path) -> Contents:
    """Read what a weights file holds, tensors as descriptions.

    Raises:
        WeightsError: it is damaged, or something else than weights.
    """
    return Contents(path, read_container(path))


def state_entries(path: Path) -> tuple[str, ...]:
    """List the entries of a weights file that hold tensors by name and nothing else.

    Raises:
        WeightsError: it is damaged, or something else than weights.
    """
    states = read_contents(path).states
    return tuple(s.entry for s in states if s.entry and not s.others)


class _Walk:
    """Goes through what a file holds, and not twice through what repeats itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[int] = set()
        self._seen = self._tensors = 0

    def states(
        self, content: object, entry: str = "", depth: int = _DEPTH
    ) -> Iterator[State]:
        """Yield what holds tensors; an optimizer numbers its own, so it has none.

        What is there under two names is one thing, and has the first of them.
        """
        if id(content) in self._known:
            return
        self._known.add(id(content))
        if (state := self.state(entry, content)) is not None:
            yield state
        if not depth or is_module(content):
            return
        for name, value in _items(content):
            if isinstance(value, Table | Unread | list | tuple):
                inner = f"{entry}.{name}" if entry else str(name)
                yield from self.states(value, inner, depth - 1)

    def state(self, entry: str, content: object) -> State | None:
        """Give what holds tensors by name, or None if it holds none."""
        if is_module(content):
            tensors = dict(self._module(content))
            return State(entry, tensors) if tensors else None
        if not isinstance(content, Table | Unread):
            return None
        found = {k: v for k, v in _items(content) if isinstance(k, str)}
        tensors = {k: v for k, v in found.items() if isinstance(v, StoredTensor)}
        if not tensors or tensors.keys() <= _OF_OPTIMIZERS:
            return None
        self._tensors += len(tensors)
        if self._tensors > _MOST_TENSORS:
            raise WeightsError(
                f"{self._path} holds {self._tensors:,} tensors by name, or more; no "
                f"model has more than {_MOST_TENSORS:,}"
            )
        others = tuple(name for name in found if name not in tensors)
        return State(entry, tensors, others, getattr(content, "state", None))

    def _module(
        self, module: Any, prefix: str = "", depth: int = _MODULES
    ) -> Iterator[tuple[str, StoredTensor]]:
        """Yield the tensors of a module that was saved whole, by their full names."""
        state = module.state
        left = state.get("_non_persistent_buffers_set") or ()
        named: list[tuple[Any, Any]] = list(state.items())
        if "_modules" in state:
            groups = (state.get(g) for g in ("_parameters", "_buffers", "_modules"))
            named = [pair for group in groups for pair in _items(group)]
        for name, value in named:
            self._count()
            if isinstance(value, StoredTensor) and name not in left:
                yield f"{prefix}{name}", value
            elif depth and is_module(value):
                yield from self._module(value, f"{prefix}{name}.", depth - 1)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > _MOST:
            raise WeightsError(
                f"{self._path} repeats its own tables more than {_MOST:,} times; no "
                "file of weights does"
            )


def _items(content: object) -> list[tuple[Any, Any]]:
    """Give what something has by name: entries, attributes, or places in a list."""
    if isinstance(content, Unread):
        return [*_items(content.state), *_items(content.items)]
    if isinstance(content, Table):
        return list(content.items())
    return list(enumerate(content)) if isinstance(content, list | tuple) else []


def _unprefixed(metadata: Any, prefix: str) -> Any:
    """Give the versions of modules by names without a prefix."""
    found = metadata.get("_metadata") if isinstance(metadata, Table) else None
    if not isinstance(found, Table):
        return None
    start = prefix.removesuffix(".")
    return {
        name.removeprefix(start).removeprefix("."): {"version": version}
        for name, of_module in found.items()
        if isinstance(name, str) and f"{name}.".startswith(prefix)
        if isinstance(of_module, Table)
        if type(version := of_module.get("version")) is int
    }
