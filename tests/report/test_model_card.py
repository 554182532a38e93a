"""Measured values in model cards: the Hub's own library reads them, prose stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard

from repro.cli import cli
from repro.errors import ReproError
from repro.judgement.verdict import Verdict
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.result import CaseResult

from ..made_results import predictions, result

#: Comments, an order and digits that writing YAML anew would lose.
CARD = """\
---
# who may use it
license: mit
tags: [image-classification, timm]
model-index:
- name: ours
  results:
  - task: {type: image-classification}
    dataset:
      name: ImageNet-1k
      type: imagenet-1k
    metrics:
    - type: accuracy
      value: 76.50   # of the paper
library_name: timm
---

# Ours

---
model-index: this is prose
"""
CASE = "supervised/real/1M@plain"


class Export:
    """A folder with a ledger of one run, and the card that it is written into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = folder / "README.md"
        self.runs = 0
        self.record(result("1M"))

    def record(self, *results: CaseResult) -> None:
        self.runs += 1
        with Ledger(self.folder / "ledger", create=True) as ledger:
            run = ledger.begin(f"run {self.runs}", len(results), [], GitState())
            for one in results:
                ledger.record(run, one, predictions() if one.measurement else None)

    def write(self, *options: str) -> Result:
        at = ("--ledger", str(self.folder / "ledger"), "-o", str(self.card))
        return CliRunner().invoke(cli, ["export", "model-card", *at, *options])

    def written(self, before: str, *options: str) -> str:
        self.card.write_bytes(before.encode())
        done = self.write(*options)
        assert done.exit_code == 0, done.exception
        return self.card.read_bytes().decode()

    def values(self) -> list[tuple[str, Any, str]]:
        """Give the numbers of a card as huggingface_hub reads them.

        Its older versions know no byte order mark.
        """
        data: Any = ModelCard(self.card.read_text("utf-8-sig")).data
        found = data.eval_results
        return [(one.metric_type, one.metric_value, one.source_name) for one in found]

    def refused(self, *options: str) -> str:
        before = self.card.read_bytes() if self.card.exists() else None
        done = self.write(*options)
        assert isinstance(done.exception, ReproError), done.exception
        assert len(str(done.exception)) <= 500
        assert (self.card.read_bytes() if self.card.exists() else None) == before
        return str(done.exception)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path)


#: A list of two, which are both a list of two, and so on: 2^40 in all.
DOUBLED = "a0: &a0 x\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
MEASURED = [("accuracy", 76.5, "pytest-repro"), ("loss", 0.8001, "pytest-repro")]


def test_the_hubs_own_library_reads_what_was_measured(export: Export) -> None:
    export.written(CARD)
    assert export.values() == [("accuracy", 76.5, None), *MEASURED]
    ours = ModelCard.load(export.card).data.eval_results[1]
    assert ours.task_type == "image-classification"
    assert (ours.dataset_type, ours.dataset_split) == ("imagenet-1k", "validation")
    assert ours.metric_name == "top-1 accuracy"
    assert ours.metric_args["published"] == "76.500"
    assert ours.metric_args["weights_sha256"] == "ab" * 32


def test_nothing_that_was_there_is_changed(export: Export) -> None:
    after = export.written(CARD).splitlines()
    before = CARD.splitlines()
    end = before.index("library_name: timm")
    assert after[:end] == before[:end]
    assert after[-len(before[end:]) :] == before[end:]


def test_writing_again_replaces_what_was_written(export: Export) -> None:
    once = export.written(CARD)
    assert export.written(once) == once
    changed = msgspec.structs.replace(result("1M"), comparisons=())
    first = msgspec.structs.replace(result("1M").comparisons[0], measured=76.51)
    export.record(msgspec.structs.replace(changed, comparisons=(first,)))
    export.written(once)
    assert export.values() == [
        ("accuracy", 76.5, None),
        ("accuracy", 76.51, "pytest-repro"),
    ]


