"""How numbers are written in every report, and what cases are called there.

Words tell apart what one run measured of one case in several ways.
"""

from __future__ import annotations

import math
import os
from collections.abc import Container, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from repro.diagnosis.sentences import diagnosis_parts
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.published import METRICS, Metric
from repro.records.result import CaseResult
from repro.words import nonzero_text

#: Decimals beyond those of others that two numbers are told apart by.
_MORE_DIGITS = 3


def sign_of(metric: str) -> str:
    """Give what stands after a value: `%` or `nats`."""
    return METRICS[metric].unit.sign


def plain_text(value: Fraction, metric: Metric) -> str:
    """Write a measured value where nothing was published."""
    return f"{float(value):.{metric.unit.decimals}f}"


def decimals(comparison: ReferenceCheck) -> int:
    """Give the decimals of measured values: those of the published one, at least 2."""
    return max(2, comparison.number.decimals)


def value_text(comparison: ReferenceCheck) -> str:
    """Write the measured value, if there is one."""
    if comparison.measured is None:
        return ""
    return f"{comparison.measured:.{decimals(comparison)}f}"


def interval_text(comparison: ReferenceCheck) -> str:
    """Write where the value on all images lies, if that can be said."""
    interval = comparison.interval
    if interval is None:
        return ""
    digits = decimals(comparison)
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def told_apart(before: float, after: float, digits: int) -> tuple[str, str]:
    """Write two numbers with so many decimals, or with more where they look alike."""
    for more in range(digits, digits + _MORE_DIGITS + 1):
        old, new = f"{before:.{more}f}", f"{after:.{more}f}"
        if old != new:
            return old, new
    return f"{before:.{digits}f}", f"{after:.{digits}f}"


def tolerances_off(comparison: ReferenceCheck) -> float | None:
    """Give the difference in tolerances; where none is allowed, any is a thousand."""
    if comparison.difference is None:
        return None
    if not comparison.tolerance:
        sign = (comparison.difference > 0) - (comparison.difference < 0)
        return 1000.0 * sign
    return comparison.difference / comparison.tolerance


def difference_of(comparison: ReferenceCheck) -> float | None:
    """Give measured minus published, and 0 where floats tell no difference."""
    difference = comparison.difference
    # A printed number is hardly ever a float: what is nearest to it is the number.
    if difference and abs(difference) < math.ulp(comparison.measured or 0):
        return 0.0
    return difference


def difference_text(comparison: ReferenceCheck, *, long: bool = False) -> str:
    """Write measured minus published, in points or nats, and in images if asked."""
    if (difference := difference_of(comparison)) is None:
        return ""
    text = nonzero_text(difference, decimals(comparison), signed=True)
    if not long:
        return text
    said = f"{text} {METRICS[comparison.metric].unit.difference}"
    if comparison.difference_images is None or comparison.interval:
        # A count of images of a part says nothing beside numbers of the whole.
        return said
    return f"{said} = {_with_noun(images_text(comparison.difference_images))}"


def images_off(images: float) -> str:
    """Write by how many images a number is off: whole ones from one on."""
    return _with_noun(
        f"{round(images):+,}" if abs(images) >= 1 else images_text(images)
    )


def tolerance_text(comparison: ReferenceCheck, *, long: bool = False) -> str:
    """Write the tolerance, in points or nats, and in images if asked."""
    text = f"{comparison.tolerance:.{max(3, decimals(comparison))}f}"
    if not long:
        return text
    said = f"{text} {METRICS[comparison.metric].unit.difference}"
    if comparison.tolerance_images is None:
        return said
    return f"{said} = {_with_noun(f'{comparison.tolerance_images:.4g}')}"


def _with_noun(images: str) -> str:
    return f"{images} {'image' if images.lstrip('+-') == '1' else 'images'}"


def images_text(images: float | None) -> str:
    """Write a signed number of images, shortly."""
    if images is None:
        return ""
    return f"{images:+.4g}" if images else "0"


