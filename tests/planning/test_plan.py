"""What a run takes is counted as the run itself counts it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro import files
from repro.cases import list_cases
from repro.data.dataset import first_strata
from repro.data.layout import StoreFolder, store_identity, store_path
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.planning import workload as counting
from repro.planning.costs import Costs
from repro.planning.plan import (
    Machine,
    flops,
    make_plan,
    makespan,
    pixels_there,
    shown_time,
)
from repro.planning.workload import Stored, images_of, which_images, workload
from repro.published import EMBEDDED, read_releases

CASES = list_cases(read_releases([EMBEDDED]))
KINDS = {case.kind: case for case in CASES}


def test_cases_share_photographs_and_stores() -> None:
    work = workload(CASES)
    assert (work.cases, work.evaluated) == (30, 30 * 500)
    assert (work.photographs, work.decodes, work.stores) == (500, 500, 2)
    sizes = [case.protocol.geometry_steps.output_size for case in KINDS.values()]
    assert work.stored == sum(3 * 500 * height * width for height, width in sizes)


def test_operations_and_weights_are_added_up() -> None:
    work = workload(CASES)
    assert work.operations == pytest.approx(sum(c.gflops for c in CASES) * 1e9)
    files = list((EMBEDDED / "checkpoints").rglob("*.pt"))
    assert work.weights_bytes == sum(file.stat().st_size for file in files)
    assert work.unsized == 0


def test_weights_that_are_not_here_are_counted_apart(tmp_path: Path) -> None:
    work = workload(CASES, checkpoints=tmp_path)
    assert (work.weights_bytes, work.unsized) == (0, 30)


@pytest.mark.parametrize("limit", [1, 50, 51, 499, 500, 5000])
def test_a_limit_counts_the_images_that_would_be_evaluated(limit: int) -> None:
    dataset = Evaluator(EngineSettings(device="cpu")).dataset(CASES[0])
    strata = first_strata(dataset, limit)
    images = sum(len(dataset.strata[number]) for number in strata)
    assert images_of(CASES[0].dataset, limit) == images


def test_geometries_beyond_memory_need_the_photographs_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "DECODED_AT_ONCE", 50 * 3 * 28 * 28)
    assert workload(CASES).decodes == 1000


def test_pixels_of_other_images_or_another_decoder_are_not_there(
    tmp_path: Path,
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(EMBEDDED / "val", data / "val")
    settings = EngineSettings(data=data, cache=cache, device="cpu")
    dataset = Evaluator(settings, CASES).dataset(CASES[0])

    def complete(name: str = "") -> dict[Stored, int | None]:
        identity = store_identity(dataset, CASES[0].protocol.geometry_steps)
        identity = msgspec.structs.replace(identity, decoder=name or identity.decoder)
        folder = StoreFolder(store_path(cache, identity), identity)
        folder.describe()
        for number, members in enumerate(dataset.strata):
            shape = (len(members), 3, 1, 1)
            images = [dataset.digests[index] for index in members]
            with folder.writing(number, shape, images) as append:
                append(np.zeros(shape, np.uint8))
        return pixels_there(CASES, data, cache)

    # What is younger than two seconds is not remembered, and so not known to be there.
    with mock.patch.object(files, "YOUNG_NANOSECONDS", -(10**9)):
        Evaluator(settings, CASES).dataset(CASES[0])
    assert set(complete("another Pillow").values()) == {0}
    supervised = which_images(CASES[0], data), CASES[0].protocol.geometry
    assert complete()[supervised] is None
    image = data / "val/0/0-00.jpg"
    before = image.stat()
    image.write_bytes(image.read_bytes()[::-1])
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert complete() == {}


def test_pixels_that_are_there_are_not_decoded_again(tmp_path: Path) -> None:
    Evaluator(EngineSettings(cache=tmp_path, device="cpu"), CASES).measure(CASES[0])
    plan = make_plan(CASES, Costs(), Machine(0, 2), cache=tmp_path)
    assert (plan.work.decodes, plan.work.stored) == (0, 0)


def test_images_that_another_set_has_too_are_not_decoded_again(tmp_path: Path) -> None:
    """A copy of the embedded images with one that is changed and one more class."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(EMBEDDED / "val", data / "val")
    settings = EngineSettings(data=data, cache=cache, device="cpu")
    with mock.patch.object(files, "YOUNG_NANOSECONDS", -(10**9)):
        Evaluator(settings, CASES).measure(CASES[0])
        image = data / "val/0/0-00.jpg"
        image.write_bytes((data / "val/0/0-01.jpg").read_bytes() + b"\0")
        Evaluator(settings, CASES).dataset(CASES[0])
        plan = make_plan(CASES[:1], Costs(), Machine(0, 2), data=data, cache=cache)
        assert (plan.work.photographs, plan.work.stores) == (1, 1)
        whole = make_plan(CASES[:1], Costs(), Machine(0, 2)).work
        assert plan.work.decode_seconds == pytest.approx(whole.decode_seconds / 500)


