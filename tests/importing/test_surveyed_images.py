"""`repro new --images` knows classes and sizes of shards, as of folders."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from repro.data.dataset import index_dataset
from repro.errors import DatasetError, OptionError
from repro.importing.survey import survey_images
from repro.published import DatasetSpec
from tests.data.shards import tar_of, write_parquet

WORDS = ("cat", "ant", "bee")


def rows(size: tuple[int, int] = (20, 20)) -> list[tuple[str, bytes, int]]:
    random = np.random.default_rng(0)
    found = []
    for number in range(9):
        stream = io.BytesIO()
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        found.append((f"{number}.png", stream.getvalue(), number % 3))
    return found


def webdataset(folder: Path) -> Path:
    for shard in range(3):
        members: dict[str, bytes] = {}
        for name, content, label in rows()[shard::3]:
            key = name.removesuffix(".png")
            members |= {name: content, f"{key}.cls": str(label).encode()}
        tar_of(folder / f"shard-{shard:02}.tar", members)
    return folder


def test_parquet_tells_its_classes_in_order_and_its_size(tmp_path: Path) -> None:
    for place in (tmp_path / "own", tmp_path / "other/data"):
        write_parquet(place, rows(), WORDS)
        found = survey_images(place if place.name == "own" else place.parent)
        assert (found.classes, found.images) == (WORDS, 9)
        assert found.size == (20, 20)


def test_labels_without_names_are_their_numbers(tmp_path: Path) -> None:
    found = survey_images(webdataset(tmp_path / "own"))
    assert (found.classes, found.images) == (("0", "1", "2"), 9)
    alone = survey_images(tmp_path / "own/shard-00.tar")
    assert (alone.classes, alone.images) == (("0",), 3)


def test_a_shard_that_is_cut_off_is_a_sentence(tmp_path: Path) -> None:
    place = write_parquet(tmp_path / "own", rows(), WORDS)
    file = next(place.iterdir())
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(OptionError, match=r"--images: .* cannot be read as parquet"):
        survey_images(place)


def test_a_last_shard_that_may_be_missing_is_named(tmp_path: Path) -> None:
    folder = webdataset(tmp_path / "own")
    (folder / "shard-02.tar").unlink()
    spec = DatasetSpec(
        id="own", title="Own", folder="own", classes=("0", "1", "2"), images=9
    )
    with pytest.raises(
        DatasetError,
        match=r"holds 6 images; Own has 9, which may be in shards after shard-01\.tar",
    ):
        index_dataset(spec, tmp_path)
