"""What somebody may have written down wrongly: causes that cost no forward pass.

Each is an account of what would have been printed, had the source measured what was
measured here, or a slip in the digits of that: mistyped, transposed, cut. It is named
only where so many accounts were looked at that hardly one would fit by chance; needs no
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Literal

from repro.cases import Case, published_cases
from repro.data.dataset import Dataset
from repro.diagnosis.accounts import (
    Account,
    Number,
    contradiction,
    cut_digits,
    mistyped_digit,
    product,
)
from repro.diagnosis.findings import Known
from repro.diagnosis.readings import read_otherwise
from repro.diagnosis.trials import ERRORS
from repro.diagnosis.what_if import Floats
from repro.evaluation.predictions import Predictions
from repro.judgement.tolerance import tolerance_of
from repro.published import METRICS, Reference, printed

#: So many of the accounts, were all of them beside the point, may be expected to fit.
FITTING = 0.02

#: The same for a digit, where what else was published rules out another evaluation: one
#: that decides images otherwise moves the loss too.
FITTING_ALONE = 0.25


def find_account(
    case: Case,
    run: Predictions,
    numbers: Sequence[Number],
    each: Mapping[str, Floats],
    dataset: Dataset | None = None,
    known: Known | None = None,
) -> Account | None:
    """Find what was written down wrongly, where that can be told from chance.

    Args:
        case: that diverges.
        run: its predictions.
        numbers: its published ones, of the sources that are contradicted.
        each: see `values_of`.
        dataset: its images, whose names tell the order of batches.
        known: what earlier measurements tell.
    """
    missed = [number for number in numbers if not number.is_met]
    if not missed:
        return None
    known = known or Known()
    if edited := edited_number(missed, known):
        return edited
    found = [
        *read_otherwise(run, numbers, each, dataset),
        *of_other_cases(case, numbers, known),
    ]
    if run.is_complete:
        found += cut_digits(numbers, run)
    best = min(found, key=lambda account: account.fit, default=None)
    impossible = contradiction(numbers, len(case.dataset.classes))
    # Numbers that no evaluation gives were written down wrongly: it is only asked how.
    if best and best.fit <= (FITTING_ALONE if impossible else FITTING):
        return best
    # Only a loss can be moved while all images are decided as they were.
    is_alone = METRICS[missed[0].metric].unit.whole and any(
        METRICS[number.metric].unit.whole is None for number in numbers
    )
    slip = mistyped_digit(numbers, run) if run.is_complete else None
    if slip and slip.fit <= (FITTING_ALONE if is_alone else FITTING):
        return slip
    return impossible


#: Lines of a table beside each other that have to fit their neighbours, so that it is
#: the table that was shifted and not one line taken for another.
SHIFTED = 3


def edited_number(missed: Sequence[Number], known: Known) -> Account | None:
    """Tell whether what was published before is met by what was measured.

    Args:
        missed: the published numbers that are not.
        known: has those of earlier.
    """
    if not all(number.metric in known.edited for number in missed):
        return None
    before = {number.metric: printed(known.edited[number.metric]) for number in missed}
    for number in missed:
        was = before[number.metric]
        room = number.room + float(was.half_unit) + ERRORS * number.error
        if abs(float(was.value) - number.measured) > room + 1e-9:
            return None
    changes = (
        f"{METRICS[n.metric].label} was {before[n.metric]} and is {n.published}"
        for n in missed
    )
    return Account(
        name="a number edited since it was last met",
        premise=f"{', '.join(changes)}; what was measured meets what it was",
        fit=0.0,
    )


def of_other_cases(
    case: Case, numbers: Sequence[Number], known: Known
) -> Iterator[Account]:
    """Yield accounts by which numbers, rows or weights are those of another case.

    Args:
        case: which one.
        numbers: of the sources that are contradicted.
        known: what other cases gave when they were last measured.
    """
    cases = {other.id: other for other in published_cases(case.release)}
    others = _Others(
        {
            name: {r.metric: float(r.published.value) for r in other.references}
            for name, other in cases.items()
            if name != case.id
        }
    )
    missed = [number for number in numbers if not number.is_met]
    exchanged = dict(_exchanged(numbers, others))
    yield from _copied(missed, others)
    if not exchanged:
        yield from _copied_as_measured(missed, others, known)
    for name, fit in exchanged.items():
        yield _exchange(case, cases[name], numbers, known, fit)
    yield from _shifted(case, list(cases.values()), exchanged, known)


class _Others:
    """Published numbers of other cases, by case and metric.

    Checkpoints of a release score alike, so what is near to a number is measured by how
    far the numbers of all other cases are from it.
    """

    def __init__(self, published: dict[str, dict[str, float]]) -> None:
        self.published = published

    def __len__(self) -> int:
        return len(self.published)

    def chance(self, number: Number, wanted: float, room: float) -> float:
        """Tell how likely a number of another case is so near to a value."""
        values = (
            v[number.metric] for v in self.published.values() if number.metric in v
        )
        away = [abs(value - wanted) for value in values]
        usual = max(median(away), number.step) if away else number.step
        return min(1.0, max(room, number.step) / usual)


def _copied(missed: Sequence[Number], others: _Others) -> Iterator[Account]:
    """Yield accounts by which a number is what is published for another case."""
    chance = product([others.chance(n, n.value, 0.0) for n in missed])
    assert chance is not None
    for name, published in others.published.items():
        if all(abs(published.get(n.metric, -1) - n.value) <= 1e-9 for n in missed):
            yield Account(
                name=f"the number of {name}",
                premise=f"what is published for {name} was written down here too",
                fit=chance * len(others),
            )


def _copied_as_measured(
    missed: Sequence[Number], others: _Others, known: Known
) -> Iterator[Account]:
    """Yield accounts by which a number is what another case gave."""
    chance = product([others.chance(n, n.value, n.half_unit) for n in missed])
    assert chance is not None
    for name, seen in known.cases.items():
        gave = [(n, seen.value(n.metric)) for n in missed]
        if all(abs(value - n.value) <= n.half_unit + 1e-9 for n, value in gave):
            yield Account(
                name=f"the number measured of {name}",
                premise=f"what {name} gives was written down here",
                fit=chance * max(len(others), len(known.cases)),
            )


def _exchanged(
    numbers: Sequence[Number], others: _Others
) -> Iterator[tuple[str, float]]:
    """Yield whose published numbers are what was measured, and how likely chance is."""
    # What is published here may be much larger, and what is allowed of it with it.
    rooms = [
        (n, n.room_of(n.measured) + n.half_unit + ERRORS * n.error) for n in numbers
    ]
    chance = product([others.chance(n, n.measured, room) for n, room in rooms])
    assert chance is not None
    for name, published in others.published.items():
        if all(
            n.metric in published
            and abs(published[n.metric] - n.measured) <= room + 1e-9
            for n, room in rooms
        ):
            yield name, chance * len(others)


def _exchange(
    case: Case, other: Case, numbers: Sequence[Number], known: Known, fit: float
) -> Account:
    """Say whether the row or the weights are another's, as far as that is known."""
    name = other.id
    seen = known.cases.get(name)
    published = f"what was measured is what is published for {name}"
    wrong: Literal["number", "weights", "either"] = "either"
    if (other.family.id, other.checkpoint) == (case.family.id, case.checkpoint):
        what = f"the row of {name}"
        premise = (
            f"{published}, which is the same checkpoint: rows of the table were "
            "exchanged or shifted"
        )
        wrong = "number"
    elif seen is None:
        what = f"the row or the weights of {name}"
        premise = (
            f"{published}: rows of the table were exchanged or shifted, or the weights "
            "are those of the other"
        )
    elif seen.weights_sha256 and seen.weights_sha256 == known.weights_sha256:
        what = f"the weights of {name}"
        premise = (
            f"the file is byte for byte the one that {name} was measured from, whose "
            "numbers are met"
        )
        wrong = "weights"
    elif all(
        abs(seen.value(n.metric) - n.value) <= n.room + n.half_unit + 1e-9
        for n in numbers
    ):
        what = f"the rows or the weights of {case.id} and {name} swapped"
        premise = "each of the two gives what is published for the other"
    else:
        what = f"the row or the weights of {name}"
        premise = f"{published}, whose own measurement is not what is published here"
    return Account(name=what, premise=premise, fit=fit, wrong=wrong)


