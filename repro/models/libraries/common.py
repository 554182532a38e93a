"""What the loaders of libraries have in common: names, caches, handing tensors over."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlsplit

from repro.errors import ExpectedError, ReproError, WeightsError
from repro.models.state import read_contents
from repro.words import listed, reason

if TYPE_CHECKING:
    from torch import nn

    from repro.models.state import StateDict
    from repro.published import ModelSpec


#: `handing` replaces a function of a library, which another thread must not meet.
_PATCHED = threading.Lock()


def split_tag(spec: ModelSpec) -> tuple[str, str]:
    """Split what a spec names into architecture and tag; the tag may be empty."""
    architecture, _, tag = spec.architecture.partition(".")
    return architecture, tag


def cannot_build(
    library: Any, spec: ModelSpec, why: str, what: str = "model"
) -> ExpectedError:
    """Say that a library does not build what a release asks it for."""
    return ExpectedError(
        f"{library.__name__} {library.__version__} cannot build {what} {spec.id!r} "
        f"({spec.architecture}, {spec.options}): {why}"
    )


@contextmanager
def building(library: Any, spec: ModelSpec, what: str = "model") -> Iterator[None]:
    """Have a library build a model, or what belongs to it.

    Raises:
        ExpectedError: it does not; of options that are none, it raises what it likes.
    """
    try:
        yield
    except (ReproError, MemoryError):
        raise
    except Exception as error:
        raise cannot_build(library, spec, reason(error), what) from error


def refuse_weights(spec: ModelSpec, options: tuple[str, ...]) -> None:
    """Refuse a name or options with which a library would look for a model elsewhere.

    Raises:
        ExpectedError: one was given.
    """
    if ":" in spec.architecture:
        raise ExpectedError(
            f"architecture of model {spec.id!r} is {spec.architecture!r}, which names "
            "a place; name an architecture that the library has itself"
        )
    for option in options:
        if option in spec.options:
            raise ExpectedError(
                f"options of model {spec.id!r} has {option!r}, but weights come from "
                "the file of each checkpoint alone; remove it"
            )


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


def fill_from_arrays(
    model: nn.Module, file: Path, load: Callable[[str], object]
) -> nn.Module:
    """Have a library give a model the arrays of a file, all of them and no others.

    Libraries leave out what they do not know, and resize what has another shape.

    Raises:
        WeightsError: the library cannot read them, or they are of another model.
    """
    arrays = read_contents(file).only("").tensors
    given = sum(array.values for array in arrays.values())
    wanted = sum(parameter.numel() for parameter in model.parameters())
    if given != wanted:
        raise WeightsError(
            f"has arrays with {given:,} values, the model {wanted:,}: it is of another "
            "image size, head or depth, which the options of the model have to say"
        )
    for parameter in model.parameters():
        parameter.data.fill_(math.nan)
    try:
        load(str(file))
    # Of arrays that are none of its models', a library raises what it likes.
    except Exception as error:
        raise WeightsError(f"cannot be read by its library: {reason(error)}") from error
    left = [n for n, p in model.named_parameters() if bool(p.data.isnan().any())]
    if left:
        raise WeightsError(f"has no values for {listed(left)}: it is of another model")
    return model


def hub_file(repository: str, names: Sequence[str]) -> Path | None:
    """Find the first of some files of a Hugging Face repository in its cache."""
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        found = try_to_load_from_cache(repository, name)
        # It answers a marker for a file that is known not to exist.
        if isinstance(found, str):
            return Path(found)
    return None


def torch_hub_file(url: str) -> Path | None:
    """Find what torch.hub downloaded from a URL."""
    import torch

    name = PurePosixPath(urlsplit(url).path).name
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    return file if file.is_file() else None


@contextmanager
def offline() -> Iterator[None]:
    """Keep Hugging Face's libraries from asking the network for what is not here."""
    from huggingface_hub import constants

    with mock.patch.object(constants, "HF_HUB_OFFLINE", new=True):
        yield
