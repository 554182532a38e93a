"""`--repro-engine NAME` measures cases with an engine of ours or of another package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.engine.protocol import ENGINES, find_engine
from repro.errors import OptionError
from repro.extensions import installed

from .conftest import ReleaseCopy, RunCases

THEIRS = """
from repro.engine.local import LocalEngine
from repro.errors import OptionError


class TheirEngine(LocalEngine):
    computes_here = False

    def check(self, *, workers):
        if workers:
            raise OptionError("-n and --repro-engine=theirs exclude each other")

    def start(self, run):
        super().start(run)
        self.planned = [case.id for case in run.planned]

    def lines(self):
        yield f"theirs: {len(self.planned)} cases"

    def measure(self, case, progress=lambda images: None):
        print("theirs measures", case.id)
        return super().measure(case)
"""


@pytest.fixture
def their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lay out an installed package with an engine and one whose module is gone."""
    (tmp_path / "their_engine.py").write_text(THEIRS)
    information = tmp_path / "their_engine-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: their-engine\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[repro.engines]\ntheirs = their_engine:TheirEngine\ngone = gone:Engine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    yield
    installed.cache_clear()
    sys.modules.pop("their_engine", None)


@pytest.mark.usefixtures("their_package")
def test_an_engine_of_another_package_gets_the_cases_of_a_run(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, "--repro-engine=theirs", "-rP", "-k", "supervised")
    result.assert_outcomes(passed=2, deselected=1)
    result.stdout.fnmatch_lines_random(
        [
            "repro: *, engine theirs",
            "theirs: 2 cases",
            "theirs measures supervised/real/80@digits-supervised",
            "theirs measures supervised/real/160@digits-supervised",
        ]
    )


@pytest.mark.usefixtures("their_package")
def test_an_engine_says_what_it_does_not_go_with(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    for more in ("-n2", "--repro-ray-address=a:1"):
        result = run_cases(release, "--repro-engine=theirs", more)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    result = run_cases(release, "--repro-engine=theirs", "-n2")
    result.stderr.fnmatch_lines(["*-n and --repro-engine=theirs exclude each other*"])


@pytest.mark.usefixtures("their_package")
def test_an_engine_whose_package_is_gone_says_so(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, "--repro-engine=gone")
    assert "(gone:Engine) cannot be imported" in f"{result.stdout}{result.stderr}"
    assert "Traceback" not in f"{result.stdout}{result.stderr}"


def test_our_own_are_found_as_those_of_others_are() -> None:
    assert ENGINES.names() == ["local", "ray"]
    made = [find_engine(name) for name in ENGINES.names()]
    assert [engine.__name__ for engine in made] == ["LocalEngine", "RayEngine"]
    with pytest.raises(OptionError, match="no engine 'slurm'; there are local, ray"):
        find_engine("slurm")


def test_the_cluster_refuses_workers_before_anything_is_started(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, "--repro-engine=ray", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*-n and --repro-engine=ray exclude each other*"])
