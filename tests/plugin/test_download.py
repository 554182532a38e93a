"""`--repro-download` fetches what is missing; without it nothing is connected to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..fetching.host import Host, running_host, status
from ..fetching.released import zipped
from .conftest import SUITE, ReleaseCopy, RunCases
from .terminal import watch_pytest

SUPERVISED = "supervised/real"
DOWNLOADS = "repro: downloads the weights of 2 cases when they run: supervised/real (2)"
WATCH = """
import sys

CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "socket.sendto")
connections = []

def watch(event, arguments):
    if event in CONNECTIONS:
        connections.append(arguments)

sys.addaudithook(watch)

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"{len(connections)} connections were opened")
"""


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host() as host:
        yield host


@pytest.fixture(autouse=True)
def _user_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


def publish(release: ReleaseCopy, host: Host, **how: Any) -> Path:
    """Put the weights of a family on the host, in place of the release's folder."""
    folder = release.folder / "checkpoints" / SUPERVISED
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    link = host.share_folder("/scl/fo/real/h", zipped(files), **how)
    release.edit(
        "release.toml",
        (
            f'[family."{SUPERVISED}"]\n',
            f'[family."{SUPERVISED}"]\nfolder = "{link}"\n',
        ),
    )
    for file in folder.iterdir():
        file.unlink()
    return release.folder / "checkpoints"


def test_missing_weights_are_fetched_and_evaluated(
    release: ReleaseCopy, host: Host, run_cases: RunCases
) -> None:
    checkpoints = publish(release, host)
    options = ("-k", SUPERVISED, f"--repro-checkpoints={checkpoints}")
    missing = run_cases(release, "-rs", *options)
    missing.assert_outcomes(skipped=2)
    missing.stdout.fnmatch_lines(["*or add --repro-download*"])
    missing.stdout.fnmatch_lines(
        ["*repro fetch supervised/real --checkpoints */checkpoints*"]
    )
    assert not host.requests
    result = run_cases(release, *options, "--repro-download")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["repro: *downloading what is missing*", DOWNLOADS])
    assert len(host.asked("/cd/fo/real/h")) == 1
    assert len(release.read().checksums) == 2


@pytest.mark.slow
def test_what_workers_will_download_is_said_where_they_are_started(
    pytester: pytest.Pytester, release: ReleaseCopy, host: Host
) -> None:
    checkpoints = publish(release, host)
    pytester.makepyfile(SUITE.replace("reproduce(case)", "pass"))
    result = pytester.runpytest(
        *("-n1", "-pno:cacheprovider", "--repro-download"),
        f"--repro-expected={release.folder}",
        f"--repro-checkpoints={checkpoints}",
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines([DOWNLOADS])
    assert not host.requests


@pytest.mark.slow
def test_a_download_is_seen_on_a_terminal_while_it_lasts(
    pytester: pytest.Pytester, release: ReleaseCopy, host: Host, tmp_path: Path
) -> None:
    checkpoints = publish(release, host, length=True, pause=0.1, pieces=8)
    pytester.makepyfile(test_release=SUITE)
    screens = watch_pytest(
        pytester.path,
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
        f"--repro-checkpoints={checkpoints}",
        f"-k{SUPERVISED}/80",
        "--repro-download",
    )
    bar = re.compile(r"downloading weights: +\d+%\|.*\[\d\d:\d\d<\d\d:\d\d, .*B/s\]")
    assert any(bar.match(text) for screen in screens for text in screen), screens
    assert any("1 case: 1 reproduced" in text for text in screens[-1])
    assert not any("downloading weights" in text for text in screens[-1])


def test_a_family_that_cannot_be_fetched_is_asked_for_once(
    release: ReleaseCopy, host: Host, run_cases: RunCases
) -> None:
    checkpoints = publish(release, host, faults=[status(404)] * 9)
    result = run_cases(
        release,
        *("-k", SUPERVISED, "--repro-download"),
        f"--repro-checkpoints={checkpoints}",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*answers HTTP 404 Not Found; the link may have*"])
    assert len(host.asked("/cd/fo/real/h")) == 1


def test_downloading_needs_a_folder_to_put_weights_into(
    release: ReleaseCopy, host: Host, run_cases: RunCases
) -> None:
    publish(release, host)
    result = run_cases(release, "-k", f"{SUPERVISED}/80", "--repro-download")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*name one with --repro-checkpoints*"])
    assert not host.requests


def test_a_changed_file_is_not_evaluated(
    release: ReleaseCopy, host: Host, run_cases: RunCases
) -> None:
    checkpoints = publish(release, host)
    options = ("-k", f"{SUPERVISED}/80", f"--repro-checkpoints={checkpoints}")
    run_cases(release, *options, "--repro-download").assert_outcomes(passed=1)
    weights = release.weights(f"{SUPERVISED}/80")
    other = release.weights(f"{SUPERVISED}/160").read_bytes()
    weights.write_bytes(other)
    result = run_cases(release, *options)
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "80.pt has changed" in text
    assert len(set(re.findall(r"\b[0-9a-f]{16}(?=…)", text))) == 2
    assert "0 reproduced" not in text
    assert "1 failed" in text


def test_without_it_no_connection_is_opened(
    pytester: pytest.Pytester, release: ReleaseCopy, run_cases: RunCases, host: Host
) -> None:
    checkpoints = publish(release, host)
    pytester.makeconftest(WATCH)
    result = run_cases(release, "-rs", f"--repro-checkpoints={checkpoints}")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["0 connections were opened"])
    assert not host.requests


def test_the_watch_sees_the_connection_of_a_download(
    pytester: pytest.Pytester, release: ReleaseCopy, run_cases: RunCases, host: Host
) -> None:
    checkpoints = publish(release, host)
    pytester.makeconftest(WATCH)
    result = run_cases(
        release,
        *("-k", f"{SUPERVISED}/80", "--repro-download"),
        f"--repro-checkpoints={checkpoints}",
    )
    result.stdout.re_match_lines([r"[1-9]\d* connections were opened"])
