"""The batch size is the quickest of those that fit, by a clock that is set by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.batching import CANDIDATES, TRIES, BatchSize
from repro.files import DamageWarning, kept, sealed

CPU = CANDIDATES["cpu"]


def searched(
    size: BatchSize, seconds: dict[int, list[float]], fits: int = 10**6
) -> list[int]:
    """Search with batches that take so long; give those that were tried and fitted."""
    now = 0.0
    tried: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("time.perf_counter", lambda: now)
        while size.is_searching:
            if size.current > fits:
                assert size.halve()
                continue
            # Another object of the same number, as the length of a batch is.
            images = int(f"{size.current}")
            with size.timed(images):
                now += images * seconds[images][tried.count(images)]
            tried.append(images)
    return tried


@given(
    st.fixed_dictionaries({n: st.lists(st.floats(1, 9), min_size=2) for n in CPU}),
)
def test_the_quickest_counts_by_its_quickest_batch(
    seconds: dict[int, list[float]],
) -> None:
    size = BatchSize("cpu")
    assert searched(size, seconds) == [n for n in CPU for _ in range(TRIES)]
    # Seconds of a batch by images, as differences of a clock that goes on.
    least = {n: min(tries[:TRIES]) for n, tries in seconds.items()}
    assert least[size.current] == pytest.approx(min(least.values()))


@pytest.mark.parametrize("fits", [64, 63, 40, 32, 16, 8])
def test_all_that_fit_are_tried_where_memory_runs_out(fits: int) -> None:
    size = BatchSize("cpu")
    # The larger, the quicker: what fits is what is left.
    seconds = {n: [1 / n] * TRIES for n in CPU}
    fitting = [n for n in CPU if n <= fits]
    assert searched(size, seconds, fits) == [n for n in fitting for _ in range(TRIES)]
    assert size.current == fitting[-1]


@pytest.mark.parametrize("images", [8, 9, 31, 32, 1000])
def test_no_more_is_tried_than_there_are_images(images: int) -> None:
    size = BatchSize("cpu")
    size.try_no_more_than(images)
    fitting = [n for n in CPU if n <= images]
    found = searched(size, {n: [1.0] * TRIES for n in CPU})
    assert found == [n for n in fitting for _ in range(TRIES)]


def test_a_size_is_halved_down_to_one_image() -> None:
    size = BatchSize("cpu", 13)
    assert not size.is_searching
    found = [size.current]
    while size.halve():
        found.append(size.current)
    assert found == [13, 6, 3, 1]


def test_a_batch_of_another_size_is_not_timed() -> None:
    size = BatchSize("cpu")
    for images in (5, 9):
        with size.timed(images):
            pass
    assert searched(size, {n: [1.0] * TRIES for n in CPU})[: TRIES + 1] == [8, 8, 16]


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_each_size_that_is_tried_is_twice_the_one_before(device: str) -> None:
    size = BatchSize(device)
    smallest = size.current
    assert smallest == (8 if device == "cpu" else 64)
    tried = [smallest * 2**step for step in range(4)]
    found = searched(size, {n: [1 / n] * TRIES for n in tried})
    assert found == [n for n in tried for _ in range(TRIES)]
    assert size.current == tried[-1]


def find_and_keep(file: Path) -> None:
    size = BatchSize("cpu", file=file)
    assert size.has_to_be_known
    with size.remembering():
        assert size.is_searching
        searched(size, {n: [1 / n] * TRIES for n in CPU})


@pytest.mark.parametrize("content", [b"", b"64", sealed(b"64").replace(b"4", b"5", 1)])
def test_a_size_that_is_kept_and_damaged_is_found_again(
    content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "size"
    file.write_bytes(content)
    with pytest.warns(DamageWarning, match="made again"):
        find_and_keep(file)
    assert kept(file) == b"64"
    again = BatchSize("cpu", file=file)
    with again.remembering():
        assert not again.is_searching
    assert again.current == 64


@pytest.mark.parametrize("folder", [".", "new/folder"])
def test_who_searches_has_the_lock_until_the_size_is_kept(
    folder: str, tmp_path: Path
) -> None:
    file = tmp_path / folder / "size"
    other = FileLock(file.with_suffix(".lock"), timeout=0)
    with BatchSize("cpu", file=file).remembering(), pytest.raises(Timeout):
        other.acquire()
    with other:
        assert file.exists()
