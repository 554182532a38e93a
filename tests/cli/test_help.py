from __future__ import annotations

import pytest
from click.testing import CliRunner

from repro.cli import COMMANDS, cli


@pytest.mark.parametrize("command", ["", "import", "dataset", "cache"])
def test_help_names_every_command_in_a_whole_sentence(command: str) -> None:
    result = CliRunner().invoke(cli, [*command.split(), "--help"])
    listed = result.output.partition("Commands:\n")[2].splitlines()
    assert listed
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    if not command:
        assert [line.split()[0] for line in listed] == list(COMMANDS)
