"""What has changed since a case was met, in every face of a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import CaseDifference, Change, Flips
from repro.judgement.verdict import Verdict
from repro.records.comparison import RunComparison, compare_runs, since_earlier
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.predictions import ImageNames, encode_names
from repro.records.result import CaseResult
from repro.report.changes import grouped_changes, measured_text
from repro.report.comparison import answer, comparison_lines
from repro.report.faces import write_report
from repro.report.failure import since_lines
from repro.report.report import report_of_run, since_run
from repro.report.terminal import table_lines

from ..made_results import (
    ENVIRONMENT,
    comparison,
    measurement,
    metrics,
    predictions,
    result,
)

IMAGES = 500
OLD, NEW = (f"xxh3:{digit * 64}" for digit in "ab")
WEIGHTS = "93ff7bd0" + "0" * 56, "1d61a0fe" + "0" * 56
BEFORE = predictions(IMAGES, seed=3, accuracy=0.9)
#: The first twelve images that were right are replaced, and wrong since.
REPLACED = np.flatnonzero(BEFORE.classes[:, 0] == BEFORE.labels)[:12]


def _names(replaced: bool = False) -> ImageNames:
    digests = [f"{n:032x}" for n in range(IMAGES)]
    for place in REPLACED.tolist() if replaced else ():
        digests[place] = f"{place + 1000:032x}"
    files = (f"{label}/{n:03}.png" for n, label in enumerate(BEFORE.labels.tolist()))
    return ImageNames(tuple(files), tuple(map(str, range(10))), tuple(digests))


def _wrong(places: np.ndarray) -> Predictions:
    classes = BEFORE.classes.copy()
    classes[places, 0] = (BEFORE.labels[places] + 1) % 10
    return msgspec.structs.replace(BEFORE, classes=classes)


def _result(
    predicted: Predictions = BEFORE,
    verdict: Verdict = Verdict.REPRODUCED,
    published: str = "91.60",
    **fields: Any,
) -> CaseResult:
    given = {"dataset_fingerprint": OLD, "weights_sha256": WEIGHTS[0], **fields}
    return result(
        "1M",
        verdict,
        measurement=measurement(predicted.metrics(), **given),
        comparisons=(comparison(published=published, verdict=verdict),),
    )


PILLOW = msgspec.structs.replace(
    ENVIRONMENT, packages={**ENVIRONMENT.packages, "pillow": "11.3"}
)
EDITED: dict[str, Any] = {"published": "91.20"}
OTHER_WEIGHTS: dict[str, Any] = {
    "weights_sha256": WEIGHTS[1],
    "predicted": _wrong(REPLACED[:4]),
}
OTHER_IMAGES: dict[str, Any] = {
    "dataset_fingerprint": NEW,
    "predicted": _wrong(REPLACED),
}
SOFTWARE: dict[str, Any] = {"environment": PILLOW}
FIRST_NAMES = ", ".join(_names().files[n] for n in REPLACED[:10].tolist())
SAID = {
    "published": "top1 91.60 → 91.20 (edited since)",
    "weights": "93ff7bd0 → 1d61a0fe",
    "images": "12 of 500 images have other bytes under the same name: "
    f"{FIRST_NAMES} and 2 more",
    "replaced": "of 12 evaluated, 12 were right then, 0 are right now: "
    "0 became right and 12 wrong",
    "the others": "all 488 images are decided as then",
    "environment": "pillow none → 11.3",
}


class Story:
    """Two runs of a case: one that met it, and one after something changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / "ledger", create=True)
        self.ledger.record_names(OLD, encode_names(_names()))
        self.ledger.record_names(NEW, encode_names(_names(replaced=True)))

    def run(self, made: CaseResult, predicted: Predictions | None = BEFORE) -> int:
        number = len(self.ledger.runs()) + 1
        run = self.ledger.begin(f"run {number}", 1, [], GitState("", ""))
        assert made.measurement
        names = self.ledger.names(made.measurement.dataset_fingerprint)
        since = since_earlier(
            self.ledger, made, predicted or BEFORE, lambda: names, f"run {number}"
        )
        made = msgspec.structs.replace(made, since=since)
        self.ledger.record(run, made, predicted)
        self.ledger.finish(run, 0)
        return run

    def faces(self) -> dict[str, str]:
        """Give what each face says of the last run, and what `compare` says."""
        run = self.ledger.runs(1)[0]
        before = self.ledger.find_run("1")
        report = since_run(report_of_run(self.ledger, run), self.ledger, run.id, before)
        (made,) = report.results
        assert made.since
        said = {
            "failure": "\n".join(since_lines(made.since)),
            "terminal": "\n".join(line for line, _ in table_lines([made], 1000)),
            "compare": "\n".join(
                comparison_lines(compare_runs(self.ledger, 1, run.id))
            ),
        }
        for suffix in (".md", ".html", ".json"):
            file = self.folder / f"report{suffix}"
            write_report(file, report)
            said[suffix] = file.read_text()
        return {face: _plain(text) for face, text in said.items()}


