"""Ledgers of others: spoilt as bytes, or forged with the checksums of what they say."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import sqlite3
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from repro.claims.result import ClaimVerdict
from repro.judgement.verdict import Verdict
from repro.records.identity import GitState
from repro.records.ledger import FILE, Ledger
from repro.records.predictions import ImageNames, encode_names, encode_predictions
from repro.records.schema import VERSION, seal, version_of
from tests.made_results import made_claim, measurement, predictions, result

from .attack import Attack
from .damage import NUMBERS as ANY_NUMBER
from .damage import TEXTS, damaged, spoilt, untrue
from .made import BOMB
from .sound import NUMBERS, TOML, commands

#: What a ledger may hold where it should hold something else.
_CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, 2, 4, 99]),
    ANY_NUMBER.filter(lambda number: isinstance(number, float)),
    TEXTS,
    st.binary(max_size=40),
)


@cache
def ledger_file(*cases: str) -> bytes:
    """Make a ledger of two runs."""
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder), create=True) as ledger:
            for number in (1, 2):
                _record(ledger, number, cases or ("1M", "2M"))
            files = tuple(f"cat/{place}.jpg" for place in range(200))
            names = ImageNames(files, ("cat",), tuple(files))
            ledger.record_names("cd" * 32, encode_names(names))
        return Path(folder, FILE).read_bytes()


def _record(ledger: Ledger, number: int, cases: tuple[str, ...]) -> None:
    """Write down a run of some cases and of one that did not get its turn."""
    run = ledger.begin(f"run {number}", 2, ["-k", "x"], GitState("0a"))
    for name in cases:
        drawn = predictions(seed=number)
        measured = measurement(drawn.metrics(), key=f"{number}{name}")
        made = result(name, difference=number / 10, measurement=measured)
        ledger.record(run, made, drawn)
    ledger.record_unrun(run, [result("9M", Verdict.NOT_RUN)])
    ledger.record_claim(run, made_claim(ClaimVerdict.HOLDS))
    ledger.finish(run, 1)


_OLDER = Path(__file__).parents[2] / "tests" / "records" / "ledger_of_version_2.sql"


@cache
def older_ledger_file(version: int) -> bytes:
    """Make a ledger of an earlier version, or of this one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        if version > 2:
            file.write_bytes(ledger_file())
        connection = sqlite3.connect(file)
        if version <= 2:
            connection.executescript(_OLDER.read_text(encoding="utf-8"))
        if version == 1:
            connection.execute("ALTER TABLE comparison DROP COLUMN details")
        if version == 3:
            connection.execute("DROP TABLE unrun")
            for table in ("result", "claim"):
                connection.execute(f"ALTER TABLE {table} DROP COLUMN digest")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
        connection.close()
        return file.read_bytes()


@st.composite
def ledger(draw: st.DrawFn) -> Attack:
    """Spoil the bytes of a ledger, of any version, or forge what it holds."""
    spoil = draw(st.sampled_from([damaged, forged, forged]))
    written = older_ledger_file(draw(st.sampled_from([*range(1, VERSION), VERSION])))
    case = result("2M").id
    command = draw(
        commands(
            "runs", "show last", f"history {case}", "compare 1 2", "merge .repro:last",
            "report -o a.md", "report -o a.html", "report -o a.json -o a.csv",
            "plan --ledger .repro --expected numbers.toml", "prune --keep 1",
        )
    )  # fmt: skip
    return Attack("ledger", command, {f".repro/{FILE}": draw(spoil(written))} | TOML)


@st.composite
def merges(draw: st.DrawFn) -> Attack:
    """Join a sound ledger with one that is spoilt or forged."""
    part = draw(draw(st.sampled_from([damaged, forged]))(ledger_file("4M", "8M")))
    files = {f"a/{FILE}": ledger_file(), f"b/{FILE}": part, **TOML}
    command = draw(commands("merge a b", "merge b:1 a", "merge b a --incomplete"))
    return Attack("merges", (*command, "--ledger", "joined", *NUMBERS), files)


