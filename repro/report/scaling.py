"""Scaling curves: how accuracy and loss follow the number of training images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from repro.claims import estimates
from repro.claims.estimates import Interval, PowerLaw
from repro.claims.result import ClaimResult
from repro.judgement.verdict import ReferenceCheck
from repro.published import METRICS, main_metrics
from repro.published.metrics import LOSS_METRIC
from repro.records.result import CaseResult
from repro.report.texts import named, tolerances_off, variants

Point = tuple[int, float]

#: A power law meets any two points.
MINIMUM_POINTS = 3


class Residual(NamedTuple):
    """How far a number is off, in tolerances; `case` is its number in the report."""

    images: int
    share: float
    case: str


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoints of a family, by training images.

    Points are `(training images, value)` with accuracy in percent and loss in nats;
    `law` is fitted to what was measured on all images, or to what was published where
    that is not two sizes; `is_published` tells which.
    `interval` is a confidence interval of its exponent and `origin` says what it is of;
    `stated` is the published exponent, as printed. `cases` are numbers, in the
    report, of what was measured, and `residuals` how far off it is.
    """

    name: str
    metric: str
    published: tuple[Point, ...]
    measured: tuple[Point, ...]
    law: PowerLaw | None
    interval: Interval | None = None
    origin: str = ""
    stated: str = ""
    is_published: bool = False
    cases: tuple[str, ...] = ()
    residuals: tuple[Residual, ...] = ()


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Curves that can be compared: those of one release, protocol and dataset.

    `has_bands` asks for the confidence bands of the power laws.
    """

    title: str
    curves: tuple[Curve, ...]
    has_bands: bool = False


def panels(results: Iterable[CaseResult]) -> list[Panel]:
    """Group cases whose checkpoints say how many images they were trained on.

    A family is a curve when it has at least two sizes.
    """
    grouped: dict[tuple[str, str, str], dict[str, list[CaseResult]]] = {}
    results = list(results)
    special = variants(results)
    numbers = numbers_of(results)
    for result in results:
        if result.training_images:
            key = result.release, result.protocol, result.dataset
            families = grouped.setdefault(key, {})
            name = named(result.family, special[result.place])
            families.setdefault(name, []).append(result)
    found: list[Panel] = []
    for (_, protocol, dataset), families in grouped.items():
        if not any(r.measurement for members in families.values() for r in members):
            continue
        curves = [
            curve
            for name, members in families.items()
            for metric in main_metrics()
            if (curve := _curve(name, metric.name, members, numbers)) is not None
        ]
        if curves:
            found.append(Panel(title=f"{protocol} on {dataset}", curves=tuple(curves)))
    return found


def numbers_of(results: Iterable[CaseResult]) -> dict[str, str]:
    """Number results that are in the order of the report, by their places."""
    return {r.place: str(number) for number, r in enumerate(results, start=1)}


def residuals_of(
    results: Iterable[CaseResult], metric: str, numbers: Mapping[str, str]
) -> list[Residual]:
    """List how far off the numbers of a metric are, in tolerances.

    Args:
        results: of which.
        metric: of the numbers.
        numbers: of the cases in the report, by their places.
    """
    return [
        Residual(result.training_images or 0, share, numbers[result.place])
        for result in results
        if result.measurement and result.measurement.is_complete
        for comparison in _comparisons(result, metric)
        if (share := tolerances_off(comparison)) is not None
    ]


def fitted_text(found: Iterable[Panel]) -> str:
    """Say what the lines of some panels were fitted to."""
    curves = [curve for panel in found for curve in panel.curves]
    published = dict.fromkeys(curve.name for curve in curves if curve.is_published)
    if not published:
        return "the measured points"
    if all(curve.is_published for curve in curves):
        return (
            "the published points, since no family has two sizes that were measured on "
            "all images"
        )
    return f"the measured points, and of {', '.join(published)} to the published ones"


def claim_panel(claim: ClaimResult, results: Iterable[CaseResult]) -> Panel | None:
    """Give the power laws that a claim rests on, with published numbers beside them.

    None for a claim without any, such as an ordering.
    """
    published: dict[tuple[str, int], float] = {}
    for result in results:
        place = result.release, result.protocol, result.dataset
        if place == (claim.release, claim.protocol, claim.dataset):
            for comparison in _comparisons(result, LOSS_METRIC.name):
                key = result.family, result.training_images or 0
                published.setdefault(key, float(comparison.number.value))
    curves = []
    for curve in claim.curves:
        points = curve.fit.points
        families = curve.family.split("|")
        over = f"{images_text(points[0].images)} to {images_text(points[-1].images)}"
        curves.append(
            Curve(
                name=f"{' or '.join(families)}, {over}",
                metric=LOSS_METRIC.name,
                published=tuple(
                    (point.images, published[family, point.images])
                    for point in points
                    for family in families
                    if (family, point.images) in published
                ),
                measured=tuple((point.images, point.loss) for point in points),
                law=curve.fit,
                interval=curve.interval or curve.fit.interval,
                origin=curve.origin,
                stated=curve.published,
            )
        )
    return (
        Panel(title=claim.id, curves=tuple(curves), has_bands=True) if curves else None
    )


def images_text(number: float) -> str:
    """Write a number of images as checkpoints are named: 1M, 371M."""
    for unit, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{sign}"
    return f"{number:g}"


def error_rate(metric: str, value: float) -> float:
    """Give what falls with more training images: the loss, or what is wrong in %."""
    entry = METRICS[metric]
    return entry.unit.scale - value if entry.is_higher_better else value


def fit_power_law(metric: str, points: Sequence[Point]) -> PowerLaw | None:
    """Fit a power law to the loss or to the error rate; None for too few points.

    What a `PowerLaw` calls loss is then what `error_rate` gives.
    """
    usable = [
        estimates.Point(images, error)
        for images, value in points
        if (error := error_rate(metric, value)) > 0
    ]
    if len({point.images for point in usable}) < MINIMUM_POINTS:
        return None
    return estimates.fit_curve(usable)


def _curve(
    name: str, metric: str, members: Sequence[CaseResult], numbers: Mapping[str, str]
) -> Curve | None:
    published = sorted(
        (result.training_images or 0, float(comparison.number.value))
        for result in members
        for comparison in _comparisons(result, metric)
    )
    complete = sorted(
        (result.training_images or 0, _value(result, metric), result.place)
        for result in members
        if result.measurement and result.measurement.is_complete
    )
    measured = [(images, value) for images, value, _ in complete]
    is_published = not _has_two_sizes(measured)
    points = published if is_published else measured
    if not _has_two_sizes(points):
        return None
    law = fit_power_law(metric, points)
    return Curve(
        name=name,
        metric=metric,
        published=tuple(published),
        measured=tuple(measured),
        law=law,
        interval=None if law is None else law.interval,
        origin=f"fit of the {'published' if is_published else 'measured'} points",
        is_published=is_published,
        cases=tuple(numbers[place] for _, _, place in complete),
        residuals=tuple(residuals_of(members, metric, numbers)),
    )


def _has_two_sizes(points: Sequence[Point]) -> bool:
    return len({images for images, _ in points}) > 1


def _comparisons(result: CaseResult, metric: str) -> list[ReferenceCheck]:
    return [c for c in result.comparisons if c.metric == metric]


def _value(result: CaseResult, metric: str) -> float:
    assert result.measurement is not None
    return float(result.measurement.metrics.value(metric))
