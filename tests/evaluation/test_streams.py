"""Copies go beside what a GPU computes: what is asked of CUDA, and in which order.

There is no GPU here, so what is asked is written down by what stands for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from repro.evaluation import batching, evaluate
from repro.evaluation.batching import BatchSize
from repro.evaluation.classifier import Classifier

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


class Driver:
    """Stands for `torch.cuda`: writes down what it is asked, by the name of a stream.

    An event has happened once the device has come as far as when it was recorded.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.device = GPU
        self.now = "computing"
        self.recorded = 0
        self.waited: list[int] = []
        self.copied_to: list[torch.device] = []

    def Stream(self, device: torch.device) -> Line:  # noqa: N802
        """Make another stream."""
        return Line("copying", self, device)

    def current_stream(self, device: torch.device) -> Line:
        """Give the stream that is used now."""
        has_number = ":" in str(device)
        return Line(self.now, self, device if has_number else self.device)

    @contextmanager
    def stream(self, line: Line) -> Iterator[None]:
        """Use another one."""
        before, self.now = self.now, line.name
        yield
        self.now = before

    def Event(self, *, blocking: bool) -> Event:  # noqa: N802
        """Make an event, which is not to be waited for in a loop."""
        assert blocking
        return Event(self)


class Line:
    """Stands for a stream."""

    def __init__(self, name: str, driver: Driver, device: torch.device) -> None:
        self.name, self._driver, self.device = name, driver, device

    def wait_stream(self, other: Line) -> None:
        """Go on only when another one is done with what it has."""
        self._driver.asked.append(f"{self.name} waits for {other.name}")


class Event:
    """Stands for an event."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def record(self, line: Line) -> None:
        """Happen after all that the stream has been given."""
        assert line.name == "computing"
        self._number = self._driver.recorded
        self._driver.recorded += 1

    def synchronize(self) -> None:
        """Wait until it has happened."""
        self._driver.waited.append(self._number)


class Values:
    """Stands for a tensor in a memory, which says what is done with it."""

    def __init__(self, driver: Driver, place: str = "memory") -> None:
        self._driver, self._place = driver, place
        self.is_cuda, self.device = place == "GPU", GPU if place == "GPU" else CPU

    def pin_memory(self) -> Values:
        """Give a copy that the device can read by itself."""
        return Values(self._driver, "pinned memory")

    def to(self, device: Any, *, non_blocking: bool = False) -> Values:
        """Copy to a device."""
        how = "and goes on" if non_blocking else "and waits"
        driver = self._driver
        driver.asked.append(f"{driver.now} copies from {self._place} {how}")
        there = torch.device(device)
        driver.copied_to.append(there)
        return Values(driver, "GPU" if there.type == "cuda" else "memory")

    def record_stream(self, line: Line) -> None:
        """Keep the memory until a stream is done with it."""
        self._driver.asked.append(f"memory is kept for {line.name}")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    found = Driver()
    for name in ("Stream", "current_stream", "stream", "Event"):
        monkeypatch.setattr(torch.cuda, name, getattr(found, name))
    batching._copying.cache_clear()
    yield found
    batching._copying.cache_clear()


def test_pixels_are_copied_beside_what_is_computed(driver: Driver) -> None:
    values: Any = Values(driver)
    batching.send(values, GPU)
    assert driver.asked == [
        "copying copies from pinned memory and goes on",
        "computing waits for copying",
        "memory is kept for computing",
    ]


def test_what_is_on_the_device_is_not_copied_beside_anything(driver: Driver) -> None:
    values: Any = Values(driver, "GPU")
    batching.send(values, GPU)
    assert driver.asked == ["computing copies from GPU and waits"]


@pytest.mark.parametrize("kind", ["mps", "xpu", "cpu"])
def test_other_devices_are_waited_for_since_memory_may_be_used_anew(
    driver: Driver, kind: str
) -> None:
    values: Any = Values(driver)
    batching.send(values, torch.device(kind))
    assert driver.asked == ["computing copies from memory and waits"]


def test_pixels_go_to_the_gpu_that_is_current_whichever_was_before(
    driver: Driver,
) -> None:
    for number in (0, 1):
        driver.device = torch.device("cuda", number)
        values: Any = Values(driver)
        batching.send(values, torch.device("cuda"))
        assert driver.copied_to[-1] == driver.device


def test_one_stream_copies_for_all_batches(driver: Driver) -> None:
    assert batching._copying(GPU) is batching._copying(GPU)


def test_what_was_found_comes_back_without_waiting_for_what_was_given_since(
    driver: Driver,
) -> None:
    values: Any = [Values(driver, "GPU"), Values(driver, "GPU")]
    _, arrive = batching.fetch(values)
    assert driver.asked == ["computing copies from GPU and goes on"] * 2
    assert driver.waited == []
    arrive()
    assert driver.waited == [0]


@pytest.fixture
def given(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Let batches of ten images be computed for a GPU; give what was done, in order."""
    done: list[str] = []

    def copy(pixels: Any, device: torch.device) -> Tensor:
        done.append(f"copy after {driver.waited[-1:]}")
        return torch.from_numpy(np.array(pixels))

    def compute(batch: Tensor, place: slice) -> int:
        done.append("compute")
        return len(batch)

    monkeypatch.setattr(evaluate, "_copy", copy)

    def run() -> list[str]:
        pixels = np.zeros((50, 3, 1, 1), np.uint8)
        list(evaluate._batches(compute, pixels, BatchSize("cuda", 10), GPU))
        return done

    return run


def test_a_batch_is_copied_while_no_more_than_two_are_computed(
    driver: Driver, given: Callable[[], list[str]]
) -> None:
    copies = given()[::2]
    # The last one may still wait for the device when the next one is copied.
    assert copies == [f"copy after {w}" for w in ([], [], [0], [1], [2])]
    assert driver.recorded == 5


def test_a_grey_image_is_one_channel_of_the_three_that_were_copied() -> None:
    pixels = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    grey = Classifier(torch.nn.Flatten(), (0.5,) * 3, (0.5,) * 3, CPU, channels=1)
    found = grey.normalise(pixels)
    assert torch.equal(found, pixels[:, :1].float().div(255).sub(0.5).div(0.5))
