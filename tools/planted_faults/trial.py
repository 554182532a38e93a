"""Diagnose planted faults, and checkpoints that have none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from repro.cases import Case
from repro.diagnosis.findings import Diagnosis, Known
from repro.diagnosis.suspects import topic_named
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.predictions import Predictions
from repro.judgement.tolerance import tolerance_of

from .faults import CLIP, SUPERVISED, Fault
from .held_out import HeldOut
from .plain import measure
from .planting import (
    Planted,
    embedded_cases,
    full_size,
    plain_of,
    plant,
    publish,
)
from .replay import Replay

#: Other checkpoints that a run has measured before it finds a fault.
PEERS = (
    "supervised/real/160",
    "supervised/real/640",
    "supervised/synthetic/640",
    "clip/real/160",
    "clip/real/320",
    "clip/synthetic+real/640",
)

Said = Literal[
    "named", "kind right", "one of two", "nothing", "false", "within tolerance"
]

#: One image of so many is decided otherwise on other hardware, and losses differ by so
#: large a share of themselves.
FLIPPED = 2000
ROUNDED = 1e-6


@dataclass(frozen=True)
class Outcome:
    """What was said of a planted fault, which has these names and is of a kind."""

    planted: str
    checkpoint: str
    kind: str
    is_called: tuple[str, ...]
    measured: str
    published: str
    diagnosis: Diagnosis

    @property
    def said(self) -> Said:
        """Say whether the fault was named, or its kind, or nothing, or another one."""
        found = self.diagnosis
        if found.cause:
            right = any(found.cause.startswith(name) for name in self.is_called)
            return "named" if right else "false"
        if found.kind:
            if self.kind not in found.kind.split(" or "):
                return "false"
            return "kind right" if found.kind == self.kind else "one of two"
        return "nothing" if found.is_needed else "within tolerance"

    @property
    def is_likelier_right(self) -> bool:
        """Whether the kind is the likelier one of the two that were said."""
        return self.said == "one of two" and self.diagnosis.kind.startswith(self.kind)

    @property
    def cost(self) -> float:
        """Share of a full evaluation that each suspect cost."""
        diagnosis = self.diagnosis
        return diagnosis.images / diagnosis.total / max(1, len(diagnosis.trials))


class Trial:
    """Plants faults in checkpoints of the embedded release.

    Args:
        folder: for pixel stores and text classifiers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases = embedded_cases()
        self._replay = cache(self._measured)

    def plant(self, faults: Iterable[Fault]) -> Iterator[Outcome]:
        """Plant our own faults, one after the other."""
        for fault in faults:
            with tempfile.TemporaryDirectory() as folder:
                planted = plant(fault, Path(folder))
                if fault.twist:
                    yield self._diagnosed(fault, planted)
                    continue
                replayed = self._replay(fault.checkpoint)
                found = replayed.diagnose(planted.case)
                yield _outcome(fault, planted.case, replayed.run, found)

    def plant_in_full_size(self, faults: Iterable[Fault]) -> Iterator[Outcome]:
        """Plant faults in a ViT-B/16."""
        with tempfile.TemporaryDirectory() as folder:
            planted = full_size(Path(folder))
            weights = next(planted.checkpoints.rglob("*.pt"))
            replayed = Replay(
                planted.case, self._folder, planted.checkpoints, planted.data
            )
            for fault in faults:
                plain = replace(plain_of(planted.case), **fault.plain)
                values = measure(plain, weights, planted.data / "val")
                case = publish(planted, values).case
                found = replayed.diagnose(case)
                yield _outcome(fault, case, replayed.run, found)

    def plant_held_out(
        self, faults: Iterable[HeldOut], folder: Path
    ) -> Iterator[Outcome]:
        """Plant faults of a file, whose code lies in the folder."""
        for fault in faults:
            case = self._cases[fault.checkpoint]
            release = case.release
            assert release.own_checkpoints is not None
            assert release.own_data is not None
            values = _measured_with(fault, fault.weights or fault.checkpoint, folder)
            planted = Planted(case, release.own_checkpoints, release.own_data)
            wrong = publish(planted, fault.published(values)).case
            replayed = self._replay(fault.checkpoint)
            known = Known(met=self._peers(fault, folder))
            found = replayed.diagnose(wrong, known=known)
            yield Outcome(
                planted=fault.name,
                checkpoint=fault.checkpoint,
                kind=fault.kind,
                is_called=fault.is_called,
                measured=_top1(replayed.run),
                published=_published(wrong),
                diagnosis=found,
            )

    def _peers(self, fault: HeldOut, folder: Path) -> dict[str, bool]:
        """Tell which of some other cases are met, where these have the fault too."""
        protocol = self._cases[fault.checkpoint].protocol.id
        met = {}
        for name in PEERS:
            other = self._cases[name]
            if name != fault.checkpoint:
                values = {r.metric: r.published.digits for r in other.references}
                if fault.is_hit(other, protocol):
                    values = _measured_with(fault, name, folder)
                met[other.id] = all(
                    abs(float(values[r.metric]) - float(r.published.value))
                    <= tolerance_of(r).value
                    for r in other.references
                )
        return met

    def diagnose_faithful(self, count: int) -> Iterator[tuple[str, Diagnosis | None]]:
        """Diagnose so many datasets drawn from the images, measured once more.

        The numbers are those of a machine that decides an image otherwise now and then,
        and whose losses differ in their last digits.
        """
        random = np.random.default_rng(0)
        for number in range(count):
            name = (SUPERVISED, CLIP)[number % 2]
            replayed = self._replay(name)
            images = len(replayed.dataset)
            chosen = np.sort(random.integers(0, images, images))
            run, again = _measured_twice(replayed.predictions(chosen), random)
            planted = publish(Planted(replayed.case, Path(), Path()), _printed(again))
            # Where nothing is contradicted nothing is explained, whatever is tried.
            if replayed.is_contradicted(planted.case, chosen, run):
                yield name, replayed.diagnose(planted.case, chosen, run)
            else:
                yield name, None

    def _measured(self, name: str) -> Replay:
        return Replay(self._cases[name], self._folder)

    def _diagnosed(self, fault: Fault, planted: Planted) -> Outcome:
        """Measure and diagnose a case of its own as users do."""
        settings = EngineSettings(
            cache=self._folder,
            device="cpu",
            checkpoints=planted.checkpoints,
            data=planted.data,
        )
        engine = Evaluator(settings)
        _, predictions = engine.measure(planted.case)
        found = engine.diagnose(planted.case, predictions)
        return _outcome(fault, planted.case, predictions, found)


