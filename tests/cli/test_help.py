from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize(
    "module", sorted({m.partition(":")[0] for m in COMMANDS.values()})
)
def test_what_a_command_stands_beside_costs_it_no_torch(module: str) -> None:
    heavy = "{'torch', 'scipy.stats'}"
    code = f"import sys, {module}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
