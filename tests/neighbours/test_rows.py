"""The embedded release beside other people's plugins, options and projects."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from .project import Outcome, Project
from .rows import NEIGHBOURS, ROWS, Row

for _plugin in NEIGHBOURS:
    pytest.importorskip(_plugin, reason="tox -e neighbours installs the plugins")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has what the two cases need."""
    row = Row("fills the cache")
    project = Project(tmp_path_factory.mktemp("first"), row)
    outcome = project.end(project.start())
    assert outcome.verdicts == row.verdicts, outcome.said
    return project.cache


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_embedded_release_gets_on_with(
    row: Row, tmp_path: Path, cache: Path
) -> None:
    project = Project(tmp_path, row, cache)
    before, cached = project.names(), project.cached()
    outcomes = _run(project, row)
    is_right = all(_agree(outcome.verdicts, row.verdicts) for outcome in outcomes)
    if not is_right and not project.passes_without_repro():
        pytest.skip("the project's own test fails beside it without repro, too")
    for outcome in outcomes:
        assert "Traceback" not in outcome.said, outcome.said
        assert "INTERNALERROR" not in outcome.said, outcome.said
        assert _agree(outcome.verdicts, row.verdicts), outcome.said
        assert outcome.status == row.status, outcome.said
    new = project.names() - before
    first = {name for name in new if name.rpartition("/")[0] not in new}
    assert first == {f"project/{name}" for name in row.leaves}
    # The weights of a copy of the release are other files.
    assert row.planted or project.cached() == cached
    assert not _still_running(project)


def _run(project: Project, row: Row) -> list[Outcome]:
    """Run a row as it says; give the outcomes that it tells the right values of."""
    if row.way == "SIGINT":
        return [project.interrupt(signal.SIGINT)]
    if row.way == "SIGTERM":
        # What is killed says and removes nothing: a run does it that begins later than
        # the minute in which a folder may not have its lock yet.
        project.interrupt(signal.SIGTERM)
        for folder in project.temporary.glob("repro-run-*"):
            os.utime(folder, (0, 0))
        return [project.end(project.start())]
    if row.way == "two at once":
        started = [project.start(number) for number in (0, 1)]
        return [project.end(process, number) for number, process in enumerate(started)]
    if row.way == "read-only":
        return [_run_read_only(project, row)]
    if row.way == "twice":
        project.end(project.start())
    return [project.end(project.start())]


def _run_read_only(project: Project, row: Row) -> Outcome:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root writes everywhere, and setpriv is not there to prevent it")
    folders = [project.root, project.root / "tests"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        return project.end(project.start())
    finally:
        for folder in folders:
            folder.chmod(0o755)


def _agree(found: dict[str, str], wanted: dict[str, str | None]) -> bool:
    """Whether the verdicts are right; None stands for any."""
    return found.keys() == wanted.keys() and all(
        wanted[name] in (None, verdict) for name, verdict in found.items()
    )


def _still_running(project: Project) -> list[int]:
    """List what still runs when it had some seconds to end."""
    for _ in range(100):
        if not project.left_running():
            break
        time.sleep(0.1)
    return project.left_running()
