"""What is to be seen while a run measures: on a terminal, and nowhere else."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from repro.judgement.verdict import Verdict
from repro.plugin.progress import Bars, Lines, Transfer
from repro.records.identity import Asked

from ..made_results import result
from .conftest import SUITE, ReleaseCopy, RunCases
from .terminal import COLUMNS, Terminal, watch_pytest

BAR = re.compile(r"(.+?) +(\d+)%\|.*\| +([\d,.]+) images/s, \d\d:\d\d left")
NAMED = "supervised/real/80"


@pytest.fixture
def release(quick_release: ReleaseCopy) -> ReleaseCopy:
    return quick_release


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


@pytest.fixture
def reporter(
    terminal: Terminal, pytester: pytest.Pytester
) -> Iterator[TerminalReporter]:
    """pytest's own reporter, writing to the terminal."""
    with os.fdopen(os.dup(terminal.writer), "w", encoding="utf-8") as file:
        yield TerminalReporter(pytester.parseconfig(), file)


@pytest.fixture
def bars(reporter: TerminalReporter) -> Iterator[Bars]:
    """Bars of a run of four cases with 100 images each."""
    made = Bars(reporter, {result(f"{n}M").place: 100 for n in range(1, 5)})
    yield made
    made.close()


def seen(terminal: Terminal) -> list[tuple[str, int]]:
    """Give name and percentage of each bar on the screen."""
    found = (BAR.match(line) for line in terminal.look())
    return [(match[1], int(match[2])) for match in found if match]


def test_bars_tell_how_far_the_case_and_the_suite_are(
    terminal: Terminal, bars: Bars
) -> None:
    case = result("2M")
    with bars.measuring(case.place, 100, lambda: 100) as advance:
        advance(30)
        advance(70)
        assert seen(terminal) == [(case.id, 100), ("0 of 4 cases", 25)]


def test_a_case_that_needs_no_images_leaves_less_to_do(
    terminal: Terminal, bars: Bars
) -> None:
    bars.ended(result("1M", Verdict.NOT_RUN))
    bars.ended(result("2M"))
    case = result("3M")
    with bars.measuring(case.place, 100, lambda: 100) as advance:
        advance(100)
        assert seen(terminal) == [(case.id, 100), ("2 of 4 cases", 50)]


def test_a_part_of_the_images_is_the_whole_of_what_is_to_be_done(
    terminal: Terminal, bars: Bars
) -> None:
    case = result("1M")
    with bars.measuring(case.place, 100, lambda: 20) as advance:
        advance(20)
        assert seen(terminal) == [(case.id, 100), ("0 of 4 cases", 6)]


def test_the_search_for_a_cause_is_seen_and_is_no_work_of_the_suite(
    terminal: Terminal, bars: Bars
) -> None:
    case = result("2M")
    with bars.measuring(case.place, 100, lambda: 100) as advance:
        advance(100)
    with bars.explaining(case.place) as looked:
        looked(60, 240)
        assert seen(terminal) == [(f"why {case.id}", 25), ("0 of 4 cases", 25)]
    assert terminal.look() == [""]


