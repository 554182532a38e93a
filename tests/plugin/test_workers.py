"""Each worker of xdist gets one GPU of those that the caller allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.plugin.workers import show_one_gpu, visible_gpus


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
