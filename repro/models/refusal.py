"""Say in a few words why a file of more than tensors is not read."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path

ASK = "Ask its publisher for a file of tensors alone, or for safetensors"

#: Advice to programmers, some of it to read the file although it could run code.
_ADVICE = (
    "Weights only load failed",
    "Please file an issue",
    "Check the documentation",
)
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_OPERAND = re.compile(r"Unsupported operand (\d+)")


def is_program(archive: Path) -> bool:
    """Whether a zip is a TorchScript program, which would be run to be read."""
    with zipfile.ZipFile(archive) as opened:
        return any("/code/" in name for name in opened.namelist())


def refusal_reason(path: Path, message: str) -> str:
    """Say what a pickle would run, where torch refused it with that message."""
    code = "it holds Python objects besides tensors, and reading them could run code"
    if unsafe := _unsafe_names(path):
        return f"{code}: {', '.join(unsafe[:5])}" + " ..." * (len(unsafe) > 5)
    return f"{code} ({_reason_in(message)})"


def _unsafe_names(path: Path) -> list[str]:
    """List what is no tensor; the pickle is disassembled for that, not executed."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        return sorted(get_unsafe_globals_in_checkpoint(str(path)))
    # It reads archives only, and damaged ones make it raise what it likes.
    except Exception:
        return []


def _reason_in(message: str) -> str:
    """Find the reason in torch's message, which is mostly about other things."""
    if found := _GLOBAL.search(message):
        return f"it needs {found[1]}"
    if found := _OPERAND.search(message):
        names = {ord(code.code): code.name for code in pickletools.opcodes}
        name = names.get(int(found[1]), found[1])
        return f"it has the instruction {name}, which no file of tensors needs"
    lines = (
        line.rpartition("WeightsUnpickler error: ")[2].strip()
        for line in message.splitlines()
    )
    reasons = (line for line in lines if line and not line.startswith(_ADVICE))
    return next(reasons, "it says nothing more")
