"""Tables as papers and READMEs print them become references, digit for digit."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.errors import ReproError
from repro.importing.entering import with_files
from repro.importing.labels import several_metrics
from repro.importing.writing import pairs
from repro.published import read_releases

from .printed import OURS, SHAPES, Shape
from .tables import RELEASE


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "release.toml").write_text(RELEASE)
    return folder


def enter(release: Path, text: str, *options: str) -> Result:
    table = release.parent / "table.txt"
    table.write_text(text, encoding="utf-8")
    given = [str(table), "--source=paper", f"--output={release}", *options]
    return run("import", "table", *given)


def run(*arguments: str, pasted: str = "") -> Result:
    """Run the command; what the user can mend is its output, as on the command line."""
    result = CliRunner().invoke(cli, arguments, input=pasted)
    if isinstance(result.exception, ReproError):
        result.stdout_bytes = result.output_bytes = str(result.exception).encode()
    return result


def entered(release: Path) -> dict[str, str]:
    """Give what the release has now from the paper."""
    return {
        f"{reference.families[0]} {reference.checkpoint} {reference.dataset} "
        f"{reference.metric}": reference.printed
        for reference in read_releases([release])[0].references
        if reference.source == "paper"
    }


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_table_is_entered_as_it_is_printed(release: Path, shape: Shape) -> None:
    result = enter(release, shape.text, *shape.options)
    assert result.exit_code == 0, result.output
    assert entered(release) == shape.numbers


def test_what_may_be_a_footnote_or_a_part_of_the_name_is_asked_for(
    release: Path,
) -> None:
    other = RELEASE.replace("cnn/base", "cnn/oursa")
    (release / "release.toml").write_text(other)
    text = "| Family | Acc |\n|--|--|\n| ours<sup>a</sup> | 91 |\n"
    said = enter(release, text, "--dataset=c10", "--checkpoint=a").output
    assert "'ours^a' could be family cnn/oursa or family cnn/ours" in said


REFUSALS = {
    "a heading that nobody knows": (
        "| Model | Score |\n|--|--|\n| a | 91 |\n",
        OURS,
        "'Score' is not known; say what it is with --as 'Score=",
    ),
    "a name that nobody knows": (
        "| Family | Acc |\n|--|--|\n| theirs | 91 |\n",
        ("--dataset=c10", "--checkpoint=a"),
        "'theirs' is not known",
    ),
    "nothing says which dataset": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/ours",),
        "nothing says which dataset",
    ),
    "nothing says which metric": (
        "| Model | CIFAR-10 |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/ours",),
        "nothing says which metric",
    ),
    "two labels contradict each other": (
        "| Model | CIFAR-10 |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/ours", "--dataset=c100", "--metric=top1"),
        "the dataset is 'c10' by one label and 'c100' by another",
    ),
    "a cell that is no number": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n| b | see text |\n",
        OURS,
        "table 1, row 3, column 2 'Acc': 'see text' is no number",
    ),
    "a decimal comma": (
        "Model\tAcc\na\t91,6\n",
        OURS,
        "a comma before decimals has to be written as a point",
    ),
    "a comma that may be one of thousands or of decimals": (
        "| Model | Loss |\n|--|--|\n| a | 0,352 |\n",
        OURS,
        "'0,352' is no number; a comma before decimals has to be written as a point, "
        "or say --decimal-comma",
    ),
    "a range": (
        "| Model | Acc |\n|--|--|\n| a | 91.7-92.0 |\n",
        OURS,
        "'91.7-92.0' is no number",
    ),
    "a number behind a heading that is a footnote or says which accuracy": (
        "| Model | Acc.<sup>5</sup> |\n|--|--|\n| a | 91.7 |\n",
        OURS,
        "'Acc.^5' could be top5 or top1",
    ),
    "a power of ten of the spread alone, which may be one of both": (
        "| Model | Loss |\n|--|--|\n| a | 1.1 ± 0.2e-3 |\n",
        OURS,
        "'1.1 ± 0.2e-3' is no number",
    ),
    "a power of ten that leaves out digits": (
        "| Model | Loss |\n|--|--|\n| a | 1.1e2 |\n",
        OURS,
        "'1.1e2' is no number",
    ),
    "a name with and without a footnote": (
        "| Model | Acc |\n|--|--|\n| a | 91.7 |\n| a† | 92.6 |\n",
        OURS,
        "tell them apart with --as",
    ),
    "a macro that nobody knows behind a number": (
        r"Model & Acc \\ \hline a & 91.7\up{2} \\",
        OURS,
        r"'91.7\\up 2' is no number",
    ),
    "a macro that nobody knows in a name": (
        r"Model & Acc \\ \hline \ours{} 4M & 91.7 \\",
        OURS,
        r"'\ours 4M=checkpoint:NAME'",
    ),
    "a fraction among percentages": (
        "| Model | Acc |\n|--|--|\n| a | 0.917 |\n| b | 92.6% |\n",
        OURS,
        "has 0.917 where others of its kind are such as 92.6",
    ),
    "a row that sums up": (
        "| Model | Acc |\n|--|--|\n| a | 91.7 |\n| Average | 91.7 |\n",
        OURS,
        "'Average' is not known",
    ),
    "a table that is drawn": (
        "+-------+-------+\n| Model | Top-1 |\n+=======+=======+\n| r20   | 91.7  |\n",
        OURS,
        "make it one of Markdown first: pandoc -t gfm",
    ),
    "digits of another script": (
        "| Model | Acc |\n|--|--|\n| a | \N{FULLWIDTH DIGIT NINE}1.7 |\n",
        OURS,
        "is no number",
    ),
    "fractions or percent": (
        "| Model | Acc |\n|--|--|\n| a | 0.91 |\n",
        OURS,
        "--unit=fraction or --unit=percent",
    ),
    "above all images": (
        "| Model | Acc |\n|--|--|\n| a | 191 |\n",
        OURS,
        "191 is above 100",
    ),
    "a spread of unknown runs": (
        "| Model | Acc |\n|--|--|\n| a | 91 ± 1 |\n",
        OURS,
        "say of how many with --runs",
    ),
    "runs without a spread": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--runs=3"),
        "--runs: no number of the table has a spread",
    ),
    "two numbers in a cell, and nobody says of what": (
        "| Model | Acc |\n|--|--|\n| a | 91.7/99.1 |\n",
        OURS,
        "'91.7/99.1' is no number; where it is several, say of what, --as "
        "'HEADING=top1/top5'",
    ),
    "another number of numbers than the heading says": (
        "| Model | Acc@1/Acc@5 |\n|--|--|\n| a | 91.7/99.1/3.2 |\n",
        OURS,
        "'91.7/99.1/3.2' is not top1 and top5, which its heading says",
    ),
    "names beside each other under other headings": (
        "| Model | Acc | Name | Acc |\n|--|--|--|--|\n| a | 91.7 | b | 92.6 |\n",
        OURS,
        "the checkpoint is 'a' by one label and 'b' by another",
    ),
    "one thing twice": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n| a | 92 |\n",
        OURS,
        "again 92",
    ),
    "a label that is not there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--as=Sore=skip"),
        "the table has no such label; it has Model, Acc, a",
    ),
    "a meaning that is none": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--as=Acc=top2"),
        "'top2' is neither 'skip' nor a metric",
    ),
    "several tables": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n\nx\n\n"
        "| Model | Acc |\n|--|--|\n| b | 9 |",
        OURS,
        "say which table with --table=N",
    ),
    "a table that is not there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--table=2"),
        "--table=2: there is table 1",
    ),
    "no table": ("Nothing here.", OURS, "does not look like a table"),
    "a family that is not there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        ("--family=cnn/our", "--dataset=c10"),
        "the release has no family 'cnn/our'",
    ),
    "a name that is no file": (
        "| Model | Acc |\n|--|--|\n| a/../b | 91 |\n",
        OURS,
        "--as 'a/../b=checkpoint:NAME'",
    ),
    "a spread that is said of a source that is there": (
        "| Model | Acc |\n|--|--|\n| a | 91 |\n",
        (*OURS, "--title=Other"),
        "leave it out or name another --source",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_known_is_asked_for_and_nothing_is_written(
    release: Path, name: str
) -> None:
    text, options, sentence = REFUSALS[name]
    result = enter(release, text, *options)
    assert result.exit_code in {1, 2}, result.output
    assert sentence in result.output
    assert len(result.output) < 600
    assert "Traceback" not in result.output
    assert list(release.iterdir()) == [release / "release.toml"]


@pytest.mark.parametrize(
    ("heading", "metrics"),
    [
        ("Top-1 / Top-5", ("top1", "top5")),
        ("Top-1/Top-5 (%)", ("top1", "top5")),
        ("Acc@1/Acc@5", ("top1", "top5")),
        ("Acc@1/5", ("top1", "top5")),
        ("top-1 (top-5)", ("top1", "top5")),
        ("Top-1/Top-5 acc.", ("top1", "top5")),
        ("Top-5 / top-1 err.", ("error5", "error")),
        ("Accuracy (top-1/top-5)", ("top1", "top5")),
        ("Error (top-1/top-5)", ("error", "error5")),
        ("top-1 (top-5) error", ("error", "error5")),
        ("Acc/Loss", ("top1", "loss")),
        ("Top-1 (ours)", ()),
        ("Top-1 / Top-1", ()),
        ("Recall (top-1/top-5)", ()),
        ("Top-1/Params", ()),
        ("Top-1", ()),
        ("", ()),
    ],
)
def test_a_heading_says_which_numbers_stand_in_a_cell(
    heading: str, metrics: tuple[str, ...]
) -> None:
    assert several_metrics(heading) == metrics


def test_a_name_of_two_things_is_asked_for(release: Path) -> None:
    toml = RELEASE + RELEASE[RELEASE.index('[family."cnn/ours"]') :].replace(
        "cnn/", "vit/"
    )
    (release / "release.toml").write_text(toml)
    text = "| Family | Acc |\n|--|--|\n| ours | 91 |\n"
    said = ("--dataset=c10", "--checkpoint=a")
    result = enter(release, text, *said)
    assert "'ours' could be family cnn/ours or family vit/ours" in result.output
    assert not enter(release, text, *said, "--as=ours=family:vit/ours").exit_code
    assert entered(release) == {"vit/ours a c10 top1": "91"}


def test_differences_are_shown_before_anything_is_written(release: Path) -> None:
    text = "| Model | Acc |\n|--|--|\n| 8M | 91.25 |\n| 1M | 50.1 |\n"
    enter(release, text, *OURS)
    before = (release / "references.toml").read_bytes()
    changed = text.replace("50.1", "51.1") + "| 2M | 60.2 |\n"
    result = enter(release, changed, *OURS)
    assert result.exit_code == 1
    assert "~ cnn/ours/1M@c10 top1 50.1 -> 51.1" in result.output
    assert "1 number is new, 1 is there already, 1 is there with other digits" in (
        result.output
    )
    assert (release / "references.toml").read_bytes() == before
    assert enter(release, changed, *OURS, "--only-new").exit_code == 0
    assert entered(release)["cnn/ours 1M c10 top1"] == "50.1"
    assert entered(release)["cnn/ours 2M c10 top1"] == "60.2"


def test_a_number_with_fewer_digits_is_the_same_number(release: Path) -> None:
    enter(release, "| Model | Acc |\n|--|--|\n| 1M | 50.149 |\n", *OURS)
    result = enter(release, "| Model | Acc |\n|--|--|\n| 1M | 50.1 |\n", *OURS)
    assert "1 is there already" in result.output
    assert "50.149" in (release / "references.toml").read_text()


def test_another_sources_number_is_shown(release: Path) -> None:
    result = enter(release, "| Model | Acc |\n|--|--|\n| 8M | 90.00 |\n", *OURS)
    assert "cnn/ours/8M@c10 top1 is 91.25 by the source readme" in result.output


def test_checking_writes_nothing(release: Path) -> None:
    text = "| Model | Acc |\n|--|--|\n| a | 91 |\n"
    result = enter(release, text, *OURS, "--check")
    assert result.exit_code == 0
    assert "+ cnn/ours/a@c10 top1 91" in result.output
    assert list(release.iterdir()) == [release / "release.toml"]


def test_each_number_keeps_its_place_and_its_marks(release: Path) -> None:
    enter(release, "| Model | Acc |\n|--|--|\n| a | 91.6† |\n", *OURS)
    paper = [r for r in read_releases([release])[0].references if r.source == "paper"]
    assert paper[0].note == "top1: table 1, row 2, column 2 'Acc', marked †"


def test_a_new_source_is_written_with_its_numbers(release: Path) -> None:
    table = release.parent / "t.csv"
    table.write_text("Model,Acc\na,91.6\n")
    given = ["import", "table", str(table), f"--output={release}", *OURS]
    missing = run(*given, "--source=appendix")
    assert "say with --title and --url" in missing.output
    described = ("--title=Table 9", "--url=https://example.org/9")
    assert not run(*given, "--source=appendix", *described).exit_code
    assert read_releases([release])[0].sources["appendix"].title == "Table 9"


def test_what_is_pasted_is_read(release: Path) -> None:
    options = ("--source=paper", f"--output={release}", *OURS)
    result = run("import", "table", "-", *options, pasted="Model\tAcc\na\t91.6\n")
    assert result.exit_code == 0, result.output
    assert entered(release) == {"cnn/ours a c10 top1": "91.6"}


def test_a_release_stays_as_it_was_where_it_would_not_be_valid(release: Path) -> None:
    """That a protocol is not of the family shows only where all of it is read."""
    enter(release, "| Model | Acc |\n|--|--|\n| a | 91 |\n", *OURS)
    before = (release / "references.toml").read_bytes()
    zero_shot = """
