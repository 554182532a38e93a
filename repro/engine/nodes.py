"""What runs on the nodes of a cluster: looking for files, and measuring cases.

Nothing here knows which cluster it is. A process that measures several cases keeps what
evaluates them, and with it the index of the images.
"""

from __future__ import annotations

import contextlib
import copy
import os
import platform
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

import repro
from repro.cases import Case, named_case
from repro.data.readers import find_images
from repro.engine.settings import EngineSettings
from repro.engine.sources import check_here
from repro.errors import NotAvailableError, ReproError
from repro.evaluation.predictions import Predictions
from repro.machine import WORKER_BYTES, available_cores, let_threads_sleep, visible_gpus
from repro.published import Release
from repro.records.identity import MeasurementKey
from repro.records.result import Measurement

if TYPE_CHECKING:
    from repro.engine.evaluator import Evaluator

T = TypeVar("T")

#: Names where a node has what the driver has elsewhere: `FROM=TO`, separated by `:`.
NODE_PATHS = "REPRO_NODE_PATHS"

#: What evaluates in this process, by the job that it serves and the device.
_EVALUATORS: dict[tuple[str, str], Evaluator] = {}


class CaseKey(msgspec.Struct, frozen=True):
    """Names a case among releases; `release` is a place in their list."""

    release: int
    family: str
    checkpoint: str
    protocol: str
    dataset: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What all cases of a run have in common; it is sent to a node once.

    `planned` are the cases of the run in their order; `package` is where the driver has
    repro, `known` the keys of measurements that need not be made again, and
    `cores` how many of a node's are for one case.
    """

    uid: str
    releases: tuple[Release, ...]
    planned: tuple[CaseKey, ...]
    settings: EngineSettings
    package: Path
    known: frozenset[str]
    cores: int


def job_of(
    planned: Sequence[Case],
    settings: EngineSettings,
    known: Iterable[str],
    cores: int,
) -> Job:
    """Write down what the cases of a run have in common."""
    releases: list[Release] = []
    for case in planned:
        if case.release not in releases:
            releases.append(case.release)
    return Job(
        uid=uuid.uuid4().hex,
        releases=tuple(releases),
        planned=tuple(key_of(c, releases.index(c.release)) for c in planned),
        settings=settings,
        package=Path(repro.__file__).parent,
        known=frozenset(known),
        cores=cores,
    )


def cores_of_case(nodes: Iterable[dict[str, Any]], *, uses_gpus: bool) -> int:
    """Choose the cores of a case: an even share of those beside the GPUs or memory."""
    shares = []
    for node in nodes:
        resources = node["Resources"]
        cores = resources.get("CPU", 0)
        if uses_gpus:
            slots = resources.get("GPU", 0)
        else:
            slots = min(cores, resources.get("memory", 0) // WORKER_BYTES or 1)
        if slots and cores:
            shares.append(int(cores // slots))
    return max(1, min(shares, default=1))


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case: a measurement, or only its key if that is known."""

    key: MeasurementKey
    measurement: Measurement | None = None
    predictions: Predictions | None = None


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself; `lacking` has a sentence by the place of a case."""

    host: str
    version: str
    lacking: dict[int, str]


def inspect_node(job: Job) -> NodeState:
    """Look for the files of all planned cases here."""
    return NodeState(
        host=platform.node(),
        version=metadata.version("pytest-repro"),
        lacking=_lacking(job),
    )


def on_gpu(job: Job, reserved: Sequence[object]) -> Job:
    """Let a job compute on the GPU that is reserved for its case.

    Args:
        job: of which a process that sees several GPUs may have had cases on others.
        reserved: numbers or names of GPUs, as `CUDA_VISIBLE_DEVICES` has them.
    """
    import torch

    if not reserved or torch.cuda.device_count() < 2:
        return job
    visible, name = visible_gpus(os.environ), str(reserved[0])
    # CUDA counts what is visible from 0 on, whatever Ray calls it.
    place = visible.index(name) if name in visible else int(name)
    settings = msgspec.structs.replace(job.settings, device=f"cuda:{place}")
    return msgspec.structs.replace(job, settings=settings)


def measure_there(job: Job, key: CaseKey, *, anew: bool = False) -> Answer | ReproError:
    """Measure a case, unless its measurement is known and not wanted anew."""

    def measure(evaluator: Evaluator, case: Case) -> Answer:
        found = evaluator.key(case)
        if not anew and not job.known.isdisjoint(found.as_good):
            return Answer(key=found)
        measurement, predictions = evaluator.measure(case)
        return Answer(key=found, measurement=measurement, predictions=predictions)

    return _unless_error(job, key, measure)


def ask_there(job: Job, key: CaseKey, question: str, *details: Any) -> Any:
    """Ask what evaluates there something of a case: the name of one of its methods."""
    return _unless_error(
        job, key, lambda evaluator, case: getattr(evaluator, question)(case, *details)
    )


def _unless_error(
    job: Job, key: CaseKey, answer: Callable[[Evaluator, Case], T]
) -> T | ReproError:
    """Answer; an error that the user can mend is an answer too, with its node.

    Ray would wrap an exception that is raised, and show the traceback of the node.
    """
    try:
        return answer(*_ready(job, key))
    except ReproError as error:
        # A copy has no traceback, whose frames hold what is on the GPU.
        told = copy.copy(error)
        told.args = (f"{error} (on node {platform.node()})",)
        return told
    finally:
        import torch

        # The next case here may be given another GPU. One that failed gives none back.
        with contextlib.suppress(torch.AcceleratorError):
            torch.cuda.empty_cache()


def _ready(job: Job, key: CaseKey) -> tuple[Evaluator, Case]:
    """Give what evaluates a job's cases in this process, and one of them."""
    let_threads_sleep(os.environ)
    import torch

    from repro.engine.evaluator import Evaluator

    here = localized(job, os.environ)
    served = job.uid, job.settings.device
    if served not in _EVALUATORS:
        planned = [bare_case(here, key) for key in here.planned]
        evaluator = Evaluator(here.settings, planned)
        if evaluator.device.type == "cpu":
            # Clusters limit threads themselves; the share is that of the case.
            torch.set_num_threads(job.cores)
        # Ray keeps processes from one run to the next: that of an ended run, with its
        # index and its stores, would be held for as long as the cluster stands.
        _EVALUATORS.clear()
        _EVALUATORS[served] = evaluator
    return _EVALUATORS[served], find_case(here, key)


