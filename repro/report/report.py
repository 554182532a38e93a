"""All that a report is made from, whatever its face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from repro.claims.result import ClaimResult, in_reading_order
from repro.judgement.compare import Flip, Since
from repro.records.compact import ImageNames
from repro.records.comparison import (
    RunComparison,
    compare_runs,
    flipped_images,
    pair_results,
    recorded_side,
)
from repro.records.environment import Environment
from repro.records.ledger import Ledger
from repro.records.past import Past, changes_then, past_of, red_since
from repro.records.result import CaseResult, Run
from repro.report.rows import RowOrigin, cases_with_rows, in_order
from repro.report.variants import names

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
