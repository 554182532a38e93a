"""Who among many is looked at next, where looking costs time; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

#: Log likelihoods this close to the best one are looked at alike.
CLOSE = 2.0


class Contender(Protocol):
    """Something that is better known the more images it has seen.

    `fit` is the log likelihood that it is right, and `is_met` tells that it is: it has
    seen all images and restores what is sought.
    """

    @property
    def images(self) -> int:
        """How many images it has seen."""

    @property
    def fit(self) -> float:
        """How likely it is right."""

    @property
    def is_met(self) -> bool:
        """Whether it is right."""

    def look(self, images: int) -> None:
        """See that many images more."""


def race(contenders: Sequence[Contender], total: int, budget: int) -> int:
    """Let contenders see images until one is right or the budget is spent.

    One that is right is not the end of it while another one is nearly as likely.

    Of those whose likelihood is close to the best one, the one that has seen the fewest
    images sees as many again: the likeliest is sought out soon, and is not taken for
    right before those that may be it were looked at as closely.

    Args:
        contenders: that have seen a few images each.
        total: how many there are to see.
        budget: how many may be seen, all together.

    Returns:
        How many were seen.
    """
    spent = 0
    while unfinished := [c for c in contenders if c.images < total]:
        best = max(c.fit for c in contenders)
        is_found = any(c.is_met for c in contenders)
        close = [c for c in unfinished if c.fit >= best - CLOSE * (1 + is_found)]
        if not close and not is_found:
            close = [max(unfinished, key=lambda c: c.fit)]
        if not close:
            break
        chosen = min(close, key=lambda c: (c.images, -c.fit))
        images = min(chosen.images, total - chosen.images, budget - spent)
        if images <= 0:
            break
        chosen.look(images)
        spent += images
    return spent
