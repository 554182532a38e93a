"""A download goes on where the host allows it, and starts again where it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.errors import FetchError

from .host import Answer, Host, cut_at
from .released import FAMILY, Released, weights

CONTENT = weights(7, 400_000)
OTHER = weights(8, 400_000)
COMMAND = (sys.executable, "-c", "from repro.cli import main; main()", "fetch")


def share(host: Host, **how: Any) -> str:
    return host.share("/1M.pt", CONTENT, **how)


def cut_and_change(host: Host) -> Callable[[Answer], None]:
    def fault(answer: Answer) -> None:
        answer.give(0.7)
        host.shared["/1M.pt"].content = OTHER

    return fault


def ranges(host: Host) -> list[str | None]:
    return [headers.get("Range") for headers in host.asked("/1M.pt")]


def test_a_cut_download_goes_on_where_it_stopped(
    host: Host, released: Released
) -> None:
    released.link(share(host, ranges=True, faults=[cut_at(0.7)]))
    released.fetch()
    assert released.installed() == {"1M.pt": CONTENT}
    first, second = ranges(host)
    assert first is None
    assert second is not None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= len(CONTENT) * 0.7
    assert ("downloading", start, len(CONTENT)) in released.progress.began


@pytest.mark.parametrize(
    "how", [{"ranges": False}, {"ranges": True, "tag": False}], ids=["no", "no tag"]
)
def test_without_ranges_or_proof_of_sameness_it_starts_again(
    host: Host, released: Released, how: dict[str, bool]
) -> None:
    released.link(share(host, faults=[cut_at(0.7)], **how))
    released.fetch()
    assert released.installed() == {"1M.pt": CONTENT}
    assert host.sent["/1M.pt"] > len(CONTENT) * 1.6


def test_a_file_that_changed_between_is_not_mixed(
    host: Host, released: Released
) -> None:
    released.link(share(host, ranges=True, faults=[cut_and_change(host)]))
    released.fetch()
    assert released.installed() == {"1M.pt": OTHER}


def test_a_host_that_ignores_the_condition_does_not_mix_either(
    host: Host, released: Released
) -> None:
    def go_on_regardless(answer: Answer) -> None:
        asked = answer.headers["Range"]
        answer.headers.replace_header("If-Range", answer.wanted.etag)
        assert asked
        answer.give()

    faults = [cut_and_change(host), go_on_regardless]
    released.link(share(host, ranges=True, faults=faults))
    released.fetch()
    assert released.installed() == {"1M.pt": OTHER}
    assert "other bytes; starting again" in released.progress.said[1]


def test_many_cuts_are_no_failure_while_it_gets_further(
    host: Host, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.fetching.transfer.GAIN", 1000)
    released.link(share(host, ranges=True, faults=[cut_at(0.4)] * 8))
    released.fetch()
    assert released.installed() == {"1M.pt": CONTENT}
    assert len(ranges(host)) == 9


def test_what_a_failed_fetch_left_is_used_by_the_next(
    host: Host, released: Released
) -> None:
    released.link(share(host, ranges=True, faults=[cut_at(0.5)] + [hang_up] * 3))
    with pytest.raises(FetchError):
        released.fetch()
    assert released.installed() == {}
    released.fetch()
    assert released.installed() == {"1M.pt": CONTENT}
    assert ranges(host)[-1] is not None


def hang_up(answer: Answer) -> None:
    answer.cut_connection()


def test_what_another_link_left_is_not_used(host: Host, released: Released) -> None:
    released.link(share(host, ranges=True, faults=[cut_at(0.5)] + [hang_up] * 3))
    with pytest.raises(FetchError):
        released.fetch()
    released.link(host.share("/other/1M.pt", weights(9), ranges=True))
    released.fetch()
    assert released.installed() == {"1M.pt": weights(9)}
    assert host.asked("/other/1M.pt")[0].get("Range") is None


@pytest.mark.slow
@pytest.mark.parametrize("resumable", [True, False])
def test_a_fetch_killed_in_the_middle_completes_the_next_time(
    host: Host, released: Released, resumable: bool
) -> None:
    how = dict.fromkeys(("ranges", "tag", "length"), resumable)
    released.link(share(host, **how, pause=0.1, pieces=20))
    arguments = [*COMMAND, "--expected", str(released.folder)]
    arguments += ["--checkpoints", str(released.checkpoints)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path.cwd())
    deadline = time.monotonic() + 60
    part: list[Path] = []
    while not any(p.stat().st_size > 60_000 for p in part):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
        part = list(released.checkpoints.rglob("content.part"))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert released.installed() == {}

    host.shared["/1M.pt"].pause = 0
    finished = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert f"{FAMILY}: fetched 1M.pt" in finished.stdout
    assert released.installed() == {"1M.pt": CONTENT}
    assert (ranges(host)[-1] is not None) == resumable


def test_a_fetch_killed_before_it_was_remembered_brings_nothing_twice(
    host: Host, released: Released
) -> None:
    released.link(share(host))
    released.fetch()
    (done,) = released.checkpoints.rglob("done.json")
    done.unlink()
    assert released.fetch().trusted == ()
    assert released.installed() == {"1M.pt": CONTENT}


@pytest.mark.slow
def test_eight_processes_download_once(host: Host, released: Released) -> None:
    released.link(share(host, pause=0.1, pieces=10))
    arguments = [*COMMAND, "--expected", str(released.folder)]
    arguments += ["--checkpoints", str(released.checkpoints)]
    processes = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert len(host.asked("/1M.pt")) == 1
    assert sum("fetched 1M.pt" in output for output in outputs) == 1
    assert sum("here already: 1M.pt" in output for output in outputs) == 7
    assert released.installed() == {"1M.pt": CONTENT}
