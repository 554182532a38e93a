"""The report as one HTML file that needs nothing else, no network either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from repro.claims.result import ClaimResult
from repro.diagnosis.sentences import diagnosis_parts
from repro.evaluation.predictions import CALIBRATION_BINS
from repro.judgement.verdict import ReferenceCheck
from repro.published import main_metrics
from repro.records.identity import Environment
from repro.records.result import CaseResult
from repro.report import claims_report
from repro.report.changes import (
    baseline_groups,
    causes_then,
    change_parts,
    environment_text,
    heading,
    named_once,
    red_since_text,
    since_groups,
)
from repro.report.comparison import since_run_text
from repro.report.failure import dataset_text, where_on_all_images
from repro.report.html_parts import (
    anchor,
    breakable,
    link,
    sign,
    sign_of_claim,
    thumbnail,
    tone,
    tone_of_all,
    tone_of_claim,
)
from repro.report.plots import history_svg, residual_plot, scaling_svgs
from repro.report.report import (
    CaseFlips,
    Report,
    ReportedCase,
    again,
    guarded_lines,
    verdict_sentence,
)
from repro.report.rows import (
    counts,
    metric_names,
    shift_lines,
    totals_text,
)
from repro.report.scaling import (
    Panel,
    Residual,
    claim_panel,
    fitted_text,
    numbers_of,
    panels,
    residuals_of,
)
from repro.report.texts import (
    difference_text,
    sign_of,
    tolerance_text,
    tolerances_off,
    value_text,
)
from repro.words import listed, nonzero_text

_PAGE = Path(__file__).parent / "page"
_FLIPS_SHOWN = 200
#: Images of a case, and of all, of which a small copy is shown where that is asked for.
_PICTURES, _PICTURES_OF_ALL = 12, 120
_CHANGES_SHOWN = 100
#: Red cases that are open; more would hide the table.
_RED_OPEN = 12


def html(report: Report) -> str:
    """Write the page: the answer, curves, what is red in full, the table, the rest."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = breakable
    template = environment.get_template("page.html.jinja")
    found = panels(report.results)
    cases = report.cases()
    pictures = _pictures(cases, report.photographs)
    facts = [list(_facts(found)) for found in report.environments]
    made = [_case(case, report, pictures, len(facts)) for case in cases]
    page = template.render(
        report=report,
        releases=_releases(report),
        sentence=verdict_sentence(report),
        has_parts=any(o.row.interval for c in cases for o in c.rows),
        tone_of_all=tone_of_all(report),
        totals=totals_text(report.results),
        counts=counts(report.results),
        notes=list(_notes(report)),
        changes=list(_changes(report)),
        claims=[_claim(claim, report) for claim in report.claims],
        metrics=metric_names(o.row for case in cases for o in case.rows),
        rows=[_row(case, report) for case in cases],
        has_history=any(len(past) > 1 for past in report.history.values()),
        panels=[_panel(panel) for panel in found],
        others=list(_others(report, found)),
        fitted=fitted_text(found),
        red_open=_RED_OPEN,
        red=[case for case in made if case["result"].is_failure],
        cases=[case for case in made if not case["result"].is_failure],
        environments=facts,
        tone=tone,
        sign=sign,
        anchor=anchor,
        style=Markup((_PAGE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_PAGE / "page.js").read_text(encoding="utf-8")),
    )
    # Half of the page would be what its lines are indented by. Of text, only reasons
    # have lines, and none of these begins with spaces.
    return re.sub(r"\n\s+", "\n", page)


def _releases(report: Report) -> list[tuple[str, str]]:
    """Name the releases, each with the address of its paper."""
    found = [
        (r.release_title or r.release, link(r.release_url)) for r in report.results
    ]
    return list(dict.fromkeys(found))


def _notes(report: Report) -> Iterator[str]:
    yield from guarded_lines(report.results)
    yield from (said for said, _ in shift_lines(report.results))
    if report.claims:
        yield claims_report.totals_text(report.claims)
    if report.compared:
        yield since_run_text(report.compared)


