"""Each test is told what its own weights and images give, whatever else runs."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from repro.plugin.workers import run_name
from repro.records.ledger import Ledger

from .conftest import SUITE, ReleaseCopy, RunCases

NAMED = "supervised/real/80"
WAYS = (("-p", "no:xdist"), ("-n", "2"))


@pytest.fixture
def release(quick_release: ReleaseCopy) -> ReleaseCopy:
    return quick_release


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "shared"))


def test_a_run_has_a_name_of_its_own_whatever_xdist_calls_it(
    pytester: pytest.Pytester,
) -> None:
    options = ("--testrunuid=same", "-n2")
    first, second = (pytester.parseconfig(*options) for _ in range(2))
    assert run_name(first) == run_name(first)
    assert len({run_name(first), run_name(second), "same"}) == 3


@pytest.mark.slow
def test_the_same_testrunuid_twice_makes_two_runs(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    options = ("-k", NAMED, "-n", "1", "--testrunuid=same")
    run_cases(release, *options).assert_outcomes(passed=1)
    shutil.copy(release.weights("supervised/real/160"), release.weights(NAMED))
    run_cases(release, *options).assert_outcomes(failed=1)
    assert list((tmp_path / "shared").glob("repro-run-*")) == []


def suite(order: Sequence[str], option: str) -> str:
    tests = [
        f"""
@pytest.mark.repro(family="supervised/real", {option}="{name}")
def test_{name}(case, reproduce):
    reproduce(case)
"""
        for name in order
    ]
    return "import pytest\n" + "".join(tests)


def two_stores(pytester: pytest.Pytester, release: ReleaseCopy) -> None:
    """Make folder `right` with the weights of 80, and `wrong` with those of 160."""
    for folder, source in (("right", NAMED), ("wrong", "supervised/real/160")):
        place = pytester.path / folder / f"{NAMED}.pt"
        place.parent.mkdir(parents=True)
        shutil.copy(release.weights(source), place)


def outcomes(
    pytester: pytest.Pytester, release: ReleaseCopy, tmp_path: Path, *options: str
) -> dict[str, str]:
    """Run a suite and give the verdict of each variant that the report has."""
    file = tmp_path / "report.json"
    reports = [f"--repro-report={tmp_path / f'report.{s}'}" for s in ("json", "html")]
    pytester.runpytest(
        *("-p", "no:cacheprovider", "-k", NAMED, "--repro-no-diagnose"),
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
        *(*reports, *options),
    )
    cases = json.loads(file.read_text())["cases"]
    return {
        Path(case["settings"].get("checkpoints", "")).name: case["verdict"]
        for case in cases
    }


def test_two_stores_of_weights_give_two_results_that_are_told_apart(
    release: ReleaseCopy, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    two_stores(pytester, release)
    pytester.makepyfile(test_stores=suite(("right", "wrong"), "checkpoints"))
    found = outcomes(pytester, release, tmp_path, *WAYS[0], "--junitxml=junit.xml")
    assert found["right"] == "reproduced"
    assert found["wrong"] != "reproduced"
    page = (tmp_path / "report.html").read_text().replace("<wbr>", "")
    anchors = re.findall(r'id="(case-[^"]+)"', page)
    assert len(anchors) == len(set(anchors)) == 2
    junit = (pytester.path / "junit.xml").read_text()
    for name in ("right", "wrong"):
        said = f"{NAMED}@digits-supervised (weights {name})"
        assert said in page
        assert f"{said} top1 measured" in junit
    with Ledger(pytester.path / ".repro") as ledger:
        assert len(ledger.results(1)) == 2


@pytest.mark.parametrize(
    "way", [WAYS[0], pytest.param(WAYS[1], marks=pytest.mark.slow)]
)
def test_what_is_planned_and_shown_counts_measurements_and_not_names_of_cases(
    release: ReleaseCopy,
    pytester: pytest.Pytester,
    tmp_path: Path,
    way: Sequence[str],
) -> None:
    two_stores(pytester, release)
    pytester.makepyfile(test_stores=suite(("right", "wrong", "right2"), "checkpoints"))
    file = pytester.path / "test_stores.py"
    file.write_text(file.read_text().replace('"right2"', '"right"'))
    said = pytester.runpytest(
        *("-p", "no:cacheprovider", "-k", NAMED, "--repro-no-diagnose", *way),
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
    ).outlines
    plans = [line for line in said if re.match(r"repro: \d+ cases?[ ,]", line)]
    assert [line.split()[1] for line in plans] == ["1", "1", "2"]
    assert "repro: 2 cases in all, about " in plans[-1]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", [("right", "wrong"), ("wrong", "right")])
def test_weights_of_another_test_change_no_verdict(
    release: ReleaseCopy,
    pytester: pytest.Pytester,
    tmp_path: Path,
    order: Sequence[str],
    way: Sequence[str],
) -> None:
    two_stores(pytester, release)
    alone: dict[str, str] = {}
    for name in order:
        pytester.makepyfile(test_stores=suite([name], "checkpoints"))
        alone |= outcomes(pytester, release, tmp_path, *WAYS[0])
    pytester.makepyfile(test_stores=suite(order, "checkpoints"))
    assert outcomes(pytester, release, tmp_path, *way) == alone
    assert len(set(alone.values())) == 2


def other_images(folder: Path, release: ReleaseCopy) -> None:
    """Copy the images to another folder of the data, each turned upside down."""
    for file in (release.folder / "val").rglob("*.jpg"):
        copy = folder / "turned" / file.relative_to(release.folder / "val")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(copy)


@pytest.mark.slow
@pytest.mark.parametrize("order", [("plain", "turned"), ("turned", "plain")])
def test_one_name_of_a_dataset_in_two_releases_means_two_folders(
    release: ReleaseCopy,
    pytester: pytest.Pytester,
    tmp_path: Path,
    order: Sequence[str],
) -> None:
    data = tmp_path / "data"
    shutil.copytree(release.folder / "val", data / "val")
    other_images(data, release)
    for name in order:
        copy = shutil.copytree(release.folder, pytester.path / name)
        if name == "turned":
            file = copy / "release.toml"
            text = file.read_text()
            assert text.count('folder = "val"') == 1
            file.write_text(text.replace('folder = "val"', 'folder = "turned"'))
    pytester.makepyfile(test_releases=suite(order, "expected"))
    done = pytester.runpytest(
        *("-p", "no:cacheprovider", "-p", "no:xdist", "-k", NAMED, "-rA"),
        *("--repro-no-diagnose", f"--repro-data={data}"),
        f"--repro-cache={tmp_path / 'cache'}",
    )
    done.assert_outcomes(passed=1, failed=1)
    assert any(
        line.startswith("PASSED") and "test_plain" in line for line in done.outlines
    )


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_the_code_of_a_run_is_that_of_its_folder_wherever_its_tests_go(
    release: ReleaseCopy, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def elsewhere(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
        """
    )
    pytester.makepyfile(SUITE)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "all")):
        assert pytester.run(*git, *arguments).ret == 0
    report = pytester.path / "report.json"
    options = (f"--repro-expected={release.folder}", f"--repro-report={report}")
    result = pytester.runpytest(*options, *workers, "-kreal/80")
    result.assert_outcomes(passed=1)
    commit = pytester.run("git", "rev-parse", "HEAD").outlines[0]
    assert commit in report.read_text()