_DIGITS = 8
#: What a setting is called, where its own name says too little.
_CALLED = {"data": "images", "checkpoints": "weights"}
#: What is in force where a setting is not given.
_OTHERWISE = {"data": "of the release", "checkpoints": "of the release"}


def variants(results: Iterable[CaseResult]) -> dict[str, str]:
    """Say what is special about each result that is not the only one of its case.

    By its `place`; empty for a result that is alone. What differs is taken from the
    settings that were asked for, then from the release, the weights and the images.
    """
    grouped: dict[str, dict[str, CaseResult]] = {}
    for result in results:
        grouped.setdefault(result.id, {})[result.place] = result
    found: dict[str, str] = {}
    for group in grouped.values():
        found |= dict(zip(group, _told_apart(list(group.values())), strict=True))
    return found


def names(results: Iterable[CaseResult]) -> dict[str, str]:
    """Name each result by its `place`: its id, and what is special in brackets."""
    results = list(results)
    special = variants(results)
    return {r.place: named(r.id, special[r.place]) for r in results}


def reasons(
    results: Sequence[CaseResult], verdicts: Container[Verdict]
) -> dict[tuple[str, str], list[str]]:
    """Give why cases have one of some verdicts, each reason once with their names."""
    found: dict[tuple[str, str], list[str]] = {}
    called = names(results)
    for result in results:
        if result.reason and result.verdict in verdicts:
            key = result.verdict, result.reason.splitlines()[0]
            found.setdefault(key, []).append(called[result.place])
    return found


def causes(
    results: Iterable[CaseResult], parts: int | None = None
) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """Give what diagnoses say, each with the names of the cases that it is said of.

    Args:
        results: of all cases.
        parts: how many of the labels with texts; None for all.
    """
    results = list(results)
    called = names(results)
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for result in results:
        if result.diagnosis and result.diagnosis.is_needed:
            said = tuple(diagnosis_parts(result.diagnosis)[:parts])
            found.setdefault(said, []).append(called[result.place])
    return found


def named(case: str, variant: str) -> str:
    """Write a case with what tells it from others of its id."""
    return f"{case} ({variant})" if variant else case


def _told_apart(group: Sequence[CaseResult]) -> list[str]:
    if len(group) == 1:
        return [""]
    said = [_settings(result, group) for result in group]
    for more in (_release, _weights, _images, _digest):
        texts = [more(result) for result in group]
        if len(set(said)) < len(said) and len(set(texts)) > 1:
            pairs = zip(said, texts, strict=True)
            said = [", ".join(filter(None, pair)) for pair in pairs]
    return said


def _settings(result: CaseResult, group: Sequence[CaseResult]) -> str:
    given = dict.fromkeys(name for r in group for name in r.asked.settings)
    texts = []
    for name in given:
        values = [r.asked.settings.get(name) for r in group]
        if len(set(values)) > 1:
            texts.append(_setting(name, result.asked.settings.get(name), values))
    return ", ".join(texts)


def _setting(name: str, value: str | None, values: Sequence[str | None]) -> str:
    called = _CALLED.get(name, name.replace("_", " "))
    if value is None:
        return f"{called} {_OTHERWISE.get(name, 'as by default')}"
    paths = [v for v in values if v is not None and Path(v).is_absolute()]
    if value in paths and len(set(paths)) > 1:
        # The part of a path that others do not have, at least its last folder.
        shared = os.path.commonpath(paths)
        value = os.path.relpath(value, shared if value != shared else f"{shared}/..")
    return f"{called} {value}"


def _release(result: CaseResult) -> str:
    return f"release {result.release}"


def _weights(result: CaseResult) -> str:
    measured = result.measurement
    return f"weights {measured.weights_sha256[:_DIGITS]}" if measured else ""


def _images(result: CaseResult) -> str:
    measured = result.measurement
    if measured is None:
        return ""
    digest = measured.dataset_fingerprint.rpartition(":")[2]
    return f"images {digest[:_DIGITS]}"


def _digest(result: CaseResult) -> str:
    return f"asked {result.asked.digest[:_DIGITS] or 'otherwise'}"
