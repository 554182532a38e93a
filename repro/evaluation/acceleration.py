"""What is said of a way to make a forward pass faster; needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: Stands for what was measured to be faster with the model and device at hand.
AUTO = "auto"
#: In the order in which they go into each other.
NAMES = ("channels-last", "compile", "cuda-graphs")


class Acceleration(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a case was accelerated in a way that was wanted for it.

    `difference` is the largest one of a logit on the batch on which both ways were
    compared, as a part of the logits' spread there (see `accelerators.difference`);
    `reason` says why it was not used.
    """

    name: str
    used: bool
    difference: float | None = None
    reason: str = ""


def read_names(text: str) -> tuple[str, ...]:
    """Read what is wanted: `none`, or names with commas between.

    Raises:
        ValueError: a name is not known; the message says which are.
    """
    names = dict.fromkeys(name.strip() for name in text.split(","))
    if list(names) == ["none"]:
        return ()
    known = (AUTO, *NAMES)
    if not names.keys() <= set(known):
        raise ValueError(
            f"must be none, or some of {', '.join(known)} with commas between"
        )
    return tuple(names)


def in_words(
    precision: str, accelerations: Iterable[Acceleration], guarded: str = ""
) -> str:
    """Say how a forward pass was computed: `fp32, channels-last`."""
    parts = [f"{precision} ({guarded})" if guarded else precision]
    for acceleration in accelerations:
        why = "" if acceleration.used else f" not used ({acceleration.reason})"
        parts.append(f"{acceleration.name}{why}")
    return ", ".join(parts)
