"""`--repro-engine=ray`: cases are measured on the nodes of a Ray cluster.

Ray finds GPUs, starts processes, and repeats what was lost with a process or node. What
is done here is to say beforehand which nodes lack what, and to wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from repro.cases import Case
from repro.diagnosis.findings import Diagnosis, Known
from repro.engine.nodes import (
    Answer,
    CaseKey,
    Job,
    NodeState,
    ask_there,
    cores_of_case,
    inspect_node,
    job_of,
    key_of,
    measure_there,
    on_gpu,
)
from repro.engine.protocol import Run
from repro.engine.settings import EngineSettings
from repro.errors import EvaluationError, NotAvailableError, OptionError, ReproError
from repro.machine import available_cores
from repro.planning.plan import Machine
from repro.records.identity import MeasurementKey, git_state
from repro.records.predictions import ImageNames
from repro.records.result import Measurement
from repro.words import counted

if TYPE_CHECKING:
    from repro.engine.evaluator import Evaluator
    from repro.evaluation.predictions import Predictions

#: How often a case is repeated that was lost with its process or node.
RETRIES = 5
#: What Ray starts processes with that choose their GPU themselves.
_SEES_ALL = {"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}}
#: Seconds to wait for a node that is asked what it has.
PATIENCE = 300


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the cluster, with its resources and what it says of itself."""

    id: str
    address: str
    resources: dict[str, float]
    state: NodeState

    def __str__(self) -> str:
        return f"{self.state.host} ({self.address})"


class RayEngine:
    """Hands all cases of a run to a cluster at once, and waits for each when asked.

    Args:
        settings: where things lie and how to compute, as on this machine; nodes put
            their own paths into it (`REPRO_NODE_PATHS`).
    """

    options: ClassVar[tuple[str, ...]] = ("ray_address",)
    computes_here: ClassVar[bool] = False

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._ray: Any = None
        self._nodes: list[Node] = []
        self._tasks: dict[CaseKey, Any] = {}

    def check(self, *, workers: bool) -> None:
        """Refuse workers of xdist: the cluster has processes of its own."""
        if workers:
            raise OptionError(
                "-n and --repro-engine=ray exclude each other: the cluster starts the "
                "processes itself; leave out -n"
            )

    def start(self, run: Run) -> None:
        """Connect to the cluster, and submit all cases that are planned.

        Raises:
            OptionError: there is no such cluster, or it has no device of the kind.
        """
        address = self.settings.ray_address or os.environ.get("RAY_ADDRESS")
        if not address:
            raise OptionError(
                "--repro-engine is 'ray', and no cluster is named: give HOST:PORT with "
                "--repro-ray-address or RAY_ADDRESS, or 'auto' for one on this machine"
            )
        # The nodes have the package, but not the working tree of the suite.
        code = git_state(run.folder.absolute())
        settings = msgspec.structs.replace(self.settings, code=code)
        self._ray = _connect(address)
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        self._uses_gpus = _uses_gpus(settings.device, alive)
        self._cores = cores_of_case(alive, uses_gpus=self._uses_gpus)
        self._job = job_of(run.planned, settings, run.known(), self._cores)
        self._planned = {key: place for place, key in enumerate(self._job.planned)}
        # Sent once for all cases: a release is large, and a task only names its case.
        self._sent = self._ray.put(self._job)
        self._measuring = self._computing(measure_there)
        self._nodes = self._inspect(alive)
        for case in run.planned:
            key = self._key(case)
            somewhere = any(self._has(node, case) for node in self._nodes)
            # What no node has is not submitted: Ray would wait for a node that has it.
            if somewhere and key not in self._tasks:
                self._tasks[key] = self._submit(case)

    @property
    def machine(self) -> Machine:
        """All nodes together; a machine with one GPU as long as nobody was asked."""
        if not self._nodes:
            return Machine(int(self.settings.device != "cpu"), available_cores())
        cores = int(sum(node.resources.get("CPU", 0) for node in self._nodes))
        return Machine(self._at_once if self._uses_gpus else 0, max(1, cores))

    @property
    def _at_once(self) -> int:
        """How many cases are measured at once."""
        per_node = (
            node.resources.get("GPU", 0)
            if self._uses_gpus
            else node.resources.get("CPU", 0) // self._cores
            for node in self._nodes
        )
        return int(sum(per_node))

    def lines(self) -> Iterable[str]:
        """Say what the cluster is, and which node lacks what."""
        if not self._nodes:
            return
        kind = "GPU" if self._uses_gpus else "process"
        yield (
            f"repro: Ray with {counted(len(self._nodes), 'node')}, "
            f"{self._at_once} cases at once, each on one {kind} with "
            f"{counted(self._cores, 'core')}"
        )
        for node in self._nodes:
            lacking = node.state.lacking
            if lacking:
                yield (
                    f"repro: node {node} gets {len(self._planned) - len(lacking)} of "
                    f"{len(self._planned)} cases; {next(iter(lacking.values()))}"
                )

    def measure(
        self, case: Case, progress: Callable[[int], None] = lambda images: None
    ) -> tuple[Measurement, Predictions]:
        """Wait for the measurement of a case; nodes do not tell how far they are.

        Raises:
            NotAvailableError: no node has its weights or images.
            EvaluationError: it was lost again and again.
            ReproError: something about it is wrong, as the node says.
        """
        answer = self._answer(case)
        if answer.measurement is None:
            # It was in the ledger when the run began, and is not what is asked for now:
            # another process may have pruned it, or it was not to be taken over.
            self._tasks[self._key(case)] = self._submit(case, anew=True)
            answer = self._answer(case)
        assert answer.measurement is not None
        assert answer.predictions is not None
        return answer.measurement, answer.predictions

    def diagnose(
        self,
        case: Case,
        predictions: Predictions,
        known: Known | None = None,
        progress: Callable[[int, int], None] = lambda images, most: None,
    ) -> Diagnosis:
        """Let a node look for what would explain a case; see `measure` for errors."""
        task = self._computing(ask_there)
        found: Diagnosis = self._ask(
            case, task, "diagnose", predictions, known, name=f"why {case.id}"
        )
        return found

    def key(self, case: Case) -> MeasurementKey:
        """Give the key that the node has found; see `measure` for errors."""
        return self._answer(case).key

    def image_names(self, case: Case) -> ImageNames:
        """Ask a node that has the images for their names; see `measure` for errors."""
        # No core is asked for: it would wait behind the cases that have them all.
        task = self._ray.remote(num_cpus=0, max_retries=RETRIES)(ask_there)
        found: ImageNames = self._ask(case, task, "image_names")
        return found

    def here(self) -> Evaluator:
        """Give an evaluator of this process: a live model cannot come from a node."""
        return self._own

    @cached_property
    def _own(self) -> Evaluator:
        from repro.engine.evaluator import Evaluator

        return Evaluator(self.settings)

    def stop(self) -> None:
        """Leave the cluster; what is not finished there is cancelled."""
        if self._ray:
            self._ray.shutdown()

    def _ask(self, case: Case, task: Any, *question: Any, **options: Any) -> Any:
        """Wait for what a node that has the files of a case says of it."""
        placed = task.options(label_selector=self._elsewhere(case), **options)
        asked = placed.remote(self._sent, self._key(case), *question)
        return self._wait(case, asked)

    def _computing(self, function: Callable[..., Any]) -> Any:
        """Make a task that computes on the device of a case."""
        return self._ray.remote(
            num_gpus=1 if self._uses_gpus else 0,
            num_cpus=self._cores,
            max_retries=RETRIES,
            # An exception would come again; only what was lost with a process is
            # repeated.
            retry_exceptions=False,
            # A process goes on with the next case, and keeps what it has indexed. CUDA
            # would stay on the one GPU that Ray has shown it first: so it sees all.
            max_calls=0,
            runtime_env=_SEES_ALL if self._uses_gpus else None,
        )(_on_its_gpu(function))

    def _answer(self, case: Case) -> Answer:
        key = self._key(case)
        if key not in self._tasks:
            if key in self._planned:
                place = self._planned[key]
                said = (f"{n}: {n.state.lacking[place]}" for n in self._nodes)
                raise NotAvailableError(f"no node has it. {'. '.join(said)}")
            # Of a claim, or one of two checkpoints that a number may belong to.
            self._tasks[key] = self._submit(case)
        answer: Answer = self._wait(case, self._tasks[key])
        return answer

    def _wait(self, case: Case, task: Any) -> Any:
        """Wait for an answer, and raise what a node has refused with."""
        try:
            answer = self._ray.get(task)
        except self._ray.exceptions.RayTaskError:
            raise  # a bug, with the traceback of the node
        except self._ray.exceptions.RayError as error:
            first = str(error).strip().partition("\n")[0]
            raise EvaluationError(
                f"{case.id} was lost with its process or node {RETRIES + 1} times or "
                f"cannot be placed any more: {first}; look at 'ray status' and at the "
                "memory of the nodes"
            ) from error
        if isinstance(answer, ReproError):
            raise answer
        return answer

    def _submit(self, case: Case, *, anew: bool = False) -> Any:
        key = self._key(case)
        task = self._measuring.options(
            name=case.id, label_selector=self._elsewhere(case)
        )
        return task.remote(self._sent, key, anew=anew)

    def _elsewhere(self, case: Case) -> dict[str, str]:
        """Select the nodes that do not lack what a case needs; new ones may join."""
        lacking = [node.id for node in self._nodes if not self._has(node, case)]
        return {"ray.io/node-id": f"!in({','.join(lacking)})"} if lacking else {}

    def _has(self, node: Node, case: Case) -> bool:
        return self._planned.get(self._key(case), -1) not in node.state.lacking

    def _key(self, case: Case) -> CaseKey:
        releases = self._job.releases
        if case.release not in releases:
            # Appended, and sent anew: tasks that are waiting name theirs by its place.
            releases = (*releases, case.release)
            self._job = msgspec.structs.replace(self._job, releases=releases)
            self._sent = self._ray.put(self._job)
        return key_of(case, releases.index(case.release))

    def _inspect(self, alive: Sequence[dict[str, Any]]) -> list[Node]:
        """Ask every node what it has, all at once."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = []
        for node in alive:
            # There or nowhere (not `soft`): what another node has says nothing of this
            # one.
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = self._ray.remote(inspect_node).options(
                num_cpus=0, scheduling_strategy=place
            )
            asked.append((node, task.remote(self._sent)))
        found = [
            Node(
                id=node["NodeID"],
                address=node["NodeManagerAddress"],
                resources=node["Resources"],
                state=_state(self._ray, node, task),
            )
            for node, task in asked
        ]
        _check_versions(found)
        return found


def _on_its_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a task of nodes compute on the GPU that Ray has reserved for it."""

    def there(job: Job, *question: Any, **options: Any) -> Any:
        import ray

        return function(on_gpu(job, ray.get_gpu_ids()), *question, **options)

    return there


