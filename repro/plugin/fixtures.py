"""Fixtures for tests marked with `@pytest.mark.repro`.

Their docstrings are their documentation: `pytest --fixtures`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from repro.plugin import MARKER
from repro.plugin.surroundings import as_they_were

if TYPE_CHECKING:
    from torch import Tensor, nn

    from repro.cases import Case
    from repro.claims.evidence import Stated
    from repro.claims.result import ClaimResult
    from repro.data.dataset import Dataset
    from repro.evaluation.classifier import Classifier
    from repro.evaluation.predictions import Predictions
    from repro.plugin.runner import CaseRunner
    from repro.records.result import CaseResult


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """A checkpoint x protocol x dataset, with the published numbers it must meet.

    A test that asks for it and is marked runs once for each case:

        @pytest.mark.repro(kind="supervised")
        def test_checkpoint(case, reproduce):
            reproduce(case)

    The marker takes `kind` (supervised or clip), `family` (a pattern such as
    `"clip/*"`) and the options `expected`, `data`, `checkpoints`, `device`,
    `precision`, `batch_size`, `limit`, `strict` and `download`, which count for that
    test.
    """
    _refuse_unmarked(request)


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> Stated:
    """A claim of the paper, such as an exponent or an ordering (docs/claims.md).

    A test that asks for it and is marked runs once for each claim, after all cases:

        @pytest.mark.repro
        def test_claim(claim, uphold):
            uphold(claim)
    """
    _refuse_unmarked(request)


def _refuse_unmarked(request: pytest.FixtureRequest) -> NoReturn:
    """Fail a test that has no case and no claim, which it gets as a parameter."""
    name = request.node.name
    if request.node.get_closest_marker(MARKER) is None:
        reason = (
            "case, model, reproduce and the other fixtures of repro are for tests "
            f"marked with @pytest.mark.repro; mark {name} or define a fixture of that "
            "name of your own"
        )
    else:
        reason = (
            f"{name} is marked with @pytest.mark.repro and has no case and no claim: "
            "its function takes one as an argument, or asks for it with "
            '@pytest.mark.usefixtures("case"); no test of unittest.TestCase can'
        )
    pytest.fail(reason, pytrace=False)


class _NothingMeasured:
    """Stands in for what measures where pytest only shows what it would set up."""

    def settle(self, step: object, case: object = None) -> NoReturn:
        pytest.skip("nothing is loaded to show what would be set up")

    reproduce = settle


@pytest.fixture
@as_they_were()
def _runner(request: pytest.FixtureRequest) -> CaseRunner:
    if request.config.getoption("setuponly", False):
        # A stand-in that is typed as what it stands for; it measures nothing.
        return cast("CaseRunner", _NothingMeasured())
    from repro.plugin.items import SETTINGS

    if SETTINGS not in request.node.stash:
        _refuse_unmarked(request)
    from repro.plugin.runner import runner_of

    return runner_of(request.node)


@pytest.fixture
def dataset(case: Case, _runner: CaseRunner) -> Dataset:
    """The labelled images of the case: `root`, `files`, `labels`, `classes`, `strata`.

    Indexed once a session. The test is skipped when they are not on this machine and
    fails when they are incomplete.
    """
    return _runner.settle(lambda: _runner.engine.here().dataset(case))


@pytest.fixture
def model(case: Case, _runner: CaseRunner) -> nn.Module:
    """The loaded checkpoint of the case: float32, in evaluation mode, on the device.

    The test is skipped when the weights are not on this machine and fails when they are
    damaged or hold another architecture.
    """
    return _runner.settle(lambda: _runner.engine.here().model(case))


@pytest.fixture
def zeroshot_classifier(case: Case, model: nn.Module, _runner: CaseRunner) -> Tensor:
    """The classes of a zero-shot case as text embeddings: float32 `[C, D]`.

    Encoded once for each text tower and set of prompts, then read from the cache.
    """
    return _runner.settle(lambda: _runner.engine.here().text_classifier(case, model))


@pytest.fixture
def classifier(case: Case, _runner: CaseRunner) -> Classifier:
    """The case's model as a function: uint8 `[B, 3, H, W]` to logits `[B, C]`.

    Normalisation is inside, and for zero-shot cases the text classifier:

        @pytest.mark.repro(kind="clip")
        def test_logits(case, classifier, evaluate):
            assert evaluate(classifier).metrics().top1 > 0
    """
    return _runner.settle(lambda: _runner.engine.here().classifier(case))


@pytest.fixture
def evaluate(case: Case, _runner: CaseRunner) -> Callable[..., Predictions]:
    """A function that predicts all images of the case: `evaluate(classifier)`.

    Any callable from uint8 `[B, 3, H, W]` to logits `[B, C]` will do. The predictions
    hold top-5 classes and loss of each image, and `metrics()` counts them.
    """

    def evaluate(classifier: Callable[[Tensor], Tensor]) -> Predictions:
        return _runner.settle(lambda: _runner.engine.here().evaluate(classifier, case))

    return evaluate


@pytest.fixture
def reproduce(_runner: CaseRunner) -> Callable[[Case], CaseResult]:
    """A function that measures a case and judges it: `reproduce(case)`.

    It returns when every published number is met. Otherwise the test fails with the
    published and the measured value; it is skipped when there is nothing to compare
    with, or when weights or images are missing (which fails with `--repro-strict`). The
    outcome goes into the table and the reports.
    """
    return _runner.reproduce


@pytest.fixture
def uphold(
    request: pytest.FixtureRequest, _runner: CaseRunner
) -> Callable[[Stated], ClaimResult]:
    """A function that checks whether a claim holds: `uphold(claim)`.

    It takes the measurements of the run's cases and makes those that nobody made. It
    returns when the claim comes out as expected; otherwise the test fails, or is
    skipped when it is undecided or when weights or images are missing.
    """

    def check(claim: Stated) -> ClaimResult:
        from repro.plugin.runner import uphold

        return uphold(request.node, claim, _runner)

    return check
