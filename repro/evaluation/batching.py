"""How many images to compute at once: measured, and halved when memory runs out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from repro.files import read_sealed, replace_bytes, sealed

CANDIDATES = {"cpu": (8, 16, 32, 64), "cuda": (64, 128, 256, 512)}
# The first batch of a size pays for memory and for choosing kernels.
TRIES = 2


class BatchSize:
    """A batch size that is fixed, or found by timing the first batches of real work.

    Args:
        device: `cpu` or `cuda`.
        fixed: images a batch; None to find it.
        file: where the size that was found is kept and taken from; None to find it
            again. It is not there yet the first time.
    """

    def __init__(
        self, device: str, fixed: int | None = None, file: Path | None = None
    ) -> None:
        candidates = CANDIDATES.get(device, CANDIDATES["cuda"])
        self._limit = fixed or max(candidates)
        self._untried = [] if fixed else [c for c in candidates for _ in range(TRIES)]
        self._best = fixed or min(candidates)
        self._seconds: dict[int, float] = {}
        self._file = file

    @property
    def current(self) -> int:
        """How many images the next batch has."""
        return min(self._untried[0] if self._untried else self._best, self._limit)

    @property
    def is_searching(self) -> bool:
        """Whether the next batch is timed."""
        return bool(self._untried)

    @property
    def has_to_be_known(self) -> bool:
        """Whether later runs are to have the same size, which is not known yet."""
        return self._file is not None and self.is_searching

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Take the size that is kept, or keep the one that is found inside.

        Other processes wait for it meanwhile: two that measure disturb each other.
        """
        assert self._file is not None
        with contextlib.ExitStack() as held:
            # Where nothing can be locked or written, it is found again the next time.
            with contextlib.suppress(OSError, NotImplementedError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(self._file.with_suffix(".lock")))
            if kept := _read(self._file):
                self._limit = self._best = kept
                self._untried = []
                yield
                return
            yield
            with contextlib.suppress(OSError):
                replace_bytes(self._file, sealed(str(self.current).encode()))

    def try_no_more_than(self, images: int) -> None:
        """Leave out sizes that no batch will have: strata have that many images."""
        self._untried = [size for size in self._untried if size <= images]

    @contextmanager
    def timed(self, images: int) -> Iterator[None]:
        """Time one batch of that many images."""
        start = time.perf_counter()
        yield
        if self._untried and self._untried[0] == images:
            self._untried.pop(0)
            # The first batch of a size pays for allocation; the quickest one counts.
            seconds = (time.perf_counter() - start) / images
            self._seconds[images] = min(seconds, self._seconds.get(images, seconds))
            self._best = min(self._seconds, key=lambda size: self._seconds[size])

    def halve(self) -> bool:
        """Make batches smaller after memory ran out; False when one image is left."""
        half = self.current // 2
        if half:
            # What is untried is not smaller than what failed.
            self._limit, self._untried = half, []
        return bool(half)


def _read(file: Path) -> int | None:
    """Read a size that was kept, unless it is not there or damaged."""
    try:
        return int(read_sealed(file) or 0) or None
    except OSError:
        return None
