"""Parquet and WebDataset shards are read in place, and hostile ones are a sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repro.data.dataset import index_dataset
from repro.data.pages import LARGEST_PAGE, pages_of, read_struct
from repro.errors import DatasetError
from repro.files import stamp_of

from ..memory import grows_by_less_than
from .plain_loop import loop, predicted
from .shards import (
    WORDS,
    as_parquet,
    rows,
    table,
    tar_of,
    write_parquet,
    write_webdataset,
)
from .small_imagenet import CLASSES, check, known, photograph, spec, validation, write

AS_NUMBERS = {"row_group_size": 12, "data_page_size": 600}

OPTIONS: dict[str, dict[str, Any]] = {
    "many pages": AS_NUMBERS,
    "pages of version 2": {**AS_NUMBERS, "data_page_version": "2.0"},
    "zstd": {"compression": "zstd"},
    "gzip": {"compression": "gzip", "use_dictionary": False},
    "lz4": {"compression": "lz4"},
    "not compressed": {"compression": "none", "use_dictionary": False},
    "version 2, not compressed": {
        "compression": "none",
        "data_page_version": "2.0",
    },
    "without paths": {"paths": False},
}

LAYOUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "as the Hub has it": (
        lambda data: write_parquet(data / "val", rows(), WORDS),
        "in the order that validation-00000-of-00003.parquet names them",
    ),
    "named by WordNet ids": (
        lambda data: write_parquet(data / "val" / "data", rows(), CLASSES),
        "in the order that",
    ),
    "beside training shards, in the data folder": (
        lambda data: (
            write_parquet(data, rows()),
            pq.write_table(table(rows()[:1]), data / "train-00000-of-00009.parquet"),
        ),
        "taken as places in the list of classes, from 0",
    ),
    **{
        f"parquet: {name}": (partial(as_parquet, **options), "taken as places")
        for name, options in OPTIONS.items()
    },
    "webdataset with .cls": (
        lambda data: write_webdataset(
            data / "val", rows(), lambda label: {"cls": f"{label}".encode()}
        ),
        "taken as places",
    ),
    "webdataset with .json": (
        lambda data: write_webdataset(
            data, rows(), lambda label: {"json": f'{{"label": {label}}}'.encode()}
        ),
        "taken as places",
    ),
    "webdataset with names of classes": (
        lambda data: write_webdataset(
            data / "val", rows(), lambda label: {"cls": CLASSES[label].encode()}
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_shards_give_the_predictions_of_a_plain_loop(name: str, tmp_path: Path) -> None:
    writes, said = LAYOUTS[name]
    writes(tmp_path / "data")
    dataset = index_dataset(
        spec(), tmp_path / "data", known(), cache=tmp_path / "cache"
    )
    assert predicted(dataset) == loop(validation(), CLASSES)
    copy = index_dataset(spec(), write(tmp_path / "copy" / "val", validation()).parent)
    assert dataset.fingerprint == copy.fingerprint
    assert said in "; ".join(dataset.assumed)
    if "without paths" not in name and ".JPEG" in dataset.files[0]:
        assert dataset.files == copy.files


def test_many_images_of_one_page_have_a_dictionary_and_its_overflow(
    tmp_path: Path,
) -> None:
    images = {
        f"{CLASSES[number % 4]}/{number}.jpg": photograph(number % 152)
        for number in range(300)
    }
    found = [
        (name.partition("/")[2], content, CLASSES.index(name.partition("/")[0]))
        for name, content in images.items()
    ]
    (tmp_path / "val").mkdir()
    file = tmp_path / "val" / "test.parquet"
    pq.write_table(table(found), file, dictionary_pagesize_limit=40_000)
    encodings = pq.ParquetFile(file).metadata.row_group(0).column(0).encodings
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(encodings)
    dataset = index_dataset(spec(images=300), tmp_path)
    assert predicted(dataset) == loop(images, CLASSES)


def test_shards_are_recognised_checked_and_recorded_like_a_folder(
    release: Path, tmp_path: Path
) -> None:
    write(tmp_path / "folder" / "val", validation())
    assert check(release, tmp_path / "folder", "--record").exit_code == 0
    write_parquet(tmp_path / "shards" / "val", rows(), WORDS)
    said = check(release, tmp_path / "shards", "--bytes")
    assert (
        "in 3 shards of parquet, classes told by their names in WordNet" in said.stdout
    )
    assert "it is the copy recorded in" in said.stdout


def test_labels_in_another_order_are_noticed(tmp_path: Path) -> None:
    found = [
        (f"{name.removesuffix('.JPEG')}_{CLASSES[label]}.JPEG", content, 3 - label)
        for name, content, label in rows()
    ]
    write_parquet(tmp_path / "val", found)
    with pytest.raises(DatasetError, match="in another class than their own names say"):
        index_dataset(spec(), tmp_path)


# Hostile and broken ones ------------------------------------------------------------


def missing_shard(data: Path) -> None:
    write_parquet(data / "val", rows())
    (data / "val" / "validation-00001-of-00003.parquet").unlink()


def two_sets(data: Path) -> None:
    for name in ("clean", "noisy"):
        (data / "val").mkdir(parents=True, exist_ok=True)
        pq.write_table(table(rows()), data / "val" / f"{name}-0.parquet")


def without_bytes(data: Path) -> None:
    made = table([(name, None, label) for name, _, label in rows()])  # type: ignore[misc]
    (data / "val").mkdir(parents=True)
    pq.write_table(made, data / "val" / "0.parquet")


def other_columns(data: Path) -> None:
    (data / "val").mkdir(parents=True)
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), data / "val" / "0.parquet")


def damaged(data: Path) -> None:
    (data / "val").mkdir(parents=True)
    (data / "val" / "0.parquet").write_bytes(b"PAR1" + b"\xff" * 90 + b"PAR1")


def bomb(data: Path) -> None:
    """Write a page that unpacks to 80 MB from a few thousand bytes."""
    (data / "val").mkdir(parents=True)
    found = [(*rows()[0][:1], b"\0" * 80 * 2**20, 0)]
    pq.write_table(table(found), data / "val" / "0.parquet", compression="zstd")


def many_rows(data: Path) -> None:
    """Write labels that a few bytes repeat ten million times."""
    (data / "val").mkdir(parents=True)
    labels = pa.array([0]).take(pa.array([0])).cast(pa.int8())
    scalar = pa.repeat(labels[0], 10**7 + 1)
    bytes_ = pa.repeat(pa.scalar(b"", pa.binary()), 10**7 + 1)
    made = pa.table({"image.bytes": bytes_, "label": scalar})
    pq.write_table(made, data / "val" / "0.parquet", row_group_size=10**7 + 1)


def one_image(data: Path) -> None:
    """Write one image as five million rows."""
    (data / "val").mkdir(parents=True)
    index = pa.array(np.zeros(5 * 10**6, np.int32))
    images = pa.DictionaryArray.from_arrays(index, [photograph(1)])
    made = pa.table({"image.bytes": images, "label": pa.repeat(0, len(index))})
    pq.write_table(made, data / "val" / "0.parquet", row_group_size=len(index))


def outside(data: Path) -> None:
    members = {"../../../evil.jpg": photograph(1), "../../../evil.cls": b"0"}
    tar_of(data / "val" / "val-0.tar", {**members, "/abs.jpg": photograph(2)})


def wide_label(data: Path) -> None:
    tar_of(data / "val" / "val-0.tar", {"a.jpg": photograph(1), "a.cls": b"0" * 2**21})


def deep_label(data: Path) -> None:
    members = {"a.jpg": photograph(1), "a.json": b"[" * 10**5}
    tar_of(data / "val" / "val-0.tar", members)


def cut_off(data: Path) -> None:
    write_webdataset(data / "val", rows(), lambda label: {"cls": f"{label}".encode()})
    last = data / "val" / "imagenet1k-validation-01.tar"
    last.write_bytes(last.read_bytes()[:2000])


def no_class(data: Path) -> None:
    write_webdataset(data / "val", rows(), lambda label: {"cls": b"-1"})


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing shard": (missing_shard, "of 'validation' shard 1 is missing"),
    "two sets": (two_sets, "holds shards of 'clean', 'noisy'; move those"),
    "images that are only paths": (without_bytes, "a value is missing"),
    "other columns": (other_columns, "has the columns text, label; images are"),
    "damaged": (damaged, "cannot be read as parquet"),
    "a page that is a bomb": (bomb, "a page promises 83,8"),
    "rows without end": (many_rows, "promises more rows than any set of images"),
    "one image again and again": (one_image, "promises 5,000,000 images in"),
    "paths outside": (outside, "1 image has no label (/abs.jpg)"),
    "a large label": (wide_label, "a.cls is too large for a label"),
    "a deep label": (deep_label, "cannot be read as a label"),
    "a tar that is cut off": (cut_off, "is cut off or no plain tar"),
    "labels that are not known": (no_class, "has the label '-1', which is no class"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_broken_and_hostile_shards_are_a_sentence_and_nothing_is_written(
    name: str, tmp_path: Path
) -> None:
    writes, said = REFUSED[name]
    writes(tmp_path / "data")
    before = sorted(tmp_path.rglob("*"))
    with grows_by_less_than(2**31), pytest.raises(DatasetError) as caught:
        index_dataset(spec(), tmp_path / "data", known())
    assert said in str(caught.value)
    assert len(str(caught.value)) <= 500
    assert sorted(tmp_path.rglob("*")) == before


def test_any_byte_of_a_page_s_head_can_be_wrong(tmp_path: Path) -> None:
    write_parquet(tmp_path / "val", rows())
    file = tmp_path / "val" / "validation-00000-of-00003.parquet"
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    content = file.read_bytes()
    stamp, start = stamp_of(file.stat()), column.dictionary_page_offset
    for place in range(start, start + 30):
        for value in (0, 0x7F, 0x80, 0xFF):
            file.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            try:
                pages = pages_of(file, stamp, column, 2)
            except (ValueError, IndexError):
                continue
            assert all(page.size <= LARGEST_PAGE for page in pages)
    assert msgspec.structs.asdict(stamp)["size"] == len(content)


@pytest.mark.parametrize(
    "content", [b"", b"\x15", b"\x1c" * 40, b"\x15" + b"\xff" * 20]
)
def test_a_struct_that_is_none_ends(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        read_struct(content)
