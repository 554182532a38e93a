"""The engines: cases are measured in the processes of pytest, or on nodes of Ray.

They import what measures once it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from repro.cases import Case
from repro.engine.protocol import Run
from repro.engine.settings import EngineSettings
from repro.errors import OptionError
from repro.machine import available_cores, gpus_for, prepare_for_torch
from repro.models.weights import find_weights
from repro.planning.plan import Machine

if TYPE_CHECKING:
    from repro.diagnosis.findings import Diagnosis, Known
    from repro.engine.cluster import Cluster
    from repro.engine.evaluator import Evaluator
    from repro.evaluation.predictions import Predictions
    from repro.records.identity import MeasurementKey
    from repro.records.predictions import ImageNames
    from repro.records.result import Measurement


class LocalEngine:
    """Evaluates in this process, which imports torch once something has to be computed.

    Args:
        settings: where things lie and how to compute.
    """

    options: ClassVar[tuple[str, ...]] = ()
    computes_here: ClassVar[bool] = True

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._run = Run()
        self._evaluator: Evaluator | None = None

    def check(self, *, workers: bool) -> None:
        """Go with everything: workers share the machine."""

    @property
    def machine(self) -> Machine:
        """A GPU for each process, as far as there are some; else the processor."""
        gpus = gpus_for(self.settings.device, os.environ)
        return Machine(min(self.settings.workers, len(gpus)), available_cores())

    def start(self, run: Run) -> None:
        """Remember the run, for when the first case has to be measured."""
        self._run = run

    def lines(self) -> Iterable[str]:
        """Say nothing: what is in force says it."""
        return ()

    def stop(self) -> None:
        """Leave everything to the end of the process."""

    def measure(
        self, case: Case, progress: Callable[[int], None] = lambda images: None
    ) -> tuple[Measurement, Predictions]:
        """Do here what `Engine.measure` says."""
        return self.here().measure(case, progress)

    def diagnose(
        self,
        case: Case,
        predictions: Predictions,
        known: Known | None = None,
        progress: Callable[[int, int], None] = lambda images, most: None,
    ) -> Diagnosis:
        """Do here what `Engine.diagnose` says."""
        return self.here().diagnose(case, predictions, known, progress)

    def key(self, case: Case) -> MeasurementKey:
        """Do here what `Engine.key` says."""
        # A run without any weights ends in a second: it does not import torch.
        if self._evaluator is None and not self.settings.download:
            find_weights(case, self.settings.checkpoints)
        return self.here().key(case)

    def image_names(self, case: Case) -> ImageNames:
        """Do here what `Engine.image_names` says."""
        return self.here().image_names(case)

    def here(self) -> Evaluator:
        """Give what evaluates, made when it is first asked for."""
        if self._evaluator is None:
            prepare_for_torch(os.environ)
            from repro.engine.evaluator import Evaluator
            from repro.records.identity import git_state

            run = self._run
            code = git_state(run.folder.absolute())
            settings = msgspec.structs.replace(self.settings, code=code)
            self._evaluator = Evaluator(settings, run.cases, run.downloading)
        return self._evaluator


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
        self._started: Cluster | None = None

    def check(self, *, workers: bool) -> None:
        """Refuse workers of xdist: the cluster has processes of its own."""
        if workers:
            raise OptionError(
                "-n and --repro-engine=ray exclude each other: the cluster starts the "
                "processes itself; leave out -n"
            )

    @property
    def machine(self) -> Machine:
        """All nodes together; a machine with one GPU as long as nobody was asked."""
        if self._started:
            return self._started.machine
        return Machine(int(self.settings.device != "cpu"), available_cores())

    def start(self, run: Run) -> None:
        """Connect to the cluster, and submit all cases that are planned."""
        from repro.engine.cluster import Cluster
        from repro.records.identity import git_state

        address = self.settings.ray_address or os.environ.get("RAY_ADDRESS")
        if not address:
            raise OptionError(
                "--repro-engine is 'ray', and no cluster is named: give HOST:PORT with "
                "--repro-ray-address or RAY_ADDRESS, or 'auto' for one on this machine"
            )
        # The nodes have the package, but not the working tree of the suite.
        code = git_state(run.folder.absolute())
        settings = msgspec.structs.replace(self.settings, code=code)
        self._started = Cluster(settings, run.planned, address, run.known())

    def lines(self) -> Iterable[str]:
        """Say what the cluster is, and which node lacks what."""
        return self._started.lines() if self._started else ()

    def stop(self) -> None:
        """Leave the cluster; what is not finished there is cancelled."""
        if self._started:
            self._started.close()

    def measure(
        self, case: Case, progress: Callable[[int], None] = lambda images: None
    ) -> tuple[Measurement, Predictions]:
        """Wait for the measurement of a case; nodes do not tell how far they are."""
        return self._cluster.measure(case)

    def diagnose(
        self,
        case: Case,
        predictions: Predictions,
        known: Known | None = None,
        progress: Callable[[int, int], None] = lambda images, most: None,
    ) -> Diagnosis:
        """Let a node look for what would explain a case."""
        return self._cluster.diagnose(case, predictions, known)

    def key(self, case: Case) -> MeasurementKey:
        """Wait for the key that a node has found."""
        return self._cluster.key(case)

    def image_names(self, case: Case) -> ImageNames:
        """Ask a node that has the images for their names."""
        return self._cluster.image_names(case)

    def here(self) -> Evaluator:
        """Give an evaluator of this process: a live model cannot come from a node."""
        return self._own

    @cached_property
    def _own(self) -> Evaluator:
        from repro.engine.evaluator import Evaluator

        return Evaluator(self.settings)

    @property
    def _cluster(self) -> Cluster:
        assert self._started, "an engine is started before its first case"
        return self._started
