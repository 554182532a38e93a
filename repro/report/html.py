"""The report as one HTML file that needs nothing else, no network either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from repro.claims.result import ClaimResult
from repro.diagnosis.sentences import diagnosis_parts
from repro.evaluation.metrics import CALIBRATION_BINS
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.records.environment import Environment
from repro.records.result import CaseResult
from repro.report import claims_report
from repro.report.changes import (
    baseline_groups,
    change_parts,
    environment_text,
    heading,
    since_groups,
)
from repro.report.comparison import answer
from repro.report.failure import images_text, where_on_all_images
from repro.report.numbers import (
    difference_text,
    nonzero_text,
    sign_of,
    tolerance_text,
    value_text,
)
from repro.report.plots import scaling_svgs
from repro.report.report import CaseFlips, Report, ReportedCase
from repro.report.rows import (
    counts,
    shift_of,
    shift_text,
    shift_warning,
    totals_text,
)
from repro.report.scaling import Panel, claim_panel, fitted_text, panels
from repro.words import listed

_PAGE = Path(__file__).parent / "page"
_FLIPS_SHOWN = 200
_CHANGES_SHOWN = 100
_COLUMNS = (
    ("case", "case", ""),
    ("metric", "metric", ""),
    ("published", "published", "number"),
    ("measured", "measured", "number"),
    ("difference", "difference", "number"),
    ("images", "images", "number"),
    ("bar", "within tolerance", ""),
    ("verdict", "verdict", ""),
)
#: Half the width of a bar, in tolerances.
_REACH = 2.0
_NO_MATPLOTLIB = (
    "Scaling curves are missing, since matplotlib is not installed here: "
    "pip install 'pytest-repro[report]', then make the report again with repro report."
)


def html(report: Report) -> str:
    """Write the page: summary, table, scaling curves, cases and environment."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("page.html.jinja")
    found = panels(report.results)
    drawn, missing = _figures(found)
    cases = report.cases()
    rows = list(_rows(cases))
    return template.render(
        report=report,
        totals=totals_text(report.results),
        counts=counts(report.results),
        notes=list(_notes(report)),
        changes=list(_changes(report)),
        claims=[_claim(claim, report) for claim in report.claims],
        columns=_COLUMNS,
        rows=rows,
        verdicts=[v for v in Verdict if any(row["verdict"] is v for row in rows)],
        panels=drawn,
        fitted=fitted_text(found),
        missing=missing,
        cases=[_case(case, report.baseline) for case in cases],
        environments=[list(_facts(found)) for found in report.environments],
        tone=_tone,
        sign=_sign,
        style=Markup((_PAGE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_PAGE / "page.js").read_text(encoding="utf-8")),
    )


def _notes(report: Report) -> Iterator[str]:
    if shift := shift_of(report.results):
        yield shift_text(shift)
        if warning := shift_warning(shift):
            yield warning
    if report.claims:
        yield claims_report.totals_text(report.claims)