def find_case(job: Job, key: CaseKey) -> Case:
    """Make a case with its published numbers."""
    case = bare_case(job, key)
    return msgspec.structs.replace(case, references=case.published)


def bare_case(job: Job, key: CaseKey) -> Case:
    """Make a case without published numbers."""
    release = job.releases[key.release]
    return named_case(release, key.family, key.checkpoint, key.protocol, key.dataset)


def localized(job: Job, environment: Mapping[str, str]) -> Job:
    """Put this node's own paths into a job."""
    moves = [(job.package, Path(repro.__file__).parent)]
    for pair in filter(None, environment.get(NODE_PATHS, "").split(os.pathsep)):
        there, _, here = pair.partition("=")
        # Before the folder of the package: what somebody has said counts first.
        moves.insert(0, (Path(there), Path(here)))

    def moved(path: Path | None) -> Path | None:
        for there, here in moves:
            if path is not None and path.is_relative_to(there):
                return here / path.relative_to(there)
        return path

    settings = msgspec.structs.replace(
        job.settings,
        data=moved(job.settings.data),
        checkpoints=moved(job.settings.checkpoints),
        cache=moved(job.settings.cache),
        workers=max(1, available_cores() // job.cores),
    )
    releases = tuple(
        msgspec.structs.replace(release, location=moved(release.location))
        for release in job.releases
    )
    return msgspec.structs.replace(job, settings=settings, releases=releases)


def _lacking(job: Job) -> dict[int, str]:
    """Say of each case what it needs and is not here; nothing is indexed or hashed."""
    here = localized(job, os.environ)
    lacking: dict[int, str] = {}
    # A folder may have 50,000 entries, and thousands of cases.
    found = cache(find_images)
    for place, key in enumerate(here.planned):
        case = bare_case(here, key)
        try:
            check_here(case, here.settings, found)
            _check_model(case)
        except NotAvailableError as error:
            lacking[place] = str(error)
        except ReproError:
            # It is here, and wrong: the case says so.
            continue
    return lacking


def _check_model(case: Case) -> None:
    for name in case.model.files.values():
        if not (case.release.location / name).is_file():
            raise NotAvailableError(
                f"no {name} of release {case.release.id}: {case.release.location} does "
                "not have it"
            )


def key_of(case: Case, release: int) -> CaseKey:
    """Write a case as a key."""
    return CaseKey(
        release, case.family.id, case.checkpoint, case.protocol.id, case.dataset.id
    )
