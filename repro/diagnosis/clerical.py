"""What somebody may have written down wrongly: causes that cost no forward pass.

Each is an account of what would have been printed, had the source measured what was
measured here. It is named only where so many accounts were looked at that hardly one
would fit by chance; needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.diagnosis.accounts import Account, contradiction, number_of, values_of
from repro.diagnosis.digits import cut_digits, mistyped_digit
from repro.diagnosis.findings import Target
from repro.diagnosis.known import Known
from repro.diagnosis.other_cases import edited_number, of_other_cases
from repro.diagnosis.readings import read_otherwise
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
    targets: Sequence[Target],
    dataset: Dataset | None = None,
    known: Known | None = None,
) -> Account | None:
    """Find what was written down wrongly, where that can be told from chance.

    Args:
        case: that diverges.
        run: its predictions.
        targets: its published numbers, of the sources that are contradicted.
        dataset: its images, whose names tell the order of batches.
        known: what earlier measurements tell.
    """
    if not any(target.is_missed for target in targets):
        return None
    each = values_of(run)
    numbers = [number_of(run, target, each) for target in targets]
    missed = [number for number in numbers if not number.is_met]
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
        METRICS[target.metric].unit.whole is None for target in targets
    )
    slip = mistyped_digit(numbers, run) if run.is_complete else None
    if slip and slip.fit <= (FITTING_ALONE if is_alone else FITTING):
        return slip
    return impossible
