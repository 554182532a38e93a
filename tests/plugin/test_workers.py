"""Each worker of xdist gets one GPU of those that the caller allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.machine import visible_gpus
from repro.plugin.hooks import pytest_xdist_auto_num_workers
from repro.plugin.workers import auto_number, describe, show_one_gpu


def _installed(folder: Path, number: int) -> Path:
    """Make a folder that looks like the driver's list of GPUs."""
    for gpu in range(number):
        (folder / "gpus" / f"0000:{gpu:02x}:00.0").mkdir(parents=True)
    return folder / "gpus"


@pytest.mark.parametrize("number", [0, 1, 2, 4, 8])
def test_without_a_choice_all_installed_gpus_count(tmp_path: Path, number: int) -> None:
    found = visible_gpus({}, _installed(tmp_path, number))
    assert found == [str(gpu) for gpu in range(number)]


@pytest.mark.parametrize(
    ("chosen", "gpus"),
    [
        ("2,5", ["2", "5"]),
        ("GPU-8932f937,GPU-1c4ab2c0", ["GPU-8932f937", "GPU-1c4ab2c0"]),
        ("MIG-41b0,MIG-93ff", ["MIG-41b0", "MIG-93ff"]),
        ("0,-1,2", ["0"]),
        ("", []),
        ("-1", []),
        (" 1 , 3 ", ["1", "3"]),
    ],
)
def test_the_callers_own_list_is_respected(
    tmp_path: Path, chosen: str, gpus: list[str]
) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": chosen}
    assert visible_gpus(environment, _installed(tmp_path, 8)) == gpus


@pytest.mark.parametrize(
    ("gpus", "seen"),
    [
        (["0"], ["0", "0", "0", "0"]),
        (["2", "5"], ["2", "5", "2", "5"]),
        (["0", "1", "2", "3"], ["0", "1", "2", "3"]),
    ],
)
def test_workers_take_gpus_in_turn(gpus: list[str], seen: list[str]) -> None:
    shown = []
    for worker in range(4):
        environment: dict[str, str] = {}
        show_one_gpu(environment, worker, gpus)
        shown.append(environment["CUDA_VISIBLE_DEVICES"])
    assert shown == seen


def test_without_a_gpu_the_environment_stays_as_it_is() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "-1"}
    show_one_gpu(environment, 0, visible_gpus(environment))
    assert environment == {"CUDA_VISIBLE_DEVICES": "-1"}


@pytest.mark.parametrize(
    ("workers", "gpus", "line"),
    [
        (2, ["2", "5"], "gw0 GPU 2, gw1 GPU 5"),
        (
            3,
            ["0", "1"],
            "gw0 GPU 0, gw1 GPU 1, gw2 GPU 0; 3 workers share 2 GPUs, and their memory",
        ),
    ],
)
def test_the_header_says_which_worker_has_which_gpu(
    workers: int, gpus: list[str], line: str
) -> None:
    assert describe(workers, gpus) == line


def test_n_auto_starts_one_worker_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,4,6")
    assert auto_number() == 3


def test_n_auto_without_a_gpu_does_not_oversubscribe_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert 1 <= auto_number() <= len(os.sched_getaffinity(0))


def test_another_projects_n_auto_is_left_alone(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    assert pytest_xdist_auto_num_workers(config) is None
    asked = pytester.parseconfig("--repro-expected=embedded")
    assert pytest_xdist_auto_num_workers(asked) == auto_number()


def test_n_auto_is_answered_where_only_a_marker_names_published_numbers(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="embedded")
        def test_checkpoint(case, reproduce):
            reproduce(case)
        """
    )
    config = pytester.parseconfig()
    assert pytest_xdist_auto_num_workers(config) == auto_number()


def test_cases_are_dealt_one_by_one_unless_the_user_says_otherwise(
    pytester: pytest.Pytester,
) -> None:
    options = ("--dist=load", "--tx=2*popen", "--repro-expected=embedded")
    assert pytester.parseconfigure(*options).option.maxschedchunk == 1
    own = pytester.parseconfigure(*options, "--maxschedchunk=5")
    assert own.option.maxschedchunk == 5
    foreign = pytester.parseconfigure(*options[:2])
    assert foreign.option.maxschedchunk is None