def _plain(text: str) -> str:
    return text.replace("\\", "").replace("&gt;", ">")


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Story]:
    """A ledger without a run."""
    made = Story(tmp_path)
    with made.ledger:
        yield made


@pytest.fixture
def story(begun: Story) -> Story:
    """A ledger in which run 1 met the case."""
    begun.run(_result())
    return begun


ALONE: list[tuple[dict[str, Any], set[str]]] = [
    (EDITED, {"published"}),
    (OTHER_WEIGHTS, {"weights"}),
    (OTHER_IMAGES, {"images", "replaced", "the others"}),
    (SOFTWARE, {"environment"}),
]
TOGETHER: list[tuple[dict[str, Any], set[str]]] = [
    (
        {**EDITED, **OTHER_WEIGHTS, **OTHER_IMAGES, **SOFTWARE},
        {"published", "weights", "images", "replaced", "the others", "environment"},
    )
]


@pytest.mark.parametrize(("changes", "labels"), [*ALONE, *TOGETHER])
def test_every_face_says_what_changed_and_nothing_else(
    story: Story, changes: dict[str, Any], labels: set[str]
) -> None:
    made = _result(verdict=Verdict.BELOW, **changes)
    story.run(made, changes.get("predicted", BEFORE))
    faces = story.faces()
    assert faces["failure"].startswith("Since run 1, where it was met:\n")
    assert "Since run 1, where it was met" in faces[".md"]
    assert "Since run 1, where it was met" in faces[".html"]
    for face in ("failure", "terminal", "compare", ".md", ".html"):
        for label, text in SAID.items():
            said = text.removesuffix(" (edited since)")
            assert (said in faces[face]) is (label in labels), (face, label)
    if "published" in labels:
        first = faces["failure"].splitlines()[1]
        assert first.split(maxsplit=1) == ["published", SAID["published"]]
        assert faces["compare"].startswith(
            "run 1 → run 2: published numbers of 1 case were edited"
        )


def test_json_has_whole_sums_counts_and_names(story: Story) -> None:
    changes: dict[str, Any] = {**OTHER_WEIGHTS, **OTHER_IMAGES}
    story.run(_result(verdict=Verdict.BELOW, **changes), changes["predicted"])
    content = json.loads(story.faces()[".json"])
    since = content["cases"][0]["since"]
    assert (since["run"], since["verdict"]) == (1, "reproduced")
    assert content["baseline"]["changes"] == [since["difference"]]
    found = since["difference"]
    assert (found["weights"]["before"], found["weights"]["after"]) == WEIGHTS
    assert (found["images"]["same"], found["images"]["changed"]["images"]) == (488, 12)
    assert len(found["images"]["changed"]["names"]) == 10
    assert found["images"]["missing"]["right_after"] is None


@pytest.mark.parametrize(
    ("forget", "reason"),
    [
        ("fingerprint", "run 1 knew them by names and sizes only"),
        ("digests", "the digests of those of run 1 were not kept"),
        ("predictions", "the predictions of run 1 were not kept"),
    ],
)
def test_what_is_unknown_is_said_and_never_zero(
    begun: Story, forget: str, reason: str
) -> None:
    fingerprint = {"fingerprint": "cd" * 32, "digests": f"xxh3:{'e' * 64}"}
    begun.run(
        _result(dataset_fingerprint=fingerprint.get(forget, OLD)),
        None if forget == "predictions" else BEFORE,
    )
    moved = OTHER_IMAGES["predicted"]
    begun.run(_result(verdict=Verdict.BELOW, **OTHER_IMAGES), moved)
    for face, said in begun.faces().items():
        assert reason in said, face
        assert "0 became right" not in said, face
        assert "0 images became right" not in said, face
        assert "nothing changed" not in said, face
        assert "more than chance would" not in said, face


def test_equal_records_with_other_numbers_say_that_nothing_explains_it(
    story: Story,
) -> None:
    moved = _wrong(REPLACED[:9])
    story.run(_result(moved, Verdict.BELOW), moved)
    for face, said in story.faces().items():
        if face != ".json":
            assert "so nothing recorded explains this" in said, face
            assert "0 became right and 9 wrong" in said or face == "compare"


def _tolerance(made: CaseResult) -> CaseResult:
    (number,) = made.comparisons
    number = msgspec.structs.replace(number, tolerance=0.001)
    return msgspec.structs.replace(made, comparisons=(number,))


def _added(made: CaseResult) -> CaseResult:
    number = comparison("loss", "0.5", verdict=Verdict.ABOVE)
    return msgspec.structs.replace(made, comparisons=(*made.comparisons, number))


