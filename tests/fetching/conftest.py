from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .host import Host, running_host
from .released import Released


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host() as host:
        yield host


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A release with one family, whose link a test sets."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    return Released(tmp_path / "release", tmp_path / "checkpoints")
