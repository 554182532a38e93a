"""Who among many is looked at next, where looking costs time; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    def passes(self) -> int:
        """What an image costs it."""

    @property
    def fit(self) -> float:
        """How likely it is right."""

    @property
    def is_met(self) -> bool:
        """Whether it is right."""

    def look(self, images: int) -> None:
        """See that many images more."""


def race(
    contenders: Sequence[Contender],
    total: int,
    budget: int,
    is_over: Callable[[int], bool] = lambda spent: False,
) -> int:
    """Let contenders see images until one is right or the budget is spent.

    One that is right is not the end of it while another one is nearly as likely.

    Of those whose likelihood is close to the best one, the one that has cost the
    least sees as many again: the likeliest is sought out soon, and is not taken for
    right before those that may be it were looked at as closely. While there is enough
    left for the likeliest one to see all images, that is kept for it.

    Args:
        contenders: that have seen a few images each.
        total: how many there are to see.
        budget: what may be spent, all together.
        is_over: tells of what was spent whether to stop; a look may then have been cut.

    Returns:
        What was spent.
    """
    spent = 0
    while not is_over(spent) and (turn := _next(contenders, total, budget - spent)):
        chosen, images = turn
        before = chosen.images
        chosen.look(images)
        spent += (chosen.images - before) * chosen.passes
    return spent


def _next(
    contenders: Sequence[Contender], total: int, left: int
) -> tuple[Contender, int] | None:
    """Choose who sees how many images next, of those that are left; None to end."""
    unfinished = [c for c in contenders if c.images < total]
    if not unfinished:
        return None
    leader = max(contenders, key=lambda c: c.fit)
    is_found = any(c.is_met for c in contenders)
    close = [c for c in unfinished if c.fit >= leader.fit - CLOSE * (1 + is_found)]
    if not close and not is_found:
        close = [max(unfinished, key=lambda c: c.fit)]
    if not close:
        return None
    chosen = min(close, key=lambda c: (c.images * c.passes, -c.fit))
    images = min(chosen.images, total - chosen.images, left // chosen.passes)
    rest = total - leader.images
    kept = (total - min(c.images for c in close)) * leader.passes
    if 0 < rest * leader.passes <= left < images * chosen.passes + kept:
        # The last that can be afforded, whoever becomes the likeliest: is it right? By
        # steps, since one that is wrong shows that soon.
        return leader, min(rest, leader.images)
    return (chosen, images) if images > 0 else None
