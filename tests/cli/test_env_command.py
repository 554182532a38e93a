from __future__ import annotations

import getpass
import platform
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from repro.cli import cli


def test_a_bug_report_has_versions_and_nothing_personal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "somebodys" / "images"
    monkeypatch.setenv("REPRO_DATA", str(secret))
    result = CliRunner().invoke(cli, ["env", "--device", "cpu"])
    assert result.exit_code == 0, result.exception
    said = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert said["torch"] == torch.__version__.partition("+")[0]
    assert said["python"] == platform.python_version()
    assert "REPRO_DATA" in result.output
    for personal in (
        str(secret),
        str(Path.home()),
        str(Path.cwd()),
        platform.node(),
        f"/{getpass.getuser()}",
    ):
        assert personal not in result.output
