"""What float32 would say of images that a cheap arithmetic computed; no torch.

## The mean loss

The mean of the cheap losses is known, so only the mean difference is estimated (a
control variate), from a sample that is random in each of two cells: images that cheap
arithmetic decides right, whose losses hardly move, and wrong, whose losses do. So more
of the wrong ones are drawn, as Neyman (Journal of the Royal Statistical Society 97,
1934) allots them. Images that were computed for their decisions are no sample; they are
a cell of their own, which is known as a whole.

## How likely a decision is another one

A decision, such as whether the label is the most likely class, is the sign of a margin:
a difference of two logits. Cheap arithmetic moves a margin by an error, and decides
otherwise only where the error is larger than the margin. The errors are known for the
images that were computed both ways, which are a random sample of all, and all of the
smallest margins so far. Nothing can be said of the rest without an assumption; this is
the one that is made:

1. Errors depend on the margin. They were found to be larger where it is small (images
   that a model is unsure of); where logits are rounded, they are larger where logits
   are. So they are taken in units of what images of about the same margin show, and
   that unit is taken two of its standard errors larger than it was found.
2. In these units, the largest errors lie beyond a high quantile as in a generalised
   Pareto distribution, as those of almost any distribution do (Pickands, Annals of
   Statistics 3, 1975; Balkema and de Haan, Annals of Probability 2, 1974), whose shape
   is at least that of the exponential distribution. Rounding errors add up from very
   many, so their own tail is lighter: what is assumed is worse than that.
3. Shape and scale are not known but learned. What is said of another image is the mean
   over all that are compatible with the errors that were seen (a flat prior of the
   shape from 0 to 1, and of the logarithm of the scale), so few images, or a few large
   errors, make it larger by themselves. With errors like Student's t of three degrees
   of freedom nearly every image is computed again.

An error of another kind, in so few images that none of those which were computed both
ways has it, is not seen by this nor by anything else short of computing all of them: of
n images a share s shows nothing with a probability of (1 - s)^n, whatever is made of
the others. In simulations two that were seen were enough, and one was not.
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


#: Fewer errors say nothing of their tail.
LEAST_SEEN = 100
#: Images of about the same margin that show a unit of their errors, at least, and into
#: how many groups of those images are sorted at most.
_GROUP_IMAGES, _MOST_GROUPS = 50, 20
#: A twentieth of the errors is the tail, but at least and at most so many: a tail that
#: is heavy far out looks lighter near by (Student's t of 5 or 6), so where many errors
#: were seen, it is looked at farther out.
_TAIL, _LEAST_TAIL, _MOST_TAIL = 20, 40, 250

#: From the exponential distribution to one whose tail is so heavy that it has no mean.
_SHAPES = np.linspace(0.0, 1.0, 41)
#: Of the scale, as a part of the mean of what is beyond the quantile.
_SCALES = np.exp(np.linspace(np.log(0.25), np.log(3.0), 60))


def chances(margins: Floats, seen: npt.NDArray[np.bool_], errors: Floats) -> Floats:
    """Bound for each image how likely its error is larger than its margin.

    Args:
        margins: of all images in cheap arithmetic: `[N]`.
        seen: whose margin is known in float32 too: `[N]`.
        errors: how far both are apart, of the images that were seen, in their order.

    Returns:
        Probabilities `[N]`, of those that were seen as if they had not been; 1 where
        too few were, or a margin is not finite.
    """
    sizes, apart = np.abs(margins), np.abs(errors)
    known = seen & np.isfinite(sizes)
    apart = apart[np.isfinite(sizes[seen])]
    found = np.ones(len(sizes))
    if len(apart) < LEAST_SEEN or not np.isfinite(apart).all() or not apart.any():
        return found
    borders, units = _units(sizes[known], apart)
    unit = units[np.searchsorted(borders, sizes, side="right")]
    finite = np.isfinite(sizes)
    found[finite] = _beyond((sizes / unit)[finite], np.sort(apart / unit[known]))
    return found


def _units(sizes: Floats, apart: Floats) -> tuple[Floats, Floats]:
    """Give borders between groups of margins `[G - 1]`, and the unit of each `[G]`."""
    order = np.argsort(sizes, kind="stable")
    groups = max(1, min(_MOST_GROUPS, len(sizes) // _GROUP_IMAGES))
    # Of equal numbers and not of equal width: margins crowd together near zero, and a
    # group of a few images would tell its unit by chance.
    parts = np.array_split(order, groups)
    borders = [sizes[part[0]] for part in parts[1:]]
    units = [
        apart[part].mean() + 2 * apart[part].std() / np.sqrt(len(part))
        for part in parts
    ]
    # A group that shows no error at all may have the least that another one has.
    least = min(unit for unit in units if unit > 0)
    return np.array(borders), np.maximum(units, least)


def _beyond(wanted: Floats, known: Floats) -> Floats:
    """Say how likely another error is at least as large as each of those wanted.

    Args:
        wanted: sizes of errors `[M]`.
        known: those of the errors that were seen, ascending: `[S]`.
    """
    tail = min(max(len(known) // _TAIL, _LEAST_TAIL), _MOST_TAIL, len(known) // 2)
    border = known[-tail - 1]
    over = known[-tail:] - border
    # Where many errors were seen, their share says it; only beyond is a tail assumed.
    within = 1 - np.searchsorted(known, wanted) / len(known)
    mean = over.mean()
    if not mean:
        return np.ones_like(wanted)
    # Beyond a grid nothing differs that matters.
    grid = np.concatenate([[0.0], np.geomspace(0.01, 1e4, 100)])
    # Interpolated in logarithms, since they fall by orders of magnitude between two
    # points of the grid; a chord is never below.
    chance = tail / len(known) * _predictive(grid, over / mean)
    far = np.interp(
        np.clip((wanted - border) / mean, 0, grid[-1]),
        grid,
        np.log(np.maximum(chance, np.finfo(float).tiny)),
    )
    return np.where(wanted <= border, within, np.exp(far))


def _predictive(grid: Floats, over: Floats) -> Floats:
    """Say how likely the next excess is larger than each of a grid, given others."""
    # Less the largest of them: a product of hundreds of densities is below all that a
    # float64 can hold.
    weights = np.exp(
        (logs := _log_density(over, _SHAPES[:, None], _SCALES[None, :])) - logs.max()
    )
    weights /= weights.sum()
    survival = np.stack(
        [
            np.tensordot(weights, _survival(x, _SHAPES[:, None], _SCALES[None, :]))
            for x in grid
        ]
    )
    return np.asarray(survival, dtype=np.float64)


def _log_density(over: Floats, shape: Floats, scale: Floats) -> Floats:
    """Sum the logarithms of the densities of some excesses."""
    total = np.zeros(np.broadcast_shapes(shape.shape, scale.shape))
    for x in over:
        total -= _log_growth(x / scale, shape) + np.log1p(shape * x / scale)
    return np.asarray(total - len(over) * np.log(scale))


def _survival(x: Floats, shape: Floats, scale: Floats) -> Floats:
    return np.asarray(np.exp(-_log_growth(x / scale, shape)))


def _log_growth(x: Floats, shape: Floats) -> Floats:
    """Give log(1 + shape x) / shape, which is x for the exponential distribution."""
    safe = np.where(shape > 0, shape, 1.0)
    return np.asarray(np.where(shape > 0, np.log1p(safe * x) / safe, x))
