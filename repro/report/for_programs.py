"""Reports that programs read: CSV (RFC 4180), a badge, and JSON.

The JSON report is a contract with a version: docs/json-report.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from repro.claims.result import ClaimResult
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.published import METRICS
from repro.records.identity import Environment
from repro.records.result import CaseResult, Measurement
from repro.report.report import Report
from repro.report.rows import Row, counts, rows_of
from repro.report.texts import variants

SCHEMA_VERSION = 2

#: Fields that stand in the report as they are: of a case, and beside them of its
#: measurement; and of a reference.
_CASE = (
    *("id", "release", "family", "checkpoint", "training_images", "protocol"),
    *("geometry", "dataset", "verdict", "reason", "diagnosis", "since"),
)
_REFERENCE = (
    *("metric", "printed", "measured", "difference", "difference_images", "interval"),
    *("tolerance", "tolerance_images", "tolerance_origin", "verdict", "quality"),
    *("reason", "xfail"),
)
_MEASURED = (
    *("seconds", "precision", "device", "key", "weights", "weights_sha256"),
    *("weights_read", "dataset_fingerprint", "images_assumed", "environment"),
    "guarded",
)


def json_report(
    results: Sequence[CaseResult],
    environment: Environment | None,
    claims: Sequence[ClaimResult] = (),
) -> dict[str, Any]:
    """Build the content of the JSON report.

    Args:
        results: of all cases, in the order of the tables.
        environment: of the controller; None when nothing was evaluated.
        claims: that were checked.
    """
    special = variants(results)
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": msgspec.to_builtins(environment),
        "cases": [_case(result, special[result.place]) for result in results],
        "claims": msgspec.to_builtins(claims),
    }


def json_text(report: Report) -> str:
    """Write the JSON report."""
    environment = next(iter(report.environments), None)
    content = json_report(report.results, environment, report.claims)
    content["run"] = report.run
    content["baseline"] = _baseline(report)
    return msgspec.json.format(msgspec.json.encode(content)).decode() + "\n"


def _baseline(report: Report) -> dict[str, Any] | None:
    if report.compared is None:
        return None
    keys = ("image", "label", "before", "after")
    return {
        "run": report.compared.before,
        "changes": msgspec.to_builtins(report.compared.differences),
        "only_before": report.compared.only_before,
        "only_after": report.compared.only_after,
        "flips": {
            case.case: [
                dict(zip(keys, case.named(flip), strict=True)) for flip in case.flips
            ]
            for case in report.flips
        },
    }


def _case(result: CaseResult, variant: str) -> dict[str, Any]:
    measurement = result.measurement
    return {
        **_plain(result, _CASE),
        "variant": variant,
        "images": measurement.metrics.images if measurement else 0,
        "metrics": _metrics(measurement) if measurement else None,
        "references": [_reference(comparison) for comparison in result.comparisons],
        "stopped_early": bool(measurement and measurement.stopped_early),
        "accelerations": msgspec.to_builtins(measurement.accelerations)
        if measurement
        else [],
        "settings": result.asked.settings,
        **_plain(measurement, _MEASURED),
    }


def _plain(what: object, names: Iterable[str]) -> dict[str, Any]:
    """Give fields as plain data; of what is not there, None."""
    return {name: msgspec.to_builtins(getattr(what, name, None)) for name in names}


def _metrics(measurement: Measurement) -> dict[str, Any]:
    metrics = measurement.metrics
    counted = {
        metric: {
            "correct": getattr(metrics, metric),
            "total": metrics.images,
            "percent": metrics.percent(metric),
        }
        for metric in ("top1", "top5")
    }
    error = measurement.calibration_error
    return {
        **counted,
        "loss": metrics.loss,
        "values": {name: float(metrics.value(name)) for name in metrics.counted()},
        "calibration_error": None if error is None else 100 * error,
    }


def _reference(comparison: ReferenceCheck) -> dict[str, Any]:
    metric = METRICS[comparison.metric]
    return {
        **_plain(comparison, _REFERENCE),
        "published": float(comparison.number.value),
        "unit": metric.unit.name,
        "higher_is_better": metric.is_higher_better,
        "source": {
            "id": comparison.source,
            "title": comparison.source_title,
            "url": comparison.source_url,
        },
    }


def badge_json(report: Report) -> str:
    """Say how many cases that have published numbers, and claims, came out.

    A claim that came out otherwise than expected makes it red, as a case does. The
    format is that of https://shields.io/badges/endpoint-badge.
    """
    found = counts(report.results)
    cases = len(report.results) - found.get(Verdict.UNREFERENCED, 0)
    reproduced = found.get(Verdict.REPRODUCED, 0)
    message = [f"{reproduced}/{cases}"] if cases or not report.claims else []
    if report.claims:
        met = sum(claim.is_as_expected for claim in report.claims)
        message.append(f"{met}/{len(report.claims)} claims")
        cases, reproduced = cases + len(report.claims), reproduced + met
    if any(result.is_failure for result in report.results) or any(
        claim.is_surprise for claim in report.claims
    ):
        colour = "red"
    else:
        colour = "brightgreen" if cases and reproduced == cases else "yellow"
    badge = {
        "schemaVersion": 1,
        "label": "reproduced",
        "message": ", ".join(message),
        "color": colour,
    }
    return msgspec.json.encode(badge).decode() + "\n"


def csv_text(report: Report) -> str:
    """Write the rows of the table with a header; numbers as they are printed."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    fields = [name for name in Row.__struct_fields__ if name != "is_one_of_several"]
    writer.writerow(fields)
    for row in rows_of(report.results):
        writer.writerow(getattr(row, field) for field in fields)
    return stream.getvalue()
