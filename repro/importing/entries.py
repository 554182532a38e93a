"""Numbers of a printed table with what they are of, and what they print shares as."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from repro.errors import ExpectedError
from repro.importing.columns import CellNumber
from repro.published import METRICS, Shares


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a table: what it is of, as printed, and where it stands there."""

    checkpoint: str
    family: str
    dataset: str
    protocol: str
    metric: str
    printed: CellNumber
    place: str

    @property
    def case(self) -> tuple[str, str, str, str]:
        """What the number is of, but for the metric."""
        return self.family, self.checkpoint, self.dataset, self.protocol


def unit_of(entries: Sequence[Entry]) -> Shares:
    """See what a table prints shares as.

    Raises:
        ExpectedError: it may be both, or is one here and the other there.
    """
    shares = [
        entry for entry in entries if METRICS[entry.metric].unit.whole is not None
    ]
    _refuse_both(shares)
    signs = any(entry.printed.is_percent for entry in shares)
    if not shares or signs or any(Decimal(e.printed.digits) > 1 for e in shares):
        return "percent"
    raise ExpectedError(
        "no share of the table is above 1, so it may print fractions or very small "
        "percentages; say which with --unit=fraction or --unit=percent"
    )


def _refuse_both(shares: Sequence[Entry]) -> None:
    """Refuse accuracies of which some look like fractions and others like percentages.

    Raises:
        ExpectedError: there are such; errors may well be below a percent.
    """
    for metric in dict.fromkeys(entry.metric for entry in shares):
        low: list[Entry] = []
        high: list[Entry] = []
        for entry in (entry for entry in shares if entry.metric == metric):
            is_low = 0 < Decimal(entry.printed.digits) < 1
            (low if is_low and not entry.printed.is_percent else high).append(entry)
        if METRICS[metric].is_higher_better and low and high:
            raise ExpectedError(
                f"{low[0].place} has {low[0].printed.digits} where others of its kind "
                f"are such as {high[0].printed.digits}, as if it were a fraction among "
                "percentages; correct it, or say --unit=percent if it is none"
            )


def check_range(entry: Entry, unit: Shares) -> None:
    """Refuse a number that its metric cannot have.

    Raises:
        ExpectedError: it is larger than the whole, or than any that makes sense.
    """
    metric = METRICS[entry.metric].unit
    limit = Decimal(1) if metric.whole and unit == "fraction" else metric.limit
    if Decimal(entry.printed.digits) > limit:
        raise ExpectedError(
            f"{entry.place}: {entry.printed.digits} is above {limit}, so it is no "
            f"{entry.metric} in {unit if metric.whole else metric.name}"
        )


def said_of_cells(entries: Sequence[Entry]) -> Iterator[str]:
    """Say what stands beside numbers and is not part of them."""
    lengths: dict[str, Counter[int]] = defaultdict(Counter)
    for entry in entries:
        lengths[entry.metric][_decimals(entry)] += 1
    for entry in entries:
        if entry.printed.difference:
            yield (
                f"left out {entry.printed.difference!r} beside {entry.printed.digits} "
                f"({entry.place})"
            )
        own, all_of_kind = _decimals(entry), lengths[entry.metric]
        is_alone = all_of_kind[own] == 1 and set(all_of_kind) == {own - 1, own}
        if is_alone and len(entries) > 2:
            yield (
                f"digits   {entry.printed.digits} has one more than all others of its "
                f"kind, a footnote? ({entry.place})"
            )
        if entry.printed.marks:
            yield (
                f"marked   {entry.printed.digits} has {entry.printed.marks!r}, a "
                f"footnote? ({entry.place})"
            )


def _decimals(entry: Entry) -> int:
    return len(entry.printed.digits.partition(".")[2])
