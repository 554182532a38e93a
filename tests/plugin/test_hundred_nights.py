"""A hundred nights of somebody's repository: what each said against what was done."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from repro.cli import cli
from repro.plugin.recording import NO_TURN
from repro.published import EMBEDDED
from repro.records.identity import describe_environment
from repro.records.ledger import FILE, Ledger
from tests.conftest import Often

from .claims import CLAIMS_SUITE, ordering
from .conftest import SUITE, ReleaseCopy, checkpoint_of

FIRST = "supervised/real/80@digits-supervised"
SECOND = "supervised/real/160@digits-supervised"
CLIP = "clip/real/80@digits-clip"
WEIGHTS, OTHER = "supervised/real/80", "supervised/real/160"
HOLDS = ordering("more-is-better", "160", "80")
TURNED = ordering("more-is-better", "80", "160")

#: Kills the run after its first case, as a machine does whose power is gone.
KILLED = """
import os
import signal

def pytest_runtest_logreport(report):
    if report.when == "teardown":
        os.kill(os.getpid(), signal.SIGKILL)
"""
#: Ends the run after its first case, as a machine does that is going down.
DIES = """
import pytest

def pytest_runtest_logreport(report):
    if report.when == "teardown":
        pytest.exit("the machine is going down", 2)
"""
#: No file can have more bytes than this while tests run, as on a disk that is full.
FILLS = """
import resource
import pytest

LIMITS = resource.getrlimit(resource.RLIMIT_FSIZE)

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, LIMITS[1]))

def pytest_unconfigure():
    resource.setrlimit(resource.RLIMIT_FSIZE, LIMITS)
