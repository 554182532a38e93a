"""ImageNet-ReaL scores agree with timm's own, and with cases planted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.data import RealLabelsImagenet

from repro.errors import DatasetError
from repro.evaluation.predictions import (
    Predictions,
    read_labels,
    real_score,
    right_answers,
    shipped_labels,
)


def name(number: int) -> str:
    return f"n01440764/ILSVRC2012_val_{number:08d}.JPEG"


def predicted(*classes: int) -> Predictions:
    return Predictions(
        indices=np.arange(len(classes)),
        labels=np.zeros(len(classes), dtype=np.int64),
        # The second class of each is none of an answer.
        classes=np.array([(first, 999) for first in classes], dtype=np.int32),
        losses=np.zeros(len(classes)),
        total=len(classes),
    )


def test_any_of_several_answers_is_right_and_an_image_without_any_does_not_count() -> (
    None
):
    labels = [[3, 7], [], [5], [2]]
    files = [name(number) for number in (1, 2, 3, 4)]
    score = real_score(predicted(7, 0, 4, 2), right_answers(files, 1000, labels))
    assert (score.images, score.top1) == (3, 2)
    assert score.percent == pytest.approx(200 / 3)


def test_labels_go_by_the_number_in_the_name_and_not_by_the_place() -> None:
    labels = [[1], [2], [3]]
    files = [name(3), name(1), name(2)]
    assert real_score(predicted(3, 1, 2), right_answers(files, 1000, labels)).top1 == 3


@pytest.mark.slow
def test_scores_agree_with_timm() -> None:
    file = shipped_labels()
    assert file is not None
    labels = read_labels(file)
    rng = np.random.default_rng(0)
    order = rng.permutation(50_000)
    files = [name(int(number) + 1) for number in order]
    # Half of the time one of the right answers, if there is one.
    classes = rng.integers(1000, size=50_000).tolist()
    for place in range(0, 50_000, 2):
        right = labels[order[place]]
        classes[place] = right[-1] if right else classes[place]
    theirs = RealLabelsImagenet([Path(file).name for file in files], topk=(1,))
    for start in range(0, 50_000, 5000):
        part = torch.tensor(classes[start : start + 5000])
        theirs.add_result(torch.nn.functional.one_hot(part, 1000))
    ours = real_score(predicted(*classes), right_answers(files, 1000, labels))
    assert ours.percent == pytest.approx(theirs.get_accuracy(1))
    assert ours.images == 46_837


@pytest.mark.parametrize("file", ["cat.jpg", name(5), name(0)])
def test_a_file_of_another_set_is_refused(file: str) -> None:
    with pytest.raises(DatasetError, match="is not named like an image of ImageNet"):
        right_answers([file], 1000, [[1], [2]])


def test_no_labelled_image_is_no_score() -> None:
    with pytest.raises(DatasetError, match="none of the images has"):
        right_answers([name(1)], 1000, [[]])


def test_a_dataset_of_other_classes_is_refused() -> None:
    for classes in (200, 999, 1001):
        with pytest.raises(DatasetError, match=f"and this dataset has {classes:,}"):
            right_answers([name(1)], classes, [[1]])


def test_labels_are_of_all_images_and_of_imagenets_classes(tmp_path: Path) -> None:
    file = tmp_path / "real.json"
    file.write_text(json.dumps([[0, 999]] * 50_000))
    assert read_labels(file) == [[0, 999]] * 50_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "holds no ImageNet-ReaL labels"),
        ("no json", "holds no ImageNet-ReaL labels"),
        (json.dumps([[1]]), "holds labels of 1 images"),
        (json.dumps([[1]] * 49_999), "holds labels of 49,999 images"),
        (json.dumps([[1]] * 50_001), "holds labels of 50,001 images"),
        (json.dumps([[-1]] * 50_000), "classes from 0 to 999"),
        (json.dumps([[1000]] * 50_000), "classes from 0 to 999"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "real.json"
    file.write_text(content)
    with pytest.raises(DatasetError, match=message) as caught:
        read_labels(file)
    assert str(file) in str(caught.value)
