"""A store that some process needs is not dropped, and a dead process needs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.data.housekeeping import Lease, is_held, unheld

HOLD = """
import sys
from pathlib import Path
from repro.data.housekeeping import Lease
lease = Lease(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "pixels" / "key"


@pytest.fixture
def holder(store: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store."""
    command = [sys.executable, "-c", HOLD, str(store)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_store_is_held_from_lease_to_release(store: Path) -> None:
    assert not is_held(store)
    first, second = Lease(store), Lease(store)
    first.release()
    assert is_held(store)
    second.release()
    assert not is_held(store)


def test_a_lease_that_is_forgotten_ends(store: Path) -> None:
    lease = Lease(store)
    assert is_held(store)
    del lease
    assert not is_held(store)


def test_a_killed_process_holds_nothing(
    store: Path, holder: subprocess.Popen[str]
) -> None:
    assert is_held(store)
    holder.kill()
    holder.wait()
    assert not is_held(store)


def test_a_lease_waits_while_the_store_is_being_dropped(store: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(store)]
    with unheld(store) as alone:
        assert alone
        waiting = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
    output, _ = waiting.communicate("")
    assert output == "held\n"


def test_a_cache_that_cannot_be_written_has_no_leases(tmp_path: Path) -> None:
    (tmp_path / "pixels").touch()
    lease = Lease(tmp_path / "pixels" / "key")
    with unheld(tmp_path / "pixels" / "key") as alone:
        assert alone is None
    lease.release()


def test_whoever_may_write_there_may_hold_a_store(store: Path) -> None:
    before = os.umask(0o002)
    try:
        Lease(store).release()
    finally:
        os.umask(before)
    (file,) = (store.parent / "locks").iterdir()
    assert file.stat().st_mode & 0o777 == 0o664
