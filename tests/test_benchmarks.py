"""The benchmark measures what it says, and the documents quote what it measured."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
import timm
import torch
import torchvision

from benchmarks.__main__ import joined
from benchmarks.chart import draw
from benchmarks.pictures import ten_crops
from benchmarks.precision import fit_head
from benchmarks.quote import DOCUMENT, RESULTS, quoted
from benchmarks.row import Goal, Results, Row
from benchmarks.table import table
from benchmarks.timing import Spread, compare

ROOT = Path(__file__).parents[1]


def test_two_ways_are_timed_in_turns_and_compared_pair_by_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    order: list[str] = []
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def work(name: str, seconds: list[float]) -> None:
        order.append(name)
        clock[0] += seconds.pop(0)

    # The machine becomes twice as slow for the second pair.
    ours, other = [1.0, 2.0, 1.5], [2.0, 4.0, 1.0]
    found = compare(lambda: work("a", ours), lambda: work("b", other), 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found.ratio == Spread(0.5, 0.5, 1.5)
    assert found.other == Spread(2.0, 1.0, 4.0)


def results(*rows: Row) -> Results:
    return Results(machine={}, quick=True, seconds=1.0, rows=list(rows))


def test_a_goal_is_met_on_its_side_of_the_bound() -> None:
    most, least = Goal(1.05), Goal(15, at_most=False)
    assert most.is_met(1.05)
    assert not most.is_met(1.06)
    assert least.is_met(15)
    assert not least.is_met(14.9)


def test_of_a_goal_of_nothing_a_chart_shows_nothing(tmp_path: Path) -> None:
    value = Spread(0, 0, 0)
    row = Row(id="none", what="wrong", unit="number", value=value, goal=Goal(0))
    draw(results(row), tmp_path / "chart.svg")
    assert "wrong" not in (tmp_path / "chart.svg").read_text()


def test_rows_that_are_measured_again_take_the_places_of_earlier_ones() -> None:
    def row(name: str, said: str) -> Row:
        return Row(id=name, what=said, unit="ratio")

    before = results(row("a", "old"), row("b", "old"))
    found = joined(before, results(row("b", "new"), row("c", "new")))
    assert [(r.id, r.what) for r in found.rows] == [
        ("a", "old"),
        ("b", "new"),
        ("c", "new"),
    ]
    assert joined(None, before) == before


def test_what_was_not_measured_meets_no_goal_and_says_why() -> None:
    row = Row(id="gpu", what="on a GPU", unit="ratio", goal=Goal(1), note="needs one")
    assert row.is_met is None
    assert "not measured: needs one" in table(results(row))


def test_the_document_quotes_what_was_measured() -> None:
    measured = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    assert RESULTS.with_suffix(".md").read_text() == f"{table(measured)}\n"
    content = quoted(measured)
    assert DOCUMENT.read_text() == content
    assert measured.machine["processor"] in content


def test_ten_crops_are_the_middle_and_the_corners_and_these_flipped() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (2, 3, 6, 6), np.uint8)
    found = ten_crops(pixels, side=4)
    (_, middle), *others = found.pixels(found.numbers)
    assert np.array_equal(middle, pixels[:, :, 1:5, 1:5])
    assert [found.dataset.labels[m].tolist() for m in found.dataset.strata] == (
        [[0, 1]] * 10
    )
    second = {crop[1].tobytes() for _, crop in others} | {middle[1].tobytes()}
    corner = pixels[1, :, 2:6, 0:4]
    assert corner.tobytes() in second
    assert corner[..., ::-1].tobytes() in second
    assert len(second) == 10


@pytest.mark.parametrize(
    "build",
    [
        partial(timm.create_model, "test_vit", img_size=32),
        torchvision.models.resnet18,
        torchvision.models.mobilenet_v2,
    ],
    ids=["head", "fc", "classifier.1"],
)
def test_the_last_layer_is_fitted_whatever_a_library_calls_it(
    build: Callable[..., torch.nn.Module],
) -> None:
    model = build(num_classes=8).eval().requires_grad_(requires_grad=False)
    torch.manual_seed(0)
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)
    fit_head(model, [images[:5], images[5:]], labels)
    # Every fourth label that is taught is wrong.
    assert model(images).argmax(dim=1).tolist() == [1, 1, 2, 3, 5, 5, 6, 7]


@pytest.mark.slow
def test_one_command_measures_and_writes_numbers_a_table_and_a_chart(
    tmp_path: Path,
) -> None:
    output = tmp_path / "found.json"
    options = ["--quick", "--only", "both_geometries", "-o", str(output)]
    command = [sys.executable, "-m", "benchmarks", *options]
    subprocess.run(command, check=True, cwd=ROOT)
    (row,) = msgspec.json.decode(output.read_bytes(), type=Results).rows
    assert row.value is not None
    assert 0 < row.value.low <= row.value.median <= row.value.high
    assert row.what in output.with_suffix(".md").read_text()
    assert "</svg>" in output.with_suffix(".svg").read_text()
