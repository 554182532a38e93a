"""Images of two datasets are found again by what they show."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import compare_images, compare_predictions
from repro.judgement.images import ImageSet, align

CLASSES = 3
#: Name, digest and label of an image, and whether it was decided rightly.
Image = tuple[str, str, int, bool]


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[Image], list[Image]]:
    """Draw a dataset and the same after images were replaced, added and removed."""
    random = Random(draw(st.integers(0, 2**32)))
    before = [_image(random, name) for name in range(draw(st.integers(1, 30)))]
    after = [
        _image(random, int(name.split("/")[1]), label)
        if (fate := random.random()) < 0.2
        else (name, digest, label, right != (fate < 0.4))
        for name, digest, label, right in before
        if random.random() < 0.8
    ]
    added = range(100, 100 + draw(st.integers(0, 5)))
    after += [_image(random, name) for name in added]
    return _ordered(before), _ordered(after)


def _image(random: Random, name: int, label: int | None = None) -> Image:
    label = random.randrange(CLASSES) if label is None else label
    # A few digests are drawn twice.
    digest = f"{random.randrange(200):032x}"
    return f"{label}/{name}", digest, label, random.random() < 0.6


def _ordered(images: list[Image]) -> list[Image]:
    return sorted(images, key=lambda image: (image[2], image[1], image[0]))


def _set(images: list[Image]) -> ImageSet:
    files, digests, labels, _ = zip(*images, strict=True) if images else [()] * 4
    return ImageSet(tuple(files), tuple(digests), tuple(labels))


def _predictions(images: list[Image]) -> Predictions:
    labels = np.array([image[2] for image in images], dtype=np.int64)
    right = np.array([image[3] for image in images], dtype=np.bool_)
    first = np.where(right, labels, (labels + 1) % CLASSES).astype(np.int32)
    return Predictions(
        indices=np.arange(len(images), dtype=np.int64),
        labels=labels,
        classes=first[:, None],
        losses=np.zeros(len(images)),
        total=len(images),
    )


@settings(max_examples=200)
@given(edited())
def test_counts_are_those_of_a_dictionary(
    pair: tuple[list[Image], list[Image]],
) -> None:
    before, after = pair
    found = align(_set(before), _set(after))
    old, new = (Counter((i[2], i[1]) for i in images) for images in pair)
    assert len(found.same) == (old & new).total()
    # Each image has one place.
    parts = (found.same, found.changed, found.relabelled)
    for side, images, alone in ((0, before, found.missing), (1, after, found.new)):
        places = [place for part in parts for place in part[:, side].tolist()]
        assert sorted([*places, *alone.tolist()]) == list(range(len(images)))
    for one, two in found.same.tolist():
        assert before[one][1:3] == after[two][1:3]
    for one, two in found.changed.tolist():
        assert before[one][0] == after[two][0]
        assert before[one][1] != after[two][1]
    for one, two in found.relabelled.tolist():
        assert before[one][1] == after[two][1]
        assert before[one][2] != after[two][2]
    names = [
        {images[n][0] for n in rest}
        for images, rest in zip(
            pair, (found.missing.tolist(), found.new.tolist()), strict=True
        )
    ]
    assert not names[0] & names[1]


@settings(max_examples=200)
@given(edited())
def test_what_became_right_and_wrong_adds_up_to_the_difference(
    pair: tuple[list[Image], list[Image]],
) -> None:
    sets = _set(pair[0]), _set(pair[1])
    before, after = _predictions(pair[0]), _predictions(pair[1])
    found = align(*sets)
    same = compare_predictions(before, after, found.same)
    changes = compare_images(sets, found, (before, after))
    moved = same.gained - same.lost
    for group in (changes.changed, changes.relabelled):
        assert group.gained is not None
        assert group.lost is not None
        moved += group.gained - group.lost
    moved += (changes.new.right_after or 0) - (changes.missing.right_before or 0)
    if pair[1]:
        assert moved == after.metrics().top1 - before.metrics().top1
    assert changes.missing.right_after is None
    assert changes.new.right_before is None


@pytest.mark.parametrize("seed", range(5))
def test_other_names_and_another_order_are_the_same_images(seed: int) -> None:
    random = Random(seed)
    images = [_image(random, name) for name in range(30)]
    renamed = [(f"{i[2]}/{n}x", *i[1:]) for n, i in enumerate(images)]
    found = align(_set(images), _set(random.sample(renamed, len(renamed))))
    assert len(found.same) == 30


def test_an_image_in_another_folder_is_relabelled_and_neither_new_nor_missing() -> None:
    before = ImageSet(("0/a", "1/b"), ("d1", "d2"), (0, 1))
    after = ImageSet(("1/a", "1/b"), ("d1", "d2"), (1, 1))
    found = align(before, after)
    assert found.relabelled.tolist() == [[0, 0]]
    assert not len(found.missing)
    assert not len(found.new)


@pytest.mark.parametrize("images", [0, 1, 9, 10, 11, 30])
def test_the_first_ten_images_that_differ_are_named(images: int) -> None:
    names = [f"0/{name:02}" for name in range(images)]
    kept = ImageSet(("1/a",), ("same",), (1,))
    more = ImageSet(
        (*names, "1/a"),
        (*(f"{9 - name % 10} {name}" for name in range(images)), "same"),
        (0,) * images + (1,),
    )
    # In the order of names: that of digests, which is another here, says nothing.
    for before, after, side in ((kept, more, "new"), (more, kept, "missing")):
        group = getattr(
            compare_images((before, after), align(before, after), None), side
        )
        assert (group.images, group.names) == (images, tuple(names[:10]))
        assert group.evaluated is group.gained is None


@pytest.mark.parametrize(
    "broken",
    [
        ImageSet(("0/a",), ("d1", "d2"), (0, 0)),
        ImageSet(("0/a", "0/b"), ("d1",), (0, 0)),
        ImageSet(("0/a", "0/b"), ("d1", "d2"), (0,)),
    ],
)
def test_images_without_a_digest_or_a_label_are_not_taken_for_others(
    broken: ImageSet,
) -> None:
    sound = ImageSet(("0/a", "0/b"), ("d1", "d2"), (0, 0))
    for pair in ((broken, sound), (sound, broken)):
        with pytest.raises((ValueError, IndexError)):
            align(*pair)
