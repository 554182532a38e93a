"""`repro accept` writes measured values beside published ones, never over them."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from repro.cases import list_cases, named_case
from repro.cli import cli
from repro.errors import LedgerError
from repro.evaluation.predictions import Metrics
from repro.judgement.guarded import Guarded
from repro.judgement.verdict import Verdict
from repro.published import read_releases
from repro.records.accept import accept
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.result import CaseResult

from ..made_results import measurement, result
from .paper import PAPER

CASE = "supervised/real/1M@plain"


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    file = tmp_path / "paper.toml"
    file.write_text(PAPER)
    return file


def recorded(folder: Path, *results: CaseResult) -> int:
    with Ledger(folder / ".repro", create=True) as ledger:
        run = ledger.begin(str(len(ledger.runs())), len(results), [], GitState())
        for one in results:
            ledger.record(run, one)
        ledger.finish(run, 1)
    return run


def call(paper: Path, *arguments: str) -> Result:
    folder = paper.parent / ".repro"
    options = ["--expected", str(paper), "--ledger", str(folder)]
    return CliRunner().invoke(cli, ["accept", *options, *arguments])


def references(paper: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = tomllib.loads(paper.read_text())["reference"]
    return found


def test_what_was_measured_stands_after_what_was_published(paper: Path) -> None:
    recorded(paper.parent, result("1M", Verdict.ABOVE, difference=6.0))
    done = call(paper, CASE, "--run", "1")
    assert done.exit_code == 0
    assert f"{CASE}: top1 76.500, top5 93.000, loss 0.800100 added" in done.output
    first, accepted, last = references(paper)
    assert (first["top1"], last["checkpoint"]) == ("70.10", "2M")
    note = accepted.pop("note")
    assert accepted == {
        "family": "supervised/real",
        "checkpoint": "1M",
        "dataset": "animals",
        "protocol": "plain",
        "source": "measured",
        "top1": "76.500",
        "top5": "93.000",
        "loss": "0.800100",
    }
    assert note.startswith("run 1 on 20")
    assert "torch 2.15.0" in note
    assert "a graphics card" in note


def test_every_line_of_the_file_stays_with_its_comments(paper: Path) -> None:
    recorded(paper.parent, result("1M"))
    call(paper, CASE, "--run", "last")
    after = iter(paper.read_text().splitlines())
    assert all(line in after for line in PAPER.splitlines())


def test_the_file_is_read_and_the_case_has_both_references(paper: Path) -> None:
    recorded(paper.parent, result("1M"))
    call(paper, CASE, "--run", "1")
    (case,) = [case for case in list_cases(read_releases([paper])) if case.id == CASE]
    assert [(r.source, r.metric) for r in case.references] == [
        ("table", "top1"),
        ("measured", "top1"),
        ("measured", "top5"),
        ("measured", "loss"),
    ]


def test_a_first_number_of_a_family_stands_after_all_others(paper: Path) -> None:
    before, family, rest = PAPER.partition('[family."supervised/real"]')
    other = family.replace("real", "drawn") + rest.partition("# Measured")[0]
    paper.write_text(before + other + family + rest)
    (case,) = [case for case in list_cases(read_releases([paper])) if case.id == CASE]
    recorded(paper.parent, result("1M"))
    with Ledger(paper.parent / ".repro") as ledger:
        run = ledger.find_run("1")
    drawn = case.release.families["supervised/drawn"]
    accept(msgspec.structs.replace(case, family=drawn), result("1M"), run)
    rows = [(row["family"], row["checkpoint"]) for row in references(paper)]
    assert rows == [
        ("supervised/real", "1M"),
        ("supervised/real", "2M"),
        ("supervised/drawn", "1M"),
    ]


def test_accepting_again_replaces_only_what_was_accepted(paper: Path) -> None:
    recorded(paper.parent, result("1M"))
    call(paper, CASE, "--run", "1")
    metrics = Metrics(images=50_000, top1=35_001, top5=46_000, loss_sum=50_000.0)
    recorded(paper.parent, result("1M", measurement=measurement(metrics)))
    done = call(paper, CASE, "--run", "2")
    assert "replaced in" in done.output
    first, accepted, _ = references(paper)
    assert (first["top1"], accepted["top1"]) == ("70.10", "70.002")
    assert accepted["note"].startswith("run 2 on")


@pytest.mark.parametrize("images", [7, 100, 9999, 10_000, 50_000, 100_000])
def test_digits_tell_one_image_of_all(paper: Path, images: int) -> None:
    counts = Metrics(
        images=images, top1=images - 1, top5=images, loss_sum=float(images)
    )
    recorded(paper.parent, result("1M", measurement=measurement(counts)))
    (case,) = [case for case in list_cases(read_releases([paper])) if case.id == CASE]
    with Ledger(paper.parent / ".repro") as ledger:
        run = ledger.find_run("last")
        numbers = accept(case, ledger.results(run.id)[0], run).numbers
    step = Fraction(1, 10 ** len(numbers["top1"].partition(".")[2]))
    # Two at least, as papers print them; else one less would not tell it.
    assert step == Fraction(1, 100) or step < Fraction(100, images) <= 10 * 10 * step
    assert abs(Fraction(numbers["top1"]) - 100 * Fraction(images - 1, images)) < step
    assert numbers["top5"] == f"{100:.{len(numbers['top1'].partition('.')[2])}f}"
    assert numbers["loss"] == "1.000000"


def test_a_pattern_takes_several_cases(paper: Path) -> None:
    recorded(paper.parent, result("1M"), result("2M"))
    assert call(paper, "supervised/*", "--run", "1").exit_code == 0
    found = [(row["checkpoint"], row["source"]) for row in references(paper)]
    assert found == [
        ("1M", "table"),
        ("1M", "measured"),
        ("2M", "table"),
        ("2M", "measured"),
    ]


def test_the_run_stays_as_it_was(paper: Path) -> None:
    diverged = result("1M", Verdict.ABOVE, difference=6.0)
    recorded(paper.parent, diverged)
    call(paper, CASE, "--run", "1")
    with Ledger(paper.parent / ".repro") as ledger:
        assert ledger.results(1) == [diverged]
        assert ledger.find_run("1").exit_status == 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (result("1M", Verdict.NOT_RUN), "was not measured in that run"),
        (
            result("1M", measurement=measurement(total=60_000)),
            "on 50,000 of 60,000 images",
        ),
        (
            result("1M", measurement=measurement(precision="bf16")),
            "measured in bf16, published in fp32; accept a run with",
        ),
        (
            result("1M", measurement=measurement(guarded=Guarded(cheap="bf16"))),
            "in guarded precision, which estimates the loss; accept a run with",
        ),
    ],
)
def test_what_settles_nothing_is_not_accepted(
    paper: Path, made: CaseResult, message: str
) -> None:
    recorded(paper.parent, made)
    done = call(paper, CASE, "--run", "1")
    assert isinstance(done.exception, LedgerError)
    assert message in str(done.exception)
    assert paper.read_text() == PAPER


@pytest.mark.parametrize("name", ["supervised/real/9M@plain", "clip/*"])
def test_a_case_that_the_run_does_not_have_is_an_error(paper: Path, name: str) -> None:
    recorded(paper.parent, result("1M"))
    done = call(paper, CASE, name, "--run", "1")
    assert isinstance(done.exception, LedgerError)
    assert paper.read_text() == PAPER


def test_in_a_folder_the_file_of_the_references_is_changed(tmp_path: Path) -> None:
    head, *rows = PAPER.partition("# Measured twice.")
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "release.toml").write_text(head)
    (folder / "references.toml").write_text("".join(rows))
    recorded(tmp_path, result("1M"), result("2M"))
    assert call(folder, "*", "--run", "1").exit_code == 0
    assert (folder / "release.toml").read_text() == head
    assert len(references(folder / "references.toml")) == 4


def test_a_file_that_would_not_be_valid_is_left_as_it_was(paper: Path) -> None:
    recorded(paper.parent, result("1M"))
    with Ledger(paper.parent / ".repro") as ledger:
        run = ledger.find_run("1")
    (case,) = [case for case in list_cases(read_releases([paper])) if case.id == CASE]
    damaged = msgspec.structs.replace(case, checkpoint="1M.pt")
    with pytest.raises(Exception, match="leave the suffix out"):
        accept(damaged, result("1M"), run)
    assert paper.read_text() == PAPER


def test_the_first_number_of_a_release_goes_into_its_own_file(tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "release.toml").write_text(PAPER.partition("# Measured twice.")[0])
    (release,) = read_releases([folder])
    case = named_case(release, "supervised/real", "1M", "plain", "animals")
    recorded(tmp_path, result("1M"))
    with Ledger(tmp_path / ".repro") as ledger:
        found = accept(case, result("1M"), ledger.find_run("1"))
    assert (found.file, found.replaced) == (folder / "release.toml", False)
    rows = references(folder / "release.toml")
    assert [(row["checkpoint"], row["source"]) for row in rows] == [("1M", "measured")]


def test_a_source_that_stands_in_another_file_is_not_defined_again(
    tmp_path: Path,
) -> None:
    head, *rows = PAPER.partition("# Measured twice.")
    folder = tmp_path / "paper"
    folder.mkdir()
    source = '[source.measured]\ntitle = "Here"\nurl = "https://example.org"\n'
    (folder / "release.toml").write_text(head + source)
    (folder / "references.toml").write_text("".join(rows))
    recorded(tmp_path, result("1M"))
    assert call(folder, CASE, "--run", "1").exit_code == 0
    assert "[source" not in (folder / "references.toml").read_text()
    assert len(references(folder / "references.toml")) == 3


def test_a_family_is_not_one_whose_name_begins_alike(paper: Path) -> None:
    family = PAPER[PAPER.index("[family.") : PAPER.index("# Measured twice.")]
    row = PAPER[PAPER.rindex("[[reference]]") : PAPER.index("# That is all.")]
    longer = (family + row).replace("supervised/real", "supervised/real2")
    paper.write_text(PAPER + longer)
    recorded(paper.parent, result("4M"))
    (release,) = read_releases([paper])
    case = named_case(release, "supervised/real", "4M", "plain", "animals")
    with Ledger(paper.parent / ".repro") as ledger:
        accept(case, result("4M"), ledger.find_run("1"))
    found = [(row["family"], row["checkpoint"]) for row in references(paper)]
    assert found == [
        *(("supervised/real", name) for name in ("1M", "2M", "4M")),
        ("supervised/real2", "2M"),
    ]