def test_a_download_is_seen_with_rate_and_time_left(
    terminal: Terminal, bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    transfer = Transfer(bars)
    with bars.measuring(result("1M").place, 100, lambda: 100):
        transfer.begin("downloading", 10_000_000, 30_000_000)
        now += 5
        transfer.advance(10_000_000)
        _, line = terminal.look()
        assert line.startswith("downloading weights:  67%|")
        assert line.endswith("| 20.0M/30.0M [00:05<00:05, 2.00MB/s]")
        transfer.say("the host is silent; trying again in 2 s")
        assert terminal.look()[1:] == ["the host is silent; trying again in 2 s"]
    assert terminal.look() == [""]


def test_what_pytest_writes_goes_on_where_it_was(
    terminal: Terminal, reporter: TerminalReporter, bars: Bars
) -> None:
    reporter.write("test_checkpoints.py ..", flush=True)
    terminal.look()
    before = terminal.cursor
    with bars.measuring("a case", 100, lambda: 100) as advance:
        advance(100)
        assert len(terminal.look()) == 3
        assert terminal.cursor == before
    reporter.write(".", flush=True)
    assert terminal.look() == ["test_checkpoints.py ..."]


def test_bars_at_the_bottom_of_the_screen_leave_nothing_behind(
    terminal: Terminal, reporter: TerminalReporter, bars: Bars
) -> None:
    for number in range(60):
        reporter.write_line(f"line {number}")
    reporter.write("dots ..", flush=True)
    for size in ("1M", "2M"):
        with bars.measuring(result(size).place, 100, lambda: 100) as advance:
            advance(100)
            terminal.look()
    reporter.write(".", flush=True)
    assert terminal.look()[-3:] == ["line 58", "line 59", "dots ..."]


def test_a_measurement_that_breaks_off_takes_its_bars_along(
    terminal: Terminal, bars: Bars
) -> None:
    def measure() -> None:
        with bars.measuring("a case", 100, lambda: 100) as advance:
            advance(100)
            assert len(terminal.look()) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure()
    assert terminal.look() == [""]


def test_a_long_name_is_cut_where_checkpoints_do_not_differ(
    terminal: Terminal, reporter: TerminalReporter
) -> None:
    made = result("1M", family="supervised/" + "long-" * 20)
    Lines(reporter, planned=3).ended(made)
    reporter.flush()
    (line,) = terminal.look()
    assert len(line) < COLUMNS
    assert line.endswith("/1M@plain: reproduced; 2 of 3 cases remain")


def test_a_case_that_ends_twice_is_counted_once(
    terminal: Terminal, reporter: TerminalReporter
) -> None:
    lines = Lines(reporter, planned=2)
    for size in ("1M", "1M", "2M"):
        lines.ended(result(size))
    assert [line.partition("; ")[2] for line in terminal.look()] == [
        "1 of 2 cases remain",
        "0 of 2 cases remain",
    ]


def test_a_case_that_is_measured_in_two_ways_is_counted_twice(
    terminal: Terminal, reporter: TerminalReporter
) -> None:
    one, other = (result("1M", asked=Asked(digest=name)) for name in ("a", "b"))
    bars = Bars(reporter, {one.place: 100, other.place: 100})
    with bars.measuring(one.place, 100, lambda: 100) as advance:
        advance(100)
        assert seen(terminal) == [(one.id, 100), ("0 of 2 cases", 50)]
    bars.ended(one)
    with bars.measuring(other.place, 100, lambda: 100) as advance:
        advance(100)
        assert seen(terminal) == [(one.id, 100), ("1 of 2 cases", 100)]
    bars.close()
    lines = Lines(reporter, planned=2)
    for made in (one, other):
        lines.ended(made)
    assert terminal.look()[-1].endswith("0 of 2 cases remain")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["-q", "--no-header"], ".   "),
        ([], "test_release.py .   "),
        (["-s"], "test_release.py ."),
        (
            ["-v"],
            f"test_release.py::test_checkpoint[{NAMED}@digits-supervised] PASSED",
        ),
        (
            ["-n1", "--repro-cache=none"],
            f". {NAMED}@digits-supervised: reproduced; 0 of 1 cases remain",
        ),
    ],
    ids=["quiet", "normal", "uncaptured", "verbose", "workers"],
)
def test_a_run_on_a_terminal_shows_its_progress_and_then_only_its_outcome(
    release: ReleaseCopy,
    pytester: pytest.Pytester,
    tmp_path: Path,
    options: list[str],
    line: str,
) -> None:
    pytester.makepyfile(test_release=SUITE)
    screens = watch_pytest(
        pytester.path,
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
        f"-k{NAMED}",
        *options,
    )
    last = screens[-1]
    assert any(text.startswith(line) for text in last), last
    assert not any("images/s" in text for text in last)
    assert any("1 case: 1 reproduced" in text for text in last)
    names = {
        match[1] for screen in screens for text in screen if (match := BAR.match(text))
    }
    bars = {"…ised/real/80@digits-supervised", "0 of 1 case"}
    assert names == (set() if "-n1" in options else bars)


def test_nothing_of_it_is_in_a_log_file(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, "-k", NAMED)
    result.assert_outcomes(passed=1)
    said = result.stdout.str() + result.stderr.str()
    assert "images/s" not in said
    assert "remain" not in said
    assert "\x1b" not in said
