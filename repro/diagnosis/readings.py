"""Other ways to sum up what was measured, as a table or a script may have; no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from repro.data.dataset import Dataset
from repro.diagnosis.accounts import Account, Number, product
from repro.diagnosis.what_if import Floats
from repro.evaluation.predictions import Predictions
from repro.published import METRICS

Values = dict[str, float]
#: By metric: the sum over all images, and what each adds to it.
Sums = Mapping[str, tuple[float, Floats]]

#: Images in a batch, and processes that share the images, as scripts have them.
BATCHES = (32, 50, 64, 100, 128, 200, 250, 256, 500, 512, 1000, 1024)
PROCESSES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 64)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Another way to read what was measured: values by metric from values by metric.

    It is one for shares of images or for losses, with `is_share` of None for both;
    values are `scale` times as large. Where `is_of_all`, every number of the source has
    to be read so, also those that are met.
    """

    name: str
    premise: str
    is_share: bool | None
    values: Callable[[Values], Values]
    scale: float = 1.0
    is_of_all: bool = False


def _times(factor: float) -> Callable[[Values], Values]:
    return lambda measured: {m: factor * value for m, value in measured.items()}


IN_OTHER_UNITS = (
    Reading(
        name="the error printed as the accuracy, or the other way round",
        premise="what was printed is 100 minus what was measured",
        is_share=True,
        values=lambda measured: {m: 100 - value for m, value in measured.items()},
    ),
    Reading(
        name="a fraction printed as percent",
        premise="what was printed is a hundredth of what was measured",
        is_share=True,
        values=_times(0.01),
        scale=0.01,
    ),
    Reading(
        name="percent taken for a fraction",
        premise="what was printed is a hundred times what was measured",
        is_share=True,
        values=_times(100),
        scale=100,
    ),
    Reading(
        name="a loss in bits",
        premise="the logarithm was that to the base of 2",
        is_share=False,
        values=_times(1 / math.log(2)),
        scale=1 / math.log(2),
    ),
    Reading(
        name="a loss with the logarithm to the base of 10",
        premise="the logarithm was that to the base of 10",
        is_share=False,
        values=_times(1 / math.log(10)),
        scale=1 / math.log(10),
    ),
    Reading(
        name="a perplexity printed as the loss",
        premise="what was printed is e to the power of the loss",
        is_share=False,
        values=lambda measured: {
            m: math.exp(min(value, 700)) for m, value in measured.items()
        },
    ),
)


def read_otherwise(
    run: Predictions,
    numbers: Sequence[Number],
    each: Mapping[str, Floats],
    dataset: Dataset | None = None,
) -> Iterator[Account]:
    """Yield accounts of what was measured, in another unit or as another metric.

    Args:
        run: what was measured.
        numbers: of the sources that are contradicted, met or not.
        each: what each image adds to each metric.
        dataset: tells in which order scripts go through the images; None where unknown.
    """
    missed = [number for number in numbers if not number.is_met]
    measured = {metric: float(values.mean()) for metric, values in each.items()}
    for readings in (
        (*IN_OTHER_UNITS, *_of_other_metrics(missed)),
        tuple(_summed_over_batches(run)),
        tuple(_by_batches(run, each, dataset)) if dataset else (),
    ):
        for reading in readings:
            concerned = numbers if reading.is_of_all else missed
            chances = _chances(reading, concerned, reading.values(measured))
            if (chance := product(chances)) is not None:
                fit = chance * len(readings)
                yield Account(name=reading.name, premise=reading.premise, fit=fit)


def _chances(
    reading: Reading, numbers: Sequence[Number], values: Values
) -> list[float | None]:
    """Tell for each number how likely chance makes it so near to what was read."""
    found: list[float | None] = []
    for number in numbers:
        # All that is not met has to be of that kind.
        is_share = bool(METRICS[number.metric].unit.whole)
        if reading.is_share not in (None, is_share) or number.metric not in values:
            found.append(None)
        else:
            found.append(number.chance(values[number.metric], reading.scale))
    return found


def _of_other_metrics(missed: Sequence[Number]) -> Iterator[Reading]:
    """Yield readings by which a metric was printed as another, or two swapped."""
    names = [number.metric for number in missed]
    if not all(METRICS[name].unit.whole for name in names):
        return
    if len(names) == 1:
        for other in METRICS:
            if METRICS[other].unit.whole and other != names[0]:
                yield _printed_as({names[0]: other}, "printed as")
    if len(names) == 2:
        yield _printed_as({names[0]: names[1], names[1]: names[0]}, "swapped with")


