"""The report of a run: its results, what has changed since another, and the answer."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from repro.claims.result import ClaimResult, in_reading_order
from repro.judgement.compare import Flip, Since
from repro.judgement.guarded import PROMISED
from repro.judgement.verdict import Verdict
from repro.records.comparison import (
    RunComparison,
    compare_runs,
    flipped_images,
    pair_results,
    recorded_side,
)
from repro.records.identity import Environment
from repro.records.ledger import Ledger
from repro.records.past import Past, changes_then, past_of, red_since
from repro.records.predictions import ImageNames
from repro.records.result import CaseResult, Run
from repro.report.failure import numbers_text
from repro.report.rows import RowOrigin, cases_with_rows, in_order, largest_difference
from repro.report.texts import names
from repro.words import counted, listed

#: So many runs make the history of a case.
RUNS_SHOWN = 30


class CaseFlips(msgspec.Struct, frozen=True):
    """The images of a case that flipped since the baseline run.

    `case` names it for people and `place` among the results; `names` are None where the
    ledger does not know them.
    """

    case: str
    place: str
    flips: list[Flip]
    names: ImageNames | None

    @property
    def text(self) -> str:
        """Say how many images became right and wrong."""
        gained = sum(flip.is_gain for flip in self.flips)
        right = counted(gained, "image")
        return f"{right} became right, {len(self.flips) - gained:,} wrong"

    def named(self, flip: Flip) -> tuple[str, str, str, str]:
        """Give the names of an image, its class, and its classes before and after."""
        if self.names is None:
            numbers = (flip.index, flip.label, flip.before, flip.after)
            image, label, before, after = map(str, numbers)
            return image, label, before, after
        classes = self.names.classes
        return (
            self.names.files[flip.index],
            classes[flip.label],
            classes[flip.before],
            classes[flip.after],
        )


class ReportedCase(NamedTuple):
    """A case of a report with all that is said of it: what a face lays out.

    `number` counts the cases of the report from 1.
    """

    number: int
    result: CaseResult
    rows: tuple[RowOrigin, ...]
    flips: CaseFlips | None

    @property
    def name(self) -> str:
        """Its id, and what tells it from others of that id."""
        return self.rows[0].row.name


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a run, and what has changed since another.

    `results` are in the order of the tables; `run` and `started` are None for a run
    that no ledger keeps; `history` has what earlier runs and this one measured of a
    case, oldest first, and `turns` what differed in the run since which a case is red,
    where that is an earlier one; `compared` says what has changed since a baseline, and
    `flips` which images flipped. `photographs` is the folder of the images, where small
    copies of those that flipped are to be shown.
    """

    results: tuple[CaseResult, ...]
    claims: tuple[ClaimResult, ...] = ()
    run: int | None = None
    started: datetime | None = None
    exit_status: int | None = None
    arguments: tuple[str, ...] = ()
    history: dict[str, tuple[Past, ...]] = {}
    turns: dict[str, Since] = {}
    compared: RunComparison | None = None
    flips: tuple[CaseFlips, ...] = ()
    photographs: Path | None = None

    @property
    def baseline(self) -> int | None:
        """The number of the run that this one was compared with, if it was."""
        return self.compared.before if self.compared else None

    def cases(self) -> list[ReportedCase]:
        """List the cases in the order of the tables."""
        flipped = {case.place: case for case in self.flips}
        return [
            ReportedCase(number, result, rows, flipped.get(result.place))
            for number, (result, rows) in enumerate(
                cases_with_rows(self.results), start=1
            )
        ]

    @property
    def environments(self) -> list[Environment]:
        """List the environments that cases were measured in, each once."""
        found = [r.measurement.environment for r in self.results if r.measurement]
        return [env for place, env in enumerate(found) if env not in found[:place]]


def report_of_results(
    results: Iterable[CaseResult], claims: Iterable[ClaimResult] = ()
) -> Report:
    """Make a report of results that no ledger keeps."""
    return Report(
        results=tuple(in_order(results)), claims=tuple(in_reading_order(claims))
    )


def report_of_run(ledger: Ledger, run: Run) -> Report:
    """Make the report of a run in the ledger.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    found = Report(
        results=tuple(in_order([*ledger.results(run.id), *ledger.unrun(run.id)])),
        claims=tuple(ledger.claims(run.id)),
    )
    return recorded(found, ledger, run)


def recorded(report: Report, ledger: Ledger, run: Run) -> Report:
    """Add what the ledger knows of the run, and of its cases in earlier ones.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    history = _history(ledger, run, report.results)
    return msgspec.structs.replace(
        report,
        claims=tuple(in_reading_order(report.claims)),
        run=run.id,
        started=run.started,
        exit_status=run.exit_status,
        arguments=run.arguments,
        history=history,
        turns=dict(_turns(ledger, run, history)),
    )


def _history(
    ledger: Ledger, run: Run, results: Sequence[CaseResult]
) -> dict[str, tuple[Past, ...]]:
    """Find what was said of each result in the newest runs."""
    wanted = {result.place for result in results}
    found = past_of(ledger, run.id, RUNS_SHOWN, (result.id for result in results))
    return {place: past for place, past in found.items() if place in wanted}


