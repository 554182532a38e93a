"""Scaling curves and residuals as SVG, drawn from the numbers of the page.

Coordinates are computed here and colours are CSS variables of the page, so that a
picture is light, exact, the same everywhere, and dark where the page is. A point names
its case, by its number in the report, in `data-case`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import escape

from repro.published import Metric, main_metrics
from repro.report.scaling import Curve, Panel, Residual, error_rate, images_text
from repro.words import nonzero_text

SERIES = 8
_WIDTH, _HEIGHT, _RESIDUALS = 520.0, 250.0, 100.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 8.0, 34.0
#: Pixels between two labels of an axis.
_LABEL, _LINE = 38.0, 14.0
#: Markers around (0, 0) as paths: series differ by these and by lines, not only colour.
_MARKERS = (
    "m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z",
    "m-3-3h6v6h-6z",
    "m0-4l4 4l-4 4l-4-4z",
    "m0-3.8l3.9 6.8h-7.8z",
    "m0 3.8l3.9-6.8h-7.8z",
    "m-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
    "m-4 0l7-4v8z",
    "m4 0l-7-4v8z",
)
_DASHES = ("", "7 3", "8 3 2 3", "2 3")

Scale = Callable[[float], float]


class Series(NamedTuple):
    """How a curve is drawn, for the legend."""

    label: str
    colour: str
    marker: str
    dash: str


class Plot(NamedTuple):
    """A picture of one metric."""

    metric: str
    title: str
    svg: str
    legend: tuple[Series, ...]


def scaling_svgs(panel: Panel) -> list[Plot]:
    """Draw each metric of a panel: its curves, and below how far off numbers are."""
    return [
        Plot(
            metric.name,
            metric.title[:1].upper() + metric.title[1:],
            _svg(curves, metric, has_bands=panel.has_bands),
            tuple(_legend(curves)),
        )
        for metric in main_metrics()
        if (curves := [c for c in panel.curves if c.metric == metric.name])
    ]


def residual_plot(metric: Metric, families: dict[str, list[Residual]]) -> Plot:
    """Draw how far off numbers are, in the order of the table, a series a family."""
    number = sum(map(len, families.values()))
    x = _linear(-0.5, number - 0.5, _LEFT, _WIDTH - _RIGHT)
    places = iter(range(number))
    series = [[(x(next(places)), one) for one in found] for found in families.values()]
    height = _TOP + 1.6 * _RESIDUALS + 12
    parts = [*_residuals(series, _TOP, 1.6 * _RESIDUALS)]
    legend = tuple(_series(n, name) for n, name in enumerate(families))
    return Plot(
        metric.name,
        f"{metric.title[:1].upper()}{metric.title[1:]}: difference / tolerance",
        _whole(parts, height, f"{metric.title}, difference by tolerance of each case"),
        legend,
    )


def _series(number: int, label: str) -> Series:
    marker = _MARKERS[number % len(_MARKERS)]
    dash = _DASHES[number // len(_MARKERS) % len(_DASHES)]
    return Series(label, f"var(--series-{number % SERIES + 1})", marker, dash)


def _legend(curves: Sequence[Curve]) -> Iterator[Series]:
    for number, curve in enumerate(curves):
        label = curve.name
        if curve.law:
            label += f", exponent {-curve.law.exponent:.2f}"
        yield _series(number, label)
        if curve.law and curve.stated:
            decimals = len(curve.stated.partition(".")[2])
            stated = f"published exponent {-float(curve.stated):.{decimals}f}"
            yield Series(stated, "currentColor", "", "1 3")


def _svg(curves: Sequence[Curve], metric: Metric, *, has_bands: bool) -> str:
    sizes = sorted({n for c in curves for n, _ in (*c.published, *c.measured)})
    margin = 1.25
    x = _log(sizes[0] / margin, sizes[-1] * margin, _LEFT, _WIDTH - _RIGHT)
    errors = [e for curve in curves for e in _errors(curve, has_bands=has_bands)]
    low, high = min(errors, default=1) / 1.15, max(errors, default=1) * 1.15
    is_share = metric.is_higher_better and bool(metric.unit.whole)
    if is_share:
        high = min(high, 100.0)
    # What is wrong falls as the loss does; an accuracy is drawn upside down.
    ends = (_TOP, _HEIGHT) if is_share else (_HEIGHT, _TOP)
    y = _log(low, high, *ends)
    ticks = _ticks(low, high)
    parts = [
        _grid([(y(t), f"{100 - t if is_share else t:g}") for t in ticks]),
        _across([(x(n), images_text(n)) for n in sizes], _TOP, _HEIGHT),
        _turned(f"{metric.title}, {metric.unit.sign}", (_TOP + _HEIGHT) / 2),
    ]
    for number, curve in enumerate(curves):
        parts += _drawn(curve, _series(number, ""), x, y, has_bands=has_bands)
    height = _HEIGHT
    residuals = [_dodged(c, n, len(curves), x) for n, c in enumerate(curves)]
    if any(residuals):
        parts += _residuals(residuals, _HEIGHT + 14, _RESIDUALS)
        height += 14 + _RESIDUALS
    labels = _thinned([(x(n), images_text(n)) for n in sizes], _LABEL)
    parts += [_text(at, height + 14, said, "middle") for at, said in labels]
    middle = (_LEFT + _WIDTH) / 2
    parts.append(_text(middle, height + 30, "training images", "middle"))
    said = f"{metric.title} by training images, published and measured"
    return _whole(parts, height + _BOTTOM, said)


def _whole(parts: Iterable[str], height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img" '
        f'aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _drawn(
    curve: Curve, series: Series, x: Scale, y: Scale, *, has_bands: bool
) -> Iterator[str]:
    def place(images: float, value: float) -> tuple[float, float]:
        return x(images), y(error_rate(curve.metric, value))

    colour = series.colour
    if curve.law and has_bands:
        yield from _band(curve, colour, x, y)
    if curve.law:
        images = sorted(n for n, _ in curve.measured or curve.published)
        ends = [(x(n), y(curve.law.loss(n))) for n in (images[0], images[-1])]
        yield _line(ends, f'stroke="{colour}" stroke-dasharray="{series.dash}"')
    known = [(n, v) for n, v in curve.published if error_rate(curve.metric, v) > 0]
    rings = "".join(_mark(*place(n, v), series.marker) for n, v in known)
    if rings:
        yield f'<path class="published" stroke="{colour}" d="{rings}"/>'
    cases = curve.cases or ("",) * len(curve.measured)
    for (n, value), case in zip(curve.measured, cases, strict=True):
        if error_rate(curve.metric, value) > 0:
            yield _point(*place(n, value), series, case)


def _band(curve: Curve, colour: str, x: Scale, y: Scale) -> Iterator[str]:
    """Draw where the power law may run, and how steep it was published to be."""
    law = curve.law
    assert law is not None
    first, last = law.points[0].images, law.points[-1].images
    steps = [first * (last / first) ** (n / 32) for n in range(33)]
    bands = [(n, band) for n in steps if (band := law.band(n)) is not None]
    if bands:
        edge = [(x(n), y(low)) for n, (low, _) in bands]
        edge += [(x(n), y(high)) for n, (_, high) in reversed(bands)]
        yield f'<path class="band" fill="{colour}" d="M{_joined(edge)}z"/>'
    if curve.stated:
        # Through the middle of the points, as every line that was fitted to them.
        middle = math.exp(float(law.log_images.mean()))
        ends = [
            (x(n), y(law.loss(middle) * (n / middle) ** -float(curve.stated)))
            for n in (first, last)
        ]
        yield _line(ends, 'stroke="currentColor" stroke-dasharray="1 3"')


def _dodged(
    curve: Curve, number: int, curves: int, x: Scale
) -> list[tuple[float, Residual]]:
    """Place residuals side by side where several families have the same size."""
    aside = (number - (curves - 1) / 2) * min(6.0, 24.0 / curves)
    return [(x(one.images) + aside, one) for one in curve.residuals]


def _residuals(
    series: Sequence[Sequence[tuple[float, Residual]]], top: float, height: float
) -> Iterator[str]:
    """Draw differences in tolerances: even up to one, logarithmic beyond."""
    farthest = max((abs(one.share) for s in series for _, one in s), default=1.0)
    reach = _symlog(max(2.0, farthest)) * 1.12
    y = _linear(-reach, reach, top + height, top)
    decades = [10.0**n for n in range(1, 7) if _symlog(10.0**n) < reach]
    yield (
        f'<rect class="tolerance" x="{_LEFT:g}" y="{y(1):.1f}" '
        f'width="{_WIDTH - _RIGHT - _LEFT:g}" height="{y(-1) - y(1):.1f}"/>'
    )
    ticks = [0.0, 1.0, -1.0, *decades, *(-d for d in decades)]
    labels = [(y(_symlog(t)), _signed(t)) for t in sorted(ticks)]
    yield _grid(labels)
    yield _turned("in tolerances", top + height / 2)
    for number, found in enumerate(series):
        drawn = _series(number, "")
        for at, one in found:
            yield _point(at, y(_symlog(one.share)), drawn, one.case, one.share)


def _signed(tick: float) -> str:
    return f"{'-' if tick < 0 else '+' * (tick > 0)}{images_text(round(abs(tick)))}"


def _symlog(value: float) -> float:
    if abs(value) <= 1:
        return value
    return math.copysign(1 + math.log10(abs(value)), value)


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _log(low: float, high: float, start: float, end: float) -> Scale:
    inner = _linear(math.log(low), math.log(high), start, end)
    return lambda value: inner(math.log(value))


def _errors(curve: Curve, *, has_bands: bool) -> Iterator[float]:
    """Yield all that is drawn of a curve, as what falls with more images."""
    for images, value in (*curve.published, *curve.measured):
        if (error := error_rate(curve.metric, value)) > 0:
            yield error
        if curve.law:
            yield curve.law.loss(images)
    if curve.law and has_bands:
        for point in (curve.law.points[0], curve.law.points[-1]):
            yield from curve.law.band(point.images) or ()


def _ticks(low: float, high: float) -> list[float]:
    """List 1, 2, 5, 10 ... in a range, or all digits where it is small."""
    ticks: list[float] = []
    for digits in ((1, 2, 5), range(1, 10), range(10, 100)):
        steps = [digit * 10.0**power for power in range(-7, 6) for digit in digits]
        ticks = sorted({round(step, 9) for step in steps if low <= step <= high})
        if len(ticks) > 2:
            break
    return ticks


def _thinned(
    labels: Iterable[tuple[float, str]], room: float
) -> list[tuple[float, str]]:
    """Leave out labels that would lie on others; the last one stays."""
    kept: list[tuple[float, str]] = []
    for at, said in sorted(labels, reverse=True):
        if not kept or kept[-1][0] - at >= room:
            kept.append((at, said))
    return kept


def _grid(labels: Sequence[tuple[float, str]]) -> str:
    end = _WIDTH - _RIGHT
    lines = "".join(f"M{_LEFT:g} {at:.1f}H{end:g}" for at, _ in labels)
    texts = [
        _text(_LEFT - 5, at + 3.5, said, "end") for at, said in _thinned(labels, _LINE)
    ]
    return f'<path class="grid" d="{lines}"/>{"".join(texts)}'


def _across(labels: Sequence[tuple[float, str]], top: float, bottom: float) -> str:
    lines = "".join(f"M{at:.1f} {top:g}V{bottom:g}" for at, _ in labels)
    return f'<path class="grid" d="{lines}"/>'


def _turned(said: str, middle: float) -> str:
    return (
        f'<text transform="translate(11 {middle:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(said)}</text>'
    )


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{said}</text>'


def _line(points: Sequence[tuple[float, float]], how: str) -> str:
    return f'<path class="law" {how} d="M{_joined(points)}"/>'


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _mark(x: float, y: float, marker: str) -> str:
    return f"M{x:.1f} {y:.1f}{marker}"


def _point(
    x: float, y: float, series: Series, case: str, share: float | None = None
) -> str:
    about = f' data-case="{case}"' if case else ""
    if share is not None:
        about += f' data-share="{nonzero_text(share, 2, signed=True)}"'
    d = _mark(x, y, series.marker)
    return f'<path class="point" fill="{series.colour}"{about} d="{d}"/>'


def history_svg(values: Sequence[float], *, is_red: bool) -> str:
    """Draw how a number moved over runs, oldest first."""
    low, high = min(values), max(values)
    x = _linear(0, max(1, len(values) - 1), 3, 69)
    y = _linear(low, high, 15, 3) if high > low else (lambda _: 9.0)
    points = [(x(n), y(value)) for n, value in enumerate(values)]
    # Steps that do not move need no point.
    bends = [
        point
        for n, point in enumerate(points)
        if n in (0, len(points) - 1)
        or any(a[1] != b[1] for a, b in pairwise(points[n - 1 : n + 2]))
    ]
    last = points[-1]
    tone = "bad" if is_red else "line"
    return (
        f'<svg class="history" viewBox="0 0 72 18" aria-hidden="true">'
        f'<path class="line" d="M{_joined(bends)}"/>'
        f'<circle class="{tone}" cx="{last[0]:.1f}" cy="{last[1]:.1f}" r="2.5"/></svg>'
    )
