"""A plan: what a run will take, in numbers and in lines for people."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import timedelta
from pathlib import Path

import msgspec

from repro.cases import Case
from repro.data.crops import EarlierCrops
from repro.data.dataset import Dataset, first_strata, remembered_dataset
from repro.data.housekeeping import list_stores
from repro.data.layout import StoreFolder, StoreIdentity, store_identity, store_path
from repro.diagnosis.pace import LEAST_SECONDS
from repro.diagnosis.setup import Facts, Setup
from repro.diagnosis.suspects import ways_of
from repro.errors import DatasetError
from repro.files import shown_size
from repro.planning.costs import Basis, Costs, Device
from repro.planning.workload import (
    Images,
    Stored,
    Workload,
    images_of,
    which_images,
    workload,
)
from repro.words import counted


class Allowance(msgspec.Struct, frozen=True):
    """What a diagnosis may take.

    `share` is that of a full evaluation for each suspect on average; `seconds` replace
    it where they are given.
    """

    share: float = 0.1
    seconds: float | None = None

    def most(self, costs: Iterable[tuple[Case, float]]) -> float:
        """Give the seconds that the longest diagnosis takes at most, 0 without any.

        Args:
            costs: cases with the seconds of their evaluation.
        """
        longest: dict[tuple[str, str, str], tuple[float, Case]] = {}
        for case, seconds in costs:
            if case.references:
                key = case.release.id, case.protocol.id, case.family.model
                found = longest.get(key)
                if found is None or found[0] < seconds:
                    longest[key] = seconds, case
        if not longest:
            return 0.0
        if self.seconds is not None:
            return self.seconds
        most = (self.share * seconds * _suspects(c) for seconds, c in longest.values())
        return max(LEAST_SECONDS, *most)


def _suspects(case: Case) -> int:
    """Count the suspects of a case, as far as they are known before it is read."""
    protocol = case.protocol
    setup = Setup(protocol=protocol, model=case.model, precision=protocol.precision)
    return len(ways_of(setup, Facts(classes=case.dataset.classes)))


_USUAL = Allowance()
_BASES: dict[Basis, str] = {
    "recorded": "as they took before",
    "recorded speed": "by the speed of earlier cases",
    "assumed speed": "estimated from an assumed speed",
}


class Machine(msgspec.Struct, frozen=True):
    """What computes: GPUs, or else the processor, whose cores also decode."""

    gpus: int
    cores: int

    @property
    def device(self) -> Device:
        """`cuda` where there are GPUs."""
        return "cuda" if self.gpus else "cpu"

    def __str__(self) -> str:
        if not self.gpus:
            return counted(self.cores, "core")
        return f"{counted(self.gpus, 'GPU')} and {counted(self.cores, 'core')}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The work of some cases and the seconds that it takes on some machine.

    `device_seconds` are those of all devices together. In `diagnosed` cases they count
    the diagnosis too, as it was last needed; any other that diverges takes up to
    `diagnosis` seconds more, which is 0 where none is looked into.
    """

    machine: Machine
    work: Workload
    seconds: float
    device_seconds: float
    bases: dict[Basis, int]
    assumed: float
    diagnosed: int = 0
    diagnosis: float = 0.0

    def lines(self) -> Iterable[str]:
        """Write it down, a line for each resource."""
        work = self.work
        yield (
            f"cases    {work.cases:,} on {counted(work.datasets, 'dataset')}, "
            f"{counted(work.evaluated, 'image')} to evaluate"
        )
        yield f"decode   {self._decoding()}"
        yield f"compute  {flops(work.operations)}"
        if work.prompts:
            prompts = counted(work.prompts, "prompt")
            yield f"text     {prompts}, once for each text tower"
        weights = [f"{shown_size(work.weights_bytes)} of weights"]
        if work.unsized:
            unsized = f"{counted(work.unsized, 'weights file')} of unknown size"
            weights = [*weights, unsized] if work.weights_bytes else [unsized]
        yield (
            f"read     {shown_size(work.photograph_bytes)} of photographs (as large as "
            f"ImageNet's), {', '.join(weights)}, "
            f"{shown_size(work.pixels_read)} of stored pixels"
        )
        yield f"store    {self._storing()}{' of pixels' if work.stored else ''}"
        yield f"take     {self.time()}"

    def summary(self) -> str:
        """Say it in one line, for the header of a run."""
        work = self.work
        return (
            f"repro: {counted(work.cases, 'case')}, {self._decoding()}, "
            f"{flops(work.operations)}, {self._storing()} to store; "
            f"{self.time()}"
        )

    def time(self) -> str:
        """Write how long it takes, and what that is based on."""
        based = [f"{n:,} {_BASES[basis]}" for basis, n in self.bases.items()]
        if self.diagnosed:
            based.append(f"with {counted(self.diagnosed, 'diagnosis', 'diagnoses')}")
        said = f"about {shown_time(self.seconds)} on {self.machine}"
        said += f" ({', '.join(based)})"
        if self.diagnosis:
            which = "other case" if self.diagnosed else "case"
            most = shown_time(self.diagnosis)
            said += f", up to {most} more for each {which} that diverges"
        return said

    def _storing(self) -> str:
        return shown_size(self.work.stored) if self.work.stored else "nothing"

    def _decoding(self) -> str:
        work = self.work
        if not work.decodes:
            return "no photograph to decode"
        again = work.decodes / work.photographs
        times = "" if again == 1 else f", {again:.1f} times each"
        return (
            f"{counted(work.photographs, 'photograph')} to decode{times} for "
            f"{counted(work.stores, 'store')}"
        )