def _turns(
    ledger: Ledger, run: Run, history: Mapping[str, Sequence[Past]]
) -> Iterator[tuple[str, Since]]:
    for place, past in history.items():
        first = red_since(past)
        if first is None or first.run == run.id:
            continue
        if since := changes_then(ledger, first):
            yield place, since


def since_run(report: Report, ledger: Ledger, run: int, baseline: Run) -> Report:
    """Add to the report of a run what has changed since an earlier one.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return msgspec.structs.replace(
        report,
        compared=compare_runs(ledger, baseline.id, run, report.results),
        flips=tuple(_flips(ledger, run, baseline, report.results)),
    )


def _flips(
    ledger: Ledger, run: int, baseline: Run, results: Iterable[CaseResult]
) -> Iterator[CaseFlips]:
    results = list(results)
    called = names(results)
    for before, result in pair_results(ledger.results(baseline.id), results).both:
        old = recorded_side(ledger, baseline.id, before)
        new = recorded_side(ledger, run, result)
        if old and new and (flips := flipped_images(old, new)):
            name = called[result.place]
            yield CaseFlips(name, result.place, flips, new.names())


_SHOWN = 3
#: What says nothing of how one case is measured.
_NOT_AGAIN = (
    *("--repro-report", "--repro-case", "--repro-shard", "--repro-resume"),
    *("--repro-baseline", "--repro-diverged-exit", "--repro-costs"),
)


def verdict_sentence(report: Report) -> str:
    """Say whether what was published holds; where it does not, what is wrong."""
    results = report.results
    red = [result for result in results if result.is_failure]
    surprises = [claim.id for claim in report.claims if claim.is_surprise]
    if red or surprises:
        return f"{'; '.join(_wrong(report, red, surprises))}."
    measured = [result.measurement for result in results if result.measurement]
    if not measured:
        reason, *others = {r.reason.partition("\n")[0] for r in results} or {""}
        why = "" if others or not reason else f": {reason.removesuffix('.')}"
        return f"No case was measured{why}."
    met = [r for r in results if r.verdict is Verdict.REPRODUCED]
    if not met:
        said = "Nothing contradicts what was published, and nothing settles it"
        part = sum(not one.is_complete for one in measured)
        of = f": a part of the images was evaluated in {counted(part, 'case')}"
        return f"{said}{of * bool(part)}."
    if len(met) < len(results):
        meet = "meets" if len(met) == 1 else "meet"
        return (
            f"Nothing contradicts what was published: {len(met):,} of "
            f"{counted(len(results), 'case')} {meet} it."
        )
    every = "The case meets" if len(met) == 1 else f"All {len(met):,} cases meet"
    far = ", ".join(largest_difference(met))
    return f"{every} what was published; largest difference {far}."


def _wrong(
    report: Report, red: Sequence[CaseResult], surprises: Sequence[str]
) -> list[str]:
    said = []
    if red:
        every = counted(len(report.results), "case")
        verb = "is" if len(red) == 1 else "are"
        listing = _listed(red, names(report.results))
        said.append(f"{len(red):,} of {every} {verb} red: {listing}")
    if surprises:
        number = counted(len(surprises), "claim")
        said.append(f"{number} came out otherwise than expected: {listed(surprises)}")
    return said


def _listed(red: Sequence[CaseResult], called: dict[str, str]) -> str:
    said = []
    for result in red[:_SHOWN]:
        why = numbers_text(result, None if len(red) == 1 else 1)
        if result.verdict is Verdict.UNEXPECTEDLY_MET:
            why = f"met, though it is declared not to be, {why}"
        elif not why:
            why = (
                result.reason.partition("\n")[0]
                if result.measurement
                else "not measured"
            )
        said.append(f"{called[result.place]}: {why}")
    more = len(red) - len(said)
    return "; ".join(said) + (f"; and {more:,} more" if more else "")


def again(report: Report, result: CaseResult) -> str:
    """Give the command that runs a case again, as it was run; empty if not known."""
    if not result.test:
        return ""
    kept = [
        word
        for word in report.arguments
        if word.startswith("--repro-") and word.partition("=")[0] not in _NOT_AGAIN
    ]
    return shlex.join(["pytest", result.test, *kept])


def guarded_lines(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield a line for the cases that were guarded, and one for each reason not to."""
    measured = [r.measurement for r in results if r.measurement]
    found = [(m.guarded, m.metrics.images) for m in measured if m.guarded]
    used = [(g, images) for g, images in found if not g.reason]
    if used:
        every = sum(images for _, images in used)
        again = sum(guarded.recomputed for guarded, _ in used)
        cheap = " and ".join(sorted({guarded.cheap for guarded, _ in used}))
        yield (
            f"Decisions are those of float32 in {counted(len(used), 'guarded case')}: "
            f"{cheap}, and {100 * again / every:.3g} % of the images again in float32; "
            f"less than {PROMISED:g} likely in each that any differs."
        )
    for reason in dict.fromkeys(g.reason for g, _ in found if g.reason):
        number = sum(g.reason == reason for g, _ in found)
        yield (
            f"{counted(number, 'case')} wholly in float32 (guarded does not pay here: "
            f"{reason})."
        )
