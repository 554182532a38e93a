"""A report with something of everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from repro.judgement.compare import find_flips
from repro.judgement.verdict import Verdict
from repro.records.comparison import RunComparison
from repro.records.predictions import ImageNames
from repro.records.result import CaseResult
from repro.report.report import CaseFlips, Report, report_of_results

from ..made_results import comparison, measurement, metrics, predictions, result

SUITE = """
import pytest

@pytest.mark.repro(expected="embedded")
def test_checkpoint(case, reproduce):
    reproduce(case)
"""
HOSTILE = '<script>alert("x")</script> | `code` & 50 % _off_'


@pytest.fixture
def results() -> list[CaseResult]:
    """Two families of four sizes: every verdict, and reasons with hostile text."""
    sizes = ["1M", "4M", "16M", "64M"]
    found = [
        sized(size, 60 + 5 * place, 1.7 - 0.2 * place)
        for place, size in enumerate(sizes)
    ]
    verdicts = (Verdict.BELOW, Verdict.NOT_RUN, Verdict.INCONCLUSIVE, Verdict.ABOVE)
    for size, verdict in zip(sizes, verdicts, strict=True):
        shift = {Verdict.BELOW: -0.31, Verdict.ABOVE: 0.07}.get(verdict, 0.0)
        found.append(
            result(
                size,
                verdict,
                difference=shift,
                family="clip/synthetic+real",
                position=(1, int(size[:-1])),
                reason=HOSTILE if verdict is not Verdict.NOT_RUN else "no weights",
            )
        )
    found.append(
        result(
            "notes",
            Verdict.UNREFERENCED,
            comparisons=(),
            training_images=None,
            position=(2, 0),
            family="extra",
        )
    )
    return found


def sized(size: str, top1: float, loss: float) -> CaseResult:
    """Make a reproduced case that scores this, and was published so."""
    measured = metrics(top1=round(500 * top1), top5=49_000, loss_sum=50_000 * loss)
    return result(
        size,
        measurement=measurement(measured),
        comparisons=(
            comparison(published=f"{top1:.3f}", difference=0.002),
            comparison("top5", "98.0", difference=0.0),
            comparison("loss", f"{loss:.6f}", difference=-0.0002),
        ),
    )


@pytest.fixture
def report(results: list[CaseResult]) -> Report:
    """A report of a run in the ledger, with images that flipped since another."""
    flips = find_flips(predictions(seed=1), predictions(seed=1, accuracy=0.6))
    names = ImageNames(
        tuple(f"class {n % 10}/photograph_{n:05}.jpg" for n in range(200)),
        tuple(f"class {n}" for n in range(10)),
    )
    case = CaseFlips(results[0].id, results[0].place, flips, names)
    made = report_of_results(results)
    compared = RunComparison(before=7, after=12, differences=())
    return msgspec.structs.replace(made, run=12, compared=compared, flips=(case,))


@pytest.fixture(scope="session")
def embedded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports of a run of the embedded release's smaller half."""
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "test_release.py").write_text(SUITE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-k", "real/40 or real/80 or real/160"),
            *("--repro-report=report.json", "--repro-report=report.html"),
            "--junitxml=junit.xml",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder
