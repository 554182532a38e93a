"""What the names of files give away, without a forward pass."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repro.diagnosis.hints import file_hints
from repro.published import EMBEDDED, read_releases


@pytest.mark.parametrize(
    ("title", "suffix", "hint"),
    [
        ("CIFAR-10 test", ".jpg", "2 of 3 images are .jpg files, but CIFAR-10 test"),
        ("CIFAR-10 test", ".png", ""),
        ("MNIST test", ".JPEG", "published as pixels"),
        ("ImageNet validation", ".webp", "published as JPEG"),
        ("ImageNet validation", ".JPEG", "1 of 3 images are .png files"),
        ("handwritten digits", ".jpg", ""),
    ],
)
def test_images_of_another_format_than_published_were_encoded_again(
    title: str, suffix: str, hint: str
) -> None:
    (release,) = read_releases([EMBEDDED])
    (spec,) = list(release.datasets.values())[:1]
    spec = msgspec.structs.replace(spec, title=title, id="set", folder="set")
    files = (f"cat/1{suffix}", f"dog/2{suffix}", "dog/3.png")
    said = " ".join(file_hints(spec, files, Path("data/val")))
    assert hint in said
    assert bool(hint) == bool(said)


@pytest.mark.parametrize(
    ("folder", "title", "is_said"),
    [
        ("train", "digits", True),
        ("ILSVRC2012_img_train", "digits", True),
        ("train", "digits, training images", False),
        ("trains", "digits", False),
        ("val", "digits", False),
    ],
)
def test_a_folder_that_is_called_as_those_of_training_is_spoken_of(
    folder: str, title: str, is_said: bool
) -> None:
    (release,) = read_releases([EMBEDDED])
    (spec,) = list(release.datasets.values())[:1]
    spec = msgspec.structs.replace(spec, title=title, id="set", folder="val")
    said = list(file_hints(spec, ("cat/1.png",), Path("train/data") / folder))
    assert bool(said) == is_said