@st.composite
def forged(draw: st.DrawFn, content: bytes) -> bytes:
    """Let a ledger say something else, with the checksums of what it says then."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        file.write_bytes(content)
        connection = sqlite3.connect(file)
        for _ in range(draw(st.integers(1, 2))):
            try:
                _forge(draw, connection)
            except (sqlite3.Error, UnicodeError, OverflowError):
                assume(condition=False)
        if version_of(connection) > 3:  # Those before had no checksums.
            seal(connection)
        connection.commit()
        connection.close()
        return file.read_bytes()


#: Tables of all versions.
_FORGED = {
    *("run", "result", "prediction", "dataset", "unrun", "claim", "subject"),
    *("environment", "measurement", "comparison", "reference"),
}


def _forge(draw: st.DrawFn, connection: sqlite3.Connection) -> None:
    """Give a cell of a table another value, in all rows that hold the same."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    tables = [name for (name,) in connection.execute(query) if name in _FORGED]
    table = draw(st.sampled_from([*tables, "result", "prediction"]))
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    said = [name for name in ("content", "details") if name in columns]
    is_said = draw(st.booleans()) and said
    column = draw(st.sampled_from(said if is_said else columns))
    rows = connection.execute(f"SELECT {column} FROM {table}").fetchall()
    (found,) = draw(st.sampled_from(rows))
    value = draw(_value(table, column, found))
    connection.execute(
        f"UPDATE {table} SET {column} = ? WHERE {column} IS ?", (value, found)
    )
    if (table, column) == ("prediction", "content"):
        digest = hashlib.sha256(value).hexdigest()
        connection.execute(
            "UPDATE prediction SET digest = ? WHERE content = ?", (digest, value)
        )


@st.composite
def _value(draw: st.DrawFn, table: str, column: str, found: Any) -> Any:
    if column not in ("content", "details"):
        return draw(_CELLS)
    if table == "prediction":
        return draw(_predicted())
    if table == "dataset":
        names = draw(spoilt(json.loads(lzma.decompress(found))))
        return lzma.compress(msgspec.json.encode(names), preset=1)
    try:
        tree = json.loads(found)
    except (TypeError, ValueError):  # It is forged already.
        return draw(_CELLS)
    if not tree or isinstance(tree, int | str) or draw(st.integers(0, 7)) == 0:
        return json.dumps(draw(st.sampled_from([[], {}, 5, "x", None])))
    spoil = draw(st.sampled_from([spoilt, untrue, untrue, _deep]))
    return json.dumps(draw(spoil(tree)))


def _deep(tree: Any) -> st.SearchStrategy[Any]:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    return st.just({**tree, "deep": deep} if isinstance(tree, dict) else deep)


_SHAPES = st.sampled_from(
    [(), (0,), (1,), (200, 1), (2**20,), (2**40,), (2**62,), (-1,)]
)
_TYPES = st.sampled_from(["|u1", "<i8", "<f8", "<f2", "|b1", "<U9", "|O", "<c16"])


@st.composite
def _predicted(draw: st.DrawFn) -> bytes:
    """Write predictions one of whose arrays is another, or says that it is larger."""
    pieces = dict(_sound_arrays())
    name = draw(st.sampled_from([*pieces, "recomputed"]))
    how = draw(st.sampled_from(["head", "head", "values", "number", "drop", "bomb"]))
    if how == "bomb":
        return _bomb(name)
    if how == "drop":
        pieces.pop(name, None)
    elif how == "values":
        values = np.array(draw(st.lists(st.integers(-128, 127), max_size=3)) * 100)
        pieces[name] = _npy(values.astype(draw(st.sampled_from(["u1", "i8", "f8"]))))
    elif how == "number":
        pieces[name] = _npy(np.array(draw(st.sampled_from([0, -1, 2**31, 2**62]))))
    else:
        pieces[name] = _head(draw(_SHAPES), draw(_TYPES)) + bytes(100)
    return _packed(pieces)


@cache
def _sound_arrays() -> dict[str, bytes]:
    with np.load(io.BytesIO(encode_predictions(predictions()))) as kept:
        return {name: _npy(array) for name, array in kept.items()}


@cache
def _bomb(name: str) -> bytes:
    """Write predictions one of whose arrays is small only as long as it is packed."""
    return _packed({**_sound_arrays(), name: _head((BOMB,), "|u1") + bytes(BOMB)})


def _packed(pieces: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, piece in pieces.items():
            archive.writestr(f"{name}.npy", piece)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _head(shape: tuple[int, ...], kind: str) -> bytes:
    stream = io.BytesIO()
    how = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, how)
    return stream.getvalue()
