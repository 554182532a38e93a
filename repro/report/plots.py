"""Scaling curves as SVG for an HTML page that has light and dark colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from repro.published import Metric, main_metrics
from repro.report.scaling import Curve, Panel, error_rate, images_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Series differ by marker and line too: colours alone do not tell them apart.
_MARKERS = "osD^vPX*"
_LINES = ("-", "--", "-.", ":")
#: Stand for CSS variables; matplotlib wants colours.
_TEXT, _GRID = "#010203", "#010204"
SERIES = 8
#: Inches; narrow, so that letters are large enough when a phone shows all of it.
_WIDTH, _HEIGHT, _LEGEND_LINE = 5.0, 3.2, 0.19

_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
}


class ScalingPlot(NamedTuple):
    """A plot of one metric."""

    metric: str
    title: str
    svg: str


def scaling_svgs(panel: Panel) -> list[ScalingPlot]:
    """Draw accuracy and loss of a panel.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return [
        ScalingPlot(metric.name, _capital(metric.title), _svg(panel, metric))
        for metric in main_metrics()
        if any(curve.metric == metric.name for curve in panel.curves)
    ]


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def _svg(panel: Panel, metric: Metric) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    curves = [curve for curve in panel.curves if curve.metric == metric.name]
    salt = f"{panel.title} {metric.name}"
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": salt}):
        height = _HEIGHT + _LEGEND_LINE * (len(curves) + panel.has_bands)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
        for number, curve in enumerate(curves):
            _draw(axes, curve, number)
            if panel.has_bands:
                _draw_band(axes, curve, _colour(number))
        _scale(axes, metric, curves, has_bands=panel.has_bands)
        axes.set_xlabel("training images")
        axes.set_ylabel(f"{metric.title}, {metric.unit.sign}")
        # Beside the curves and not among them, since they leave no corner free.
        figure.legend(
            loc="outside upper left", fontsize=9, frameon=False, handlelength=3.2
        )
        return _inline(figure)


def _draw(axes: Axes, curve: Curve, number: int) -> None:
    colour = _colour(number)
    marker = _MARKERS[number % len(_MARKERS)]
    line = _LINES[number // len(_MARKERS) % len(_LINES)]
    if curve.published:
        axes.plot(
            *zip(*curve.published, strict=True),
            color=colour,
            ls="",
            marker=marker,
            markersize=9,
            markerfacecolor="none",
        )
    if curve.measured:
        axes.plot(
            *zip(*curve.measured, strict=True),
            color=colour,
            ls="",
            marker=marker,
            markersize=4.5,
        )
    images = sorted(n for n, _ in curve.measured or curve.published)
    label = curve.name
    if curve.law:
        label += f", exponent {-curve.law.exponent:.2f}"
        fitted = [error_rate(curve.metric, curve.law.loss(n)) for n in images]
        axes.plot(images, fitted, color=colour, ls=line, lw=1.4)
    axes.plot([], [], color=colour, ls=line, marker=marker, markersize=5, label=label)


def _draw_band(axes: Axes, curve: Curve, colour: str) -> None:
    """Draw where the power law may run, and how steep it was published to be."""
    import numpy as np

    law = curve.law
    if law is None:
        return
    ends = [point.images for point in law.points]
    images = np.geomspace(ends[0], ends[-1], 33)
    bands = [band for n in images if (band := law.band(n)) is not None]
    if bands:
        low, high = zip(*bands, strict=True)
        axes.fill_between(images, low, high, color=colour, alpha=0.16, lw=0)
    if curve.stated:
        # Through the middle of the points, as every line that was fitted to them.
        middle = np.exp(law.log_images.mean())
        stated = law.loss(middle) * (images / middle) ** -float(curve.stated)
        label = f"published exponent {-float(curve.stated):.{_decimals(curve.stated)}f}"
        axes.plot(images, stated, color=_TEXT, ls=(0, (1, 1.5)), lw=1.6, label=label)


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def _colour(number: int) -> str:
    """Give what stands for the colour of a series until the page has its own."""
    return f"#0a0b{number % SERIES:02x}"


def _scale(axes: Axes, metric: Metric, curves: list[Curve], *, has_bands: bool) -> None:
    """Use log axes; that of accuracy is logarithmic in what is wrong."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: images_text(n)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    errors = [e for curve in curves for e in _errors(curve)]
    if has_bands:
        errors += [end for curve in curves for end in _band_ends(curve)]
    low, high = min(errors, default=1) / 1.25, max(errors, default=1) * 1.25
    ticks = _ticks(low, high)
    if metric.is_higher_better and metric.unit.whole:
        high = min(high, 100)
        axes.set_yscale("function", functions=(_from_accuracy, _to_accuracy))
        axes.set_ylim(100 - high, 100 - low)
        ticks = [100 - tick for tick in ticks if tick <= high]
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()


def _errors(curve: Curve) -> Iterator[float]:
    """Yield all that is drawn of a curve, as what falls with more images."""
    for images, value in (*curve.published, *curve.measured):
        if (error := error_rate(curve.metric, value)) > 0:
            yield error
        if curve.law:
            yield curve.law.loss(images)


def _band_ends(curve: Curve) -> Iterator[float]:
    """Yield how far a band reaches where it is widest."""
    if curve.law:
        for point in (curve.law.points[0], curve.law.points[-1]):
            yield from curve.law.band(point.images) or ()


def _ticks(low: float, high: float) -> list[float]:
    """List 1, 2, 5, 10 ... in a range, or all digits where it is small."""
    for digits in ((1, 2, 5), range(1, 10)):
        steps = [digit * 10.0**power for power in range(-6, 6) for digit in digits]
        ticks = [round(step, 9) for step in steps if low <= step <= high]
        if len(ticks) > 2:
            break
    return ticks


def _from_accuracy(accuracy: Any) -> Any:
    import numpy as np

    return -np.log10(np.maximum(100 - np.asarray(accuracy, dtype=float), 1e-3))


def _to_accuracy(value: Any) -> Any:
    import numpy as np

    return 100 - 10.0 ** -np.asarray(value, dtype=float)


def _inline(figure: Figure) -> str:
    """Write a figure as SVG that takes its colours from the page."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace(_TEXT, "currentColor").replace(_GRID, "var(--grid)")
    svg = re.sub(r"#0a0b(0[0-7])", lambda m: f"var(--series-{int(m[1], 16) + 1})", svg)
    # Names that nothing refers to would be the same in every figure of the page.
    used = set(re.findall(r"#([\w-]+)", svg))
    return re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
