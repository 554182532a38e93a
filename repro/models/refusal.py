"""Say in a few words why torch refuses to read a pickle."""

from __future__ import annotations

import pickletools
import re

#: Advice to programmers, some of it to read the file although it could run code.
_ADVICE = (
    "Weights only load failed",
    "Please file an issue",
    "Check the documentation",
)
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_OPERAND = re.compile(r"Unsupported operand (\d+)")


def refusal_reason(message: str) -> str:
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
