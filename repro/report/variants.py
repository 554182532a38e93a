"""Words that tell apart what one run measured of one case in several ways."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from repro.diagnosis.sentences import diagnosis_parts
from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult

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
