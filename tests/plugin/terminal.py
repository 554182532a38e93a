"""A terminal of 80 columns that a process believes in, and what is to be seen there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pyte

COLUMNS, ROWS = 80, 30


class Terminal:
    """Shows what is written to `writer`, the end of the terminal that programs have."""

    def __init__(self) -> None:
        self._reader, self.writer = pty.openpty()
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(self.writer, termios.TIOCSWINSZ, size)
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def look(self) -> list[str]:
        """Read what was written, and give the lines that are to be seen."""
        while select.select([self._reader], [], [], 0)[0]:
            self._stream.feed(os.read(self._reader, 2**16))
        return self.lines

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without what is empty at its end."""
        text = "\n".join(line.rstrip() for line in self._screen.display)
        return text.rstrip().split("\n")

    @property
    def cursor(self) -> tuple[int, int]:
        """Line and column of the cursor."""
        return self._screen.cursor.y, self._screen.cursor.x

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reader)
        os.close(self.writer)


def watch_pytest(folder: Path, *options: str) -> list[list[str]]:
    """Run pytest in a terminal and give every screen that was to be seen, in order."""
    terminal = Terminal()
    screens: list[list[str]] = []
    command: Sequence[str] = (sys.executable, "-m", "pytest", "-pno:cacheprovider")
    with subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env={**os.environ, "TERM": "xterm"},
        stdin=terminal.writer,
        stdout=terminal.writer,
        stderr=terminal.writer,
    ) as run:
        while run.poll() is None:
            screen = terminal.look()
            if not screens or screens[-1] != screen:
                screens.append(screen)
            select.select([terminal._reader], [], [], 0.05)
    screens.append(terminal.look())
    terminal.close()
    return screens
