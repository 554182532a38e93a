"""What a run shows of itself on a terminal; nothing of it goes into a log file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO, TypeGuard

import pytest
from tqdm import tqdm

from repro.records.result import CaseResult
from repro.words import counted

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

#: Seconds between two drawings of the bars.
_INTERVAL = 0.1
#: Characters that a bar has at least, and that what stands behind its name takes.
_BAR = 10
_NUMBERS = len(" 100%|| 10,000 images/s, 10:00:00 left")


class Progress(Protocol):
    """Follows the cases of a run."""

    def ended(self, result: CaseResult) -> None:
        """Take note that a case has a result, once pytest has said so."""

    def close(self) -> None:
        """Leave the terminal as it would be without."""


def is_shown(reporter: TerminalReporter | None) -> TypeGuard[TerminalReporter]:
    """Whether somebody sits in front of what pytest writes."""
    # An attribute until pytest 8.3, a method since, that still is true or false.
    return reporter is not None and bool(reporter.isatty)


class Lines:
    """A line as each case ends, with how many remain: for runs with workers.

    Args:
        reporter: that writes to the terminal.
        planned: how many cases were selected.
    """

    def __init__(self, reporter: TerminalReporter, planned: int) -> None:
        self._reporter = reporter
        self._planned = planned
        self._ended: set[str] = set()

    def ended(self, result: CaseResult) -> None:
        """Write the line, behind pytest's letter or below its line about the test."""
        if result.place in self._ended:
            return
        self._ended.add(result.place)
        left = max(0, self._planned - len(self._ended))
        said = f"{result.verdict}; {left:,} of {self._planned:,} cases remain"
        writer = self._reporter._tw
        name = _shortened(result.id, writer.fullwidth - len(said) - len(". : ") - 1)
        if self._reporter.verbosity > 0:
            # pytest stands behind the name of the test, and ends that line itself.
            writer.line()
            writer.write(f"  {name}: {said}", flush=True)
        else:
            writer.line(f" {name}: {said}")
            writer.flush()

    def close(self) -> None:
        """Leave nothing: lines stay."""


