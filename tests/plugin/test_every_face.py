"""Runs in which everything happens: every face of a report says the same of them."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from repro.cli import cli

from .claims import CLAIMS_SUITE, STEEP, exponent, ordering
from .conftest import SUITE, ReleaseCopy

SUFFIXES = (".json", ".md", ".csv", ".html", ".badge.json")
#: What is to come of each checkpoint of a whole run.
WHOLE = {
    "supervised/real/40": "reproduced",
    "supervised/real/80": "reproduced",
    "supervised/real/160": "below",
    "supervised/synthetic/160": "not run",
    "clip/real/40": "failed",
    "clip/real/80": "above",
    "clip/synthetic/40": "inconclusive",
}
#: Claims as every face has them: what is known first, surprises last.
CLAIMS = {"z-holds": "holds", "a-missing": "missing", "b-fails": "fails"}
INTERRUPTED = "def test_interrupted():\n    raise KeyboardInterrupt\n"


class Run(NamedTuple):
    """A run with what it said, and how many cases have which verdict."""

    folder: Path
    terminal: str
    counts: dict[str, int]

    @property
    def total(self) -> str:
        said = ", ".join(
            f"{number} {verdict}" for verdict, number in self.counts.items()
        )
        return f"{sum(self.counts.values())} cases: {said}"

    def text(self, suffix: str) -> str:
        return (self.folder / f"run{suffix}").read_text()


def marked(suite: str, release: ReleaseCopy, options: str = "") -> str:
    expected = f"(expected={str(release.folder)!r}{options})"
    return suite.replace("@pytest.mark.repro", f"@pytest.mark.repro{expected}")


def releases_of(folder: Path) -> tuple[ReleaseCopy, ReleaseCopy]:
    """Make one that has something of everything, and one that is seen in part."""
    usual, part = ReleaseCopy(folder / "usual"), ReleaseCopy(folder / "part")
    *names, limited = WHOLE
    for copy, kept in ((usual, names), (part, [limited])):
        copy.keep(*kept)
        (copy.folder / "claims.toml").unlink()
    for name, by in (("supervised/real/160", 1.8), ("clip/real/80", -1.8)):
        number = usual.published(name, "top1")
        other = f"{float(number) + by:.2f}"
        usual.edit("references.toml", (f'top1 = "{number}"', f'top1 = "{other}"'))
    usual.weights("supervised/synthetic/160").unlink()
    damaged = usual.weights("clip/real/40")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    missing = ordering("a-missing", "160", "80").replace(
        '["supervised/real", ', '["supervised/synthetic", '
    )
    (usual.folder / "claims.toml").write_text(
        exponent("z-holds", STEEP) + ordering("b-fails", "80", "160") + missing
    )
    return usual, part


@pytest.fixture(scope="module", params=["whole", "interrupted"])
def run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    decoded: Path,
) -> Run:
    """A run to its end, and one that is interrupted before its claims and a case."""
    is_whole = request.param == "whole"
    folder = tmp_path_factory.mktemp("everything")
    usual, part = releases_of(folder)
    (folder / "test_a.py").write_text(marked(SUITE, usual))
    if not is_whole:
        (folder / "test_b.py").write_text(INTERRUPTED)
    (folder / "test_c.py").write_text(marked(SUITE, part, ", limit=100"))
    (folder / "test_d.py").write_text(marked(CLAIMS_SUITE, usual))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"),
            *(f"--repro-report=run{suffix}" for suffix in SUFFIXES),
            *("--junitxml=junit.xml", "--repro-no-diagnose", "--repro-device=cpu"),
            f"--repro-cache={decoded}",
        ],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    ends = pytest.ExitCode.TESTS_FAILED if is_whole else pytest.ExitCode.INTERRUPTED
    assert done.returncode == ends, done.stdout + done.stderr
    counts = {"reproduced": 2, "below": 1, "above": 1, "inconclusive": 1}
    counts |= {"not run": 1, "failed": 1}
    if not is_whole:
        # The costliest of them waits for its turn, behind the interruption.
        del counts["above"]
        counts["not run"] = 2
    return Run(folder, done.stdout, counts)


@pytest.mark.slow
def test_every_face_says_the_same_counts(run: Run) -> None:
    lines = run.terminal.splitlines()
    assert run.total in lines
    assert run.total in run.text(".md").splitlines()
    junit = ElementTree.parse(run.folder / "junit.xml").iter("property")
    assert ("repro", run.total) in {(p.get("name"), p.get("value")) for p in junit}
    page = run.text(".html")
    shown = re.findall(r"<li><b>(\d+)</b> ([a-z ]+)</li>", page)
    assert {verdict: int(number) for number, verdict in shown} == run.counts
    verdicts = re.findall(
        r'<tr class="\w+" data-n="\d+" data-verdict="([a-z ]+)"', page
    )
    assert Counter(verdicts) == run.counts
    cases = json.loads(run.text(".json"))["cases"]
    assert Counter(case["verdict"] for case in cases) == run.counts
    of_rows: dict[str, set[str]] = {}
    for row in csv.DictReader(run.text(".csv").splitlines()):
        of_rows.setdefault(row["case"], set()).add(row["verdict"])
    assert [*of_rows] == [case["id"] for case in cases]
    # A case that diverges may meet some of its numbers.
    worst = [
        min(said - {"reproduced"}, default="reproduced") for said in of_rows.values()
    ]
    assert Counter(worst) == run.counts
    badge = json.loads(run.text(".badge.json"))
    assert badge["color"] == "red"
    assert badge["message"].startswith(f"2/{len(cases)}")


@pytest.mark.slow
def test_every_face_says_the_same_is_red_and_why(run: Run) -> None:
    *_, listing = run.text(".md").partition(" cases are red: ")
    red = ["supervised/real/160@digits-supervised", "clip/real/40@digits-clip"]
    red += ["clip/real/80@digits-clip"] * ("above" in run.counts)
    assert re.findall(r"(\S+@[\w-]+): ", listing.partition("\n")[0]) == red
    page = run.text(".html")
    assert re.findall(r'<details class="case bad" id="case-([^"]+)" open', page) == red
    failed = {
        case.get("name")
        for case in ElementTree.parse(run.folder / "junit.xml").iter("testcase")
        if case.find("failure") is not None
    }
    claims = {"test_a_claim[b-fails]"} if "above" in run.counts else set()
    assert failed == {f"test_checkpoint[{name}]" for name in red} | claims


@pytest.mark.slow
def test_every_face_has_the_same_claims_in_the_same_order(run: Run) -> None:
    claims = CLAIMS if "above" in run.counts else {}
    content = json.loads(run.text(".json"))["claims"]
    assert {claim["id"]: claim["verdict"] for claim in content} == claims
    assert [claim["id"] for claim in content] == [*claims]
    wanted = [*claims.items()]
    *_, section = re.split(r"=+ claims =+", run.terminal)
    lines = [line.split()[:2] for line in section.splitlines()]
    assert [(name, said) for said, name in pairs(lines) if name in CLAIMS] == wanted
    texts = {f"The claim {name}.": name for name in CLAIMS}
    markdown = re.findall(
        r"^- (\w+)(?: \(unexpected\))?: (The claim \S+)", run.text(".md"), re.M
    )
    assert [(texts[text], said) for said, text in markdown] == wanted
    page = re.findall(
        r'verdict">\S (\w+)</span> (The claim \S+)</summary>', run.text(".html")
    )
    assert [(texts[text], said) for said, text in page] == wanted
    junit = ElementTree.parse(run.folder / "junit.xml").iter("property")
    found = [(p.get("name", ""), p.get("value")) for p in junit]
    assert [(n[6:], v) for n, v in found if n.startswith("claim ")] == wanted
    holding = f", 1/{len(claims)} claims" if claims else ""
    message = json.loads(run.text(".badge.json"))["message"]
    assert message.partition("/")[2].lstrip("0123456789") == holding


def pairs(lines: list[list[str]]) -> list[tuple[str, str]]:
    return [(line[0], line[1]) for line in lines if len(line) == 2]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_report_made_later_has_the_same_bytes(run: Run, suffix: str) -> None:
    later = run.folder / f"later{suffix}"
    ledger = str(run.folder / ".repro")
    done = CliRunner().invoke(cli, ["report", "-o", str(later), "--ledger", ledger])
    assert done.exit_code == 0
    assert later.read_text() == run.text(suffix)


@pytest.mark.slow
def test_the_table_shown_later_is_that_of_the_terminal(run: Run) -> None:
    ledger = str(run.folder / ".repro")
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["show", "--ledger", ledger])
    shown = done.output.splitlines()
    table = shown[shown.index("") + 1 :]
    table = table[: table.index(run.total) + 1]
    said = run.terminal.splitlines()
    end = said.index(run.total) + 1
    assert said[end - len(table) : end] == table
