"""What libraries say when they refuse something, in one line."""

from __future__ import annotations

LONGEST = 300


def reason(error: Exception) -> str:
    """Shorten an error; lists of a thousand names of tensors do not help."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
