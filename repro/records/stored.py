"""Results of cases as rows of the ledger's tables, and back.

What repeats from night to night (descriptions of cases, published numbers,
environments, predictions) is stored once and referred to. A field that has no column
goes into `details` or `content` as JSON: a new one needs no new column.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from repro.records.result import CaseResult

_SUBJECT = (
    "id",
    "release",
    "family",
    "checkpoint",
    "training_images",
    "protocol",
    "geometry",
    "conditions",
    "dataset",
    "position",
    "asked",
)
_COMPARED = ("verdict", "measured", "difference", "difference_images", "reason")
_REFERENCE = (
    "metric",
    "published",
    "tolerance",
    "tolerance_origin",
    "source",
    "source_title",
    "source_url",
)
_METRICS = ("images", "top1", "top5", "loss_sum")
#: Columns of a measurement, and what they are called there.
_MEASURED = {
    "total": "total",
    "seconds": "seconds",
    "weights_sha256": "weights_sha256",
    "dataset_fingerprint": "dataset_fingerprint",
    "key": "identity",
}

_RESULTS = """
SELECT result.id, run, subject.content AS subject, verdict, reason, result.details,
    environment.content AS environment, images, top1, top5, loss_sum, total, seconds,
    weights_sha256, dataset_fingerprint, identity, measurement.details AS measured
FROM result JOIN subject ON subject.id = result.subject
LEFT JOIN measurement ON measurement.result = result.id
LEFT JOIN environment ON environment.id = measurement.environment
"""
_COMPARISONS = """
SELECT result, content, comparison.verdict, measured, difference, difference_images,
    comparison.reason, comparison.details
FROM comparison JOIN reference ON reference.id = comparison.reference
JOIN result ON result.id = comparison.result
"""


def store_result(
    connection: sqlite3.Connection,
    run: int,
    recorded: float,
    result: CaseResult,
    predictions: bytes | None,
) -> None:
    """Insert a result; what the run had of the same case, asked alike, is replaced."""
    content: dict[str, Any] = msgspec.to_builtins(result)
    described = _take(content, _SUBJECT)
    subject = _once(connection, "subject", {"case_id": result.id}, described)
    connection.execute(
        "DELETE FROM result WHERE run = ? AND subject = ?", (run, subject)
    )
    measurement = content.pop("measurement")
    comparisons = content.pop("comparisons")
    head = _take(content, ("verdict", "reason"))
    head |= {"run": run, "subject": subject, "recorded": recorded}
    number = _insert(connection, "result", {**head, "details": _json(content)})
    if measurement is not None:
        kept = None if predictions is None else _blob(connection, predictions)
        known = {"result": number, "prediction": kept}
        _store_measurement(connection, known, measurement)
    for place, comparison in enumerate(comparisons):
        row = {"result": number, "place": place, **_take(comparison, _COMPARED)}
        reference = _take(comparison, _REFERENCE)
        row["reference"] = _once(connection, "reference", {}, reference)
        row["details"] = _json(comparison)
        _insert(connection, "comparison", row)


def load_results(
    connection: sqlite3.Connection, condition: str, values: Iterable[object]
) -> list[tuple[int, CaseResult]]:
    """Read results that meet an SQL condition on `result`, each with its run."""
    wanted = tuple(values)
    compared: dict[int, list[dict[str, Any]]] = {}
    order = f"WHERE {condition} ORDER BY comparison.result, place"
    for number, content, *columns, details in connection.execute(
        _COMPARISONS + order, wanted
    ):
        comparison = dict(zip(_COMPARED, columns, strict=True))
        comparison |= msgspec.json.decode(content) | msgspec.json.decode(details)
        compared.setdefault(number, []).append(comparison)
    found = connection.execute(f"{_RESULTS} WHERE {condition} ORDER BY 1", wanted)
    return [(row["run"], _result(row, compared.get(row["id"], []))) for row in found]


def _store_measurement(
    connection: sqlite3.Connection,
    known: Mapping[str, object],
    measurement: dict[str, Any],
) -> None:
    environment = _once(connection, "environment", {}, measurement.pop("environment"))
    # What has no column stays behind, and goes into the details.
    columns = {**known, **_take(measurement["metrics"], _METRICS)}
    columns |= {column: measurement.pop(n) for n, column in _MEASURED.items()}
    columns |= {"environment": environment, "details": _json(measurement)}
    _insert(connection, "measurement", columns)


def _result(row: sqlite3.Row, comparisons: list[dict[str, Any]]) -> CaseResult:
    content = msgspec.json.decode(row["subject"]) | msgspec.json.decode(row["details"])
    content |= {name: row[name] for name in ("verdict", "reason")}
    content["comparisons"] = comparisons
    if row["measured"] is not None:
        details = msgspec.json.decode(row["measured"])
        columns = {name: row[name] for name in _METRICS}
        content["measurement"] = {
            **details,
            "metrics": details.get("metrics", {}) | columns,
            **{name: row[column] for name, column in _MEASURED.items()},
            "environment": msgspec.json.decode(row["environment"]),
        }
    return msgspec.convert(content, CaseResult)


def _take(content: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: content.pop(name) for name in names}


def _json(content: object) -> str:
    return msgspec.json.encode(content, order="sorted").decode()


def _once(
    connection: sqlite3.Connection,
    table: str,
    columns: Mapping[str, object],
    content: object,
) -> int:
    """Give the row that has this content, inserted if there is none."""
    text = _json(content)
    found = connection.execute(f"SELECT id FROM {table} WHERE content = ?", (text,))
    if row := found.fetchone():
        return int(row[0])
    return _insert(connection, table, {**columns, "content": text})


def _blob(connection: sqlite3.Connection, content: bytes) -> int:
    digest = hashlib.sha256(content).hexdigest()
    found = connection.execute("SELECT id FROM prediction WHERE digest = ?", (digest,))
    if row := found.fetchone():
        return int(row[0])
    return _insert(connection, "prediction", {"digest": digest, "content": content})


def _insert(
    connection: sqlite3.Connection, table: str, columns: Mapping[str, object]
) -> int:
    names = ", ".join(columns)
    gaps = ", ".join("?" * len(columns))
    done = connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({gaps})", tuple(columns.values())
    )
    return int(done.lastrowid or 0)
