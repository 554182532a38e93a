"""Hand tensors to a library where it would read a file, or download one, itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from repro.errors import ExpectedError, WeightsError

if TYPE_CHECKING:
    from repro.models.state import StateDict
    from repro.published import ModelSpec

_PATCHED = threading.Lock()
#: What `DistributedDataParallel` and `torch.compile` put before each name.
_WRAPPERS = ("module.", "_orig_mod.")


@contextmanager
def handing(owner: Any, function: str, state: StateDict) -> Iterator[None]:
    """Have a function of a library give these tensors while it builds a model.

    Raises:
        WeightsError: the library did not ask for them, so that the model has others.
    """
    asked = mock.patch.object(owner, function, return_value=dict(state))
    with _PATCHED, asked as reading:
        yield
    if not reading.called:
        raise WeightsError(
            "was not read: its library took weights from elsewhere, as the "
            "architecture or the options of the model tell it to"
        )


def without_wrappers(state: StateDict) -> StateDict:
    """Remove what wrapping a model in another one puts before all names."""
    for prefix in _WRAPPERS * 2:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): state[name] for name in state}
    return state


def refuse_weights(spec: ModelSpec, options: tuple[str, ...]) -> None:
    """Refuse options with which a library would take weights from elsewhere.

    Raises:
        ExpectedError: one was given.
    """
    for option in options:
        if option in spec.options:
            raise ExpectedError(
                f"options of model {spec.id!r} has {option!r}, but weights come from "
                "the file of each checkpoint alone; remove it"
            )
