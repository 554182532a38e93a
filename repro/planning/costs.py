"""How long a case takes: as earlier runs took, or an estimate that is named as one.

From that come the parts of a run, for machines that know nothing of each other.
"""

from __future__ import annotations

import heapq
import math
import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec

from repro.cases import Case
from repro.errors import LedgerError, OptionError
from repro.files import decode_json, replace_bytes
from repro.published import GUARDED, AskedPrecision
from repro.records.ledger import Ledger, existing_ledger
from repro.records.result import CaseResult


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The time that a measurement took on its device.

    `loading` is how much of it went before the first image; `images` of `total` were
    evaluated, `cores` is how many the machine had, and
    `workers` how many processes shared it; `precision` is that of the arithmetic.
    Where it diverged, `diagnosed` is what looking for the cause took besides, in
    evaluations of all images.
    """

    case: str
    seconds: float
    images: int
    total: int
    device: str
    cores: int
    workers: int
    precision: str
    loading: float = 0.0
    diagnosed: float = 0.0


def load_timings(ledger: Ledger) -> list[Timing]:
    """Read the newest timing of each case on each machine, oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    # The greatest id is the newest: a measurement that was asked for otherwise, or on
    # another machine, has a time of its own.
    rows = ledger.read_sealed(
        "result",
        "result WHERE id IN (SELECT max(id) FROM result "
        "WHERE machine IS NOT NULL GROUP BY case_id, asked, machine) ORDER BY id",
    )
    results = (ledger.decoded(row, CaseResult) for row in rows)
    return [
        Timing(
            case=result.id,
            seconds=measured.seconds,
            images=measured.metrics.images,
            total=measured.total,
            device=measured.device,
            cores=measured.environment.cores,
            workers=measured.workers,
            precision=measured.asked_precision,
            loading=measured.loading,
            diagnosed=_diagnosed(result),
        )
        for result in results
        if (measured := result.measurement)
    ]


def timings_in(folder: Path | None) -> list[Timing]:
    """Read the timings of the ledger in a folder; none where there is no sound one."""
    try:
        with existing_ledger(folder) as ledger:
            return load_timings(ledger) if ledger else []
    except LedgerError:
        # Whoever has to write it says what is wrong with it.
        return []


def _diagnosed(result: CaseResult) -> float:
    found = result.diagnosis
    if found is None or not found.total or not result.verdict.is_divergence:
        return 0.0
    return found.images / found.total


#: Multiply-adds a second of a GPU in float32: half of what NVIDIA's datasheet gives
#: for an A100 without TF32, 19.5 TFLOP/s, each multiply-add being two operations.
GPU_SPEED = 19.5e12 / 2 / 2
#: Multiply-adds a second of a processor core in float32: ViT-B/16 (17.6 billion an
#: image) at 7 images a second on two cores, as measured for docs/clusters.md.
CORE_SPEED = 7 * 17.6e9 / 2

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Speed = Annotated[float, msgspec.Meta(ge=1e-9)]
Basis = Literal["recorded", "recorded speed", "assumed speed"]
Device = Literal["cpu", "cuda"]


class CaseCost(msgspec.Struct, frozen=True):
    """The seconds that a device is busy with a case, and what they are based on.

    A processor is one device, whatever the number of workers that share it. Of a case
    that diverged in its last run, `diagnosis` has the seconds of its diagnosis.
    """

    seconds: float
    basis: Basis
    diagnosis: float = 0.0

    @property
    def in_all(self) -> float:
        """The seconds with those of the diagnosis."""
        return self.seconds + self.diagnosis


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the time that cases take.

    `seconds` are those of the cases by id, for all images, and `diagnoses` those of
    their diagnosis where they diverged; `speed` is the median of multiply-adds a second
    over earlier cases, None where there are none, and `assumed` stands for it then.
    """

    seconds: dict[str, _Seconds] = {}
    diagnoses: dict[str, _Seconds] = {}
    speed: _Speed | None = None
    assumed: _Speed = GPU_SPEED

    def of(self, case: Case, images: int | None = None) -> CaseCost:
        """Give the cost of a case, or of some images of it."""
        share = (images or case.dataset.images) / case.dataset.images
        if case.id in self.seconds:
            diagnosis = self.diagnoses.get(case.id, 0.0) * share
            return CaseCost(self.seconds[case.id] * share, "recorded", diagnosis)
        operations = case.gflops * 1e9 * share
        if self.speed is not None:
            return CaseCost(operations / self.speed, "recorded speed")
        return CaseCost(operations / self.assumed, "assumed speed")

    def write(self, file: Path) -> None:
        """Write them where `--repro-costs` reads them."""
        replace_bytes(file, msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            OptionError: it is no such file.
        """
        try:
            return decode_json(file.read_bytes(), cls)
        except (OSError, ValueError) as error:
            # The message of an OSError has the file once more.
            why = getattr(error, "strerror", None) or error
            raise OptionError(
                f"{file} holds no costs of cases ({why}); write it with "
                "'repro plan --costs FILE' and name it with --repro-costs"
            ) from error


