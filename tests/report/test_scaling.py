from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.judgement.verdict import Verdict
from repro.report.plots import images_text, scaling_svgs
from repro.report.report import Report
from repro.report.scaling import CurveMetric, fit_power_law, panels

from ..made_results import result

SIZES = (10**6, 4 * 10**6, 16 * 10**6, 64 * 10**6)


@given(factor=st.floats(0.5, 50), exponent=st.floats(-0.5, 0.9))
@pytest.mark.parametrize("metric", ["loss", "top1"])
def test_the_exponent_of_an_exact_power_law_is_found(
    metric: CurveMetric, factor: float, exponent: float
) -> None:
    values = [factor * (n / 10**6) ** -exponent for n in SIZES]
    points = [
        (n, value if metric == "loss" else 100 - value)
        for n, value in zip(SIZES, values, strict=True)
    ]
    law = fit_power_law(metric, points)
    assert law is not None
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.loss(SIZES[2]) == pytest.approx(values[2], rel=1e-6)


def test_two_points_fit_no_law() -> None:
    assert fit_power_law("loss", [(10, 2.0), (100, 1.0), (100, 1.1)]) is None


def test_a_perfect_accuracy_is_left_out_of_the_fit() -> None:
    points = [(10, 90.0), (100, 95.0), (1000, 97.5), (10_000, 100.0)]
    law = fit_power_law("top1", points)
    assert law is not None
    assert law.exponent == pytest.approx(0.30103, abs=1e-5)


def test_curves_join_what_was_published_and_measured(report: Report) -> None:
    (panel,) = panels(report.results)
    assert panel.title == "plain on imagenet-val"
    top1 = next(c for c in panel.curves if c.name == "supervised/real")
    assert top1.published == tuple(zip(SIZES, (60.0, 65.0, 70.0, 75.0), strict=True))
    assert top1.measured == top1.published
    clip = next(c for c in panel.curves if c.name == "clip/synthetic+real")
    assert [n for n, _ in clip.measured] == [SIZES[0], SIZES[2], SIZES[3]]


def test_what_was_published_is_fitted_where_nothing_was_measured() -> None:
    cases = [result(f"{n}M", Verdict.NOT_RUN) for n in (1, 4, 16)]
    (panel,) = panels(cases)
    assert all(curve.law and not curve.measured for curve in panel.curves)


def test_one_size_and_names_without_a_number_make_no_curve() -> None:
    assert panels([result("1M"), result("notes", training_images=None)]) == []


def test_plots_are_svg_without_anything_from_elsewhere(report: Report) -> None:
    (panel,) = panels(report.results)
    accuracy, loss = scaling_svgs(panel)
    for plot in (accuracy, loss):
        assert plot.svg.startswith("<svg")
        assert not re.search(r'(href|src)="(?!#)', plot.svg)
        assert "exponent" in plot.svg
    assert (accuracy.metric, loss.metric) == ("top1", "loss")


def test_series_differ_by_marker_and_by_line_not_only_by_colour() -> None:
    cases = [
        result(f"{n}M", family=f"family-{f}", position=(f, n))
        for f in range(12)
        for n in (1, 4, 16)
    ]
    (panel,) = panels(cases)
    _, loss = scaling_svgs(panel)
    shapes = set(re.findall(r'<path id="m[^"]*" d="([^"]+)"', loss.svg))
    dashes = set(re.findall(r"stroke-dasharray: ([\d., ]+)", loss.svg))
    assert len(shapes) >= 8
    assert len(dashes) >= 1


@pytest.mark.parametrize(
    ("number", "text"), [(40, "40"), (1280, "1.28k"), (371e6, "371M"), (4e9, "4B")]
)
def test_numbers_of_images_are_written_as_checkpoints_are_named(
    number: float, text: str
) -> None:
    assert images_text(number) == text
