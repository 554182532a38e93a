"""Write measured values into published numbers' files, as references of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.items import AoT

from repro.cases import Case
from repro.errors import LedgerError, ReproError
from repro.evaluation.predictions import ALWAYS_COUNTED
from repro.files import replace_bytes
from repro.published import MEASURED, METRICS, RELEASE_FILE, read_releases
from repro.records.result import CaseResult, Measurement, Run

SOURCE = MEASURED
_TITLE = "Measured with repro and accepted with repro accept"
_URL = "https://pypi.org/project/pytest-repro/"


class Accepted(msgspec.Struct, frozen=True):
    """What was written for a case: where, the numbers, and whether others made way."""

    case: str
    file: Path
    numbers: dict[str, str]
    replaced: bool


def accept(case: Case, result: CaseResult, run: Run) -> Accepted:
    """Write what a run measured of a case as a reference of the source `measured`.

    It stands after the case's other references, which stay as they are; an earlier one
    of that source makes way. Comments and order of the file stay.

    Args:
        case: as the published numbers have it.
        result: of the case in the run.
        run: from the ledger.

    Raises:
        LedgerError: the measurement is no basis for a reference.
        ExpectedError: the file cannot be read, or would not be valid afterwards.
    """
    measurement = _settled(case, result)
    file = _file_of(case)
    before = file.read_bytes()
    document = tomlkit.parse(before.decode("utf-8"))
    _define_source(document, case)
    rows = document.setdefault("reference", tomlkit.aot())
    row = _reference(case, measurement, run)
    replaced = _place(rows, row, case)
    replace_bytes(file, tomlkit.dumps(document).encode("utf-8"))
    try:
        # All of the release: what is valid by itself may contradict what stands
        # elsewhere.
        read_releases([_release_path(case, file)])
    except ReproError:
        replace_bytes(file, before)
        raise
    return Accepted(case.id, file, _numbers(case, measurement), replaced)


def _settled(case: Case, result: CaseResult) -> Measurement:
    measurement = result.measurement
    if measurement is None:
        raise LedgerError(f"{result.id} was not measured in that run: {result.reason}")
    if not measurement.is_complete:
        raise LedgerError(
            f"{result.id} was measured on {measurement.metrics.images:,} of "
            f"{measurement.total:,} images; accept a run of the whole dataset"
        )
    if unsettled := measurement.in_other_precision(case.protocol.precision):
        raise LedgerError(
            f"{result.id} was {unsettled}; accept a run with "
            "--repro-precision=published, or correct precision of the protocol"
        )
    if measurement.is_guarded:
        raise LedgerError(
            f"{result.id} was measured in guarded precision, which estimates the loss; "
            "accept a run with --repro-precision=published"
        )
    return measurement


def _file_of(case: Case) -> Path:
    """Find the file that the case's references are in, or those of its release."""
    others = [r for r in case.release.references if case.family.id in r.families]
    for reference in (*case.references, *others, *case.release.references):
        if reference.defined_in:
            return reference.defined_in.file
    return case.release.location / RELEASE_FILE


def _release_path(case: Case, file: Path) -> Path:
    folder = case.release.location
    return folder if (folder / RELEASE_FILE).is_file() else file


def _define_source(document: tomlkit.TOMLDocument, case: Case) -> None:
    if SOURCE in case.release.sources or SOURCE in document.get("source", {}):
        return
    table = tomlkit.table()
    table.update({"title": _TITLE, "url": _URL})
    if "source" not in document:
        document.append("source", tomlkit.table(is_super_table=True))
    document["source"][SOURCE] = table


def _reference(case: Case, measurement: Measurement, run: Run) -> dict[str, str]:
    environment = measurement.environment.summary()
    return {
        "family": case.family.id,
        "checkpoint": case.checkpoint,
        "dataset": case.dataset.id,
        "protocol": case.protocol.id,
        "source": SOURCE,
        **_numbers(case, measurement),
        "note": f"run {run.id} on {run.started:%Y-%m-%d}, {environment}",
    }


def _numbers(case: Case, measurement: Measurement) -> dict[str, str]:
    """Write metrics with digits enough to tell one image.

    Those that every measurement has, and others that a source has published.
    """
    metrics = measurement.metrics
    # One of 50,000 images is 0.002 points.
    decimals = max(2, len(str(metrics.images)) - 2)
    published = [reference.metric for reference in case.references]
    found = {}
    for name in dict.fromkeys((*ALWAYS_COUNTED, *published)):
        if name in metrics.counted():
            unit = METRICS[name].unit
            digits = decimals if unit.whole else unit.decimals
            found[name] = f"{float(metrics.value(name)):.{digits}f}"
    return found


def _place(rows: AoT, content: dict[str, str], case: Case) -> bool:
    """Put a reference into the list; say whether an earlier one made way."""
    keys = ("checkpoint", "dataset", "protocol")
    same = [
        place
        for place, row in enumerate(rows)
        if case.family.id in _families(row)
        and all(row.get(key) == content[key] for key in keys)
    ]
    for place in same:
        if rows[place].get("source") == SOURCE:
            rows[place].update(content)
            return True
    table = tomlkit.table()
    table.update(content)
    # A line between it and the next one, as people leave it.
    table.add(tomlkit.nl())
    family = [p for p, row in enumerate(rows) if case.family.id in _families(row)]
    if before := same or family:
        rows.insert(max(before) + 1, table)
    else:
        rows.append(table)
    return False


def _families(row: Any) -> Iterable[str]:
    family: str | Sequence[str] = row.get("family", ())
    return [family] if isinstance(family, str) else family
