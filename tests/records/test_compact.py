from __future__ import annotations

import io
import lzma

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.predictions import TOP, Predictions
from repro.records import predictions as kept
from repro.records.predictions import (
    UNKNOWN,
    ImageNames,
    decode_names,
    decode_predictions,
    encode_names,
    encode_predictions,
)

from ..made_results import predictions

NOTHING = np.zeros(0, dtype=np.uint8)


@given(
    images=st.integers(1, 300),
    classes=st.sampled_from([2, 3, 10, 300]),
    seed=st.integers(0, 99),
)
def test_what_counts_as_right_survives(images: int, classes: int, seed: int) -> None:
    made = predictions(images, classes, seed)
    kept = decode_predictions(encode_predictions(made))
    before, after = made.metrics(), kept.metrics()
    assert (before.images, before.top1, before.top5) == (
        after.images,
        after.top1,
        after.top5,
    )
    assert (kept.classes[:, 0] == made.classes[:, 0]).all()
    assert (kept.labels == made.labels).all()
    right = made.classes == made.labels[:, None]
    assert (right == (kept.classes == kept.labels[:, None])).all()


def test_losses_keep_three_significant_digits() -> None:
    made = predictions(2000)
    kept = decode_predictions(encode_predictions(made))
    assert kept.losses == pytest.approx(made.losses, rel=5e-4, abs=1e-7)


def test_a_huge_loss_stays_finite() -> None:
    made = msgspec.structs.replace(predictions(2), losses=np.array([1e9, 0.0]))
    kept = decode_predictions(encode_predictions(made))
    assert np.isfinite(kept.losses).all()


def test_a_part_of_the_images_stays_the_same_part() -> None:
    made = predictions(100)
    chosen = np.array([0, 3, 4, 50, 99])
    part = Predictions(
        indices=made.indices[chosen],
        labels=made.labels[chosen],
        classes=made.classes[chosen],
        losses=made.losses[chosen],
        total=100,
    )
    kept = decode_predictions(encode_predictions(part))
    assert kept.indices.tolist() == chosen.tolist()
    assert kept.total == 100
    assert not kept.is_complete


@pytest.mark.parametrize("images", [1, 7, 8, 9, 300])
def test_which_images_were_computed_again_survives(images: int) -> None:
    again = np.random.default_rng(images).random(images) < 0.5
    made = msgspec.structs.replace(predictions(images), recomputed=again)
    kept = decode_predictions(encode_predictions(made)).recomputed
    assert kept is not None
    assert (str(kept.dtype), kept.tolist()) == ("bool", again.tolist())
    assert decode_predictions(encode_predictions(predictions())).recomputed is None


def test_a_class_is_kept_where_it_is_the_first_or_the_true_one() -> None:
    made = predictions(300)
    kept = decode_predictions(encode_predictions(made)).classes.tolist()
    assert kept == [
        [
            one if place == 0 or one == label else UNKNOWN
            for place, one in enumerate(row)
        ]
        for row, label in zip(made.classes.tolist(), made.labels.tolist(), strict=True)
    ]


def test_the_same_predictions_give_the_same_bytes() -> None:
    assert encode_predictions(predictions()) == encode_predictions(predictions())


def test_a_case_of_imagenet_takes_about_100_kilobytes() -> None:
    images, classes, rng = 50_000, 1000, np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 50)
    # Errors go to a few classes each: that is how a trained model confuses.
    confused = rng.integers(classes, size=(classes, 8))[
        labels, rng.geometric(0.4, size=images) % 8
    ]
    first = np.where(rng.random(images) < 0.76, labels, confused)
    top = rng.integers(classes, size=(images, 5))
    top[:, 0] = first
    top[:, 1] = np.where(rng.random(images) < 0.6, labels, top[:, 1])
    made = Predictions(
        indices=np.arange(images),
        labels=labels,
        classes=top.astype(np.int32),
        losses=rng.lognormal(-1.5, 1.8, size=images),
        total=images,
    )
    assert len(encode_predictions(made)) < 140_000


def test_names_that_would_fill_the_memory_are_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "_MOST_NAMES", 2**22)
    zeros = b'{"files":[],"classes":[]' + b" " * 2**22 + b"}"
    with pytest.raises(EOFError, match="larger than any are"):
        decode_names(lzma.compress(zeros, preset=0))
    with pytest.raises(lzma.LZMAError):
        decode_names(lzma.compress(zeros, preset=9))


def test_nothing_is_kept_that_predictions_do_not_have() -> None:
    with np.load(io.BytesIO(encode_predictions(predictions(9)))) as kept:
        names = set(kept)
    assert names == {"first", "place", "width", "labels", "steps", "losses", "total"}


def _kept(**changed: object) -> bytes:
    with np.load(io.BytesIO(encode_predictions(predictions(9)))) as kept:
        fields = {**kept, **changed}
    stream = io.BytesIO()
    np.savez(stream, **fields)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"width": np.uint8(TOP + 1)}, "larger than any"),
        ({"place": np.zeros(8, dtype=np.uint8)}, "of different numbers of images"),
        ({"labels": np.array(3)}, "no row of integers"),
        ({"labels": np.zeros((9, 1), dtype=np.uint8)}, "no row of integers"),
        ({"labels": np.zeros(9)}, "no row of integers"),
        (
            dict.fromkeys(("labels", "place", "steps", "first", "losses"), NOTHING),
            "of different numbers of images",
        ),
        ({"total": 8}, "of other images than there are"),
        ({"losses": np.full(9, np.inf, dtype=np.float16)}, "of other images"),
    ],
)
def test_predictions_that_contradict_themselves_are_none(
    changed: dict[str, object], said: str
) -> None:
    assert len(decode_predictions(_kept(total=9)).labels) == 9
    assert decode_predictions(_kept(width=np.uint8(TOP))).classes.shape == (9, TOP)
    with pytest.raises(ValueError, match=said):
        decode_predictions(_kept(**changed))


@pytest.mark.parametrize(("name", "most"), [("labels", 2**24), ("first", 2**24)])
def test_a_class_is_one_of_those_that_any_set_has(name: str, most: int) -> None:
    largest = np.full(9, most - 1, dtype=np.int64)
    kept = decode_predictions(_kept(**{name: largest}))
    found = kept.labels if name == "labels" else kept.classes[:, 0]
    assert found.max() == most - 1
    with pytest.raises(ValueError, match="larger than any there is"):
        decode_predictions(_kept(**{name: largest + 1}))


def test_a_number_of_images_is_one_that_any_set_has() -> None:
    assert decode_predictions(_kept(total=2**40 - 1)).total == 2**40 - 1
    with pytest.raises(ValueError, match="larger than any there is"):
        decode_predictions(_kept(total=2**40))


@pytest.mark.parametrize(("more", "said"), [(0, "different numbers"), (1, "bytes")])
def test_an_array_of_predictions_takes_sixteen_megabytes_at_most(
    more: int, said: str
) -> None:
    large = np.zeros(2**24 + more, dtype=np.uint8)
    with pytest.raises(ValueError, match=said):
        decode_predictions(_kept(losses=large))


def test_names_survive() -> None:
    names = ImageNames(("n01/é.JPEG", "n02/b.JPEG"), ("n01", "n02"))
    assert decode_names(encode_names(names)) == names
