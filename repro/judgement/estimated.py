"""The mean loss of float32, from cheap losses and a sample of the differences.

The mean of the cheap losses is known, so only the mean difference is estimated (a
control variate), from a sample that is random in each of two cells: images that cheap
arithmetic decides right, whose losses hardly move, and wrong, whose losses do. So more
of the wrong ones are drawn, as Neyman (Journal of the Royal Statistical Society 97,
1934) allots them. Images that were computed for their decisions are no sample; they are
a cell of their own, which is known as a whole.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from repro.judgement.intervals import LOSS_IMAGES, Cells, Interval, loss_interval

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Half an interval of 99.9 % in standard errors, and a quarter more for its skewness.
_HALF_WIDTH = 3.3 * 1.25


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the losses of N images.

    `cheap` and `exact` float64 `[N]` are losses in both arithmetics, those of float32
    as far as they are `known`; `is_open` bool `[N]` tells which images are open to the
    sample, all that are not known among them; `cell` `[N]` is 0 or 1, and `sample` bool
    `[N]` what was drawn in each.
    """

    cheap: Floats
    exact: Floats
    known: Bools
    is_open: Bools
    cell: Counts
    sample: Bools

    def estimate(self) -> tuple[Floats, Interval | None]:
        """Give losses `[N]` whose mean is the best estimate, and where the mean lies.

        None where too few were drawn for an interval.
        """
        losses = np.where(self.known, self.exact, self.cheap)
        more, middle = losses - self.cheap, 0.0
        sizes = np.bincount(self.cell[self.is_open])
        taken = self.is_open & self.sample
        drawn = np.bincount(self.cell[taken], minlength=len(sizes))
        for cell in np.flatnonzero(drawn):
            mine = self.is_open & (self.cell == cell)
            total = sizes[cell] * more[mine & self.sample].mean()
            rest = mine & ~self.known
            middle += total / len(losses)
            if rest.any():
                missing = total - more[mine & self.known].sum()
                # Spread evenly over those that are not known, so that the mean is the
                # estimate, and every metric that is made of losses agrees with it.
                losses[rest] += missing / np.count_nonzero(rest)
        there = np.flatnonzero(sizes)
        # A cell without open images is left out: nothing was drawn of it, and there is
        # no interval where a cell has nothing drawn.
        cells = Cells(np.arange(len(there)), sizes[there], drawn[there])
        place = np.searchsorted(there, self.cell[taken])
        bound = loss_interval(more[taken], place, cells)
        if bound is None:
            return losses, None
        share, offset = sizes.sum() / len(losses), losses.mean() - middle
        low, high = (float(offset + share * end) for end in (bound.low, bound.high))
        return losses, Interval(low, high)

    def wanted(self, half_width: float) -> Counts:
        """Say how many images of each cell give an interval of that half width.

        Args:
            half_width: in nats; what is not above 0 needs all of them, and infinity
                so many that there is an interval at all.
        """
        sizes = np.bincount(self.cell[self.is_open], minlength=2)
        if half_width <= 0:
            return sizes
        more = self.exact - self.cheap
        taken = [self.is_open & self.sample & (self.cell == cell) for cell in (0, 1)]
        spread = [float(more[mine].std()) if mine.any() else 0.0 for mine in taken]
        # Neyman's allotment: a cell gets images as its size times the spread in it.
        parts = sizes * np.array(spread) / len(more)
        number = parts.sum() * (_HALF_WIDTH / half_width) ** 2 * parts
        # Where nothing has moved yet, all parts are zero.
        least = LOSS_IMAGES * parts / max(parts.sum(), 1e-300)
        # From a finite population fewer are needed.
        fewer = np.ceil(number / (1 + number / np.maximum(sizes, 1)))
        return np.asarray(np.maximum(fewer, np.ceil(least)), np.int64)
