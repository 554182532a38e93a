from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from torchvision import transforms

from repro.data.geometry import (
    decode,
    decoder_identity,
    planar_pixels,
    transform,
)
from repro.errors import DatasetError
from repro.evaluation.classifier import Classifier
from repro.published import CenterCrop, Geometry, Resize, parse_geometry
from repro.published.geometry import Filter
from tests.stand_ins import photograph

PAPER = parse_geometry("rgb|resize(256,bilinear)|center_crop(224)")
MODES = {
    "1": "png",
    "L": "jpeg",
    "LA": "png",
    "P": "png",
    "CMYK": "jpeg",
    "RGB": "jpeg",
    "RGBA": "png",
    "I;16": "png",
}

sides = st.integers(1, 400)
targets = st.integers(1, 90)
filters = st.sampled_from(get_args(Filter))
resizes = st.builds(Resize, targets, st.none() | targets, filters)
crops = st.builds(CenterCrop, targets, targets)
quickly = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def torchvision_transform(geometry: Geometry) -> transforms.Compose:
    """Write a geometry as the transforms that evaluation scripts use."""
    steps: list[torch.nn.Module] = []
    for step in geometry.steps:
        if isinstance(step, CenterCrop):
            steps.append(transforms.CenterCrop((step.height, step.width)))
        else:
            size = step.height if step.width is None else (step.height, step.width)
            mode = transforms.InterpolationMode(step.filter)
            steps.append(transforms.Resize(size, mode))
    return transforms.Compose(steps)


def assert_like_torchvision(image: Image.Image, geometry: Geometry) -> None:
    ours = transform(image, geometry)
    theirs = torchvision_transform(geometry)(image)
    assert ours.size == theirs.size
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@quickly
@given(sides, sides, resizes, crops, st.booleans(), st.integers(0, 9))
def test_pixels_are_those_of_torchvision_whatever_the_size(
    width: int, height: int, resize: Resize, crop: CenterCrop, flip: bool, seed: int
) -> None:
    steps = (crop, resize, crop) if flip else (resize, crop)
    assert_like_torchvision(photograph(seed, width, height), Geometry(steps))


@pytest.mark.parametrize("filter_", get_args(Filter))
@pytest.mark.parametrize(
    "size", [(500, 375), (375, 500), (333, 501), (9, 900), (900, 9), (1, 1), (256, 256)]
)
def test_every_filter_gives_the_pixels_of_torchvision(
    size: tuple[int, int], filter_: str
) -> None:
    geometry = parse_geometry(f"rgb|resize(64,{filter_})|center_crop(56)")
    assert_like_torchvision(photograph(1, *size), geometry)


@pytest.mark.parametrize("side", [223, 224, 225, 256, 1])
def test_images_smaller_than_the_crop_get_the_border_of_torchvision(side: int) -> None:
    geometry = parse_geometry("rgb|center_crop(224)")
    for size in ((side, 300), (300, side), (side, side), (side, side + 1)):
        assert_like_torchvision(photograph(2, *size), geometry)


@pytest.mark.parametrize("mode", MODES)
def test_files_of_every_mode_decode_as_an_image_folder_does(
    mode: str, tmp_path: Path
) -> None:
    from torchvision.datasets.folder import pil_loader

    picture = photograph(3, 61, 47)
    if mode == "I;16":
        levels = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        picture = Image.fromarray(levels)
    else:
        picture = picture.convert(mode)
    file = tmp_path / f"image.{MODES[mode]}"
    picture.save(file)
    output = np.empty((3, 224, 224), np.uint8)
    planar_pixels(file, [PAPER], [output])
    expected = torchvision_transform(PAPER)(pil_loader(str(file)))
    assert np.array_equal(output, np.asarray(expected).transpose(2, 0, 1))


def test_a_palette_with_transparency_decodes_as_an_image_folder_does(
    tmp_path: Path,
) -> None:
    from torchvision.datasets.folder import pil_loader

    file = tmp_path / "image.png"
    picture = photograph(3, 61, 47).quantize(16)
    picture.save(file, transparency=2)
    assert np.array_equal(np.asarray(decode(file)), np.asarray(pil_loader(str(file))))


