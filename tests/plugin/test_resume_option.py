"""`--repro-resume` takes over what an earlier run finished, and says which."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import repro
from repro.records.identity import describe_environment, git_state
from repro.records.ledger import Ledger

from ..conftest import Often, wait_for_a_case
from .conftest import ReleaseCopy, RunCases

NAMED = "supervised/real/80"
ONE = f"{NAMED}@digits-supervised"


def taken_over(result: pytest.RunResult) -> int:
    """Count the cases that a run says it took over."""
    lines = [line for line in result.outlines if line.startswith("taken over from run")]
    return sum(len(line.partition(": ")[2].split(", ")) for line in lines)


def test_finished_cases_are_taken_over_and_named(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    run_cases(release, "-k", NAMED, f"--repro-report={first}")
    result = run_cases(release, "--repro-resume", f"--repro-report={second}")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines([f"taken over from run 1: {ONE}"])
    before = json.loads(first.read_text())["cases"][0]
    after = {case["id"]: case for case in json.loads(second.read_text())["cases"]}
    assert after[ONE] == before


def test_without_the_option_everything_is_measured_again(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    run_cases(release, "-k", NAMED)
    assert taken_over(run_cases(release, "-k", NAMED)) == 0


def test_what_was_taken_over_is_judged_again(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    run_cases(release, "-k", NAMED).assert_outcomes(passed=1)
    published = release.published("supervised/real/80", "loss")
    release.edit("references.toml", (published, "9.9"))
    result = run_cases(release, "-k", NAMED, "--repro-resume")
    result.assert_outcomes(failed=1)
    assert taken_over(result) == 1


def changed_weights(release: ReleaseCopy) -> None:
    weights = release.weights("supervised/real/80")
    weights.write_bytes(release.weights("supervised/real/160").read_bytes())


def changed_images(release: ReleaseCopy) -> None:
    """Write other bytes under the same name, size and time."""
    file = release.folder / "val/0/0-00.jpg"
    before = file.stat()
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\xff\xd9")
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_image(release: ReleaseCopy) -> None:
    (release.folder / "val/0/0-00.jpg").rename(release.folder / "val/0/0-99.jpg")


def changed_protocol(release: ReleaseCopy) -> None:
    release.edit(
        "release.toml",
        ("resize(32,bilinear)|center_crop(28)", "resize(28,bilinear)|center_crop(28)"),
    )


@pytest.mark.parametrize("change", [changed_weights, changed_images, changed_protocol])
def test_a_case_that_is_no_longer_the_same_is_measured_again(
    release: ReleaseCopy, run_cases: RunCases, change: Callable[[ReleaseCopy], None]
) -> None:
    run_cases(release, "-k", NAMED)
    change(release)
    assert taken_over(run_cases(release, "-k", NAMED, "--repro-resume")) == 0


def test_other_names_of_the_same_images_are_still_the_same(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    run_cases(release, "-k", NAMED)
    renamed_image(release)
    assert taken_over(run_cases(release, "-k", NAMED, "--repro-resume")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--repro-limit=60", "--repro-precision=amp-bf16"])
def test_another_way_to_measure_is_not_the_same(
    release: ReleaseCopy, run_cases: RunCases, option: str
) -> None:
    run_cases(release, "-k", NAMED)
    assert taken_over(run_cases(release, "-k", NAMED, "--repro-resume", option)) == 0
    assert taken_over(run_cases(release, "-k", NAMED, "--repro-resume", option)) == 1


def test_code_that_changed_since_is_not_the_same(
    release: ReleaseCopy, run_cases: RunCases, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(helper="a = 1")
    for command in (
        ["init", "-q"],
        ["add", "helper.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    options = ("-k", NAMED, "--repro-resume")
    as_a_new_process_would()
    assert taken_over(run_cases(release, *options)) == 0
    assert taken_over(run_cases(release, *options)) == 1
    pytester.makepyfile(helper="a = 2")
    as_a_new_process_would()
    assert taken_over(run_cases(release, *options)) == 0


def as_a_new_process_would() -> None:
    """Look at the code again."""
    git_state.cache_clear()
    describe_environment.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 50], ids=["once", "often"])
def test_a_run_killed_at_any_moment_ends_with_the_report_of_an_undisturbed_one(
    quick_release: ReleaseCopy,
    run_cases: RunCases,
    pytester: pytest.Pytester,
    tmp_path: Path,
    kills: int,
    often: Often,
) -> None:
    undisturbed, resumed = tmp_path / "undisturbed.json", tmp_path / "resumed.json"
    as_a_new_process_would()
    # Else the size that is quickest counts, and rounds losses in another way each time.
    batches = "--repro-batch-size=50"
    run_cases(
        quick_release, "--repro-ledger=none", batches, f"--repro-report={undisturbed}"
    )
    options = (f"--repro-report={resumed}", "--repro-resume", batches)
    command = (
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        f"--repro-expected={quick_release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
        *options,
    )
    package = str(Path(repro.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package}
    rng = random.Random(kills)
    folder = pytester.path / ".repro"

    def finish() -> None:
        run_cases(quick_release, *options).assert_outcomes(passed=3)
        assert without_times(resumed) == without_times(undisturbed)

    finished: dict[str, Any] = {}
    for _ in range(often(kills, 8)):
        with subprocess.Popen(
            command, cwd=pytester.path, env=environment, stdout=subprocess.DEVNULL
        ) as run:
            if kills == 1:
                wait_for_a_case(folder)
            else:
                # About as long as a whole run takes, most of it imports.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(rng.uniform(0.1, 8))
            run.send_signal(signal.SIGKILL)
        if not folder.exists():
            continue
        with Ledger(folder, create=True) as ledger:
            kept = {
                result.id: msgspec.to_builtins(result.measurement)
                for done in ledger.runs()
                for result in ledger.results(done.id)
            }
        assert finished.items() <= kept.items()
        finished = kept
        if len(finished) == 3 and kills > 1:
            # Nothing is left that a kill could disturb: begin anew.
            finish()
            shutil.rmtree(folder)
            finished = {}
    finish()


def without_times(file: Path) -> dict[str, Any]:
    """Read a report without what no two runs have in common."""
    content: dict[str, Any] = json.loads(file.read_text())
    del content["run"]
    for case in content["cases"]:
        assert case.pop("seconds") > 0
    return content