def make_plan(
    cases: Collection[Case],
    costs: Costs,
    machine: Machine,
    *,
    checkpoints: Path | None = None,
    data: Path | None = None,
    cache: Path | None = None,
    limit: int | None = None,
    allowance: Allowance | None = _USUAL,
) -> Plan:
    """Find out what cases take on a machine.

    On a processor decoding and computing take turns on the same cores; beside GPUs the
    slower of both counts.

    Args:
        cases: that are going to run, in any order.
        costs: what is known of their time.
        machine: what they run on.
        checkpoints: folder of the user's weights.
        data: folder of the user's datasets.
        cache: folder of the pixel stores.
        limit: how many images of each dataset at least.
        allowance: of diagnoses; None where none are made.
    """
    there = pixels_there(cases, data, cache, limit)
    work = workload(cases, checkpoints, limit, there, data)
    each = [costs.of(case, images_of(case.dataset, limit)) for case in cases]
    busy = [cost.in_all if allowance else cost.seconds for cost in each]
    computing = makespan(busy, machine.gpus or 1)
    times = zip(cases, (cost.seconds for cost in each), strict=True)
    decoding = work.decode_seconds / machine.cores
    return Plan(
        machine=machine,
        work=work,
        seconds=max(computing, decoding) if machine.gpus else computing + decoding,
        device_seconds=sum(busy),
        bases=dict(Counter(cost.basis for cost in each)),
        assumed=costs.assumed,
        diagnosed=sum(bool(cost.diagnosis) for cost in each) if allowance else 0,
        diagnosis=allowance.most(times) if allowance else 0.0,
    )


def makespan(seconds: Iterable[float], devices: int) -> float:
    """Give the seconds until all is done when each device takes the longest left."""
    # At most a third longer than the best schedule (Graham, SIAM Journal on Applied
    # Mathematics 17, 1969).
    longest_first = sorted(seconds, reverse=True)
    free = [0.0] * max(1, min(devices, len(longest_first)))
    for duration in longest_first:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def pixels_there(
    cases: Iterable[Case],
    data: Path | None,
    cache: Path | None,
    limit: int | None = None,
) -> dict[Stored, int | None]:
    """Say of pixel stores how many of the images as they are now are there.

    None stands for all that is wanted; else they are crops that stores of other
    datasets have. No image is read for it: where one is not remembered, nothing is.
    """
    there: dict[Stored, int | None] = {}
    # Else datasets would be looked up for nothing, of 50,000 files each.
    if cache is None or not list_stores(cache):
        return there
    datasets: dict[Images, Dataset | None] = {}
    for case in cases:
        images = which_images(case, data)
        if images not in datasets:
            datasets[images] = _remembered(case, images[-1], cache)
        dataset, stored = datasets[images], (images, case.protocol.geometry)
        if dataset is not None and stored not in there:
            identity = store_identity(dataset, case.protocol.geometry_steps)
            there[stored] = _crops_there(dataset, identity, cache, limit)
    return there


def _crops_there(
    dataset: Dataset, identity: StoreIdentity, cache: Path, limit: int | None
) -> int | None:
    """Count the crops of a store that are made, there or elsewhere; None for all."""
    folder = StoreFolder(store_path(cache, identity), identity)
    strata = first_strata(dataset, limit)
    missing = [stratum for stratum in strata if not folder.is_ready(stratum)]
    if not missing:
        return None
    lacking = [dataset.digests[at] for s in missing for at in dataset.strata[s]]
    made = sum(len(dataset.strata[s]) for s in strata) - len(lacking)
    return made + EarlierCrops(cache, identity).count(lacking)


def _remembered(case: Case, data: Path | None, cache: Path) -> Dataset | None:
    try:
        return remembered_dataset(case.dataset, data, cache)
    except DatasetError:
        # The run says what is wrong with it.
        return None


def flops(multiply_adds: float) -> str:
    """Write operations for people, each multiply-add being two."""
    for size, unit in ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP")):
        if 2 * multiply_adds >= size:
            return f"{2 * multiply_adds / size:,.1f} {unit}"
    return f"{2 * multiply_adds / 1e9:,.1f} GFLOP"


def shown_time(seconds: float) -> str:
    """Write a duration as exactly as an estimate is: `0:04:10`, or `3 days, 11 h`."""
    if seconds >= 24 * 3600:
        days, hours = divmod(round(seconds / 3600), 24)
        return f"{counted(days, 'day')}, {hours} h"
    return str(timedelta(seconds=max(1, round(seconds))))
