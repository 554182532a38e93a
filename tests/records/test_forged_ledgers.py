"""A ledger of somebody who wrote what it says, and the checksums of that."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attack.attack import limited_memory
from attack.ledgers import older_ledger_file

from repro.errors import LedgerError
from repro.files import DamageWarning
from repro.records.identity import GitState
from repro.records.ledger import FILE, Ledger
from repro.records.predictions import encode_predictions
from repro.records.schema import seal

from ..made_results import measurement, predictions, result

CASE = result("1M").id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger of a run of one case."""
    with Ledger(tmp_path, create=True) as ledger:
        run = ledger.begin("first", 1, [], GitState())
        made = result("1M", measurement=measurement(key="k"))
        ledger.record(run, made, predictions())
        ledger.finish(run, 0)
    return tmp_path


def forge(folder: Path, *statements: str, **values: object) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    for statement in statements:
        connection.execute(statement, values)
    if "UPDATE" in statements[0]:
        seal(connection)
    connection.commit()
    connection.close()


def packed(**arrays: bytes) -> bytes:
    """Pack arrays as predictions are, some of which are others than they were."""
    with np.load(io.BytesIO(encode_predictions(predictions()))) as kept:
        whole = {name: written(array) for name, array in kept.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (whole | arrays).items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def written(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def promise(shape: tuple[int, ...], kind: str) -> bytes:
    """Write the head of an array, and nothing of what it promises."""
    stream = io.BytesIO()
    how = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, how)
    return stream.getvalue()


LABELS = np.zeros(200, np.int64)
#: Each is made where it is tried: one of them is half a gigabyte before it is packed.
FORGED: dict[str, Callable[[], bytes]] = {
    "terabytes": lambda: packed(labels=promise((2**42,), "|u1")),
    "terabytes of losses": lambda: packed(losses=promise((2**40,), "<f8")),
    "what is small only as long as it is packed": lambda: packed(
        place=promise((2**29,), "|u1") + bytes(2**29)
    ),
    "a label that no class has": lambda: packed(labels=written(LABELS + 2**40)),
    "a label below zero": lambda: packed(labels=written(LABELS - 1)),
    "labels that are no numbers": lambda: packed(labels=written(LABELS.astype("U1"))),
    "another number of labels": lambda: packed(labels=written(LABELS[:7])),
    "no images": lambda: packed(
        **{n: written(LABELS[:0]) for n in ("labels", "place", "steps", "first")},
        losses=written(np.zeros(0)),
    ),
    "losses that are none": lambda: packed(losses=written(np.full(200, np.nan))),
    "more classes an image than are kept": lambda: packed(
        width=written(np.array(2**31))
    ),
    "images behind the last": lambda: packed(total=written(np.array(7))),
    "two dimensions": lambda: packed(labels=written(LABELS[:, None])),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_predictions_are_left_out_and_take_no_memory(
    folder: Path, what: str
) -> None:
    content = FORGED[what]()
    digest = hashlib.sha256(content).hexdigest()
    query = "UPDATE prediction SET content = :content, digest = :digest"
    forge(folder, query, content=content, digest=digest)
    with (
        Ledger(folder) as ledger,
        limited_memory(2**30),
        pytest.warns(DamageWarning, match="what was predicted in run 1 .* left out"),
    ):
        assert ledger.predictions(1, CASE) is None


def test_predictions_that_are_forged_to_be_sound_are_read(folder: Path) -> None:
    content = packed()
    digest = hashlib.sha256(content).hexdigest()
    query = "UPDATE prediction SET content = :content, digest = :digest"
    forge(folder, query, content=content, digest=digest)
    with Ledger(folder) as ledger:
        found = ledger.predictions(1, CASE)
    assert found is not None
    assert (found.labels == predictions().labels).all()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("$.measurement.metrics.images", 0, ">= 1"),
        ("$.measurement.metrics.top1", -1, ">= 0"),
        ("$.measurement.metrics.others", {"x": "1/0"}, "matching regex"),
        ("$.comparisons[0].published", "many", "matching regex"),
        ("$.comparisons[0].metric", "beauty", "no metric 'beauty' is installed"),
    ],
)
def test_a_result_that_cannot_be_is_an_error_that_names_the_file(
    folder: Path, path: str, value: object, said: str
) -> None:
    forge(
        folder,
        "UPDATE result SET content = json_set(content, :path, json(:value))",
        path=path,
        value=json.dumps(value),
    )
    with (
        Ledger(folder) as ledger,
        pytest.raises(LedgerError, match=rf"{ledger.file} cannot be used.*{said}"),
    ):
        ledger.results(1)