def _printed_as(source: dict[str, str], verb: str) -> Reading:
    metric, other = next(iter(source.items()))
    title = METRICS[other].title
    return Reading(
        name=f"{title} {verb} {METRICS[metric].title}",
        premise=f"what was printed as {METRICS[metric].title} is the {title}",
        is_share=True,
        values=lambda measured: {m: measured[s] for m, s in source.items()},
    )


def _summed_over_batches(run: Predictions) -> Iterator[Reading]:
    """Yield losses that were added up in a batch, and averaged over batches."""
    counts = {math.ceil(run.total / size): size for size in BATCHES}
    for batches, size in counts.items():
        if batches > 1:
            factor = run.total / batches
            yield Reading(
                name=f"a loss summed over each of {batches} batches",
                premise=f"losses were added up in batches of {size} images, and these "
                "sums averaged",
                is_share=False,
                values=_times(factor),
                scale=factor,
            )


def _by_batches(
    run: Predictions, each: Mapping[str, Floats], dataset: Dataset
) -> Iterator[Reading]:
    """Yield means over images of which the last or first count otherwise than once."""
    if not run.is_complete:
        return
    sums = {
        metric: (float(values.sum()), values)
        for metric, values in each.items()
        if METRICS[metric].over == "images"
    }
    first, last = _ends(dataset, max(BATCHES))
    for size in BATCHES:
        rest = run.total % size
        if rest and size < run.total:
            yield from _with_a_rest(sums, run.total, size, last[-rest:])
    padded = {-run.total % size: size for size in reversed((*PROCESSES, *BATCHES))}
    for repeated, size in padded.items():
        if 0 < repeated <= len(first) and repeated < run.total:
            total = run.total + repeated
            yield _weighted(
                f"a mean in which the first {repeated} images count twice",
                f"the images were filled up to a multiple of {size} by repeating the "
                "first ones",
                sums,
                first[:repeated],
                (1 / total, 2 / total),
            )


def _with_a_rest(
    sums: Sums, total: int, size: int, last: npt.NDArray[np.int64]
) -> Iterator[Reading]:
    """Yield what becomes of the images of a last batch that is smaller."""
    rest = len(last)
    whole, batches = total - rest, total // size + 1
    yield _weighted(
        f"a mean without the last {rest} images",
        f"the images were evaluated in batches of {size}, and the last one, which is "
        "smaller, was dropped",
        sums,
        last,
        (1 / whole, 0.0),
    )
    yield _weighted(
        f"a mean over the means of batches of {size}",
        f"each batch counted alike, also the last one of {rest} images",
        sums,
        last,
        (1 / size / batches, 1 / rest / batches),
        is_of_all=False,
    )
    yield _weighted(
        f"a mean in which the last batch counts as {size} images",
        f"what was right was divided by whole batches of {size}, and the last one has "
        f"{rest} images",
        sums,
        last,
        (1 / size / batches, 1 / size / batches),
        is_of_all=False,
        is_share=True,
    )


def _weighted(
    name: str,
    premise: str,
    sums: Sums,
    chosen: npt.NDArray[np.int64],
    weights: tuple[float, float],
    *,
    is_of_all: bool = True,
    is_share: bool | None = None,
) -> Reading:
    """Make the reading in which chosen images weigh otherwise than the others.

    What is left out or counted twice is so in every number; how they are summed up may
    differ between them.
    """
    usual, theirs = weights
    read = {
        metric: usual * total + (theirs - usual) * float(values[chosen].sum())
        for metric, (total, values) in sums.items()
    }
    return Reading(
        name=name,
        premise=premise,
        is_share=is_share,
        values=lambda measured: read,
        is_of_all=is_of_all,
    )


def _ends(
    dataset: Dataset, number: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the first and last images as loaders of class folders have them, by name.

    Only as many classes are sorted as that takes.
    """
    by_name = sorted(range(len(dataset.classes)), key=dataset.classes.__getitem__)
    places = np.concatenate([[0], np.cumsum(dataset.class_sizes)]).tolist()

    def taken(classes: Sequence[int]) -> list[list[int]]:
        found: list[list[int]] = []
        for label in classes:
            if sum(map(len, found)) >= number:
                break
            members = range(places[label], places[label + 1])
            found.append(sorted(members, key=dataset.files.__getitem__))
        return found

    first = [index for members in taken(by_name) for index in members]
    behind = reversed(taken(by_name[::-1]))
    last = [index for members in behind for index in members]
    return np.array(first[:number], np.int64), np.array(last[-number:], np.int64)
