"""How often all tests here repeat what they try at random, and in which terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repro.records.ledger import FILE, Ledger

Often = Callable[[int, int], int]

#: Modules that take longest: one that began last would be waited for by all workers.
LONGEST = (
    "test_documented_commands.py",
    "engine/test_ray.py",
    "models/test_catalogue.py",
    "diagnosis/test_planted_faults.py",
    "judgement/test_intervals.py",
    "attack/test_attack.py",
    "test_kills.py",
    "evaluation/test_full_size.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-counts",
        action="store_true",
        help="repeat kills, simulations and the like as often as before a release; "
        "otherwise about a fifth as often",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Those who only measure cases have no hypothesis.
    if config.pluginmanager.hasplugin("hypothesispytest"):
        from hypothesis import settings

        # How long an example takes says more of the machine than of the code.
        settings.register_profile("without-deadline", deadline=None)
        settings.load_profile("without-deadline")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    last = len(places)
    items.sort(key=lambda one: (places.get(one.path, last), one.path not in slow))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    _skip_without_gpu(item)
    with _columns():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    with _columns():
        return (yield)


@contextmanager
def _columns() -> Iterator[None]:
    """Give what a test runs a terminal as wide as the lines that it looks for."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("COLUMNS", "80")
        yield


def _skip_without_gpu(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("torch finds no GPU of CUDA here")


@pytest.fixture(scope="session")
def often(pytestconfig: pytest.Config) -> Often:
    """Choose how often to repeat: `often(50, 10)` is 50 with --full-counts, else 10.

    Where the first is the smaller one, it is that in both cases.
    """
    is_full = pytestconfig.getoption("full_counts")
    return lambda full, short: full if is_full else min(full, short)


def wait_for_a_case(folder: Path) -> None:
    """Wait until a run that has just been started has finished a case."""
    for _ in range(3000):
        time.sleep(0.1)
        if (folder / FILE).exists():
            with Ledger(folder, create=True) as ledger:
                if any(run.cases for run in ledger.runs()):
                    return
    raise TimeoutError