def test_one_decode_gives_the_same_pixels_for_every_geometry(tmp_path: Path) -> None:
    file = tmp_path / "image.jpg"
    photograph(4, 301, 222).save(file)
    second = parse_geometry("rgb|resize(40,bicubic)|center_crop(30x20)")
    outputs = [np.empty((3, 224, 224), np.uint8), np.empty((3, 30, 20), np.uint8)]
    planar_pixels(file, [PAPER, second], outputs)
    for geometry, output in zip((PAPER, second), outputs, strict=True):
        alone = np.empty_like(output)
        planar_pixels(file, [geometry], [alone])
        assert np.array_equal(output, alone)


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
@settings(max_examples=25)
def test_normalised_pixels_are_bit_equal_to_totensor_and_normalize(
    mean: list[float], std: list[float]
) -> None:
    image = photograph(5, 64, 64)
    usual = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    planar = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())[None]
    classifier = Classifier(lambda images: images, mean, std, torch.device("cpu"))
    assert torch.equal(classifier.normalise(planar)[0], usual(image))


@pytest.mark.parametrize("filter_", ["nearest", "bilinear", "bicubic"])
def test_without_antialias_pixels_are_bit_equal_to_a_resized_tensor(
    filter_: str,
) -> None:
    image = photograph(6, 311, 207)
    geometry = parse_geometry(f"rgb|resize(64x96,{filter_},no_antialias)")
    ours = np.asarray(transform(image, geometry)).transpose(2, 0, 1)
    theirs = transforms.functional.resize(
        transforms.functional.pil_to_tensor(image),
        [64, 96],
        transforms.InterpolationMode(filter_),
        antialias=False,
    )
    assert np.array_equal(ours, theirs.numpy())


def test_pixels_that_torch_makes_depend_on_its_version() -> None:
    usual = parse_geometry("rgb|resize(64x96,bilinear)")
    sampled = parse_geometry("rgb|resize(64x96,bilinear,no_antialias)")
    assert decoder_identity(usual) == decoder_identity()
    assert f"torch {torch.__version__.partition('+')[0]}" in decoder_identity(sampled)


def truncated(file: Path) -> None:
    photograph(7, 120, 90).save(file)
    file.write_bytes(file.read_bytes()[:-400])


def with_a_text_inside(file: Path) -> None:
    file.write_text("404: Not Found")


def bomb(file: Path) -> None:
    """Write a small PNG that says that it has 900 million pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        content += struct.pack(">I", len(data)) + name + data + checksum
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (truncated, "cannot be decoded: .*truncated"),
        (with_a_text_inside, "cannot be decoded: its 14 bytes are no image"),
        (Path.touch, "cannot be decoded: it is empty"),
        (Path.mkdir, "cannot be read: Is a directory"),
        (bomb, "cannot be decoded: it has more pixels than Pillow takes"),
        (lambda file: None, "is missing. Restore the original file"),
    ],
    ids=["truncated", "text", "empty", "folder", "bomb", "missing"],
)
def test_an_unreadable_image_is_named_with_what_is_wrong(
    damage: object, found: str, tmp_path: Path
) -> None:
    file = tmp_path / "n0144" / "image.jpg"
    file.parent.mkdir()
    assert callable(damage)
    damage(file)
    with pytest.raises(DatasetError, match=rf"n0144/image\.jpg {found}"):
        decode(file)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(["jpeg", "png", "gif", "tiff", "webp", "bmp"]),
    data=st.data(),
)
def test_a_damaged_file_decodes_or_is_refused_but_never_crashes(
    kind: str, data: st.DataObject, tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    photograph(8, 20, 16).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[place] ^= data.draw(st.integers(1, 255))
    file = tmp_path / "image"
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(DatasetError):
        assert decode(file).mode == "RGB"


def test_allowing_truncated_images_is_another_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = decoder_identity()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert decoder_identity() != before