[protocol.prompts]
geometry = "rgb|center_crop(32)"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
source = "paper"
logit_scale = 100.0
text.classnames = ["a", "b"]
text.templates = ["a {}"]
"""
    with (release / "release.toml").open("a") as stream:
        stream.write(zero_shot)
    text = "| Model | Acc |\n|--|--|\n| b | 91 |\n"
    result = enter(release, text, *OURS, "--protocol=prompts")
    assert "is clip, but the family 'cnn/ours' has supervised" in result.output
    assert (release / "references.toml").read_bytes() == before


def test_rows_of_a_section_that_is_left_out_are_not_asked_for(release: Path) -> None:
    text = "| Family | Acc |\n|--|--|\n| ours | 91 |\n| Others | |\n| theirs | 80 |\n"
    options = ("--dataset=c10", "--checkpoint=a", "--as=Others=skip")
    assert not enter(release, text, *options).exit_code
    assert entered(release) == {"cnn/ours a c10 top1": "91"}


def test_a_digit_too_many_is_pointed_out(release: Path) -> None:
    text = "| Model | Acc |\n|--|--|\n| a | 91.731 |\n| b | 92.60 |\n| c | 90.10 |\n"
    result = enter(release, text, *OURS)
    assert "91.731 has one more than all others of its kind, a footnote?" in (
        result.output
    )
    assert "has one more" not in enter(release, text.replace("731", "73"), *OURS).output


LINKED = (
    "| Model | Acc |\n|--|--|\n| [A](https://a.b/x/a-1.pth?raw=1) | 91.6 |\n"
    "| b ([weights](https://a.b/b/best.th), [log](https://a.b/b.log)) | 92.6 |\n"
    "| c ([weights](https://a.b/c/best.th)) | 93.6 |\n"
    "| [d](weights/d.pth) | 94.6 |\n"
)
NAMED = ("--as=b (weights, log)=checkpoint:b", "--as=c (weights)=checkpoint:c")


def test_links_of_weights_become_files_of_their_family(release: Path) -> None:
    result = enter(release, LINKED, *OURS, *NAMED)
    assert result.exit_code == 0, result.output
    assert "files    a-1.pth, b.th, c.th of cnn/ours, which rows link to" in (
        result.output
    )
    (written,) = read_releases([release])
    assert written.families["cnn/ours"].files == {
        "a-1.pth": "https://a.b/x/a-1.pth?raw=1",
        "b.th": "https://a.b/b/best.th",
        "c.th": "https://a.b/c/best.th",
    }
    assert written.families["cnn/base"].files == {}
    before = (release / "release.toml").read_text()
    assert before.startswith(RELEASE.partition("[family")[0])
    again = enter(release, LINKED, *OURS, *NAMED)
    assert "files " not in again.output
    assert (release / "release.toml").read_text() == before


def test_links_that_a_release_has_stay_and_checking_writes_none(release: Path) -> None:
    own = '[family."cnn/ours".files]\n"a-1.pt" = "https://other/a.pt"\n'
    toml = RELEASE.replace('[family."cnn/base"]', f'{own}[family."cnn/base"]')
    (release / "release.toml").write_text(toml)
    result = enter(release, LINKED, *OURS, *NAMED, "--check")
    assert "a-1.pth of cnn/ours stays with https://other/a.pt, not https://a.b" in (
        result.output
    )
    assert (release / "release.toml").read_text() == toml
    enter(release, LINKED, *OURS, *NAMED)
    (written,) = read_releases([release])
    assert written.families["cnn/ours"].files["a-1.pt"] == "https://other/a.pt"
    assert list(written.families["cnn/ours"].files) == ["a-1.pt", "b.th", "c.th"]


def test_writing_takes_no_square_of_how_much_is_written(release: Path) -> None:
    links = {f"{number}.pt": f"https://a.b/{number}" for number in range(4000)}
    (read,) = read_releases([release])
    begun = time.process_time()
    ((_, content),) = with_files(read, {"cnn/ours": links})
    text = pairs(classes=[*links] * 4, models=links)
    assert time.process_time() - begun < 5
    assert tomllib.loads(content.decode())["family"]["cnn/ours"]["files"] == links
    assert tomllib.loads(text) == {"classes": [*links] * 4, "models": links}


def test_a_row_of_two_families_gives_no_file(release: Path) -> None:
    text = "| Model | ours | base |\n|--|--|--|\n| [A](https://a.b/a.pth) | 91 | 90 |\n"
    result = enter(release, text, "--dataset=c10", "--metric=top1")
    assert result.exit_code == 0, result.output
    (written,) = read_releases([release])
    assert not any(family.files for family in written.families.values())
