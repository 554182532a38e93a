"""The text of a failed case: all that is needed to say which side is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from repro.cases import Case
from repro.diagnosis.sentences import diagnosis_lines
from repro.judgement.compare import Since
from repro.judgement.intervals import CONFIDENCE
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.published import MEASURED
from repro.records.result import CaseResult, Measurement
from repro.report.changes import change_parts, heading
from repro.report.texts import (
    difference_text,
    images_off,
    interval_text,
    named,
    sign_of,
    tolerance_text,
    value_text,
)
from repro.words import counted, joined_numbers


def failure_text(case: Case, result: CaseResult) -> str:
    """Write what a divergent case says instead of a traceback."""
    assert result.measurement is not None
    measurement = result.measurement
    diverged = [c for c in result.comparisons if c.verdict.is_contradiction]
    met = [
        _named(comparison, result)
        for comparison in result.comparisons
        if comparison.verdict is Verdict.REPRODUCED and comparison.source != MEASURED
    ]
    lines = [headline(result), ""]
    if result.since:
        lines += [*since_lines(result.since, "  "), ""]
    for comparison in diverged:
        lines += _comparison_lines(comparison)
    if met:
        lines.append(f"  {'met':<12}{', '.join(met)}")
    protocol = case.protocol
    lines += [
        f"  {'protocol':<12}{protocol.id}: {protocol.geometry}, "
        f"mean {joined_numbers(protocol.mean)}, std {joined_numbers(protocol.std)}, "
        f"published in {protocol.precision}",
        f"  {'dataset':<12}{dataset_text(case.dataset.title, measurement)}",
        f"  {'weights':<12}{measurement.weights}, "
        f"sha256 {measurement.weights_sha256[:12]}"
        f"{''.join(f', {done}' for done in measurement.weights_read)}",
        f"  {'environment':<12}{measurement.environment.summary()}, "
        f"{measurement.arithmetic}",
    ]
    if images := result.asked.settings.get("data"):
        lines.append(f"  {'images':<12}{images}")
    if result.reason:
        lines += ["", f"  {result.reason}"]
    if result.diagnosis:
        lines += ["", *diagnosis_lines(result.diagnosis, "  ")]
    return "\n".join(lines)


def dataset_text(named: str, measurement: Measurement) -> str:
    """Say which images were evaluated, and what was concluded of their labels."""
    digest = measurement.dataset_fingerprint[:17]
    said = named, images_text(measurement), f"fingerprint {digest}"
    return ", ".join((*said, *measurement.images_assumed))


def headline(result: CaseResult) -> str:
    """Say in one line what a failed case measured, for those who read no more."""
    said = "diverges from what was published"
    if result.verdict is Verdict.UNEXPECTEDLY_MET:
        said = "meets what was published, though it is declared not to"
    return f"{numbers_text(result)}: {result.id} {said}"


def numbers_text(result: CaseResult, most: int | None = None) -> str:
    """Write the first numbers for which a case failed, each beside the published."""
    numbers = [
        f"{_named(c, result)} {value_text(c)}, published {c.printed}{_images_off(c)}"
        for c in result.comparisons
        if c.verdict.is_contradiction
    ]
    more = (
        f" and {counted(len(numbers) - most, 'more number')}"
        if most and numbers[most:]
        else ""
    )
    return f"{'; '.join(numbers[:most])}{more}"


def _images_off(comparison: ReferenceCheck) -> str:
    if interval := interval_text(comparison):
        return f" ({interval} on all images)"
    images = comparison.difference_images
    if images is None:
        return ""
    return f" ({images_off(images)})"


def _named(comparison: ReferenceCheck, result: CaseResult) -> str:
    """Name a metric, with its source where several have a number of it."""
    same = [c for c in result.comparisons if c.metric == comparison.metric]
    return named(comparison.metric, comparison.source if len(same) > 1 else "")


def since_lines(since: Since, indent: str = "") -> Iterator[str]:
    """Yield what has changed since a case was as expected, below a heading."""
    yield f"{indent}{heading(since)}:"
    for label, text in change_parts(since.difference):
        yield f"{indent}  {f'{label} ':<12}{text}"


def _comparison_lines(comparison: ReferenceCheck) -> list[str]:
    unit = sign_of(comparison.metric)
    quality = f" ({comparison.quality})" if comparison.quality else ""
    # No tolerance is meant for a part of the images.
    beside = where_on_all_images(comparison) or (
        f"tolerance {tolerance_text(comparison, long=True)} "
        f"({comparison.tolerance_origin})"
    )
    lines = [
        f"  {comparison.metric}",
        f"  {'  published':<12}{comparison.printed} {unit}  "
        f"({comparison.source_title}, {comparison.source_url})",
        f"  {'  measured':<12}{value_text(comparison)} {unit}",
        f"  {'  difference':<12} {difference_text(comparison, long=True)}{quality}, "
        f"{beside}",
    ]
    if comparison.verdict is Verdict.UNEXPECTEDLY_MET:
        lines.append(f"  {'  declared':<12}{comparison.reason}")
    return lines


def where_on_all_images(comparison: ReferenceCheck) -> str:
    """Say where the value of a part of the images lies on all of them, and how sure."""
    interval, unit = interval_text(comparison), sign_of(comparison.metric)
    return f"{interval} {unit} on all images ({100 * CONFIDENCE:g} %)" * bool(interval)


def images_text(measurement: Measurement) -> str:
    """Say how many images were evaluated, and why no more."""
    images, total = measurement.metrics.images, measurement.total
    if measurement.is_complete:
        return counted(images, "image")
    if measurement.stopped_early:
        return (
            f"stopped after {images:,} of {total:,} images, since the outcome was "
            "beyond doubt (--repro-no-early-stop goes on)"
        )
    return f"{images:,} of {total:,} images"
