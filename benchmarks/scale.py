"""Many checkpoints and many runs: what commands take that measure nothing.

Processor time of the commands, to which other load on the machine adds little.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import spread
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.schema import seal
from tests.made_results import predictions, result

FAMILIES, CHECKPOINTS = 1_000, 20
RUNS, CASES = 5_000, 30
SECONDS = 2.0

_RELEASE = """\
[release]
id = "many"
title = "Many checkpoints"
default_dataset = "val"
[source.paper]
title = "Paper"
url = "https://example.org"
[dataset.val]
title = "val"
folder = "val"
classes = ["a", "b"]
images = 100
[protocol.plain]
geometry = "rgb|center_crop(224)"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
source = "paper"
[model.small]
loader = "timm"
architecture = "resnet18"
gflops = 1.8
"""
_FAMILY = """
[family.{name}]
model = "small"
training_data = "photographs"
protocols = ["plain"]
datasets = ["val"]
"""
_REFERENCE = """
[[reference]]
family = "{family}"
checkpoint = "{checkpoint}"
dataset = "val"
protocol = "plain"
source = "paper"
top1 = "{top1}.00"
"""
_SUITE = """
import pytest

@pytest.mark.repro
def test_checkpoint(case, reproduce):
    reproduce(case)
"""
#: As many tests of pytest's own.
_PLAIN = f"""
import pytest

names = [f"f{{f}}/{{c}}K" for f in range({FAMILIES}) for c in range({CHECKPOINTS})]

@pytest.mark.parametrize("case", names, ids=names)
def test_checkpoint(case):
    pass
"""
#: A run again, a day later each time.
_RUNS = """
INSERT INTO run (uid, started, finished, exit_status, planned, arguments, git_commit,
    dirty)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT 'copy ' || i, started + 86400 * i, finished + 86400 * i, exit_status, planned,
    arguments, git_commit, dirty FROM n, run
"""
_RESULTS = """
INSERT INTO result (run, case_id, asked, verdict, recorded, identity, machine,
    fingerprint, prediction, content, digest)
SELECT run.id, case_id, asked, verdict, recorded, identity, machine, fingerprint,
    prediction, content, digest FROM run, result WHERE run.id > 1
"""


def many_checkpoints(setting: Setting) -> list[Row]:
    """List and collect 20,000 checkpoints of 1,000 families."""
    with setting.empty_cache() as folder:
        ours, plain = folder / "ours", folder / "plain"
        for place, text in ((ours, _SUITE), (plain, _PLAIN)):
            place.mkdir()
            (place / "pytest.ini").touch()
            (place / "test_many.py").write_text(text)
        (folder / "many.toml").write_text(_release())
        expected = str(folder / "many.toml")
        listing = ("repro.cli", "cases", "--expected", expected)
        plainly = ("pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
        collecting = (*plainly, f"--repro-expected={expected}")
        seconds = [_seconds(listing, ours) for _ in range(setting.repetitions)]
        with_it, without = [], []
        for _ in range(setting.repetitions):
            with_it.append(_seconds(collecting, ours))
            without.append(_seconds(plainly, plain))
    number = f"{FAMILIES * CHECKPOINTS:,} checkpoints"
    more = [a - b for a, b in zip(with_it, without, strict=True)]
    return [
        Row(
            id="cases-20000",
            what=f"repro cases, {number}",
            unit="s",
            value=spread(seconds),
            goal=Goal(SECONDS),
        ),
        Row(
            id="collect-20000",
            what=f"pytest --collect-only, {number}, beyond as many plain tests",
            unit="s",
            value=spread(more),
            goal=Goal(SECONDS),
            parts={"as many plain tests, s": spread(without).median},
        ),
    ]


def many_runs(setting: Setting) -> list[Row]:
    """Read a ledger of 5,000 runs of 30 cases."""
    rows = []
    with setting.empty_cache() as folder:
        name = _ledger(folder / "ledger")
        for command in (
            ["runs"],
            ["history"],
            ["history", name, "-n", str(RUNS)],
            ["show"],
            ["report", "-o", "report.html"],
        ):
            words = ("repro.cli", *command, "--ledger", str(folder / "ledger"))
            found = [_seconds(words, folder) for _ in range(setting.repetitions)]
            rows.append(
                Row(
                    id=f"{command[0]}-{RUNS}" + "-of-one" * (name in command),
                    what=f"repro {' '.join(command)}, ledger of {RUNS:,} runs",
                    unit="s",
                    value=spread(found),
                    goal=Goal(SECONDS),
                )
            )
    return rows


def _release() -> str:
    families = [f"f{number:04}" for number in range(FAMILIES)]
    references = [
        _REFERENCE.format(family=name, checkpoint=f"{2**n}K", top1=50 + n)
        for name in families
        for n in range(CHECKPOINTS)
    ]
    made = [_RELEASE, *(_FAMILY.format(name=name) for name in families), *references]
    return "".join(made)


def _ledger(folder: Path) -> str:
    """Make the ledger, and name one of its cases."""
    cases = [
        result(f"{n}M", family=f"family-{n // 6}", position=(n // 6, n))
        for n in range(1, CASES + 1)
    ]
    with Ledger(folder, create=True) as ledger:
        run = ledger.begin("first", CASES, ["-k", "family"], GitState())
        for seed, case in enumerate(cases):
            ledger.record(run, case, predictions(seed=seed))
        ledger.finish(run, 0)
        with ledger.transaction() as connection:
            connection.execute(_RUNS, (RUNS - 1,))
            connection.execute(_RESULTS)
            seal(connection)
    return cases[6].id


def _seconds(words: tuple[str, ...], folder: Path) -> float:
    """Run a module of Python and give the processor time that it took."""
    before = _spent()
    subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    return _spent() - before


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [many_checkpoints, many_runs]