def _changes(report: Report) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield what several cases have in common that changed, and since the baseline.

    What only one case has is said where that case is.
    """
    for title, parts in since_groups(report.results, 2, report.baseline):
        yield title, [(*part, listed(cases)) for part, cases in parts.items()]
    if compared := report.compared:
        # Of a case that is alone all is said where it is.
        red = [
            r.id for r in report.results if r.since and r.since.run == report.baseline
        ]
        told = red if len(red) == 1 else None
        title = f"Since run {compared.before}"
        parts = {p: c for p, c in baseline_groups(compared).items() if c != told}
        if parts:
            title, parts = named_once(title, parts)
        rows = [(*p, listed(cases)) for p, cases in parts.items()]
        if compared.environment:
            rows.append(("environment", environment_text(compared.environment), ""))
        if report.flips and not report.photographs:
            rows.append(("flipped images", _to_see_them(report), ""))
        if rows:
            yield title, rows[:_CHANGES_SHOWN]


def _to_see_them(report: Report) -> str:
    return (
        "named with their cases; to see them here, small, with the images in DIR: "
        f"repro report {report.run} --baseline {report.baseline} --thumbnails DIR "
        "-o FILE.html"
    )


def _claim(result: ClaimResult, report: Report) -> dict[str, Any]:
    panel = claim_panel(result, report.results)
    return {
        "result": result,
        "tone": tone_of_claim(result),
        "sign": sign_of_claim(result),
        "lines": list(claims_report.detail_lines(result)),
        "panels": [_panel(panel)] if panel else [],
        "link": link(result.source_url),
    }


def _row(case: ReportedCase, report: Report) -> dict[str, Any]:
    """Give the row of a case, with its metrics by their names."""
    past = report.history.get(case.result.place, ())
    values = [one.top1 for one in past if one.top1 is not None]
    is_red = case.result.is_failure
    return {
        "case": case,
        "row": case.rows[0].row,
        "result": case.result,
        "metrics": {
            o.row.metric_name: (o.row, _share(o.comparison)) for o in case.rows
        },
        # The date stands with the case.
        "since": red_since_text(past).partition(",")[0],
        "history": Markup(history_svg(values, is_red=is_red))
        if len(values) > 1
        else "",
    }


def _share(comparison: ReferenceCheck | None) -> str:
    """Say how many tolerances the difference is, where the tolerance applies."""
    if comparison is None or comparison.interval:
        return ""
    share = tolerances_off(comparison)
    if share is None:
        return ""
    return f"{nonzero_text(share, 2, signed=True)} of the tolerance"


def _panel(panel: Panel) -> dict[str, Any]:
    figures = [
        (plot, Markup(plot.svg), _laws(panel, plot.metric))
        for plot in scaling_svgs(panel)
    ]
    return {"title": panel.title, "figures": figures}


def _others(report: Report, found: Sequence[Panel]) -> Iterator[tuple[Any, ...]]:
    """Draw how far off the numbers of those cases are that are on no curve."""
    drawn = {number for panel in found for c in panel.curves for number in c.cases}
    numbers = numbers_of(report.results)
    rest = [r for r in report.results if numbers[r.place] not in drawn]
    for metric in main_metrics():
        families: dict[str, list[Residual]] = {}
        for result in rest:
            for one in residuals_of([result], metric.name, numbers):
                families.setdefault(result.family, []).append(one)
        if sum(map(len, families.values())) > 1:
            plot = residual_plot(metric, families)
            yield plot, Markup(plot.svg), []


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


def _pictures(
    cases: Sequence[ReportedCase], folder: Path | None
) -> dict[tuple[str, str], str]:
    """Make small copies of the first flipped images, by place of the case and name."""
    made: dict[tuple[str, str], str] = {}
    if folder is None:
        return made
    for found in (case.flips for case in cases if case.flips):
        for flip in found.flips[:_PICTURES]:
            name = found.named(flip)[0]
            if len(made) < _PICTURES_OF_ALL and (shown := thumbnail(folder, name)):
                made[found.place, name] = shown
    return made


def _case(
    case: ReportedCase,
    report: Report,
    pictures: dict[tuple[str, str], str],
    environments: int,
) -> dict[str, Any]:
    result = case.result
    since, measured = result.since, result.measurement
    parts = list(change_parts(since.difference)) if since else []
    turn = report.turns.get(result.place)
    then = causes_then(turn)
    return {
        "result": result,
        "number": case.number,
        "name": case.name,
        "since": heading(since) if since else "",
        "since_parts": parts,
        "red_since": red_since_text(report.history.get(result.place, ())),
        "then": [] if then == causes_then(since) else then,
        "before": turn.run if turn else None,
        "again": again(report, result),
        "facts": list(_case_facts(result, environments > 1)),
        "comparisons": [
            _comparison(c, is_part=not (measured is None or measured.is_complete))
            for c in result.comparisons
        ],
        **_flips(case.flips, report.baseline, pictures),
    }


def _flips(
    found: CaseFlips | None,
    baseline: int | None,
    pictures: dict[tuple[str, str], str],
) -> dict[str, Any]:
    if found is None:
        return {"flips": [], "flips_title": ""}
    title = f"Since run {baseline}: {found.text}"
    if len(found.flips) > _FLIPS_SHOWN:
        title += f"; the first {_FLIPS_SHOWN}"
    shown = found.flips[:_FLIPS_SHOWN]
    named = [(found.named(flip), flip.is_gain) for flip in shown]
    return {
        "flips": [
            (*names, is_gain, pictures.get((found.place, names[0]), ""))
            for names, is_gain in named
        ],
        "flips_title": title,
    }


def _case_facts(result: CaseResult, has_several: bool) -> Iterator[tuple[str, str]]:
    if result.diagnosis:
        yield from diagnosis_parts(result.diagnosis)
    said = ", ".join(filter(None, (result.geometry, result.conditions)))
    yield "protocol", f"{result.protocol}: {said}"
    measurement = result.measurement
    if measurement is None:
        yield "dataset", result.dataset
        return
    yield "dataset", dataset_text(result.dataset, measurement)
    if measurement.calibration_error is not None:
        error = 100 * measurement.calibration_error
        bins = f"{CALIBRATION_BINS} bins of confidence"
        yield "calibration", f"expected calibration error {error:.2f} % ({bins})"
    yield (
        "weights",
        f"{Path(measurement.weights).name}, sha256 {measurement.weights_sha256[:12]}",
    )
    if has_several:
        yield "environment", measurement.environment.summary()
    yield "took", f"{measurement.seconds:.1f} s, {measurement.arithmetic}"


def _comparison(comparison: ReferenceCheck, *, is_part: bool) -> dict[str, str]:
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
        # No tolerance is meant for a part of the images.
        "tolerance": ""
        if is_part
        else f"tolerance {tolerance_text(comparison, long=True)} "
        f"({comparison.tolerance_origin}); ",
        "source": comparison.source_title or comparison.source,
        "link": link(comparison.source_url),
    }


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
