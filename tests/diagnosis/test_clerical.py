"""Slips are told from what was measured and published, and from chance."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from repro.cases import Case, list_cases
from repro.diagnosis.clerical import Account, find_account
from repro.diagnosis.trials import targets_of
from repro.evaluation.predictions import Predictions
from repro.published import EMBEDDED, printed, read_releases

IMAGES = 2000


@pytest.fixture(scope="module")
def release_cases() -> dict[str, Case]:
    listed = list_cases(read_releases([EMBEDDED]))
    return {case.id.partition("@")[0]: case for case in listed}


def made(top1: float, top5: float, loss: float) -> Predictions:
    """Predict images of ten classes with these shares and this mean loss, exactly."""
    labels = np.arange(IMAGES) % 10
    first, five = round(top1 * IMAGES / 100), round(top5 * IMAGES / 100)
    classes = (labels[:, None] + np.arange(1, 6)) % 10
    classes[:five, 4] = labels[:five]
    classes[:first, 0], classes[:first, 4] = labels[:first], (labels[:first] + 1) % 10
    losses = np.linspace(0.5, 1.5, IMAGES) * loss
    return Predictions(
        indices=np.arange(IMAGES),
        labels=labels,
        classes=classes.astype(np.int32),
        losses=losses,
        total=IMAGES,
    )


#: Numbers that no case of the release has.
RUN = made(top1=71.65, top5=93.15, loss=0.83125)
MEASURED = {"top1": "71.65", "top5": "93.15", "loss": "0.831250"}


def find(
    case: Case, published: dict[str, str], run: Predictions = RUN
) -> Account | None:
    """Publish numbers for a case and look for the slip."""
    numbers = {**MEASURED, **published}
    references = tuple(
        msgspec.structs.replace(r, published=printed(numbers[r.metric]))
        for r in case.references
    )
    case = msgspec.structs.replace(case, references=references)
    sizes = np.full(10, IMAGES // 10)
    return find_account(case, run, targets_of(case.references, run, sizes, 10))


@pytest.mark.parametrize(
    ("published", "name"),
    [
        ({"top1": "28.35", "top5": "6.85"}, "the error printed as the accuracy"),
        ({"top1": "0.717", "top5": "0.931"}, "a fraction printed as percent"),
        (
            {"top1": "93.15", "top5": "71.65"},
            "top-5 accuracy swapped with top-1 accuracy",
        ),
        ({"top1": "93.15"}, "top-5 accuracy printed as top-1 accuracy"),
        ({"loss": f"{0.83125 / math.log(2):.6f}"}, "a loss in bits"),
        ({"top1": "77.65"}, "one digit mistyped"),
        ({"top1": "76.15"}, "two neighbouring digits transposed"),
        ({"loss": "0.831520"}, ""),
        ({"loss": "0.381250"}, "two neighbouring digits transposed"),
        ({"top1": "70.42", "top5": "92.11", "loss": "0.851102"}, ""),
        ({"top1": "71.39"}, ""),
        ({}, ""),
    ],
)
def test_a_slip_is_named_and_nothing_else_is(
    release_cases: dict[str, Case], published: dict[str, str], name: str
) -> None:
    found = find(release_cases["supervised/real/160"], published)
    assert (found.name if found else "").startswith(name)
    assert bool(found) == bool(name)


def test_the_numbers_of_another_checkpoint_are_found_on_either_side(
    release_cases: dict[str, Case],
) -> None:
    case, other = (release_cases[f"supervised/real/{n}"] for n in (160, 320))
    theirs = {r.metric: r.published.digits for r in other.references}
    copied = find(case, theirs)
    assert copied
    assert copied.name == f"the number of {other.id}"
    # The weights, or the row, of the other: what is measured is what it has.
    run = made(**{metric: float(digits) for metric, digits in theirs.items()})
    exchanged = find(case, {}, run)
    assert exchanged
    assert exchanged.name == f"the row or the weights of {other.id}"
    assert exchanged.fit < 1e-4


def test_what_only_the_loss_shows_is_no_slip_of_the_digits_near_it(
    release_cases: dict[str, Case],
) -> None:
    # Another logit scale leaves all decisions as they are and moves the loss.
    random = np.random.default_rng(0)
    named = 0
    for value in 0.83125 * np.exp(random.normal(scale=0.3, size=100)):
        found = find(release_cases["supervised/real/160"], {"loss": f"{value:.6f}"})
        named += found is not None
    assert named <= 2


def test_random_numbers_are_called_slips_as_seldom_as_is_said(
    release_cases: dict[str, Case],
) -> None:
    random = np.random.default_rng(1)
    named = 0
    for _ in range(60):
        top1, top5 = 71.65 - 20 * random.random(), 93.15 - 5 * random.random()
        numbers = {"top1": f"{top1:.2f}", "top5": f"{top5:.2f}", "loss": "0.912345"}
        named += find(release_cases["clip/real/160"], numbers) is not None
    assert named == 0
