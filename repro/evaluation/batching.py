"""How many images to compute at once: measured, and halved when memory runs out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

CANDIDATES = {"cpu": (8, 16, 32, 64), "cuda": (64, 128, 256, 512)}
TRIES = 2


class BatchSize:
    """A batch size that is fixed, or found by timing the first batches of real work.

    Args:
        device: `cpu` or `cuda`.
        fixed: images a batch; None to find it.
    """

    def __init__(self, device: str, fixed: int | None = None) -> None:
        candidates = CANDIDATES.get(device, CANDIDATES["cuda"])
        self._limit = fixed or max(candidates)
        self._untried = [] if fixed else [c for c in candidates for _ in range(TRIES)]
        self._best = fixed or min(candidates)
        self._seconds: dict[int, float] = {}

    @property
    def current(self) -> int:
        """How many images the next batch has."""
        return min(self._untried[0] if self._untried else self._best, self._limit)

    @property
    def is_searching(self) -> bool:
        """Whether the next batch is timed."""
        return bool(self._untried)

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
        failed = self.current
        if failed == 1:
            return False
        self._limit = failed // 2
        self._untried = [size for size in self._untried if size <= self._limit]
        return True
