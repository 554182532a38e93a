"""What somebody may have written down wrongly: causes that cost no forward pass.

Each is an account of what would have been printed, had the source measured what was
measured here. It is named only where so many accounts were looked at that hardly one
would fit by chance; needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.diagnosis.accounts import Account, Number, contradiction
from repro.diagnosis.digits import cut_digits, mistyped_digit
from repro.diagnosis.known import Known
from repro.diagnosis.other_cases import edited_number, of_other_cases
from repro.diagnosis.readings import read_otherwise
from repro.diagnosis.what_if import Floats
from repro.evaluation.predictions import Predictions
from repro.published import METRICS

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
