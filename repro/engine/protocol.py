"""Where the cases of a run are measured: all that is asked of an engine.

An engine is a class that stands under its name in `ENGINES`. It is looked up once for
what is in force, and nobody asks which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from repro.cases import Case
from repro.engine.settings import EngineSettings
from repro.errors import OptionError
from repro.extensions import Extensions

if TYPE_CHECKING:
    from repro.diagnosis.findings import Diagnosis, Known
    from repro.engine.evaluator import Evaluator
    from repro.evaluation.predictions import Predictions
    from repro.fetching import Progress
    from repro.planning.plan import Machine
    from repro.records.identity import MeasurementKey
    from repro.records.predictions import ImageNames
    from repro.records.result import Measurement


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is told of the run that it measures for.

    `planned` are the cases that are going to be asked for with its settings, in their
    order. `cases` are those of the whole run, whatever their settings: one decode of a
    photograph can serve all. `known` lists the digests of measurements that nobody will
    ask for, since an earlier run has made them; it reads the ledger. `downloading` is
    told of downloads, where somebody watches. `folder` is where the run was started:
    tests may go elsewhere.
    """

    planned: Sequence[Case] = ()
    cases: Sequence[Case] = ()
    known: Callable[[], Iterable[str]] = tuple
    downloading: Progress | None = None
    folder: Path = Path()


class Engine(Protocol):
    """Measures cases; one is made for each `EngineSettings` in each process.

    To import and to make one is quick: torch is imported and a machine is asked only
    once it is started or has to measure. `measure`, `key`, `diagnose` and `image_names`
    may each take as long as a measurement, and may be asked for a case that was not
    planned: that of a claim, or another checkpoint that a number may belong to.
    """

    #: Options, by the names of their fields, that have an effect with this engine only.
    options: ClassVar[Collection[str]]

    #: Whether it measures in the process that asks, one case after the other, from
    #: files on this machine. Otherwise `measure` waits for what happens elsewhere.
    computes_here: ClassVar[bool]

    settings: EngineSettings

    def __init__(self, settings: EngineSettings) -> None: ...

    def check(self, *, workers: bool) -> None:
        """Refuse what does not go with it, before anything is started.

        Args:
            workers: whether xdist starts processes, each with an engine of its own.

        Raises:
            OptionError: it excludes something that was asked for.
        """

    @property
    def machine(self) -> Machine:
        """What computes; before `start` it may be a guess, as it is for estimates."""

    def start(self, run: Run) -> None:
        """Get ready, once, before the first case.

        Raises:
            ReproError: what it measures with is not there, or not fit for it.
        """

    def lines(self) -> Iterable[str]:
        """Say what the user has to know of what was started."""

    def stop(self) -> None:
        """Give back what `start` took; it may not have been called."""

    def measure(
        self, case: Case, progress: Callable[[int], None] = lambda images: None
    ) -> tuple[Measurement, Predictions]:
        """Evaluate a case from its files.

        Args:
            case: what to evaluate.
            progress: called with the number of images after each batch, if the engine
                computes here.

        Raises:
            NotAvailableError: weights or images are not where it is measured.
            ReproError: something about them is wrong.
        """

    def diagnose(
        self,
        case: Case,
        predictions: Predictions,
        known: Known | None = None,
        progress: Callable[[int, int], None] = lambda images, most: None,
    ) -> Diagnosis:
        """Find what would explain that a case does not meet its published numbers.

        Args:
            case: which one.
            predictions: that `measure` made of it.
            known: what earlier measurements tell.
            progress: called with each number of images that were looked at again, and
                how many these are at most, if the engine computes here.

        Raises:
            ReproError: weights or images are not what `measure` found.
        """

    def key(self, case: Case) -> MeasurementKey:
        """Give all that a measurement of a case depends on, made or to be made.

        Raises:
            NotAvailableError: weights or images are not where it is measured.
            ReproError: something about them is wrong.
        """

    def image_names(self, case: Case) -> ImageNames:
        """Name the images and classes of the case's dataset.

        Raises:
            NotAvailableError: the images are not where it is measured.
            DatasetError: they are incomplete.
        """

    def here(self) -> Evaluator:
        """Give what evaluates in this process: fixtures hand live objects to a test.

        Raises:
            OptionError: the engine has nothing to give.
        """


#: Another package adds one as an entry point of this group: its name there is what
#: `--repro-engine` takes, its value the class (docs/extending.md).
ENGINES = Extensions(
    "repro.engines",
    "engine",
    OptionError,
    {
        "local": "repro.engine.local:LocalEngine",
        "ray": "repro.engine.ray:RayEngine",
    },
)


def find_engine(name: str) -> type[Engine]:
    """Import the engine of a name.

    Raises:
        OptionError: there is none, or its package cannot be imported.
    """
    found: type[Engine] = ENGINES.load(name)
    return found