def _connect(address: str) -> Any:
    """Connect to a cluster, without reporting to Ray's makers."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Else it warns that a later version will behave as this makes it behave.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise OptionError(
            "--repro-engine is 'ray', which is not installed; "
            "pip install 'pytest-repro[ray]'"
        ) from error
    if not ray.is_initialized():
        try:
            # What nodes print stays there; what is wrong comes with an answer.
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            first = str(error).strip().partition("\n")[0]
            raise OptionError(
                f"there is no Ray cluster at {address!r} ({first}); start one with "
                "'ray start --head' and name it with --repro-ray-address or RAY_ADDRESS"
            ) from error
    return ray


def _uses_gpus(device: str, nodes: Iterable[dict[str, Any]]) -> bool:
    if device not in ("auto", "cpu", "cuda"):
        raise OptionError(
            f"--repro-device is {device!r}; with --repro-engine=ray it must be auto, "
            "cpu or cuda, since Ray chooses the GPU"
        )
    found = any(node["Resources"].get("GPU") for node in nodes)
    if device == "cuda" and not found:
        raise OptionError(
            "--repro-device is 'cuda', but no node of the Ray cluster has a GPU; use "
            "auto or cpu"
        )
    return found and device != "cpu"


def _state(ray: Any, node: dict[str, Any], task: Any) -> NodeState:
    where = f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
    try:
        state: NodeState = ray.get(task, timeout=PATIENCE)
    except (ray.exceptions.RayError, ImportError) as error:
        last = str(error).strip().rpartition("\n")[2]
        raise OptionError(
            f"{where} of the Ray cluster cannot look for the data: {last}; it "
            "needs the pytest-repro of this machine where 'ray start' is run"
        ) from error
    return state


def _check_versions(nodes: Iterable[Node]) -> None:
    from importlib import metadata

    own = metadata.version("pytest-repro")
    for node in nodes:
        if node.state.version != own:
            raise OptionError(
                f"node {node} of the Ray cluster has pytest-repro {node.state.version} "
                f"and this machine {own}; install the same there"
            )
