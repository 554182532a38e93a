"""Say what a weights file holds, without running anything that is in it."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from repro.errors import WeightsError
from repro.models.architecture import Architecture, infer_architecture
from repro.models.state import check_names
from repro.models.weights import check_complete, read_entries

if TYPE_CHECKING:
    from torch import Tensor

#: Entries that wrap a state dict, the one that is meant first.
_WRAPPERS = ("state_dict", "model", "model_state_dict", "module", "net", "weights")
#: What wrapping a model in another one puts before each name.
_PREFIXES = ("module.", "_orig_mod.", "model.")


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a weights file holds.

    `entry` is where the state dict stands, empty if the file is one; `others` are the
    entries beside it; `prefix` is what all its names begin with; `dtypes` counts
    tensors; `logit_scale` is the factor, not its logarithm.
    """

    path: Path
    size: int
    format: str
    entry: str
    others: tuple[str, ...]
    prefix: str
    tensors: int
    parameters: int
    dtypes: dict[str, int]
    architecture: Architecture | None
    logit_scale: float | None
    names: tuple[str, ...]


def inspect_weights(path: Path) -> Inspection:
    """Read the names, shapes and types of a file's tensors.

    Raises:
        WeightsError: it is damaged, holds no tensors, or needs more than tensors to be
            read, which could run code; the message says what.
    """
    try:
        check_complete(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if reason := _more_than_tensors(path):
        raise WeightsError(
            f"{path} was refused: {reason}. Ask its publisher for a file of tensors "
            "alone, or for safetensors"
        )
    content = read_entries(path)
    entry = _find_entry(path, content)
    state = content[entry] if entry else content
    check_names(path, state)
    tensors = {name: value for name, value in state.items() if _is_tensor(value)}
    prefix = next((p for p in _PREFIXES if all(n.startswith(p) for n in tensors)), "")
    plain = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return Inspection(
        path=path,
        size=path.stat().st_size,
        format=_format(path),
        entry=entry,
        others=tuple(str(name) for name in content if entry and name != entry),
        prefix=prefix,
        tensors=len(tensors),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        dtypes=dict(
            Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())
        ),
        architecture=infer_architecture({n: tuple(t.shape) for n, t in plain.items()}),
        logit_scale=_logit_scale(plain),
        names=tuple(tensors),
    )


def _find_entry(path: Path, content: dict[str, Any]) -> str:
    """Find where the state dict stands; empty where the file is one."""
    if any(map(_is_tensor, content.values())):
        return ""
    inside = {
        name: sum(map(_is_tensor, value.values()))
        for name, value in content.items()
        if isinstance(value, dict)
    }
    wrapping = [name for name in _WRAPPERS if inside.get(name)]
    if wrapping:
        return wrapping[0]
    most = max(inside, key=inside.__getitem__, default="")
    if not inside.get(most):
        names = ", ".join(map(str, list(content)[:5])) or "nothing"
        raise WeightsError(f"{path} holds no tensors; it has {names}")
    return str(most)


def _more_than_tensors(path: Path) -> str:
    """Say what a file would have to run to be read; empty if nothing.

    The pickle is disassembled, not executed.
    """
    if not zipfile.is_zipfile(path) or path.suffix == ".safetensors":
        return ""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        return "it is a TorchScript program, not only tensors"
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        unsafe = sorted(get_unsafe_globals_in_checkpoint(str(path)))
    # Damaged pickles make it raise what it likes; reading them says what is wrong.
    except Exception:
        return ""
    if not unsafe:
        return ""
    shown = ", ".join(unsafe[:5]) + (" ..." if len(unsafe) > 5 else "")
    return f"its pickle needs more than tensors and could run code: {shown}"


def _format(path: Path) -> str:
    if path.suffix == ".safetensors":
        return "safetensors"
    return "torch zip" if zipfile.is_zipfile(path) else "torch pickle of before 1.6"


def _logit_scale(state: dict[str, Tensor]) -> float | None:
    stored = state.get("logit_scale")
    if stored is None or stored.numel() != 1 or stored.is_meta or stored.is_complex():
        return None
    try:
        return math.exp(float(stored))
    except OverflowError:
        return math.inf


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
