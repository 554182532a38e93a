"""Each worker of xdist gets one GPU of those that the caller allows."""

from __future__ import annotations

import os
from pathlib import Path

import execnet
import pytest

from repro.machine import Drivers, gpus_for, visible_gpus
from repro.plugin import workers
from repro.plugin.hooks import pytest_xdist_auto_num_workers
from repro.plugin.workers import assign_gpus, auto_number, describe, show_one_gpu


def _installed(folder: Path, number: int) -> Drivers:
    """Make a folder that looks like the list of GPUs of NVIDIA's driver."""
    for gpu in range(number):
        (folder / "gpus" / f"0000:{gpu:02x}:00.0").mkdir(parents=True)
    return Drivers(folder / "gpus", folder / "nowhere", folder)


def _installed_of_amd(folder: Path, number: int) -> Drivers:
    """Make one that looks like that of AMD's, behind two processors."""
    for node in range(2 + number):
        (folder / "nodes" / str(node)).mkdir(parents=True)
        gpu_id = 0 if node < 2 else 50_000 + node
        (folder / "nodes" / str(node) / "gpu_id").write_text(f"{gpu_id}\n")
    return Drivers(folder / "nowhere", folder / "nodes")


@pytest.mark.parametrize("number", [0, 1, 2, 4, 8])
def test_without_a_choice_all_installed_gpus_count(tmp_path: Path, number: int) -> None:
    found = visible_gpus({}, _installed(tmp_path, number))
    assert found == [str(gpu) for gpu in range(number)]


def test_a_container_has_the_gpus_whose_devices_it_was_given(tmp_path: Path) -> None:
    drivers = _installed(tmp_path, 8)
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-caps", "nvidia6", "nvidia7"):
        (tmp_path / name).touch()
    # CUDA counts them from 0, whatever they are called.
    assert visible_gpus({}, drivers) == ["0", "1"]


@pytest.mark.parametrize(
    ("chosen", "gpus"),
    [
        ("2,5", ["2", "5"]),
        ("GPU-8932f937,GPU-1c4ab2c0", ["GPU-8932f937", "GPU-1c4ab2c0"]),
        ("MIG-41b0,MIG-93ff", ["MIG-41b0", "MIG-93ff"]),
        ("0,-1,2", ["0"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1,none,2", ["1"]),
        (" 1 , 3 ", ["1", "3"]),
    ],
)
def test_the_callers_own_list_is_respected(
    tmp_path: Path, chosen: str, gpus: list[str]
) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": chosen}
    assert visible_gpus(environment, _installed(tmp_path, 8)) == gpus


@pytest.mark.parametrize(
    ("environment", "gpus"),
    [
        ({}, ["0", "1", "2", "3"]),
        ({"CUDA_VISIBLE_DEVICES": "2,1"}, ["2", "1"]),
        ({"HIP_VISIBLE_DEVICES": "3"}, ["3"]),
        ({"HIP_VISIBLE_DEVICES": "3", "CUDA_VISIBLE_DEVICES": "2"}, ["3"]),
        ({"ROCR_VISIBLE_DEVICES": "3,GPU-4b2c"}, ["0", "1"]),
        ({"ROCR_VISIBLE_DEVICES": "3,2", "HIP_VISIBLE_DEVICES": "1,3"}, ["1"]),
    ],
)
def test_gpus_of_amd_are_chosen_as_rocm_chooses_them(
    tmp_path: Path, environment: dict[str, str], gpus: list[str]
) -> None:
    assert visible_gpus(environment, _installed_of_amd(tmp_path, 4)) == gpus


def test_what_chooses_gpus_of_amd_chooses_none_of_nvidia(tmp_path: Path) -> None:
    environment = {"HIP_VISIBLE_DEVICES": "1", "ROCR_VISIBLE_DEVICES": "1"}
    assert visible_gpus(environment, _installed(tmp_path, 2)) == ["0", "1"]


def test_a_worker_on_a_gpu_of_amd_is_told_by_what_rocm_reads_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "DRIVERS", _installed_of_amd(tmp_path, 8))
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "4,6")
    environment: dict[str, str] = {}
    show_one_gpu(environment, 1, ["4", "6"])
    assert environment == {"HIP_VISIBLE_DEVICES": "6"}


def test_a_gpu_beyond_those_installed_ends_the_list_as_it_does_for_cuda(
    tmp_path: Path,
) -> None:
    installed = _installed(tmp_path, 2)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "1,7,0"}, installed) == ["1"]


@pytest.mark.parametrize(
    ("device", "gpus"),
    [
        ("auto", ["GPU-a", "GPU-b"]),
        ("cuda", ["GPU-a", "GPU-b"]),
        ("cuda:1", ["GPU-b"]),
        ("cuda:2", []),
        ("cpu", []),
        ("mps", []),
    ],
)
def test_the_device_says_which_gpus_are_taken(device: str, gpus: list[str]) -> None:
    assert gpus_for(device, {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}) == gpus


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (["--repro-expected=embedded"], ["GPU-a", "GPU-b", "GPU-a", None, "mine"]),
        (["--repro-expected=embedded", "--repro-device=cuda:1"], [None] * 4 + ["mine"]),
        (["--repro-expected=embedded", "--repro-device=cpu"], [None] * 4 + ["mine"]),
        ([], [None] * 4 + ["mine"]),
    ],
)
def test_a_worker_here_is_started_with_its_gpu(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    seen: list[str | None],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    own = "popen//env:CUDA_VISIBLE_DEVICES=mine"
    places = ["popen", "popen", "popen", "ssh=elsewhere", own]
    specs = [execnet.XSpec(place) for place in places]
    assign_gpus(pytester.parseconfig(*options), specs)
    assert [spec.env.get("CUDA_VISIBLE_DEVICES") for spec in specs] == seen


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
        (
            2,
            ["1"],
            "gw0 GPU 1, gw1 GPU 1; 2 workers share one GPU, and its memory",
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


def test_n_auto_on_a_processor_does_not_count_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(999))))
    assert auto_number("cpu") <= len(os.sched_getaffinity(0))
    assert auto_number("cuda:5") == 1


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
