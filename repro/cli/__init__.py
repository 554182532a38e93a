"""`repro ...` on the command line; a command is imported when it is called."""

from __future__ import annotations

import importlib
import sys
import warnings

import click

from repro.cli.options import Group
from repro.cli.output import echo
from repro.errors import ReproError
from repro.options.table import refuse_misprints

COMMANDS = {
    "cases": "repro.cli.published:cases",
    "claims": "repro.cli.published:claims",
    "plan": "repro.cli.published:plan",
    "eval": "repro.cli.evaluate:evaluate",
    "import": "repro.cli.import_:import_",
    "schema": "repro.cli.published:schema",
    "fetch": "repro.cli.weights:fetch",
    "verify": "repro.cli.weights:verify",
    "new": "repro.cli.new:new",
    "inspect": "repro.cli.files:inspect",
    "link": "repro.cli.weights:link",
    "dataset": "repro.cli.files:dataset",
    "runs": "repro.cli.ledger:runs",
    "show": "repro.cli.ledger:show",
    "history": "repro.cli.history:history",
    "compare": "repro.cli.ledger:compare",
    "merge": "repro.cli.ledger:merge",
    "report": "repro.cli.ledger:report",
    "prune": "repro.cli.ledger:prune",
    "accept": "repro.cli.export:accept",
    "export": "repro.cli.export:export",
    "attest": "repro.cli.export:attest",
    "verify-attestation": "repro.cli.export:verify_attestation",
    "cache": "repro.cli.machine:cache",
    "env": "repro.cli.machine:env",
}


class LazyGroup(Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-repro")
def cli() -> None:
    """Check that released model weights still score what was published."""
    refuse_misprints()


def _show_warning(message: Warning | str, *_: object) -> None:
    """Say a warning as what it says, without the line of code that gives it."""
    echo(f"warning: {message}", err=True)


def main() -> None:
    """Run the command line; what the user can mend is one line, not a traceback."""
    # Of the process, and not in the group, which others may call inside of theirs.
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        cli()
    except ReproError as error:
        echo(f"error: {error}", err=True)
        sys.exit(2)
