"""The mean loss of float32, computed again cell by cell, image by image."""

from __future__ import annotations

import math
import statistics

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.judgement.cheap import Drawn
from repro.judgement.intervals import LOSS_IMAGES, Cells, loss_interval

#: Half an interval in standard errors, and what is added for skewness.
HALF = 3.3 * 1.25
QUARTERS = st.integers(0, 40).map(lambda n: n / 4)


class Image(msgspec.Struct, frozen=True):
    """Losses in both arithmetics, and what became of an image."""

    cheap: float
    exact: float
    known: bool
    is_open: bool
    cell: int
    sample: bool

    @property
    def more(self) -> float:
        return self.exact - self.cheap


@st.composite
def images(draw: st.DrawFn) -> Image:
    known = draw(st.booleans())
    return Image(
        cheap=draw(QUARTERS),
        exact=draw(QUARTERS),
        known=known,
        # All that are not known are open, and what was drawn is known.
        is_open=not known or draw(st.booleans()),
        cell=draw(st.integers(0, 1)),
        sample=known and draw(st.booleans()),
    )


def drawn(made: list[Image]) -> Drawn:
    return Drawn(
        **{
            name: np.array([getattr(image, name) for image in made])
            for name in Image.__struct_fields__
        }
    )


def opened(made: list[Image], cell: int) -> tuple[list[Image], list[Image]]:
    """Give the images of a cell that are open, and those of them that were drawn."""
    found = [image for image in made if image.is_open and image.cell == cell]
    return found, [image for image in found if image.sample]


@given(st.lists(images(), min_size=1, max_size=40))
def test_each_cell_adds_the_mean_difference_of_its_sample(made: list[Image]) -> None:
    total = sum(image.exact for image in made if not image.is_open)
    for cell in (0, 1):
        found, sample = opened(made, cell)
        if sample and not all(image.known for image in found):
            mean = statistics.fmean(image.more for image in sample)
            total += sum(image.cheap + mean for image in found)
        else:
            total += sum(i.exact if i.known else i.cheap for i in found)
    losses, _ = drawn(made).estimate()
    assert losses.mean() == pytest.approx(total / len(made))


@given(st.lists(images(), min_size=1, max_size=40))
def test_what_is_known_stays_and_the_rest_of_a_cell_moves_alike(
    made: list[Image],
) -> None:
    losses, _ = drawn(made).estimate()
    moved: dict[int, set[float]] = {0: set(), 1: set()}
    for image, loss in zip(made, losses.tolist(), strict=True):
        if image.known:
            assert loss == image.exact
        else:
            moved[image.cell].add(round(loss - image.cheap, 9))
    assert all(len(found) <= 1 for found in moved.values())


def sampled(number: int, of: int, cell: int, seed: int) -> list[Image]:
    """Make a cell of so many images, some of which were drawn."""
    random = np.random.default_rng(seed)
    return [
        Image(
            cheap=float(cheap),
            exact=float(cheap + more),
            known=place < number,
            is_open=True,
            cell=cell,
            sample=place < number,
        )
        for place, (cheap, more) in enumerate(
            zip(random.exponential(size=of), random.normal(0.1, 0.2, of), strict=True)
        )
    ]


@pytest.mark.parametrize("cells", [(0,), (1,), (0, 1)])
def test_the_interval_of_differences_lies_around_the_cheap_mean(
    cells: tuple[int, ...],
) -> None:
    made = [image for cell in cells for image in sampled(1200, 2800, cell, cell)]
    more = np.array([image.more for image in made if image.sample])
    place = np.repeat(np.arange(len(cells)), 1200)
    each = np.full(len(cells), 2800), np.full(len(cells), 1200)
    bound = loss_interval(more, place, Cells(np.arange(len(cells)), *each))
    losses, found = drawn(made).estimate()
    assert found is not None
    assert bound is not None
    cheap = statistics.fmean(image.cheap for image in made)
    assert found.low == pytest.approx(cheap + bound.low)
    assert found.high == pytest.approx(cheap + bound.high)
    assert found.low < losses.mean() < found.high


def test_an_interval_is_half_as_wide_where_half_of_the_images_are_known() -> None:
    made = sampled(1200, 2800, 0, 3)
    closed = [
        msgspec.structs.replace(i, known=True, is_open=False, sample=False)
        for i in made
    ]
    (_, wide), (losses, narrow) = (
        drawn(made).estimate(),
        drawn(made + closed).estimate(),
    )
    assert wide is not None
    assert narrow is not None
    assert narrow.high - narrow.low == pytest.approx((wide.high - wide.low) / 2)
    assert narrow.low < losses.mean() < narrow.high


def test_nothing_is_said_where_too_few_were_drawn() -> None:
    few, none = sampled(2, 900, 0, 1), sampled(0, 5, 1, 2)
    assert drawn(few).estimate()[1] is None
    assert drawn(sampled(1200, 2800, 0, 1) + none).estimate()[1] is None


def needed(made: list[Image], half_width: float) -> list[float]:
    """Allot a sample as Neyman does, from populations that end: before rounding."""
    sizes, parts = [], []
    for cell in (0, 1):
        found, sample = opened(made, cell)
        spread = statistics.pstdev(i.more for i in sample) if sample else 0.0
        sizes.append(len(found))
        parts.append(len(found) * spread / len(made))
    both = sum(parts)
    numbers = []
    for size, part in zip(sizes, parts, strict=True):
        endless = both * (HALF / half_width) ** 2 * part
        fewer = endless / (1 + endless / size) if size else 0.0
        numbers.append(max(fewer, LOSS_IMAGES * part / both if both else 0.0))
    return numbers


@given(
    st.lists(images(), min_size=1, max_size=40),
    st.sampled_from([0.05, 0.5, 2.0, 20.0, math.inf]),
)
def test_a_sample_is_allotted_by_size_and_spread(
    made: list[Image], half_width: float
) -> None:
    found = drawn(made).wanted(half_width).tolist()
    for number, wanted in zip(found, needed(made, half_width), strict=True):
        # What is whole but for the last bits may be rounded either way.
        assert math.ceil(wanted - 1e-6) <= number <= math.ceil(wanted + 1e-6)


@pytest.mark.parametrize("half_width", [0.005, 0.01])
def test_what_is_wanted_is_just_enough(half_width: float) -> None:
    made = sampled(1200, 9000, 0, 5) + sampled(400, 3000, 1, 6)
    variances = []
    for less in (0, 1):
        variance = 0.0
        for cell, number in enumerate(drawn(made).wanted(half_width) - less):
            found, sample = opened(made, cell)
            part = len(found) / len(made) * statistics.pstdev(i.more for i in sample)
            variance += part**2 * (1 / number - 1 / len(found))
        variances.append(variance)
    enough, short = (HALF * math.sqrt(variance) for variance in variances)
    assert enough <= half_width * (1 + 1e-9)
    assert short > half_width


@pytest.mark.parametrize("half_width", [0.0, -1.0])
def test_no_width_needs_every_open_image(half_width: float) -> None:
    made = sampled(3, 9, 0, 1) + sampled(2, 4, 1, 2)
    closed = msgspec.structs.replace(made[0], is_open=False)
    assert drawn([*made, closed]).wanted(half_width).tolist() == [9, 4]