def _changes(report: Report) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield what has changed since cases were as expected, and since the baseline."""
    for title, parts in since_groups(report.results):
        yield title, [(*part, listed(cases)) for part, cases in parts.items()]
    if compared := report.compared:
        rows = [(*p, listed(cases)) for p, cases in baseline_groups(compared).items()]
        if compared.environment:
            rows.append(("environment", environment_text(compared.environment), ""))
        yield f"Since run {compared.before}: {answer(compared)}", rows[:_CHANGES_SHOWN]


def _claim(result: ClaimResult, report: Report) -> dict[str, Any]:
    panel = claim_panel(result, report.results)
    tone = "odd" if result.verdict == "missing" else "plain"
    if result.is_surprise:
        tone = "bad"
    elif result.is_as_expected:
        tone = "good"
    return {
        "result": result,
        "tone": tone,
        "sign": {"good": "✓", "bad": "✗"}.get(tone, "○"),
        "lines": list(claims_report.detail_lines(result)),
        "panels": _figures([panel] if panel else [])[0],
        "link": _link(result.source_url),
    }


def _tone(verdict: Verdict) -> str:
    if verdict is Verdict.REPRODUCED:
        return "good"
    if verdict is Verdict.UNREFERENCED:
        return "plain"
    return "bad" if verdict.is_failure else "odd"


def _sign(verdict: Verdict) -> str:
    """Give a sign beside the colour of a verdict, for those who cannot see it."""
    signs = {Verdict.REPRODUCED: "✓", Verdict.BELOW: "▼", Verdict.ABOVE: "▲"}
    return signs.get(verdict, "○")


def _rows(cases: Sequence[ReportedCase]) -> Iterator[dict[str, Any]]:
    origins = [(case, origin) for case in cases for origin in case.rows]
    for place, (case, (row, _, comparison)) in enumerate(origins):
        share = None if comparison is None or not row.tolerance else _share(comparison)
        yield {
            **{name: getattr(row, name) for name in row.__struct_fields__},
            "metric": row.metric_name,
            "place": place,
            "number": case.number,
            "share": "" if share is None else f"{share:.6g}",
            "bar": "" if share is None else _bar(share),
        }


def _share(comparison: ReferenceCheck) -> float | None:
    """Give the difference in tolerances."""
    if comparison.difference is None:
        return None
    if not comparison.tolerance:
        return 0.0 if not comparison.difference else _REACH
    return comparison.difference / comparison.tolerance


def _bar(share: float) -> Markup:
    """Draw a difference beside its tolerance; what is beyond both ends points out."""
    width, height = 128.0, 18.0
    middle, unit = width / 2, width / 2 / _REACH * 0.9
    x = middle + unit * max(-_REACH, min(_REACH, share))
    y = height / 2
    if abs(share) <= _REACH:
        mark = f'<circle class="mark" cx="{x:.1f}" cy="{y}" r="4.5"/>'
    else:
        tip = x + (6 if share > 0 else -6)
        mark = (
            f'<path class="mark" d="M{x:.1f} {y - 6} L{tip:.1f} {y} '
            f'L{x:.1f} {y + 6} Z"/>'
        )
    said = f"{nonzero_text(share, 2, signed=True)} of the tolerance"
    return Markup(
        f'<svg class="bar" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{said}"><title>{said}</title>'
        f'<rect class="zone" x="{middle - unit:.1f}" y="5" '
        f'width="{2 * unit:.1f}" height="8" rx="4"/>'
        f'<line class="zero" x1="{middle}" x2="{middle}" y1="2" y2="16"/>{mark}</svg>'
    )


def _figures(found: Sequence[Panel]) -> tuple[list[dict[str, Any]], str]:
    """Draw the panels, or say why there are none."""
    drawn: list[dict[str, Any]] = []
    for panel in found:
        try:
            figures = scaling_svgs(panel)
        except ImportError:
            return [], _NO_MATPLOTLIB
        drawn.append(
            {
                "title": panel.title,
                "figures": [
                    (figure.title, Markup(figure.svg), _laws(panel, figure.metric))
                    for figure in figures
                ],
            }
        )
    return drawn, ""


def _laws(panel: Panel, metric: str) -> list[dict[str, str]]:
    return [
        {
            "name": curve.name,
            "exponent": f"{-curve.law.exponent:.3f}",
            "interval": f"{-curve.interval[1]:.3f} to {-curve.interval[0]:.3f}",
            "origin": curve.origin,
            "stated": f"-{curve.stated}" if curve.stated else "",
        }
        for curve in panel.curves
        if curve.metric == metric and curve.law and curve.interval
    ]


def _case(case: ReportedCase, baseline: int | None) -> dict[str, Any]:
    result, since = case.result, case.result.since
    return {
        "result": result,
        "number": case.number,
        "name": case.name,
        "since": heading(since) if since else "",
        "since_parts": list(change_parts(since.difference)) if since else [],
        "is_open": result.verdict.is_failure or case.flips is not None,
        "facts": list(_case_facts(result)),
        "comparisons": [_comparison(c) for c in result.comparisons],
        **_flips(case.flips, baseline),
    }


def _flips(found: CaseFlips | None, baseline: int | None) -> dict[str, Any]:
    if found is None:
        return {"flips": [], "flips_title": ""}
    gained = sum(flip.is_gain for flip in found.flips)
    lost = len(found.flips) - gained
    title = f"Since run {baseline}: {gained:,} images became right, {lost:,} wrong"
    if len(found.flips) > _FLIPS_SHOWN:
        title += f"; the first {_FLIPS_SHOWN}"
    shown = found.flips[:_FLIPS_SHOWN]
    return {
        "flips": [(*found.named(flip), flip.is_gain) for flip in shown],
        "flips_title": title,
    }


def _case_facts(result: CaseResult) -> Iterator[tuple[str, str]]:
    if result.diagnosis:
        yield from diagnosis_parts(result.diagnosis)
    said = ", ".join(filter(None, (result.geometry, result.conditions)))
    yield "protocol", f"{result.protocol}: {said}"
    measurement = result.measurement
    if measurement is None:
        yield "dataset", result.dataset
        return
    yield (
        "dataset",
        f"{result.dataset}, {images_text(measurement)}, "
        f"fingerprint {measurement.dataset_fingerprint[:17]}",
    )
    if measurement.calibration_error is not None:
        error = 100 * measurement.calibration_error
        bins = f"{CALIBRATION_BINS} bins of confidence"
        yield "calibration", f"expected calibration error {error:.2f} % ({bins})"
    yield (
        "weights",
        f"{Path(measurement.weights).name}, sha256 {measurement.weights_sha256[:12]}",
    )
    yield (
        "environment",
        f"{measurement.environment.summary()}, {measurement.arithmetic}",
    )
    yield "took", f"{measurement.seconds:.1f} s"


def _comparison(comparison: ReferenceCheck) -> dict[str, str]:
    unit = sign_of(comparison.metric)
    text = f"published {comparison.printed} {unit}"
    if comparison.measured is not None:
        text += (
            f", measured {value_text(comparison)} {unit}, "
            f"difference {difference_text(comparison, long=True)}"
            f"{f' ({comparison.quality})' if comparison.quality else ''}"
        )
    return {
        "metric": comparison.metric,
        "text": text,
        "interval": where_on_all_images(comparison),
        "tolerance": f"tolerance {tolerance_text(comparison, long=True)} "
        f"({comparison.tolerance_origin})",
        "source": comparison.source_title or comparison.source,
        "link": _link(comparison.source_url),
    }


def _link(url: str) -> str:
    """Give where a link may lead; text of a release must not run code."""
    return url if url.startswith(("https://", "http://")) else ""


def _facts(environment: Environment) -> Iterator[tuple[str, str]]:
    packages = environment.packages.items()
    yield "packages", ", ".join(f"{name} {version}" for name, version in packages)
    yield "Python", environment.python
    yield "system", environment.system
    yield "device", environment.device
    yield "processor", f"{environment.cpu}, {environment.cores} cores"
    yield "decoder", environment.decoder
    if environment.cuda:
        yield "CUDA", f"{environment.cuda}, driver {environment.driver or 'unknown'}"
    if environment.commit:
        changed = ", with local changes" if environment.dirty else ""
        yield "commit", f"{environment.commit}{changed}"