@pytest.mark.parametrize(
    "before",
    [
        "",
        "# Prose alone\n",
        "---\nlicense: mit\n---\n\n# Prose\n",
        "---\r\nlicense: mit\r\n---\r\n\r\n# Prose\r\n",
        "---\n---\n",
        CARD.replace("\n", "\r\n"),
        "\ufeff" + CARD,
        # Entries further to the right, and a key of the model after them.
        "---\nmodel-index:\n  - name: ours\n    results:\n      - task: {type: a}\n"
        "        dataset: {name: b, type: c}\n        metrics: [{type: d, value: 1}]\n"
        "license: mit\n---\n# Prose",
        "---\nmodel-index:\n- results:\n  - task: {type: a}\n    dataset: {name: b, "
        "type: c}\n    metrics: [{type: d, value: 1}]\n  name: ours\n---\n",
    ],
)
def test_cards_of_every_layout_keep_their_prose(export: Export, before: str) -> None:
    after = export.written(before)
    assert export.values()[-2:] == MEASURED
    head, mark, prose = before.rpartition("---")
    assert after.endswith(prose if mark else before)
    license_ = [line for line in head.splitlines() if "license" in line]
    assert [line for line in after.splitlines() if "license" in line] == license_
    assert ("\r\n" in before) == ("\r\n" in after)
    assert after.startswith("\ufeff") == before.startswith("\ufeff")


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("---\na: [\n---\n", "none of the Hub's"),
        ("---\n- a\n---\n", "none of the Hub's"),
        ("---\nmodel-index: 5\n---\n", "not that of one model"),
        ("---\nmodel-index: []\n---\n", "not that of one model"),
        ("---\nmodel-index: [{name: a, results: []}]\n---\n", "not that of one model"),
        (CARD.replace("library_name", "- name: b\n  results: []\nl"), "of one model"),
        (CARD.replace("      name: ImageNet-1k\n", ""), "none of the Hub's"),
        (CARD.replace("library_name", f"{DOUBLED}library_name"), "aliases (*)"),
        (CARD.replace("library_name", "a: &a [*a]\nlibrary_name"), "aliases (*)"),
        ("---\nmodel-index:\n- name: a\n  results:\n  - 5\n---\n", "none of the Hub's"),
    ],
)
def test_a_card_that_nothing_can_be_put_into_is_left_alone(
    export: Export, before: str, message: str
) -> None:
    export.card.write_text(before)
    assert message in export.refused()


def test_what_was_not_reproduced_is_written_only_if_that_is_said(
    export: Export,
) -> None:
    export.record(result("1M", Verdict.BELOW, difference=-2.0))
    assert f"did not reproduce all that would be written ({CASE}: below)" in (
        export.refused()
    )
    export.written(CARD, "--unmet")
    assert export.values()[1] == ("accuracy", 74.5, "pytest-repro")
    ours = ModelCard.load(export.card).data.eval_results[1]
    assert ours.metric_args["verdict"] == "below"


def test_a_card_is_of_one_checkpoint(export: Export) -> None:
    export.record(result("1M"), result("2M"), result("4M", Verdict.NOT_RUN))
    assert "has cases of 2 checkpoints" in export.refused()
    export.written(CARD, "--case=*/2M@*")
    assert export.values()[1:] == MEASURED
    assert "compared no case '*/4M@*'" in export.refused("--case=*/4M@*")


def test_a_run_that_does_not_say_what_is_zero_shot_is_refused(export: Export) -> None:
    export.record(msgspec.structs.replace(result("1M"), kind=None))
    assert "run it again" in export.refused()


def test_zero_shot_cases_are_of_that_task(export: Export) -> None:
    export.record(msgspec.structs.replace(result("1M"), kind="clip"))
    export.written("")
    (first, *_) = ModelCard.load(export.card).data.eval_results
    assert first.task_type == "zero-shot-image-classification"
