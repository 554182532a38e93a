"""How long a diagnosis may take, what does not fit in, and who is looked at next.

Needs no torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from repro.errors import ReproError

#: Half a minute is never too long: where an evaluation takes seconds, the timing of a
#: few images would decide about suspects by chance.
LEAST_SECONDS = 30.0

#: So many images, or all of a smaller set, may be seen by each suspect whatever their
#: share is, where the promised time is enough: a tenth of a few settles nothing.
FEWEST = 500

#: Share of the time left that encoding the prompts of one suspect may take. These are
#: few suspects, of which one alone costs as much as many images.
PROMPTS_SHARE = 1 / 3


class TooSlowError(ReproError):
    """A suspect does not fit into the time that was promised."""


class Pace:
    """Keeps a promise of time; it begins when this is made.

    Args:
        seconds: that were promised; None where these follow from the protocol.
        share: of a full evaluation that each suspect may take on average.
        suspects: how many there are to try.
        total: images of a full evaluation.
    """

    def __init__(
        self, seconds: float | None, share: float, suspects: int, total: int
    ) -> None:
        self._start = time.perf_counter()
        self._suspects = suspects
        self._share, self._total = share, total
        self._promised = seconds
        self._rate = self._few = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left; infinite until it is known what was promised."""
        if self._promised is None:
            return math.inf
        return self._promised - (time.perf_counter() - self._start)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0

    def learn(self, rate: float, few: float) -> None:
        """Learn how long it takes as the protocol says.

        Args:
            rate: seconds for an image, among many.
            few: seconds of the forward pass over a few images alone.
        """
        self._rate, self._few = rate, few
        if self._promised is None:
            most = rate * self.share_of(self._suspects)
            self._promised = max(LEAST_SECONDS, most)

    def share_of(self, suspects: int) -> float:
        """Give how many images the share of so many of the suspects is."""
        return self._share * self._total * suspects

    def budget(self, suspects: int) -> int:
        """Give how many images so many of the suspects may see, all together."""
        fitting = math.inf
        if self._promised is not None and self._rate:
            fitting = self._promised / self._rate / self._suspects
        fewest = min(FEWEST, self._total, fitting)
        return int(max(self.share_of(suspects), fewest * suspects))

    def times_as_long(self, few: float, images: int, members: int) -> float:
        """Tell how many times as long as the protocol a suspect takes, if too long.

        A few images are compared with as few, since batches are faster; on these ratios
        it depends what the images to come would take.

        Args:
            few: seconds of the forward pass over a few images.
            images: that have to be seen next.
            members: suspects that share it.

        Returns:
            0 where it fits into the share of the members.
        """
        if self._promised is None or not self._few:
            return 0.0
        ratio = few / self._few
        allowed = self._promised * members / self._suspects
        return ratio if ratio * self._rate * images > allowed else 0.0

    def images(self, most: int, least: int, rate: float) -> int:
        """Give how many images fit into the time left, at so many seconds for each."""
        if not rate or math.isinf(self.left):
            return most
        return min(most, max(least, int(self.left / rate)))

    def check_prompts(self, seconds: float) -> None:
        """Refuse to encode prompts for longer than there is time.

        Raises:
            TooSlowError: it would take too long.
        """
        if seconds > PROMPTS_SHARE * self.left:
            raise TooSlowError(f"its prompts take {seconds:,.0f} s to encode here")


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