"""


class Expected(NamedTuple):
    """What a night has to come to: cases by verdict, and whether the claim holds."""

    status: int = 0
    below: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    claim: str = "holds"
    says: str = ""


class Repository:
    """What somebody has: a release, a claim, a ledger that lasts.

    Args:
        pytester: runs the nights in its folder.
        release: whose files change from night to night.
        cache: with pixels that are decoded already.
    """

    def __init__(
        self, pytester: pytest.Pytester, release: ReleaseCopy, cache: Path
    ) -> None:
        self.pytester, self.release, self.cache = pytester, release, cache
        self.cases = {FIRST, SECOND, CLIP}
        self.met_in: dict[str, int] = {}
        self.green: dict[int, set[str]] = {}
        self.nights = 0
        pytester.makepyfile(test_a_claims=CLAIMS_SUITE, test_b_cases=SUITE)
        self.write_claim(HOLDS)

    def write_claim(self, text: str) -> None:
        (self.release.folder / "claims.toml").write_text(text)

    def baseline(self, measured: set[str]) -> int | None:
        """Name the newest of the green nights with most of the cases of this one."""
        shared = [(len(met & measured), run) for run, met in self.green.items()]
        return max(shared, default=(0, None))[1]

    def night(self, conftest: str = "", *, alone: bool = False) -> pytest.RunResult:
        """Run everything, as the nightly's tox environment does.

        Args:
            conftest: what happens in it.
            alone: whether in a process of its own.
        """
        self.nights += 1
        empty(self.pytester.path / "nightly")
        self.pytester.makeconftest(conftest)
        run = self.pytester.runpytest_subprocess if alone else self.pytester.runpytest
        return run(
            "-pno:cacheprovider",
            "--capture=no",
            f"--repro-expected={self.release.folder}",
            f"--repro-cache={self.cache}",
            "--repro-strict",
            "--repro-no-diagnose",
            "--repro-batch-size=50",
            "--repro-baseline=green",
            "--repro-diverged-exit=10",
            "--repro-report=nightly/report.md",
            "--repro-report=nightly/report.json",
            "--repro-report=nightly/reproduced.badge.json",
        )


def empty(folder: Path) -> None:
    for file in sorted(folder.glob("*")):
        file.unlink()


Event = Callable[[Repository], contextlib.AbstractContextManager[Expected]]


@contextlib.contextmanager
def nothing(repository: Repository) -> Iterator[Expected]:
    yield Expected()


@contextlib.contextmanager
def replaced(file: Path, content: bytes) -> Iterator[None]:
    """Have other bytes in a file for a night."""
    before = file.read_bytes()
    file.write_bytes(content)
    yield
    file.write_bytes(before)


@contextlib.contextmanager
def damaged_weights(repository: Repository) -> Iterator[Expected]:
    with replaced(repository.release.weights(WEIGHTS), b"damaged"):
        yield Expected(1, broken=frozenset({FIRST}), claim="missing", says="80.pt")


@contextlib.contextmanager
def damaged_image(repository: Repository) -> Iterator[Expected]:
    image = repository.release.folder / "val/3/3-07.jpg"
    with replaced(image, image.read_bytes()[:100]):
        broken = frozenset(repository.cases)
        yield Expected(1, broken=broken, claim="missing", says="3-07.jpg")


@contextlib.contextmanager
def missing_image(repository: Repository) -> Iterator[Expected]:
    image = repository.release.folder / "val/3/3-07.jpg"
    content = image.read_bytes()
    image.unlink()
    yield Expected(
        1, broken=frozenset(repository.cases), claim="missing", says="499 images"
    )
    image.write_bytes(content)


@contextlib.contextmanager
def other_weights(repository: Repository) -> Iterator[Expected]:
    other = repository.release.weights(OTHER).read_bytes()
    with replaced(repository.release.weights(WEIGHTS), other):
        yield Expected(
            10, below=frozenset({FIRST}), claim="undecided", says="weights     "
        )


@contextlib.contextmanager
def edited_number(repository: Repository) -> Iterator[Expected]:
    file = repository.release.folder / "references.toml"
    published = repository.release.published(WEIGHTS, "top1")
    text = file.read_text()
    with replaced(file, text.replace(f'"{published}"', '"12.34"', 1).encode()):
        yield Expected(
            10,
            below=frozenset({FIRST}),
            says=f"top1 {published} → 12.34 (edited since)",
        )


@contextlib.contextmanager
def turned_claim(repository: Repository) -> Iterator[Expected]:
    repository.write_claim(TURNED)
    yield Expected(10, claim="fails", says="1 claim: 1 fails")
    repository.write_claim(HOLDS)


@contextlib.contextmanager
def removed_case(repository: Repository) -> Iterator[Expected]:
    """Publish one number less tonight; the next night has it again."""
    file = repository.release.folder / "references.toml"
    head, *tables = file.read_text().split("[[reference]]\n")
    kept = [table for table in tables if 'family = "clip/real"' not in table]
    weights = repository.release.weights("clip/real/80")
    content = weights.read_bytes()
    weights.unlink()
    repository.cases = repository.cases - {CLIP}
    with replaced(file, "[[reference]]\n".join([head, *kept]).encode()):
        yield Expected(says="2 cases: 2 reproduced")
    repository.cases = repository.cases | {CLIP}
    weights.write_bytes(content)


@contextlib.contextmanager
def added_case(repository: Repository) -> Iterator[Expected]:
    """Publish a number more for a night, of a checkpoint that was not there before."""
    name = "supervised/real/320"
    case, file = f"{name}@digits-supervised", repository.release.folder
    file /= "references.toml"
    _, *tables = (EMBEDDED / "references.toml").read_text().split("[[reference]]\n")
    (new,) = (table for table in tables if checkpoint_of(table) == name)
    weights = repository.release.weights(name)
    shutil.copy(EMBEDDED / "checkpoints" / f"{name}.pt", weights)
    repository.cases = repository.cases | {case}
    with replaced(file, f"{file.read_text()}\n[[reference]]\n{new}".encode()):
        yield Expected(says="4 cases: 4 reproduced")
    repository.cases = repository.cases - {case}
    weights.unlink()


@contextlib.contextmanager
def upgrade(repository: Repository) -> Iterator[Expected]:
    """Have another version of a library for a night, as its metadata says."""
    folder = repository.pytester.path / "upgraded/open_clip_torch-99.0.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: open_clip_torch\nVersion: 99.0\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder.parent))
        describe_environment.cache_clear()
        yield Expected(says="→ 99.0" if repository.green else "")
    describe_environment.cache_clear()


@contextlib.contextmanager
def jumping_clock(repository: Repository) -> Iterator[Expected]:
    """Let the clock of earlier nights have been years ahead."""
    ledger = repository.pytester.path / ".repro" / FILE
    if ledger.exists():
        with sqlite3.connect(ledger) as connection:
            connection.execute("UPDATE run SET started = started + 1e8")
        connection.close()
    yield Expected()


EVENTS: tuple[Event, ...] = (
    nothing,
    damaged_weights,
    other_weights,
    edited_number,
    turned_claim,
    removed_case,
    added_case,
    upgrade,
    jumping_clock,
    damaged_image,
    missing_image,
)


def check(repository: Repository, expected: Expected, result: pytest.RunResult) -> None:
    """Compare what a night said with what was done before it."""
    said = str(result.stdout)
    assert result.ret == expected.status, said
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    assert expected.says in said
    folder = repository.pytester.path / "nightly"
    report = json.loads((folder / "report.json").read_text())
    failing = expected.below | expected.broken
    assert {case["id"] for case in report["cases"]} == repository.cases
    met = {c["id"] for c in report["cases"] if c["verdict"] == "reproduced"}
    assert met == repository.cases - failing
    missing = {c["id"] for c in report["cases"] if c["verdict"] == "failed"}
    assert missing == expected.broken
    (claim,) = report["claims"]
    if expected.claim != "undecided":
        assert claim["verdict"] == expected.claim
    badge = json.loads((folder / "reproduced.badge.json").read_text())
    assert badge["message"].startswith(f"{len(met)}/{len(repository.cases)}, ")
    is_red = bool(failing) or expected.claim == "fails"
    colour = "red" if is_red else "brightgreen"
    assert badge["color"] == colour
    summary = (folder / "report.md").read_text()
    for case in expected.below:
        if since := repository.met_in.get(case):
            assert f"Since run {since}, where it was met" in said
            assert f"run {since}" in summary
    for case in expected.broken:
        if since := repository.met_in.get(case):
            assert f"it was last met in run {since}, with weights " in summary
    measured = repository.cases - expected.broken
    assert (report["baseline"] or {}).get("run") == repository.baseline(measured)
    with Ledger(repository.pytester.path / ".repro") as ledger:
        run = ledger.find_run("last")
    assert (run.id, run.exit_status) == (repository.nights, expected.status)
    for case in met:
        repository.met_in[case] = run.id
    if expected.status == 0:
        repository.green[run.id] = met
    ledger_option = f"--ledger={repository.pytester.path / '.repro'}"
    told = CliRunner().invoke(cli, ["history", FIRST, ledger_option]).output
    (row,) = [line for line in told.splitlines() if line.split()[:1] == [str(run.id)]]
    verdict = "reproduced" if FIRST in met else "failed" if FIRST in missing else ""
    assert row.endswith(verdict or ("below", "above"))


@pytest.mark.slow
def test_every_night_says_what_was_done_before_it(
    pytester: pytest.Pytester, release: ReleaseCopy, decoded: Path, often: Often
) -> None:
    repository = Repository(pytester, release, decoded)
    rng = random.Random(24)
    check(repository, Expected(), repository.night())
    for number in range(often(10, 1)):
        for event in rng.sample(EVENTS, len(EVENTS)):
            with event(repository) as expected:
                result = repository.night()
                check(repository, expected, result)
        if number % 2 == 0:
            a_night_that_dies(repository)
        else:
            a_night_whose_disk_is_full(repository)
        check(repository, Expected(), repository.night())
    for last in (a_night_whose_disk_is_full, a_night_that_is_killed):
        last(repository)
        check(repository, Expected(), repository.night())


def a_night_that_dies(repository: Repository) -> None:
    """Stop after one case: the others are counted, and nothing of it is green."""
    result = repository.night(DIES)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert f"not run, {NO_TURN}: 2 cases" in str(result.stdout)
    with Ledger(repository.pytester.path / ".repro") as ledger:
        run = ledger.find_run("last")
        done = [result.id for result in ledger.results(run.id)]
    assert (run.planned, run.exit_status) == (3, 2)
    for case in done:
        repository.met_in[case] = run.id


def a_night_that_is_killed(repository: Repository) -> None:
    """Kill it after one case: that one is kept, and nobody knows how the run ended."""
    result = repository.night(KILLED, alone=True)
    assert result.ret == -signal.SIGKILL
    assert not list((repository.pytester.path / "nightly").glob("*"))
    with Ledger(repository.pytester.path / ".repro") as ledger:
        run = ledger.find_run("last")
        done = [result.id for result in ledger.results(run.id)]
    assert (run.id, run.planned, run.exit_status) == (repository.nights, 3, None)
    assert len(done) <= 1
    for case in done:
        repository.met_in[case] = run.id


def a_night_whose_disk_is_full(repository: Repository) -> None:
    """Fill the disk before the reports: they are named, and it is no green night."""
    result = repository.night(FILLS)
    said = str(result.stdout)
    assert "cannot be written" in said
    assert "3 reproduced" in said
    assert "INTERNALERROR" not in said
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    with Ledger(repository.pytester.path / ".repro") as ledger:
        run = ledger.find_run("last")
    for case in repository.cases:
        repository.met_in[case] = run.id
