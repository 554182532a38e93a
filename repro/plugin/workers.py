"""Worker processes of pytest-xdist: how many there are, and the GPU of each."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repro.machine import (
    DRIVERS,
    WORKER_BYTES,
    available_cores,
    available_memory,
    gpus_for,
    visible_gpus,
)
from repro.plugin.settings import device_of_run, names_expected
from repro.words import counted

if TYPE_CHECKING:
    from repro.records.predictions import RunFolder

#: What the controller tells a worker: its place among those that are alive.
SEAT = "repro_seat"

#: What the names of the folders of all runs begin with.
RUN_PREFIX = "repro-run-"

#: What the controller tells a worker: the name of the run.
RUN = "repro_run"

#: What the controller tells a worker on its machine: where the folder of the run is.
FOLDER = "repro_folder"

#: How many workers xdist is going to start.
STARTED = pytest.StashKey[int]()

_RUN = pytest.StashKey[str]()
_FOLDER = pytest.StashKey[Path]()


def count(config: pytest.Config) -> int:
    """Count the processes of this run that measure; 1 without xdist."""
    if is_worker(config):
        return int(config.workerinput["workercount"])  # type: ignore[attr-defined]
    return config.stash.get(STARTED, 1)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of xdist."""
    return hasattr(config, "workerinput")


def run_name(config: pytest.Config) -> str:
    """Name this run; its controller and workers agree on it.

    It is drawn by the controller: xdist's own name can be given by the user, and was
    perhaps that of an earlier run.
    """
    told: str | None = getattr(config, "workerinput", {}).get(RUN)
    return told or config.stash.setdefault(_RUN, uuid.uuid4().hex)


def run_path(config: pytest.Config) -> Path:
    """Give the folder that controller and workers of this run share.

    It stays where it was first, whatever a conftest makes of `TMPDIR` or of tempfile.
    """
    if FOLDER in getattr(config, "workerinput", {}):
        return Path(config.workerinput[FOLDER])  # type: ignore[attr-defined]
    folder = Path(tempfile.gettempdir()) / f"{RUN_PREFIX}{run_name(config)}"
    return config.stash.setdefault(_FOLDER, folder)


def run_folder(config: pytest.Config) -> RunFolder:
    """Give what is in that folder."""
    from repro.records.predictions import RunFolder

    return RunFolder(run_path(config))


def assign_gpus(config: pytest.Config, specs: Iterable[Any]) -> None:
    """Start each worker with one GPU of those that the caller allows, in turn.

    CUDA looks at the variable once, as soon as anybody asks it something: a conftest
    that asks whether there is a GPU is loaded before any case is collected. A worker
    that takes the place of a dead one is started with the same specification.

    Args:
        config: of the controller.
        specs: of execnet, whose processes start with their `env`.
    """
    device = device_of_run(config)
    gpus = gpus_for(device, os.environ)
    # Workers elsewhere have GPUs of their own, see `assign_gpu`.
    if has_number(device) or not gpus or not is_mine(config):
        return
    for seat, spec in enumerate(specs):
        if spec.popen and DRIVERS.variable(os.environ) not in spec.env:
            show_one_gpu(spec.env, seat, gpus)


def assign_gpu(config: pytest.Config, devices: Iterable[str]) -> None:
    """Show this worker one GPU of those that it sees: it may see one already.

    It happens once a case is to be run: another project's workers keep what they have.

    Args:
        config: of the worker.
        devices: of its tests.
    """
    if is_worker(config) and not any(map(has_number, devices)):
        seat: int = config.workerinput[SEAT]  # type: ignore[attr-defined]
        show_one_gpu(os.environ, seat, visible_gpus(os.environ))


def has_number(device: str) -> bool:
    """Whether a device is one of several: its number counts among all visible ones."""
    return ":" in device


def is_mine(config: pytest.Config) -> bool:
    """Whether published numbers are checked, as far as is seen before collection."""
    return names_expected(config) or mention_marker(config)


def auto_number(device: str = "auto") -> int:
    """Choose how many workers `-n auto` starts: one for each GPU, or for each core.

    On a processor each worker computes with its share of the threads, so that cores are
    not oversubscribed; memory is what limits their number.
    """
    gpus = gpus_for(device, os.environ)
    if gpus:
        return len(gpus)
    memory = available_memory()
    fitting = available_cores() if memory is None else memory // WORKER_BYTES
    return max(1, min(available_cores(), fitting))


def mention_marker(config: pytest.Config) -> bool:
    """Whether a file among those that pytest would collect mentions the marker.

    Workers are counted before anything is collected: there is nothing else to go by.
    """
    return any(b"mark.repro" in file.read_bytes() for file in _test_files(config))


def deal_one_by_one(config: pytest.Config) -> None:
    """Let xdist deal cases one at a time, unless the user has said how many.

    They take minutes and come longest first; xdist would give each worker a quarter of
    its share at once. Where only a marker names published numbers, that is known when
    xdist's scheduler is already there.
    """
    if getattr(config.option, "maxschedchunk", 1) is None:
        config.option.maxschedchunk = 1
        distributed = config.pluginmanager.get_plugin("dsession")
        scheduler = getattr(distributed, "sched", None)
        if getattr(scheduler, "maxschedchunk", 1) is None:
            scheduler.maxschedchunk = 1  # type: ignore[union-attr]


def describe(workers: int, gpus: Sequence[str]) -> str:
    """Say in one line which worker has what."""
    if not gpus:
        threads = max(1, available_cores() // workers)
        return f"{workers} workers with {counted(threads, 'thread')} each"
    held = ", ".join(f"gw{n} GPU {gpus[n % len(gpus)]}" for n in range(workers))
    if workers <= len(gpus):
        return held
    shared = "one GPU, and its" if len(gpus) == 1 else f"{len(gpus)} GPUs, and their"
    return f"{held}; {workers} workers share {shared} memory"


def show_one_gpu(
    environment: MutableMapping[str, str], worker: int, gpus: Sequence[str]
) -> None:
    """Set `CUDA_VISIBLE_DEVICES` for a worker; nothing changes without a GPU.

    Or that of ROCm, where this process has one: it would be read before.
    """
    if gpus:
        environment[DRIVERS.variable(os.environ)] = gpus[worker % len(gpus)]


def _test_files(config: pytest.Config) -> Iterator[Path]:
    """Find the files that pytest would collect tests from."""
    patterns = config.getini("python_files")
    left_out = config.getini("norecursedirs")
    for argument in config.args:
        place = Path(argument.partition("::")[0])
        if place.is_file():
            yield place
        for folder, below, names in os.walk(place):
            below[:] = [
                name for name in below if not any(fnmatch(name, p) for p in left_out)
            ]
            for name in names:
                if any(fnmatch(name, pattern) for pattern in patterns):
                    yield Path(folder, name)
