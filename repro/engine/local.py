"""`--repro-engine=local`: cases are measured in the processes of pytest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

import msgspec

from repro.cases import Case
from repro.engine.protocol import Run
from repro.engine.settings import EngineSettings
from repro.errors import EvaluationError
from repro.machine import available_cores, gpus_for, let_threads_sleep
from repro.models.weights import find_weights
from repro.planning.plan import Machine

if TYPE_CHECKING:
    from repro.diagnosis.findings import Diagnosis, Known
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
            _refuse_no_folder()
            let_threads_sleep(os.environ)
            from repro.engine.evaluator import Evaluator
            from repro.records.identity import git_state

            run = self._run
            code = git_state(run.folder.absolute())
            settings = msgspec.structs.replace(self.settings, code=code)
            self._evaluator = Evaluator(settings, run.cases, run.downloading)
        return self._evaluator


def _refuse_no_folder() -> None:
    """Refuse to import torch where its oneMKL would end the process without a word.

    Raises:
        EvaluationError: the current folder is not there.
    """
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError as error:
        raise EvaluationError(
            "the current folder has been removed, and torch cannot be loaded without "
            "one; let no test or conftest change into a folder that it removes"
        ) from error