def _undeclared(made: CaseResult) -> CaseResult:
    (number,) = made.comparisons
    number = msgspec.structs.replace(number, xfail="known to be low")
    return msgspec.structs.replace(made, comparisons=(number,))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_tolerance, "tolerance of top1 0.0505 → 0.001"),
        (_added, "loss none → 0.5"),
        (_undeclared, "xfail of top1 none → known to be low"),
    ],
)
def test_whatever_was_edited_beside_a_number_is_named(
    story: Story, edit: Callable[[CaseResult], CaseResult], said: str
) -> None:
    story.run(edit(_result(verdict=Verdict.ABOVE)))
    assert said in story.faces()["failure"].splitlines()[1]


def test_a_case_that_was_never_as_expected_is_compared_with_nothing(
    begun: Story,
) -> None:
    for _ in range(2):
        begun.run(_result(verdict=Verdict.BELOW))
    last = begun.ledger.results(2)[0]
    assert last.since is None


def test_the_newest_run_that_met_it_counts(story: Story) -> None:
    story.run(_result())
    story.run(_result(verdict=Verdict.BELOW, **EDITED))
    story.run(_result(verdict=Verdict.BELOW, **EDITED))
    since = story.ledger.results(4)[0].since
    assert since
    assert since.run == 2


def test_a_comparison_says_which_cases_the_earlier_run_did_not_measure() -> None:
    same = CaseDifference(
        case="a", before=metrics(), after=metrics(), flips=Flips(50_000, 0, 0, 1.0)
    )
    found = RunComparison(before=3, after=5, differences=(same,))
    assert answer(found) == "nothing changed: 1 case, every image as before"
    partial = msgspec.structs.replace(found, only_after=("b", "c"))
    assert answer(partial) == (
        "nothing changed: 1 case, every image as before; 2 of the 3 cases of run 5 "
        "were not measured in run 3"
    )


def test_numbers_that_differ_never_look_alike() -> None:
    before, after = (metrics(loss_sum=50_000 * loss) for loss in (0.2000001, 0.2000004))
    found = CaseDifference(case="a", before=before, after=after)
    assert measured_text(found) == "loss 0.2000001 → 0.2000004"


def test_a_part_stands_after_the_whole_that_was_measured_before() -> None:
    whole, part = (metrics(images=n, top1=n // 2) for n in (500, 100))
    found = CaseDifference(case="a", before=whole, after=part)
    said = "top1 50.000 on 500 images → 50.000 on 100 images"
    assert measured_text(found) == said


def test_a_part_is_compared_with_the_whole_on_what_both_evaluated(
    story: Story,
) -> None:
    for places, changed in ((REPLACED[:0], 0), (REPLACED[:3], 1)):
        moved = _wrong(places)
        part = msgspec.structs.replace(
            moved,
            **{n: getattr(moved, n)[:100] for n in ("indices", "labels", "classes")},
            losses=moved.losses[:100],
        )
        run = story.run(_result(part, Verdict.INCONCLUSIVE, total=IMAGES), part)
        found = compare_runs(story.ledger, 1, run)
        (difference,) = found.differences
        assert difference.points == -len(places)
        if changed:
            assert answer(found).startswith(
                "1 of 1 case changed, 0 images that both evaluated became right and 3"
            )
        else:
            same = "nothing changed: 1 case, every image that both evaluated as before"
            assert answer(found) == same


def test_a_part_is_compared_with_the_last_run_that_met_it(story: Story) -> None:
    wrong = _wrong(REPLACED)
    story.run(_result(wrong, Verdict.BELOW), wrong)
    part = msgspec.structs.replace(
        BEFORE,
        **{n: getattr(BEFORE, n)[:100] for n in ("indices", "labels", "classes")},
        losses=BEFORE.losses[:100],
    )
    run = story.run(_result(part, Verdict.INCONCLUSIVE, total=IMAGES), part)
    (made,) = story.ledger.results(run)
    assert made.since
    assert made.since.run == 1


def test_what_each_of_many_cases_has_is_said_once_for_all() -> None:
    differences = [
        CaseDifference(
            case=f"case-{n}",
            before=metrics(),
            after=metrics(top1=metrics().top1 - n),
            weights=Change("weights", *WEIGHTS),
        )
        for n in range(1, 31)
    ]
    found = grouped_changes(differences)
    every = [difference.case for difference in differences]
    assert found["weights", "93ff7bd0 → 1d61a0fe"] == every
    (said,) = [text for label, text in found if label == "measured"]
    assert said == "top1 76.500 → 76.498 in case-1, otherwise in 29 others"
    assert found["measured", said] == every


def test_what_differs_from_the_baseline_is_said_once(story: Story) -> None:
    story.run(_result(verdict=Verdict.BELOW, **EDITED))
    assert story.faces()[".md"].count("(edited since)") == 1
    assert story.faces()[".html"].count("(edited since)") == 1