def test_a_result_that_is_nested_without_end_is_an_error(folder: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    forge(
        folder,
        "UPDATE result SET content = '{\"x\":' || :deep || ',' || substr(content, 2)",
        deep=deep,
    )
    with Ledger(folder) as ledger, pytest.raises(LedgerError, match="cannot be used"):
        ledger.results(1)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("started", "then"),
        ("started", 1e300),
        ("finished", b"then"),
        ("planned", "all"),
        ("exit_status", 0.5),
        ("dirty", 7),
        ("uid", b"first"),
        ("git_commit", b"0a"),
    ],
)
def test_a_run_of_other_things_than_numbers_and_times_is_an_error(
    folder: Path, column: str, value: object
) -> None:
    forge(folder, f"UPDATE run SET {column} = :value", value=value)
    with pytest.raises(LedgerError, match="its run 1 is described by other things"):
        Ledger(folder)


_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        (
            "ALTER TABLE result RENAME TO other",
            f"CREATE VIEW result AS {_ENDLESS} SELECT other.* FROM other, n",
        ),
        (
            "CREATE TRIGGER more AFTER DELETE ON result BEGIN "
            "INSERT INTO dataset VALUES (random(), zeroblob(1000000)); END",
        ),
        (
            "ALTER TABLE run ADD COLUMN more GENERATED ALWAYS AS "
            "(length(zeroblob(1000000000))) VIRTUAL",
        ),
        ("CREATE INDEX more ON result (length(zeroblob(1000000000)))",),
        ("CREATE INDEX more ON result (run) WHERE length(zeroblob(1000000000)) > 1",),
        (
            "DROP TABLE unrun",
            "CREATE TABLE unrun (run, place CHECK (length(zeroblob(1000000000)) > 1))",
        ),
        (
            "DROP TABLE unrun",
            "CREATE TABLE unrun (run, place DEFAULT (zeroblob(1000000000)))",
        ),
    ],
    ids=["view", "trigger", "column", "index", "part", "check", "default"],
)
def test_a_ledger_that_computes_is_refused(
    folder: Path, statements: tuple[str, ...]
) -> None:
    forge(folder, *statements)
    with pytest.raises(LedgerError, match="computes what a ledger only keeps"):
        Ledger(folder)


def test_an_index_of_ones_own_is_named_with_what_removes_it(folder: Path) -> None:
    forge(folder, "CREATE INDEX mine ON result (lower(case_id))")
    with pytest.raises(LedgerError, match=r"'mine' .*, which DROP INDEX undoes"):
        Ledger(folder)
    forge(folder, "DROP INDEX mine", "CREATE INDEX mine ON result (case_id, run)")
    Ledger(folder).close()


OF_FIVE_TABLES = "subject", "environment", "measurement", "comparison", "reference"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("table", OF_FIVE_TABLES)
def test_an_older_ledger_that_computes_is_refused(
    tmp_path: Path, version: int, table: str
) -> None:
    (tmp_path / FILE).write_bytes(older_ledger_file(version))
    forge(
        tmp_path,
        f"ALTER TABLE {table} RENAME TO other",
        f"CREATE VIEW {table} AS {_ENDLESS} SELECT other.* FROM other, n",
    )
    with pytest.raises(LedgerError, match=f"'{table}' computes what a ledger only"):
        Ledger(tmp_path)


@pytest.mark.parametrize("content", ["5", "[]", '"x"', "null", "[" * 10**5, "{"])
@pytest.mark.parametrize(
    ("version", "table"),
    [(1, "subject"), (2, "subject"), (2, "environment"), (3, "result"), (4, "result")],
)
def test_an_older_ledger_of_other_things_than_results_is_an_error(
    tmp_path: Path, version: int, table: str, content: str
) -> None:
    (tmp_path / FILE).write_bytes(older_ledger_file(version))
    query = f"UPDATE {table} SET content = :content WHERE id = 1"
    if table == "result":
        query = query.replace(" WHERE", ", verdict = 'not run' WHERE")
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(query, {"content": content})
    if version == 4:
        seal(connection)
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="cannot be used") as caught:
        Ledger(tmp_path)
    assert len(str(caught.value)) <= 500


def test_a_view_beside_the_tables_is_nobodys_business(folder: Path) -> None:
    forge(folder, "CREATE VIEW mine AS SELECT case_id FROM result")
    with Ledger(folder) as ledger:
        assert len(ledger.results(1)) == 1
