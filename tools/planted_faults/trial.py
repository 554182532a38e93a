"""Diagnose planted faults, and checkpoints that have none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from repro.diagnosis.findings import Diagnosis
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings

from .faults import Fault
from .plain import measure
from .planting import (
    Planted,
    embedded_cases,
    full_size,
    plain_of,
    plant,
    publish,
)


@dataclass(frozen=True)
class Outcome:
    """What diagnosis said of a planted fault."""

    fault: Fault
    measured: float
    published: str
    diagnosis: Diagnosis

    @property
    def named(self) -> str:
        """The suspect that was named, if one was."""
        return self.diagnosis.cause

    @property
    def is_right(self) -> bool:
        """Whether the planted fault was named first."""
        return self.named == self.fault.suspect

    @property
    def cost(self) -> float:
        """Share of a full evaluation that each suspect cost."""
        diagnosis = self.diagnosis
        return diagnosis.images / diagnosis.total / max(1, len(diagnosis.trials))


def diagnose_faults(faults: Iterable[Fault], cache: Path) -> Iterator[Outcome]:
    """Plant faults in the embedded release, one after the other."""
    for fault in faults:
        with tempfile.TemporaryDirectory() as folder:
            yield _diagnose(fault, plant(fault, Path(folder)), cache)


def diagnose_full_size(faults: Iterable[Fault], cache: Path) -> Iterator[Outcome]:
    """Plant faults in a ViT-B/16."""
    with tempfile.TemporaryDirectory() as folder:
        planted = full_size(Path(folder))
        weights = next(planted.checkpoints.rglob("*.pt"))
        for fault in faults:
            plain = replace(plain_of(planted.case), **fault.plain)
            values = measure(plain, weights, planted.data / "val")
            yield _diagnose(fault, publish(planted, values), cache)


def diagnose_faithful(count: int, cache: Path) -> Iterator[tuple[str, Diagnosis]]:
    """Diagnose so many checkpoints of the embedded release as they are."""
    engine = Evaluator(EngineSettings(cache=cache, device="cpu"))
    cases = list(embedded_cases().items())
    for number in range(count):
        name, case = cases[number * len(cases) // count]
        _, predictions = engine.measure(case)
        yield name, engine.diagnose(case, predictions)


def _diagnose(fault: Fault, planted: Planted, cache: Path) -> Outcome:
    settings = EngineSettings(
        cache=cache,
        device="cpu",
        checkpoints=planted.checkpoints,
        data=planted.data,
    )
    engine = Evaluator(settings)
    measurement, predictions = engine.measure(planted.case)
    published = {r.metric: str(r.published) for r in planted.case.references}
    return Outcome(
        fault=fault,
        measured=measurement.metrics.percent("top1"),
        published=published["top1"],
        diagnosis=engine.diagnose(planted.case, predictions),
    )
