"""What a report says, computed once for all its faces."""

from __future__ import annotations

import math
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.published import MEASURED, METRICS, Metric, main_metrics
from repro.published.metrics import TOP1
from repro.records.result import CaseResult
from repro.report.texts import (
    decimals,
    difference_of,
    difference_text,
    images_text,
    interval_text,
    named,
    plain_text,
    tolerance_text,
    value_text,
    variants,
)
from repro.words import counted, nonzero_text

_SETTLED = (Verdict.REPRODUCED, Verdict.BELOW, Verdict.ABOVE)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table: a published number, or a case that has none.

    Texts are ready to print; an empty one means that there is no such number. `quality`
    says of a divergence whether it is one for the better; `interval` is where the value
    on all images lies when a part of them was evaluated, to which no tolerance applies;
    `variant` is what is special about the case where a run has several of its id;
    `is_one_of_several` tells that other sources have a number of the same metric.
    """

    case: str
    family: str
    checkpoint: str
    protocol: str
    dataset: str
    verdict: Verdict
    metric: str = ""
    published: str = ""
    measured: str = ""
    difference: str = ""
    images: str = ""
    tolerance: str = ""
    interval: str = ""
    source: str = ""
    reason: str = ""
    quality: str = ""
    variant: str = ""
    is_one_of_several: bool = False

    @property
    def name(self) -> str:
        """Name the case, with what tells it from others of its id."""
        return named(self.case, self.variant)

    @property
    def checkpoint_name(self) -> str:
        """Name the checkpoint like the case."""
        return named(self.checkpoint, self.variant)

    @property
    def metric_name(self) -> str:
        """Name the metric, with the source where several have a number of it."""
        return named(self.metric, self.source if self.is_one_of_several else "")

    @property
    def group(self) -> str:
        """What the checkpoints of a family have in common: the case without its name.

        Written like an id, `family@protocol`, then `:dataset` if it is not the default.
        """
        return self.case.replace(f"/{self.checkpoint}@", "@", 1)


def in_order(results: Iterable[CaseResult]) -> list[CaseResult]:
    """Sort cases as every report shows them: by family, protocol, dataset and size."""

    def key(result: CaseResult) -> tuple[object, ...]:
        family, size = result.position
        return (
            result.release,
            family,
            result.protocol,
            result.dataset,
            size,
            result.checkpoint,
            result.place,
        )

    return sorted(results, key=key)


def rows_of(results: Iterable[CaseResult]) -> list[Row]:
    """List the rows of some cases, in order."""
    return [row.row for row in rows_with_origin(results)]


class RowOrigin(NamedTuple):
    """A row with the result, and the comparison if there is one, that it is about."""

    row: Row
    result: CaseResult
    comparison: ReferenceCheck | None


def rows_with_origin(results: Iterable[CaseResult]) -> list[RowOrigin]:
    """List the rows of some cases, in order, each with what it is about."""
    ordered = in_order(results)
    special = variants(ordered)
    return [
        RowOrigin(
            msgspec.structs.replace(row, variant=special[result.place]),
            result,
            comparison,
        )
        for result in ordered
        for row, comparison in _case_rows(result)
    ]


class CaseRows(NamedTuple):
    """A case with its rows."""

    result: CaseResult
    rows: tuple[RowOrigin, ...]

    @property
    def name(self) -> str:
        """Its id, and what tells it from others of that id."""
        return self.rows[0].row.name


def cases_with_rows(results: Iterable[CaseResult]) -> list[CaseRows]:
    """List cases in order, each with its rows."""
    grouped = groupby(rows_with_origin(results), key=lambda o: o.result.place)
    return [CaseRows(rows[0].result, rows) for _, o in grouped for rows in [tuple(o)]]


def metric_names(rows: Iterable[Row]) -> list[str]:
    """Name the metrics of some rows, as `Row.metric_name` does, in the same order."""
    order = list(METRICS)
    named = [row for row in rows if row.metric]
    ordered = sorted(named, key=lambda row: order.index(row.metric))
    return list(dict.fromkeys(row.metric_name for row in ordered))


def largest_difference(results: Iterable[CaseResult]) -> list[str]:
    """Write how far the farthest number is off, in points and in nats."""
    farthest: dict[str, tuple[float, int]] = {}
    for result in results:
        for comparison in result.comparisons:
            if (difference := difference_of(comparison)) is not None:
                unit = METRICS[comparison.metric].unit.difference
                found = abs(difference), decimals(comparison)
                farthest[unit] = max(farthest.get(unit, found), found)
    return [f"{nonzero_text(v, n)} {unit}" for unit, (v, n) in farthest.items()]


def counts(results: Iterable[CaseResult]) -> dict[Verdict, int]:
    """Count the cases of each verdict, in the order of these."""
    found = Counter(result.verdict for result in results)
    return {verdict: found[verdict] for verdict in Verdict if found[verdict]}


def totals_text(results: Sequence[CaseResult]) -> str:
    """Say in one line how many cases have which verdict."""
    said = ", ".join(f"{n:,} {verdict}" for verdict, n in counts(results).items())
    return f"{counted(len(results), 'case')}: {said}"


#: Largest mean signed shift of top-1, in points, between two honest measurements of all
#: models of timm's results tables, a year of software apart (2023-05 to 2025-10).
HONEST = 0.008

#: Fewer numbers show no common shift.
MINIMUM_NUMBERS = 5

#: Confidence that the true mean is larger than the honest one, before it is said.
SHIFT_CONFIDENCE = 0.99


class CommonShift(msgspec.Struct, frozen=True):
    """Signed differences over many numbers, in points.

    `spread` is their standard deviation; `is_suspicious` tells that the mean is larger
    than honest software updates ever made it, beyond what the spread explains.
    """

    numbers: int
    mean: float
    spread: float
    largest: float
    is_suspicious: bool


def common_shift(differences: Sequence[float]) -> CommonShift | None:
    """Sum up measured minus published, in points; None where nothing is shared."""
    # Of one number alone it cannot be told whether its difference is its own or all
    # others' too.
    numbers = len(differences)
    if numbers < 2:
        return None
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences)
    return CommonShift(
        numbers=numbers,
        mean=mean,
        spread=spread,
        largest=max(map(abs, differences)),
        is_suspicious=_is_shared(numbers, mean, spread),
    )


def _is_shared(numbers: int, mean: float, spread: float) -> bool:
    if numbers < MINIMUM_NUMBERS:
        return False
    # scipy.stats takes most of a second to import; its special functions do not.
    from scipy.special import stdtrit

    # One-sided: the mean may be anything above, as long as its lower end is too large.
    quantile = float(stdtrit(numbers - 1, SHIFT_CONFIDENCE))
    return abs(mean) - quantile * spread / math.sqrt(numbers) > HONEST


def shift_of(results: Iterable[CaseResult]) -> CommonShift | None:
    """Sum up how far top-1 is off, over all numbers that were settled on all images.

    What was measured here and accepted does not count: it says nothing of others.
    """
    return common_shift(
        [
            -difference if METRICS[comparison.metric].complement_of else difference
            for result in results
            if result.measurement and result.measurement.is_complete
            for comparison in result.comparisons
            if _is_of(comparison, TOP1)
            and comparison.source != MEASURED
            and comparison.verdict in _SETTLED
            and (difference := comparison.difference) is not None
        ]
    )


def _is_of(comparison: ReferenceCheck, metric: Metric) -> bool:
    """Tell whether a number is of a metric, or of its complement."""
    entry = METRICS[comparison.metric]
    return metric.name in (entry.name, entry.complement_of)


def _shift_text(shift: CommonShift) -> str:
    """Say how far top-1 is off in the mean over all cases, with its sign and spread."""
    if not shift.largest:
        return (
            f"top-1, measured minus published: 0.000 in all {shift.numbers:,} numbers"
        )
    return (
        "top-1, measured minus published: mean "
        f"{nonzero_text(shift.mean, 3, signed=True)} points, standard deviation "
        f"{nonzero_text(shift.spread, 3)}, over {shift.numbers:,} numbers, at most "
        f"{nonzero_text(shift.largest, 3)}"
    )


def shift_lines(results: Iterable[CaseResult]) -> Iterator[tuple[str, bool]]:
    """Yield what is said of a shift that cases share; with True what is a warning."""
    shift = shift_of(results)
    if shift is None:
        return
    yield _shift_text(shift), False
    if shift.is_suspicious:
        mean = nonzero_text(shift.mean, 3, signed=True)
        yield (
            f"warning: all cases share a shift of {mean} points. Honest "
            f"re-measurements share at most {HONEST} points: look for what is common "
            "to all, such as the decoder, the resize or the copy of the images",
            True,
        )


def _case_rows(result: CaseResult) -> list[tuple[Row, ReferenceCheck | None]]:
    if result.comparisons:
        return [(_compared(result, found), found) for found in result.comparisons]
    return [(row, None) for row in _measured_rows(result)]


def _measured_rows(result: CaseResult) -> list[Row]:
    if result.measurement is None:
        return [_row(result, reason=result.reason)]
    metrics = result.measurement.metrics
    return [
        _row(
            result,
            metric=metric.name,
            measured=plain_text(metrics.value(metric.name), metric),
            reason=result.reason,
        )
        for metric in main_metrics()
        if metric.name in metrics.counted()
    ]


def _compared(result: CaseResult, comparison: ReferenceCheck) -> Row:
    measured = result.measurement
    is_part = measured is not None and not measured.is_complete
    return _row(
        result,
        metric=comparison.metric,
        published=comparison.printed,
        measured=value_text(comparison),
        difference=difference_text(comparison),
        # A count of images of a part says nothing beside numbers of the whole.
        images="" if is_part else images_text(comparison.difference_images),
        tolerance="" if is_part else tolerance_text(comparison),
        interval=interval_text(comparison),
        verdict=comparison.verdict,
        quality=comparison.quality,
        source=comparison.source,
        reason=comparison.reason or result.reason,
        is_one_of_several=sum(
            other.metric == comparison.metric for other in result.comparisons
        )
        > 1,
    )


def _row(
    result: CaseResult,
    verdict: Verdict | None = None,
    *,
    is_one_of_several: bool = False,
    **texts: str,
) -> Row:
    return Row(
        case=result.id,
        family=result.family,
        checkpoint=result.checkpoint,
        protocol=result.protocol,
        dataset=result.dataset,
        verdict=verdict or result.verdict,
        is_one_of_several=is_one_of_several,
        **texts,
    )


class Lacking(NamedTuple):
    """Cases that were not run for one reason; `families` counts them."""

    what: str
    remedy: str
    cases: list[CaseRows]

    @property
    def families(self) -> dict[str, int]:
        """Count the cases of each family."""
        return dict(Counter(case.result.family for case in self.cases))


def lacking_groups(cases: Iterable[CaseRows]) -> list[Lacking]:
    """Group cases that were not run by what is missing, with what brings all of it."""
    found: dict[tuple[str, str], list[CaseRows]] = {}
    for case in cases:
        result = case.result
        what = f"no {result.lacking}" if result.lacking else result.reason
        key = what.partition("\n")[0], result.remedy
        found.setdefault(key, []).append(case)
    return [
        Lacking(what, remedy.replace("{}", _families(members)), members)
        for (what, remedy), members in found.items()
    ]


def _families(cases: Iterable[CaseRows]) -> str:
    return shlex.join(dict.fromkeys(case.result.family for case in cases))
