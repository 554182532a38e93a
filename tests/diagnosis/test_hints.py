"""What the names of files give away, without a forward pass."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repro.diagnosis.images import Looked, content_hints, file_hints
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


@pytest.mark.parametrize(
    ("title", "looked", "hint"),
    [
        ("CIFAR-10 test", [Looked("JPEG", (32, 32))] * 32, "some hold JPEG"),
        ("CIFAR-10 test", [Looked("PNG", (32, 32))] * 32, ""),
        ("ImageNet", [Looked("JPEG", (256, n)) for n in range(256, 288)], "of 256 pix"),
        ("ImageNet", [Looked("JPEG", (n, 375)) for n in range(360, 392)], ""),
        ("ImageNet 64x64", [Looked("JPEG", (64, 64))] * 32, ""),
        ("ImageNet", [Looked("JPEG", (256, 300))] * 4, ""),
        ("digits", [Looked("JPEG", (28, 28))] * 32, ""),
    ],
)
def test_the_content_of_some_images_tells_a_copy_that_was_changed(
    title: str, looked: list[Looked], hint: str
) -> None:
    (release,) = read_releases([EMBEDDED])
    (spec,) = list(release.datasets.values())[:1]
    spec = msgspec.structs.replace(spec, title=title, id="set", folder="set")
    said = " ".join(content_hints(spec, looked))
    assert hint in said
    assert bool(hint) == bool(said)