class Bars:
    """Two bars below the line that pytest writes: of a case, and of all of them.

    They are there while a case is measured; then the cursor is where pytest left it.

    Args:
        reporter: that writes to the terminal.
        planned: images of what is going to be measured, by its place among results.
    """

    def __init__(self, reporter: TerminalReporter, planned: Mapping[str, int]) -> None:
        self._writer = reporter._tw
        file: TextIO = self._writer._file
        # Not the file itself: while a test runs, pytest captures what it gets.
        self._terminal = os.fdopen(
            os.dup(file.fileno()), "w", encoding=file.encoding, errors="replace"
        )
        self._left = dict(planned)
        self._planned = len(planned)
        self._ended: set[str] = set()
        self._done = 0
        self._start: float | None = None

    @contextlib.contextmanager
    def measuring(
        self, place: str, declared: int, images: Callable[[], int]
    ) -> Iterator[Callable[[int], None]]:
        """Draw bars for a while, and give what to call with each number of images.

        Args:
            place: of the result of the case among those of the run.
            declared: how many images it has by what was published.
            images: counts those that are going to be evaluated; asked once the first
                of them are.
        """
        case = place.partition(" ")[0]
        start = last = time.monotonic()
        self._left[place] = total = declared
        done = 0

        def advance(number: int) -> None:
            nonlocal done, last, total
            total = total if done else images()
            done += number
            self._done += number
            self._left[place] = max(0, total - done)
            now = time.monotonic()
            if now - last >= _INTERVAL or done >= total:
                last = now
                self._draw(*self._lines(case, done, total, start))

        self._draw(*self._lines(case, 0, total, start))
        try:
            yield advance
        finally:
            del self._left[place]
            self._draw()

    @contextlib.contextmanager
    def explaining(self, place: str) -> Iterator[Callable[[int, int], None]]:
        """Draw bars while it is looked for what would explain a case.

        What it gives is to be called with each number of images that were looked at
        again, and how many these may be at most.
        """
        name = f"why {place.partition(' ')[0]}"
        start = time.monotonic()
        last = done = 0.0

        def advance(number: int, most: int) -> None:
            nonlocal done, last
            done += number
            now = time.monotonic()
            if now - last >= _INTERVAL:
                last = now
                self._draw(*self._lines(name, int(done), most, start))

        try:
            yield advance
        finally:
            self._draw()

    def show_bytes(
        self, what: str, done: int, total: int | None, first: int, elapsed: float
    ) -> None:
        """Draw a bar of bytes in place of the case's, until that is drawn again.

        Args:
            what: at the start of the line.
            done: bytes that are here, of which the `first` were from the beginning.
            total: all bytes, where that is known.
            first: see `done`.
            elapsed: seconds for the others.
        """
        width = self._width - 1
        line = tqdm.format_meter(
            done,
            total or 0,
            elapsed,
            ncols=width,
            prefix=what,
            unit="B",
            unit_scale=True,
            initial=first,
            ascii=not self._terminal.encoding.lower().startswith("utf"),
        )
        self._draw(line[:width], "")

    def show_text(self, text: str) -> None:
        """Write a line in place of the case's bar, until that is drawn again."""
        self._draw(text[: self._width - 1], "")

    def ended(self, result: CaseResult) -> None:
        """Count a case; it may have needed none of its images."""
        self._ended.add(result.place)
        self._left.pop(result.place, None)

    def close(self) -> None:
        """Close the file."""
        self._terminal.close()

    def _lines(self, case: str, done: int, total: int, start: float) -> list[str]:
        """Write both bars, one below the other."""
        self._start = self._start or start
        room = self._width - 1 - _NUMBERS - _BAR
        names = [
            _shortened(case, room),
            f"{len(self._ended):,} of {counted(self._planned, 'case')}",
        ]
        length = max(map(len, names))
        everything = self._done + sum(self._left.values())
        return [
            self._line(names[0].ljust(length), done, total, start),
            self._line(names[1].ljust(length), self._done, everything, self._start),
        ]

    def _line(self, name: str, done: int, total: int, start: float) -> str:
        """Write one bar with images per second and the time left."""
        elapsed = time.monotonic() - start
        rate = done / elapsed if elapsed else 0.0
        said = f"{rate:,.0f} images/s, " if rate >= 10 else f"{rate:.1f} images/s, "
        end = f"{said:>17}{{remaining}} left" if done else f"{'starting':>27}"
        width = self._width - 1
        line = tqdm.format_meter(
            done,
            max(total, done, 1),
            elapsed,
            ncols=width,
            prefix=name,
            rate=rate or None,
            bar_format="{desc} {percentage:3.0f}%|{bar}| " + end,
            ascii=not self._terminal.encoding.lower().startswith("utf"),
        )
        return line[:width]

    def _draw(self, *lines: str) -> None:
        """Draw lines below the current one, or nothing there, and come back."""
        column, width = self._writer.width_of_current_line, self._width
        if column:
            # A long line went on in the next one; a full one waits at its end.
            column = column % width or width
        below = "".join(f"\n\r{line}\x1b[K" for line in lines) or "\n\r\x1b[J"
        back = f"\x1b[{max(1, len(lines))}A\r" + (f"\x1b[{column}C" if column else "")
        # A terminal that has gone away is no reason to stop measuring.
        with contextlib.suppress(OSError):
            self._terminal.write(below + back)
            self._terminal.flush()

    @property
    def _width(self) -> int:
        with contextlib.suppress(OSError):
            # Some terminals say 0 when they do not know.
            return os.get_terminal_size(self._terminal.fileno()).columns or 80
        return 80


class Transfer:
    """Shows the download of missing weights where the bar of their case will be.

    Args:
        bars: of the run.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._what = ""
        self._total: int | None = None
        self._first = self._done = 0
        self._start = self._last = 0.0

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Start a part of the work: bytes done already, and all, where it is known."""
        self._what, self._total = f"{what} weights", total
        self._first = self._done = done
        self._start = self._last = time.monotonic()
        self._show(self._start)

    def advance(self, count: int) -> None:
        """Add bytes to those done."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _INTERVAL:
            self._last = now
            self._show(now)

    def say(self, message: str) -> None:
        """Show why it does not go on for now."""
        self._bars.show_text(message)

    def _show(self, now: float) -> None:
        self._bars.show_bytes(
            self._what, self._done, self._total, self._first, now - self._start
        )


BARS = pytest.StashKey[Bars]()


def _shortened(name: str, room: int) -> str:
    """Keep the end of a name that is too long: it tells checkpoints apart."""
    room = max(room, 2)
    return name if len(name) <= room else "…" + name[len(name) - room + 1 :]
