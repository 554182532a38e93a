"""Reports that programs read: CSV (RFC 4180), a badge, JSON, and a card of the Hub.

The JSON report is a contract with a version: docs/json-report.md. Of a card all else
stays as it was. Its entries are made by huggingface_hub and put into the text of the
YAML instead of writing all of it anew, which would lose comments, the order of keys and
digits (79.10 would be 79.1); what is read of the new card is compared with what was
there.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from repro.claims.result import ClaimResult
from repro.errors import OptionError
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.published import METRICS
from repro.records.identity import Environment
from repro.records.result import CaseResult, Measurement
from repro.report.report import Report
from repro.report.rows import Row, counts, rows_of
from repro.report.texts import value_text, variants

if TYPE_CHECKING:
    import yaml
    from huggingface_hub import EvalResult


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


#: By this source entries of an earlier run are known, and replaced.
SOURCE = "pytest-repro"
_SOURCE_URL = "https://pypi.org/project/pytest-repro/"
#: What the Hub calls datasets: id, name, split.
_DATASETS = {"imagenet-val": ("imagenet-1k", "ImageNet-1k", "validation")}
_TASKS = {
    "supervised": "image-classification",
    "clip": "zero-shot-image-classification",
}
#: Types of metrics that the Hub knows; others keep their name.
_TYPES = {"top1": "accuracy", "top5": "accuracy"}


def eval_results(results: Iterable[CaseResult]) -> list[EvalResult]:
    """Write the measured values of results as the Hub has them."""
    return [
        _eval_result(result, check)
        for result in results
        for check in result.comparisons
        if check.measured is not None
    ]


def _eval_result(result: CaseResult, check: ReferenceCheck) -> EvalResult:
    from huggingface_hub import EvalResult

    measurement = result.measurement
    assert measurement is not None
    assert result.kind is not None
    type_, name, split = _DATASETS.get(
        result.dataset, (result.dataset, result.dataset, None)
    )
    return EvalResult(
        task_type=_TASKS[result.kind],
        dataset_type=type_,
        dataset_name=name,
        dataset_split=split,
        metric_type=_TYPES.get(check.metric, check.metric),
        metric_name=METRICS[check.metric].title,
        metric_value=float(value_text(check)),
        metric_config=result.protocol,
        metric_args={
            "geometry": result.geometry,
            "conditions": result.conditions,
            "computed_in": measurement.arithmetic,
            "images": measurement.metrics.images,
            "dataset_fingerprint": measurement.dataset_fingerprint,
            "weights_sha256": measurement.weights_sha256,
            "published": check.printed,
            "verdict": check.verdict.value,
        },
        source_name=SOURCE,
        source_url=_SOURCE_URL,
    )


def card_with(text: str, name: str, measured: Sequence[EvalResult]) -> str:
    """Put results into a card in place of those of an earlier run.

    Args:
        text: the card; empty for a new one.
        name: of the model, where the card has no model-index yet.
        measured: what is put in.

    Raises:
        OptionError: the card cannot be read, or its model-index is of several models
            or written in braces.
    """
    import yaml
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    mark = "\ufeff" * text.startswith("\ufeff")
    plain = text.removeprefix(mark)
    block = REGEX_YAML_BLOCK.search(plain)
    if block is None:
        return f"{mark}---\n{_index(name, measured)}---\n{plain}"
    break_ = "\r\n" if "\r\n" in block[1] else "\n"
    try:
        refuse_aliases(block[2])
        head = _with_results(block[2].splitlines(), name, measured)
        new = plain[: block.start(2)] + break_.join(head) + plain[block.end(2) :]
        before, after = ModelCard(plain), ModelCard(new)
    except (
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        yaml.YAMLError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise OptionError(f"the card's head is none of the Hub's: {reason}") from error
    if _said(after, ()) != _said(before, measured):
        raise OptionError(
            "the card's model-index is laid out in a way that nothing can be put into "
            "it without changing what is there; write it as a list with dashes"
        )
    return mark + new


def refuse_aliases(head: str) -> None:
    """Refuse YAML whose aliases would make a few lines very large, or without end.

    Raises:
        ValueError: it has some.
        YAMLError: it is no YAML.
    """
    import yaml

    # That of C says within a second that brackets without end are too deep.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(head, loader)):
        raise ValueError(
            "its YAML has aliases (*), which are not followed; write out what they "
            "stand for"
        )


def _said(card: Any, added: Sequence[EvalResult]) -> tuple[Any, ...]:
    """Give all that a card says, as if it had some results for those of before."""
    others = card.data.to_dict()
    others.pop("model-index", None)
    found = card.data.eval_results or []
    if added:
        found = [one for one in found if one.source_name != SOURCE] + list(added)
    return card.text, others, sorted(map(repr, found))


def _with_results(
    lines: list[str], name: str, measured: Sequence[EvalResult]
) -> list[str]:
    """Put results into the lines of a head of YAML."""
    import yaml

    source = "\n".join(lines) + "\n"
    index = _child(yaml.compose(source, yaml.SafeLoader), "model-index")
    if index is None:
        return lines + _index(name, measured).splitlines()
    models = index.value if isinstance(index, yaml.SequenceNode) else []
    results = _child(models[0], "results") if len(models) == 1 else None
    if not isinstance(results, yaml.SequenceNode) or results.flow_style:
        raise ValueError("its model-index is not that of one model, listed with dashes")
    # Of the parsed list each entry begins in a line, and ends where the next begins.
    starts = [entry.start_mark.line for entry in results.value]
    ends = [*starts[1:], results.end_mark.line]
    said = yaml.safe_load(source)["model-index"][0]["results"]
    ours = {
        line
        for start, end, entry in zip(starts, ends, said, strict=True)
        if (entry.get("source") or {}).get("name") == SOURCE
        for line in range(start, end)
    }
    indent = " " * results.start_mark.column
    added = textwrap.indent(_listed(name, measured), indent).splitlines()
    return [
        *(line for number, line in enumerate(lines[: ends[-1]]) if number not in ours),
        *added,
        *lines[ends[-1] :],
    ]


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    found: dict[str, yaml.Node] = {name.value: value for name, value in node.value}
    return found.get(key)


def _index(name: str, measured: Sequence[EvalResult]) -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(model_name=name, eval_results=list(measured))
    return f"{data.to_yaml()}\n"


def _listed(name: str, measured: Sequence[EvalResult]) -> str:
    """Write the entries alone, as huggingface_hub writes a card."""
    import yaml
    from huggingface_hub import ModelCardData

    data = ModelCardData(model_name=name, eval_results=list(measured))
    entries = yaml.safe_load(data.to_yaml())["model-index"][0]["results"]
    text: str = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    return text
