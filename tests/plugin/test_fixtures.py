"""The fixtures in somebody else's test module."""

from __future__ import annotations

import pytest

from .conftest import ReleaseCopy


def test_three_lines_check_a_release(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    release.folder.rename(pytester.path / "paper")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="paper")
        def test_checkpoint(case, reproduce):
            reproduce(case)
        """
    )
    pytester.runpytest("--repro-cache=cache").assert_outcomes(passed=3)


def test_each_fixture_gives_what_its_docstring_says(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        import torch

        EXPECTED = {str(release.folder)!r}

        @pytest.mark.repro(expected=EXPECTED)
        def test_dataset_and_model(case, dataset, model):
            assert len(dataset) == 500
            assert not model.training
            assert {{p.dtype for p in model.parameters()}} == {{torch.float32}}

        @pytest.mark.repro(expected=EXPECTED, kind="clip")
        def test_zeroshot(zeroshot_classifier, case):
            assert zeroshot_classifier.shape[0] == 10
            lengths = zeroshot_classifier.norm(dim=-1)
            assert torch.allclose(lengths, torch.ones(10))

        @pytest.mark.repro(expected=EXPECTED)
        def test_classifier(case, classifier, evaluate):
            logits = classifier(torch.zeros(2, 3, 28, 28, dtype=torch.uint8))
            assert logits.shape == (2, 10)
            assert evaluate(classifier).metrics().images == 500

        @pytest.mark.repro(expected=EXPECTED, kind="supervised")
        def test_oracle(case, dataset, evaluate):
            members = iter([i for stratum in dataset.strata for i in stratum.tolist()])

            def oracle(pixels):
                labels = [int(dataset.labels[next(members)]) for _ in pixels]
                return 50.0 * torch.nn.functional.one_hot(torch.tensor(labels), 10)

            metrics = evaluate(oracle).metrics()
            assert metrics.top1 == metrics.images == 500
        """
    )
    result = pytester.runpytest(f"--repro-cache={release.folder.parent / 'cache'}")
    result.assert_outcomes(passed=3 + 1 + 3 + 2)


def test_a_fixture_skips_what_is_missing_and_leaves_a_row(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    release.weights("clip/real/80").unlink()
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.repro(expected={str(release.folder)!r}, kind="clip")
        def test_model(case, model):
            assert model
        """
    )
    result = pytester.runpytest("-rs", "--repro-cache=none")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*SKIPPED*no weights: *has no 80.pt*"])
    result.stdout.fnmatch_lines(["1 case: 1 not run"])


def test_pytest_documents_the_fixtures(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--fixtures", "-q")
    for name in (
        "case",
        "dataset",
        "model",
        "classifier",
        "zeroshot_classifier",
        "evaluate",
        "reproduce",
    ):
        result.stdout.fnmatch_lines([f"{name} -- *fixtures.py:*"])


@pytest.mark.parametrize("how", ["", "(params=[1, 2])"])
def test_a_projects_own_case_and_claim_change_nothing_for_marked_tests(
    pytester: pytest.Pytester, how: str
) -> None:
    pytester.makeconftest(
        f"""
        import pytest

        @pytest.fixture{how}
        def case():
            return "own"

        @pytest.fixture{how}
        def claim():
            return "own"
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="embedded", family="supervised/real")
        @pytest.mark.parametrize("other", ["a", "b"])
        def test_case(case, other):
            assert case.family.id == "supervised/real"

        @pytest.mark.repro(expected="embedded")
        def test_claim(claim):
            assert claim.claim

        def test_own(case, claim):
            assert case == claim == "own"
        """
    )
    listed = pytester.runpytest("--collect-only", "-q").stdout
    listed.fnmatch_lines(["*::test_case?supervised/real/80@digits-supervised-a?"])
    result = pytester.runpytest("--repro-ledger=none")
    result.assert_outcomes(passed=2 * 6 + 7 + (4 if how else 1))