def _shifted(
    case: Case,
    cases: Sequence[Case],
    exchanged: dict[str, float],
    known: Known,
) -> Iterator[Account]:
    """Yield accounts by which lines of a table fit their neighbours."""
    axes: dict[str, Callable[[Case], object]] = {
        "rows": lambda c: (c.protocol.id, c.dataset.id),
        "columns": lambda c: (c.family.id, c.checkpoint),
    }
    for lines, part_of in axes.items():
        table = [other for other in cases if part_of(other) == part_of(case)]
        names = [other.id for other in table]
        if case.id not in names:
            continue
        for step in (1, -1):
            place = names.index(case.id)
            shifted = _run_around(place, table, step, exchanged, known)
            if len(shifted) >= SHIFTED:
                neighbour = names[place + step]
                yield Account(
                    name=f"{lines} of the table shifted by one",
                    premise=f"{len(shifted)} {lines} beside each other, {shifted[0]} "
                    f"to {shifted[-1]}, give what is published for the "
                    f"{'next' if step > 0 else 'previous'} one each",
                    # Each line of the others halves at least what is chance of this
                    # one: it is the better account of the same numbers.
                    fit=exchanged[neighbour] / 2 ** (len(shifted) - 1),
                )


def _run_around(
    place: int,
    table: Sequence[Case],
    step: int,
    exchanged: dict[str, float],
    known: Known,
) -> list[str]:
    """List the lines without a gap around one that give what their neighbours have."""

    def fits(line: int) -> bool:
        if not (0 <= line < len(table) and 0 <= line + step < len(table)):
            return False
        neighbour = table[line + step]
        if line == place:
            return neighbour.id in exchanged
        seen = known.cases.get(table[line].id)
        return (
            seen is not None
            and all(_meets(seen.value(r.metric), r) for r in neighbour.references)
            and not all(_meets(seen.value(r.metric), r) for r in table[line].references)
        )

    if not fits(place):
        return []
    first = last = place
    while fits(first - 1):
        first -= 1
    while fits(last + 1):
        last += 1
    return [other.id for other in table[first : last + 1]]


def _meets(measured: float, reference: Reference) -> bool:
    tolerance = float(tolerance_of(reference).value)
    return abs(measured - float(reference.published.value)) <= tolerance + 1e-9
