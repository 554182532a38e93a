from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.claims.estimates import Point, fit_curve
from repro.claims.result import ClaimResult, ClaimVerdict, Curve
from repro.judgement.verdict import Verdict
from repro.report.html import html
from repro.report.plots import scaling_svgs
from repro.report.report import Report, report_of_results
from repro.report.scaling import (
    claim_panel,
    fit_power_law,
    images_text,
    panels,
)

from ..made_results import measurement, result

SIZES = (10**6, 4 * 10**6, 16 * 10**6, 64 * 10**6)


@given(factor=st.floats(0.5, 50), exponent=st.floats(-0.5, 0.9))
@pytest.mark.parametrize("metric", ["loss", "top1"])
def test_the_exponent_of_an_exact_power_law_is_found(
    metric: str, factor: float, exponent: float
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


def test_there_is_no_picture_where_nothing_was_measured() -> None:
    cases = [result(f"{n}M", Verdict.NOT_RUN) for n in (1, 4, 16)]
    assert panels(cases) == []


def test_what_was_published_is_fitted_where_a_family_was_not_measured() -> None:
    missing = [result(f"{n}M", Verdict.NOT_RUN, family="other") for n in (1, 4, 16)]
    (panel,) = panels([*missing, *(result(f"{n}M") for n in (1, 4, 16))])
    unmeasured = [curve for curve in panel.curves if not curve.measured]
    assert unmeasured
    assert all(curve.law for curve in unmeasured)


def test_the_page_says_which_points_were_fitted() -> None:
    part = measurement(total=100_000)
    whole = [result(f"{n}M") for n in (1, 4, 16)]
    limited = [result(f"{n}M", measurement=part) for n in (1, 4, 16)]
    other = [result(f"{n}M", measurement=part, family="other") for n in (1, 4, 16)]
    alone = [result("1M"), *limited[1:]]
    said = {
        "the measured points": whole,
        "the published points, since no family has two sizes": limited,
        "the measured points, and of other to the published ones": [*whole, *other],
        "the published points": alone,
    }
    for text, results in said.items():
        words = " ".join(html(report_of_results(results)).split())
        assert f"power laws fitted to {text}" in words
    (panel,) = panels(limited)
    assert all(curve.law and curve.is_published for curve in panel.curves)


def test_one_size_and_names_without_a_number_make_no_curve() -> None:
    assert panels([result("1M"), result("notes", training_images=None)]) == []


def test_plots_are_svg_without_anything_from_elsewhere(report: Report) -> None:
    (panel,) = panels(report.results)
    accuracy, loss = scaling_svgs(panel)
    for plot in (accuracy, loss):
        assert plot.svg.startswith("<svg")
        assert not re.search(r'(href|src)="(?!#)', plot.svg)
        assert "exponent" in plot.legend[0].label
    assert (accuracy.metric, loss.metric) == ("top1", "loss")


def test_series_differ_by_marker_and_by_line_not_only_by_colour() -> None:
    cases = [
        result(f"{n}M", family=f"family-{f}", position=(f, n))
        for f in range(12)
        for n in (1, 4, 16)
    ]
    (panel,) = panels(cases)
    _, loss = scaling_svgs(panel)
    assert len({(one.marker, one.dash) for one in loss.legend}) == 12
    assert all(one.marker in loss.svg for one in loss.legend)


@pytest.fixture
def claim(report: Report) -> ClaimResult:
    """An exponent of the four sizes of supervised/real, and of the first two."""
    losses = (1.71, 1.48, 1.31, 1.1)
    points = [Point(n, loss) for n, loss in zip(SIZES, losses, strict=True)]
    case = report.results[0]
    return ClaimResult(
        id="exponent-real",
        release=case.release,
        kind="exponent",
        text="The loss falls as N^-0.110.",
        metric="loss",
        dataset=case.dataset,
        protocol=case.protocol,
        source="paper",
        source_title="a paper",
        source_url="https://example.org/paper",
        expected="holds",
        verdict=ClaimVerdict.HOLDS,
        curves=(
            Curve(
                family="supervised/real",
                fit=fit_curve(points),
                published="0.110",
                interval=(0.05, 0.15),
                origin="fit and images resampled",
            ),
            Curve(family="supervised/real|other", fit=fit_curve(points[:2])),
        ),
    )


def test_a_claim_is_drawn_with_what_was_published_and_what_was_measured(
    report: Report, claim: ClaimResult
) -> None:
    panel = claim_panel(claim, report.results)
    assert panel is not None
    first, second = panel.curves
    assert first.measured == tuple(
        (p.images, p.loss) for p in claim.curves[0].fit.points
    )
    assert first.published == tuple(zip(SIZES, (1.7, 1.5, 1.3, 1.1), strict=True))
    assert (first.name, second.name) == (
        "supervised/real, 1M to 64M",
        "supervised/real or other, 1M to 4M",
    )
    (plot,) = scaling_svgs(panel)
    assert plot.svg.count('class="band"') == 1
    assert "published exponent -0.110" in [one.label for one in plot.legend]


def test_a_claim_about_another_dataset_takes_no_numbers_of_this_one(
    report: Report, claim: ClaimResult
) -> None:
    other = msgspec.structs.replace(claim, dataset="imagenet-r")
    panel = claim_panel(other, report.results)
    assert panel is not None
    assert [curve.published for curve in panel.curves] == [(), ()]


def test_a_claim_without_power_laws_is_not_drawn(
    report: Report, claim: ClaimResult
) -> None:
    ordering = msgspec.structs.replace(claim, kind="ordering", curves=())
    assert claim_panel(ordering, report.results) is None
    page = html(msgspec.structs.replace(report, claims=(ordering,)))
    assert 'aria-label="Loss, exponent-real"' not in page


def test_the_page_has_the_exponents_of_a_claim_with_their_intervals(
    report: Report, claim: ClaimResult
) -> None:
    page = html(msgspec.structs.replace(report, claims=(claim,)))
    figure = page.partition('aria-label="Loss, exponent-real"')[2]
    table = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", figure.partition("<table>")[2]))
    law = claim.curves[0].fit
    expected = f"{-law.exponent:.3f} -0.150 to -0.050 fit and images resampled -0.110"
    assert expected in table


@pytest.mark.parametrize(
    ("number", "text"), [(40, "40"), (1280, "1.28k"), (371e6, "371M"), (4e9, "4B")]
)
def test_numbers_of_images_are_written_as_checkpoints_are_named(
    number: float, text: str
) -> None:
    assert images_text(number) == text