def test_a_part_whose_pixels_are_there_is_not_decoded_again(tmp_path: Path) -> None:
    engine = Evaluator(EngineSettings(cache=tmp_path, device="cpu", limit=60), CASES)
    engine.measure(CASES[0])
    plans = {
        limit: make_plan(CASES, Costs(), Machine(0, 2), cache=tmp_path, limit=limit)
        for limit in (60, 150, None)
    }
    decodes = {limit: plan.work.decodes for limit, plan in plans.items()}
    # Of ten strata of 50 the first two are there.
    assert decodes == {60: 0, 150: 50, None: 400}


def test_a_processor_decodes_and_computes_in_turn_a_gpu_meanwhile() -> None:
    costs = Costs(seconds={case.id: 1.0 for case in CASES})
    decoding = workload(CASES).decode_seconds
    alone = make_plan(CASES, costs, Machine(0, 2))
    assert alone.seconds == pytest.approx(30 + decoding / 2)
    beside = make_plan(CASES, costs, Machine(8, 2))
    assert beside.seconds == pytest.approx(4)
    assert beside.device_seconds == pytest.approx(30)


def test_the_line_of_a_run_names_every_resource_and_the_basis() -> None:
    costs = Costs(seconds={CASES[0].id: 60.0})
    plan = make_plan(CASES[:2], costs, Machine(4, 8))
    assert plan.summary() == (
        "repro: 2 cases, 500 photographs to decode for 1 store, 2.2 GFLOP, 1.2 MB to "
        "store; about 0:01:00 on 4 GPUs and 8 cores (1 as they took before, "
        "1 estimated from an assumed speed), up to 0:04:18 more for each case that "
        "diverges"
    )
    there = msgspec.structs.replace(plan.work, stored=0)
    again = msgspec.structs.replace(plan, work=there)
    assert "GFLOP, nothing to store; " in again.summary()
    assert "store    nothing" in again.lines()


def test_a_diagnosis_that_was_needed_counts_and_one_that_is_not_made_does_not() -> None:
    costs = Costs(
        seconds={case.id: 60.0 for case in CASES}, diagnoses={CASES[0].id: 240.0}
    )
    made = make_plan(CASES[:2], costs, Machine(1, 8))
    assert made.device_seconds == 360
    assert "about 0:06:00 on 1 GPU" in made.time()
    assert made.time().endswith(
        "(2 as they took before, with 1 diagnosis), up to 0:04:18 more for each other "
        "case that diverges"
    )
    without = make_plan(CASES[:2], costs, Machine(1, 8), allowance=None)
    assert without.device_seconds == 120
    assert "diverges" not in without.time()


@given(
    st.lists(st.floats(0, 1e5), max_size=40),
    st.integers(1, 70),
)
def test_no_schedule_beats_the_longest_case_or_the_even_share(
    seconds: list[float], devices: int
) -> None:
    found = makespan(seconds, devices)
    longest = max(seconds, default=0)
    share = sum(seconds) / devices
    assert found >= max(longest, share) * (1 - 1e-9)
    # Graham's bound for any schedule that leaves no device idle.
    assert found <= share + longest * (1 - 1 / devices) + 1e-6


def test_numbers_are_written_for_people() -> None:
    assert flops(17.56e9 * 50_000) == "1.8 PFLOP"
    assert shown_time(3 * 3600 + 61) == "3:01:01"
    assert shown_time(83.4 * 3600) == "3 days, 11 h"