def recorded_costs(
    cases: Iterable[Case],
    timings: Iterable[Timing],
    device: Device,
    cores: int,
    precision: AskedPrecision | None = None,
) -> Costs:
    """Learn from earlier measurements on the same kind of device.

    Of a case only those count that were computed as it is going to be.

    Args:
        cases: whose multiply-adds are known.
        timings: earlier measurements, the newest of a case last.
        device: what is going to compute.
        cores: of the processor, where that is going to compute.
        precision: of the arithmetic, None for that of each published number.
    """
    known = {case.id: case for case in cases}
    assumed = GPU_SPEED if device == "cuda" else CORE_SPEED * cores
    seconds: dict[str, float] = {}
    diagnosed: dict[str, float] = {}
    speeds: dict[str, float] = {}
    for timing in timings:
        if timing.device.partition(":")[0] != device or not timing.images:
            continue
        case = known.get(timing.case)
        published = case.protocol.precision if case else None
        wanted = {precision or published}
        if precision == GUARDED:
            # Where it does not pay, it is measured as published.
            wanted.add(published)
        if case and timing.precision not in wanted:
            continue
        evaluating = (timing.seconds - timing.loading) * timing.total / timing.images
        # Workers share the processor, and that of the run may have been another.
        busy = timing.cores / timing.workers / cores if device == "cpu" else 1.0
        seconds[timing.case] = busy * (timing.loading + evaluating)
        diagnosed[timing.case] = busy * timing.diagnosed * evaluating
        if case:
            speeds[timing.case] = case.gflops * 1e9 / seconds[timing.case]
    return Costs(
        seconds={name: round(value, 3) for name, value in seconds.items()},
        diagnoses={n: round(value, 3) for n, value in diagnosed.items() if value},
        # The median: a first case pays for decoding the photographs of all others.
        speed=statistics.median(speeds.values()) if speeds else None,
        assumed=assumed,
    )


_SHARD = re.compile(r"(\d+)/(\d+)")


class Shard(msgspec.Struct, frozen=True):
    """Part `number` of `of`, counted from 1: `2/8`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """Read `I/N`.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    match = _SHARD.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError("must be I/N with I from 1 to N, such as 2/8")
    return Shard(int(match[1]), int(match[2]))


def cases_of_shard(cases: Iterable[Case], costs: Costs, shard: Shard) -> set[str]:
    """Choose the cases of a shard, by id.

    The shards of the same cases and costs are disjoint, complete, and always the same.
    What is longest goes to the shard that has least.
    """
    # Why not pytest-split: it goes by the durations of an earlier run, and gives a test
    # that had none the average of the others. A first run has none at all, and the
    # operations of cases, which are known, differ a thousandfold.
    groups: dict[tuple[str, ...], dict[str, float]] = {}
    for case in cases:
        groups.setdefault(_group(case), {})[case.id] = costs.of(case).in_all
    longest_first = sorted(
        groups.values(), key=lambda group: (-math.fsum(group.values()), min(group))
    )
    # Shards beyond the number of groups stay empty.
    loads = [(0.0, number) for number in range(1, min(shard.of, len(groups)) + 1)]
    chosen: set[str] = set()
    for group in longest_first:
        load, number = loads[0]
        heapq.heapreplace(loads, (load + math.fsum(group.values()), number))
        if number == shard.number:
            chosen.update(group)
    return chosen


def _group(case: Case) -> tuple[str, ...]:
    """Name what stays together: else two shards would both measure both of a pair.

    A number that belongs to one of several families' checkpoints needs all of them.
    """
    is_shared = any(len(reference.families) > 1 for reference in case.references)
    own = "" if is_shared else case.family.id
    measured = case.checkpoint, case.protocol.id, case.dataset.id
    return case.release.id, own, *measured
