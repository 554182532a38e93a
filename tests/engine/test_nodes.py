"""What runs on a node of a cluster, without the cluster."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest
import torch

import repro
from repro.cases import Case, list_cases
from repro.diagnosis.findings import Diagnosis
from repro.engine.evaluator import Evaluator
from repro.engine.nodes import (
    Answer,
    Job,
    ask_there,
    inspect_node,
    key_of,
    measure_there,
    on_gpu,
)
from repro.engine.settings import EngineSettings
from repro.errors import NotAvailableError
from repro.published import EMBEDDED, read_releases
from repro.records.predictions import ImageNames


@pytest.fixture(scope="module")
def case() -> Case:
    listed = list_cases(read_releases([EMBEDDED]))
    return next(case for case in listed if case.id.startswith("supervised/real/40@"))


@pytest.fixture(scope="module")
def job(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(
        uid="one",
        releases=(case.release,),
        planned=(key_of(case, 0),),
        settings=EngineSettings(
            cache=tmp_path_factory.mktemp("cache"), device="cpu", batch_size=50
        ),
        package=Path(repro.__file__).parent,
        known=frozenset(),
        cores=1,
    )


def test_it_measures_diagnoses_and_names_images_as_an_evaluator_does(
    job: Job, case: Case
) -> None:
    key = job.planned[0]
    answer = measure_there(job, key)
    assert isinstance(answer, Answer)
    assert answer.measurement is not None
    assert answer.predictions is not None
    own = Evaluator(job.settings)
    assert answer.predictions.classes.tolist() == own.measure(case)[1].classes.tolist()
    diagnosis = ask_there(job, key, "diagnose", answer.predictions)
    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis.outcome == "not needed"
    assert ask_there(job, key, "image_names") == own.image_names(case)
    assert isinstance(ask_there(job, key, "image_names"), ImageNames)


def test_what_is_known_is_measured_only_where_it_is_wanted_anew(job: Job) -> None:
    key = job.planned[0]
    answer = measure_there(job, key)
    assert isinstance(answer, Answer)
    known = frozenset([answer.key.whole.digest])
    again = msgspec.structs.replace(job, known=known)
    assert measure_there(again, key) == Answer(key=answer.key)
    anew = measure_there(again, key, anew=True)
    assert isinstance(anew, Answer)
    assert anew.measurement is not None


def test_what_the_user_can_mend_travels_as_data_with_the_name_of_the_node(
    job: Job, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(job.settings, checkpoints=tmp_path)
    elsewhere = msgspec.structs.replace(job, uid="other", settings=settings)
    state = inspect_node(elsewhere)
    assert "no weights" in state.lacking[0]
    for refused in (
        measure_there(elsewhere, job.planned[0]),
        ask_there(elsewhere, job.planned[0], "diagnose", None),
    ):
        assert isinstance(refused, NotAvailableError)
        assert str(refused).endswith(f"(on node {state.host})")
        # What groups cases in reports comes along, and no frame that holds a model.
        there = pickle.loads(pickle.dumps(refused))
        assert (there.args, there.lacking) == (refused.args, "weights")
        assert refused.__traceback__ is None


@pytest.mark.parametrize(
    ("visible", "reserved", "device"),
    [
        ("4,5", ["5"], "cuda:1"),
        ("4,5", [4], "cuda:0"),
        ("GPU-a,MIG-b", ["MIG-b"], "cuda:1"),
        (None, [1], "cuda:1"),
        ("4,5", [], "auto"),
    ],
)
def test_a_process_that_sees_several_gpus_computes_on_the_reserved_one(
    job: Job,
    visible: str | None,
    reserved: list[object],
    device: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    job = msgspec.structs.replace(job, settings=EngineSettings(device="auto"))
    assert on_gpu(job, reserved).settings.device == device
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert on_gpu(job, reserved).settings.device == "auto"
