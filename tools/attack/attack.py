"""One attack: a command, the files that it finds, and whether it came to grief."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import msgspec
from click.testing import CliRunner

from repro.cli import cli
from repro.errors import ReproError

from .calls import CALLS, call

#: What hostile code writes where it is run.
RAN = "ran"
#: Seconds of processor time, and characters of a message.
SECONDS, CHARACTERS = 10.0, 500
#: Bytes that attacks may take besides what the process has.
MEMORY = 2 * 2**30
#: What click writes before a message.
_BEFORE = len("  Error: ")
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


class Attack(msgspec.Struct, frozen=True):
    """What is called in a folder that holds these files, with these variables set.

    The command is one of `repro`, or of what is called otherwise (`CALLS`).
    """

    kind: str
    command: tuple[str, ...]
    files: dict[str, bytes] = {}
    variables: dict[str, str] = {}

    def shortcoming(self) -> str:
        """Call it, and say what was not as it should be; empty where all was.

        It should end well or with one short sentence, do nothing to a terminal, and
        take no longer than 10 seconds. What memory it may take is up to the process.
        """
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for name, content in self.files.items():
                file = Path(name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            try:
                with _not_for_ever():
                    shortcoming = self._outcome()
                return "it ran code" if Path(RAN).exists() else shortcoming
            except _TooLongError:
                return f"it takes more than {SECONDS:g} s"

    def _outcome(self) -> str:
        if self.command[0] in CALLS:
            said, shortcoming = call(self.command[0], self.command[1:])
            return shortcoming or said_badly(said, [said])
        cache = {"REPRO_CACHE": "cache", "REPRO_LEDGER": ".repro"}
        done = CliRunner().invoke(cli, self.command, env=cache | self.variables)
        error = done.exception
        if isinstance(error, ReproError):
            return said_badly(f"{done.stdout}{error}", [str(error)])
        if error is not None and not isinstance(error, SystemExit):
            return f"{type(error).__name__}: {error}"
        lines = done.stderr.splitlines() if done.exit_code else []
        return said_badly(done.output, lines)


class _TooLongError(BaseException):
    """Raised where a command is, which must not take it for a fault of its own."""


def said_badly(text: str, messages: list[str]) -> str:
    """Say what is wrong with what was said; empty if nothing is."""
    # By what Unicode says of a character, whichever our own code looks for.
    for character in set(text) - {"\n", "\t"}:
        turns = unicodedata.bidirectional(character)
        obeyed = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        if obeyed or turns in _TURNING:
            return f"it prints {character!a}"
    longest = max(map(len, messages), default=0)
    if longest > CHARACTERS + _BEFORE:
        return f"a message has {longest} characters"
    return ""


@contextlib.contextmanager
def _not_for_ever() -> Iterator[None]:
    def end(*_: object) -> Never:
        raise _TooLongError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def limited_memory(size: int) -> Iterator[None]:
    """Let this process take no more than so many bytes besides those that it has."""
    import resource

    if sys.platform != "linux":
        yield
        return
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmData:"))
    limit = int(line.split()[1]) * 1024 + size
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))