def _measured_with(fault: HeldOut, checkpoint: str, folder: Path) -> dict[str, str]:
    """Measure a checkpoint of the embedded release with a fault."""
    case = embedded_cases()[checkpoint]
    assert case.release.own_checkpoints is not None
    assert case.release.own_data is not None
    return measure(
        fault.of_plain(plain_of(case), folder),
        case.release.own_checkpoints / f"{checkpoint}.pt",
        case.release.own_data / "val",
    )


def _outcome(fault: Fault, case: Case, run: Predictions, found: Diagnosis) -> Outcome:
    return Outcome(
        planted=fault.suspect,
        checkpoint=fault.checkpoint,
        kind=topic_named(fault.topic).kind,
        is_called=(fault.suspect,),
        measured=_top1(run),
        published=_published(case),
        diagnosis=found,
    )


def _top1(run: Predictions) -> str:
    return f"{run.metrics().percent('top1'):.2f}"


def _published(case: Case) -> str:
    return {r.metric: str(r.published) for r in case.references}["top1"]


def _measured_twice(
    run: Predictions, random: np.random.Generator
) -> tuple[Predictions, Predictions]:
    """Let two classes of a few images be as likely, and decide them otherwise."""
    images = len(run.labels)
    tied = np.unique(random.integers(0, images, random.poisson(images / FLIPPED)))
    classes, losses = run.classes.copy(), run.losses.copy()
    is_right = classes[tied, 0] == run.labels[tied]
    classes[tied, 1] = np.where(is_right, classes[tied, 1], run.labels[tied])
    confidences = np.exp(-losses).astype(np.float32)
    if run.confidences is not None:
        confidences = run.confidences.copy()
    losses[tied], confidences[tied] = np.log(2), 0.5
    here = msgspec.structs.replace(
        run, classes=classes, losses=losses, confidences=confidences
    )
    turned = classes.copy()
    turned[tied, 0], turned[tied, 1] = classes[tied, 1], classes[tied, 0]
    noise = 1 + ROUNDED * random.normal(size=images)
    return here, msgspec.structs.replace(here, classes=turned, losses=losses * noise)


def _printed(run: Predictions) -> dict[str, str]:
    metrics = run.metrics()
    shares = {name: f"{metrics.percent(name):.2f}" for name in ("top1", "top5")}
    return {**shares, "loss": f"{metrics.loss:.6f}"}
