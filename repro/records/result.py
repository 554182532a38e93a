"""What came of a case, and of a run as a whole: what was measured and what is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from repro.cases import Case
from repro.diagnosis.findings import Diagnosis
from repro.errors import NotAvailableError, ReproError
from repro.evaluation.acceleration import Acceleration, in_words
from repro.evaluation.predictions import Metrics
from repro.files import LEFT_OUT, warn_of_damage
from repro.judgement.compare import Since
from repro.judgement.guarded import Guarded, is_decided
from repro.judgement.intervals import Interval
from repro.judgement.verdict import (
    ReferenceCheck,
    Verdict,
    compare,
    unmeasured,
    verdict_of,
)
from repro.published import (
    GUARDED,
    METRICS,
    Kind,
    Precision,
    Reference,
    Release,
    is_same_arithmetic,
)
from repro.records.identity import UNKNOWN, Asked, Environment


class Measurement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The metrics of a case with all that they depend on.

    `total` is the number of images of the whole dataset; `seconds` is the time of
    loading and evaluating, on a machine that `workers` processes share, of which
    `loading` went before the first image; hashes are SHA-256 in hexadecimal. `key` is
    the digest of its `MeasurementKey`: two that have the same are the same measurement.
    `conditions` are what measurements of several checkpoints can have in common. Where
    a part of the images was evaluated, `intervals` say where the metrics on all images
    lie, as far as that can be said; `stopped_early` tells that all were asked for. The
    expected `calibration_error` is a share from 0 to 1, None where it was not kept.
    `accelerations` are those that were wanted, used or not. `weights_read` says what
    was done to the names of the weights to read them, `images_assumed` what was
    concluded to tell the labels of the images. `guarded` says how decisions of float32
    were obtained where not every image was computed in it.
    """

    metrics: Metrics
    total: int
    seconds: float
    device: str
    precision: str
    weights: str
    weights_sha256: str
    dataset_fingerprint: str
    environment: Environment
    key: str = ""
    conditions: str = ""
    intervals: dict[str, Interval] = {}
    stopped_early: bool = False
    workers: int = 1
    loading: float = 0.0
    calibration_error: float | None = None
    accelerations: tuple[Acceleration, ...] = ()
    weights_read: tuple[str, ...] = ()
    images_assumed: tuple[str, ...] = ()
    guarded: Guarded | None = None

    @property
    def arithmetic(self) -> str:
        """Say in which precision it was computed, and what made it faster."""
        guarded = self.guarded.in_words(self.metrics.images) if self.guarded else ""
        return in_words(self.precision, self.accelerations, guarded)

    def in_other_precision(self, published: Precision) -> str:
        """Say that it was computed in another precision than a number; else nothing."""
        if is_same_arithmetic(self.precision, published, self.device):
            return ""
        return f"measured in {self.precision}, published in {published}"

    def estimated(self, metric: str) -> str:
        """Say that a mean is an estimate of guarded precision; else nothing."""
        if not self.is_guarded or METRICS[metric].bound != "mean":
            return ""
        return f"the {metric} is an estimate of guarded precision"

    @property
    def is_guarded(self) -> bool:
        """Whether some images were not computed in float32 since none was needed."""
        return self.guarded is not None and not self.guarded.reason

    @property
    def asked_precision(self) -> str:
        """Name the precision that gave it: `fp32`, or `guarded`."""
        return GUARDED if self.is_guarded else self.precision

    @property
    def is_complete(self) -> bool:
        """Whether the whole dataset was evaluated."""
        return self.metrics.images == self.total


class CaseResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of every report; it travels from the workers to the controller.

    `conditions` is what else the protocol says, for people to read;
    `reason` says why there is no verdict, or why a verdict is what it is; `diagnosis`
    is what would explain a divergence, where that was looked for; `since` is what has
    changed since the case was as expected, or since all images were evaluated, where
    the ledger knows; `lacking` and `remedy` are those of `NotAvailableError`; `test` is
    pytest's name of the test that gave the result; `position` is the place of the case
    in tables; `asked` tells it from what the run measured of the same case in another
    way; `kind` is None in records of before it was kept.
    """

    id: str
    release: str
    family: str
    checkpoint: str
    training_images: int | None
    protocol: str
    geometry: str
    conditions: str = ""
    dataset: str
    position: tuple[int, int]
    verdict: Verdict
    measurement: Measurement | None = None
    comparisons: tuple[ReferenceCheck, ...] = ()
    reason: str = ""
    diagnosis: Diagnosis | None = None
    since: Since | None = None
    asked: Asked = UNKNOWN
    lacking: str = ""
    remedy: str = ""
    release_title: str = ""
    release_url: str = ""
    test: str = ""
    kind: Kind | None = None

    @property
    def is_failure(self) -> bool:
        """Whether it is red: it contradicts what is written down, or failed."""
        return self.verdict.is_failure

    @property
    def place(self) -> str:
        """Name it among the results of a run, for joining and not for reading."""
        return place_named(self.id, self.asked.digest)


def place_of(case: Case, asked: Asked) -> str:
    """Name the result that a case will have, as `CaseResult.place` does."""
    return place_named(case.id, asked.digest)


def place_named(case: str, asked: str) -> str:
    """Name the place of a case by its id and the digest of what was asked for it."""
    return f"{case} {asked}"


def judge(
    reference: Reference, release: Release, measurement: Measurement
) -> ReferenceCheck:
    """Compare a measurement with a published number, as far as it can settle it."""
    metrics = measurement.metrics
    published = release.protocols[reference.protocol].precision
    if unsettled := measurement.in_other_precision(published):
        return compare(reference, release, metrics, unsettled)
    if measurement.is_complete:
        return _judge_whole(reference, release, measurement)
    part = f"{metrics.images:,} of {measurement.total:,} images"
    interval = measurement.intervals.get(reference.metric)
    return compare(reference, release, metrics, part, interval)


def judge_case(case: Case, measurement: Measurement) -> CaseResult:
    """Compare a measurement with every published number of its case."""
    checks = tuple(judge(one, case.release, measurement) for one in case.references)
    return result_of(case, verdict_of(checks), measurement, checks)


def _judge_whole(
    reference: Reference, release: Release, measurement: Measurement
) -> ReferenceCheck:
    """Compare a measurement of all images, whose loss may be known within limits."""
    estimated, guarded = measurement.estimated(reference.metric), measurement.guarded
    if not estimated or not guarded or is_decided(reference, guarded.loss):
        return compare(reference, release, measurement.metrics)
    why = f"{estimated}, too rough for this number"
    return compare(reference, release, measurement.metrics, why)


def not_run(
    case: Case,
    why: str | ReproError,
    asked: Asked = UNKNOWN,
    *,
    is_failure: bool = False,
) -> CaseResult:
    """Write down that a case was not measured, why, and whether that is a failure."""
    verdict = Verdict.FAILED if is_failure else Verdict.NOT_RUN
    numbers = tuple(unmeasured(r, case.release, verdict) for r in case.references)
    found = result_of(case, verdict, None, numbers, str(why), asked)
    lacking, remedy = "", ""
    if isinstance(why, NotAvailableError):
        lacking, remedy = why.lacking, why.remedy
    return msgspec.structs.replace(found, lacking=lacking, remedy=remedy)


def result_of(
    case: Case,
    verdict: Verdict,
    measurement: Measurement | None = None,
    comparisons: tuple[ReferenceCheck, ...] = (),
    reason: str = "",
    asked: Asked = UNKNOWN,
) -> CaseResult:
    """Write down the outcome of a case."""
    return CaseResult(
        id=case.id,
        release=case.release.id,
        release_title=case.release.title,
        release_url=case.release.paper,
        family=case.family.id,
        checkpoint=case.checkpoint,
        training_images=case.training_images,
        protocol=case.protocol.id,
        geometry=case.protocol.geometry,
        conditions=case.protocol.conditions,
        dataset=case.dataset.id,
        position=(list(case.release.families).index(case.family.id), case.rank),
        verdict=verdict,
        measurement=measurement,
        comparisons=comparisons,
        reason=reason,
        asked=asked,
        kind=case.kind,
    )


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of pytest.

    `planned` is how many cases were selected; `finished` and `exit_status` are None
    while it runs and when it was killed; `commit` is empty outside of git.
    """

    id: int
    uid: str
    started: datetime
    finished: datetime | None
    exit_status: int | None
    planned: int
    arguments: tuple[str, ...]
    commit: str
    dirty: bool
    counts: dict[Verdict, int]

    @property
    def cases(self) -> int:
        """How many cases have a result."""
        return sum(self.counts.values())

    @property
    def is_green(self) -> bool:
        """Whether it ended well and every case that has numbers meets them.

        A divergence that the published file expects is as good as a number met.
        """
        fine = {Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE, Verdict.UNREFERENCED}
        return (
            self.exit_status == 0
            and self.cases >= self.planned
            and Verdict.REPRODUCED in self.counts
            and self.counts.keys() <= fine
        )


def load_runs(
    connection: sqlite3.Connection, condition: str, values: Iterable[object] = ()
) -> list[Run]:
    """Read the runs that meet an SQL condition, which may end with order and limit."""
    rows = connection.execute(
        f"SELECT * FROM run WHERE {condition}", tuple(values)
    ).fetchall()
    counts = _counts(connection, [row["id"] for row in rows])
    return [
        Run(
            id=row["id"],
            uid=row["uid"],
            started=_time(row["started"]),
            finished=None if row["finished"] is None else _time(row["finished"]),
            exit_status=row["exit_status"],
            planned=row["planned"],
            arguments=_arguments(row),
            commit=row["git_commit"],
            dirty=bool(row["dirty"]),
            counts=counts.get(row["id"], {}),
        )
        for row in rows
    ]


def _counts(
    connection: sqlite3.Connection, runs: list[int]
) -> dict[int, dict[Verdict, int]]:
    """Count verdicts of runs, in the order of the verdicts."""
    found: dict[int, dict[Verdict, int]] = {run: {} for run in runs}
    if not runs:
        return found
    rows = connection.execute(
        "SELECT run, verdict, count(*) FROM result WHERE run BETWEEN ? AND ? "
        "GROUP BY run, verdict",
        (min(runs), max(runs)),
    )
    for run, verdict, number in rows:
        if run not in found:
            continue
        try:
            found[run][Verdict(verdict)] = number
        except ValueError:
            warn_of_damage(f"a verdict of run {run} is {verdict!r}", LEFT_OUT)
    order = list(Verdict)
    return {
        run: dict(sorted(counted.items(), key=lambda pair: order.index(pair[0])))
        for run, counted in found.items()
    }


def _arguments(row: sqlite3.Row) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(row["arguments"], type=tuple[str, ...])
    except ValueError:
        warn_of_damage(f"what run {row['id']} was asked is not as written", LEFT_OUT)
        return ()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
