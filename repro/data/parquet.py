"""Images in parquet shards, as the Hugging Face Hub has them, read where they are."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from repro.data.label_tables import understand_named_labels
from repro.data.listing import UNKNOWN_SIZE, Image, Listing, Reader, by_class
from repro.data.pages import Page, page_values, pages_of
from repro.data.shards import find_shards, last_unsaid, list_shards, unique_name
from repro.errors import DatasetError
from repro.files import Stamp, stamp_of
from repro.published import DatasetSpec
from repro.words import counted, spelt

#: A file with more rows is none of images; their labels alone would fill the memory.
LARGEST_ROWS = 10_000_000
#: No image has fewer bytes: more rows repeat one from a dictionary, or have none, and
#: that many take no memory to speak of.
_LEAST_IMAGE, _FEW_ROWS = 16, 100_000
_LABELS = ("label", "labels", "fine_label", "class", "cls", "target")
#: What the Hub calls the image of a row that has others too.
_IMAGES = ("image.bytes", "img.bytes")
_SUFFIX = ".parquet"


class PageValue(msgspec.Struct, frozen=True, gc=False):
    """An image that is one value of a page."""

    page: Page
    number: int
    row: int

    def __str__(self) -> str:
        return f"{self.page.file}, row {self.row}"

    def read(self) -> bytes:
        """Read its bytes."""
        try:
            return page_values(self.page)[self.number]
        except (ValueError, IndexError) as error:
            raise OSError(f"{error}") from error


class _Row(msgspec.Struct, frozen=True, gc=False):
    label: str
    image: PageValue
    path: str


class ParquetReader(Reader):
    """`validation-00000-of-00014.parquet` with `image.bytes` and `label`."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder of the shards, or the one that there is."""
        return find_shards(spec, data, _SUFFIX)

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the rows of all shards by their labels, without reading an image."""
        shards = list_shards(spec, root, _SUFFIX)
        rows = [row for shard in shards for row in _rows(shard)]
        names, named_by = _common_names(shards)
        labels = list(dict.fromkeys(row.label for row in rows))
        if labels == ["-1"]:
            raise DatasetError(
                f"{root} has the label -1 for all images, as test sets have whose "
                "labels are hidden; get the validation set"
            )
        classes, assumed = understand_named_labels(spec, root, labels, names, named_by)
        images: list[tuple[str, Image]] = []
        taken: set[str] = set()
        for number, row in enumerate(rows):
            class_ = classes[row.label]
            name = unique_name(class_, spelt(row.path), taken, f"{number:08}")
            # The stamp is its shard's, so the row is the shard's too.
            stamp = msgspec.structs.replace(
                row.image.page.stamp, size=UNKNOWN_SIZE, offset=row.image.row
            )
            images.append((class_, Image(name, stamp, row.image)))
        said = (assumed,) if assumed else ()
        return Listing(
            root,
            f"in {counted(len(shards), 'shard')} of parquet",
            by_class(spec, images),
            said,
            may_lack=last_unsaid(shards),
        )

    def labels(
        self, spec: DatasetSpec, root: Path
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Give the labels of all shards, and what the Hub's library calls them."""
        shards = list_shards(spec, root, _SUFFIX)
        labels = dict.fromkeys(row.label for shard in shards for row in _rows(shard))
        return list(labels), _common_names(shards)[0]


def _common_names(shards: list[Path]) -> tuple[list[str], Path]:
    """Give the names of labels that all shards have which have some, and one of these.

    Raises:
        DatasetError: two have others.
    """
    found = [(names, shard) for shard in shards if (names := _label_names(shard))]
    for names, shard in found:
        if names != found[0][0]:
            raise DatasetError(
                f"{shard} names its labels otherwise than {found[0][1].name}, or in "
                "another order; move away what is of another set"
            )
    return found[0] if found else ([], shards[0])


def _label_names(shard: Path) -> list[str]:
    """Read what the Hub's library writes down of the labels; nothing without that."""
    try:
        metadata = _opened(shard).schema_arrow.metadata or {}
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        found = next(features[key]["names"] for key in _LABELS if key in features)
        return [str(name) for name in found]
    except (KeyError, TypeError, ValueError, StopIteration, RecursionError):
        return []


def _opened(shard: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            f"{shard} is read with pyarrow, which is not installed; install "
            "pytest-repro[parquet]"
        ) from error
    return pyarrow.parquet.ParquetFile(shard, memory_map=True)


def _rows(shard: Path) -> Iterator[_Row]:
    """Yield what a shard holds, row by row.

    Raises:
        DatasetError: it is damaged, or holds no images with labels.
    """
    try:
        yield from _read_rows(shard)
    except DatasetError:
        raise
    # pyarrow raises what it likes on damaged files, and nothing of ours is run.
    except Exception as error:
        raise DatasetError(
            f"{shard} cannot be read as parquet: {str(error) or type(error).__name__}. "
            "Download it again"
        ) from error


def _read_rows(shard: Path) -> Iterator[_Row]:
    stamp = stamp_of(shard.stat())
    opened = _opened(shard)
    metadata = opened.metadata
    columns = {
        opened.schema.column(number).path: number
        for number in range(metadata.num_columns)
    }
    image, label = _chosen(shard, columns)
    path = columns.get(f"{image.removesuffix('.bytes')}.path")
    begin = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if begin + group.num_rows > LARGEST_ROWS:
            raise DatasetError(f"{shard} promises more rows than any set of images has")
        stored = group.column(columns[image]).total_compressed_size
        if group.num_rows > max(_FEW_ROWS, stored // _LEAST_IMAGE):
            raise DatasetError(
                f"{shard} promises {group.num_rows:,} images in {stored:,} bytes"
            )
        inside = _Group(shard, stamp, opened, group)
        labels = (
            inside.texts(columns[label])
            if opened.schema.column(columns[label]).physical_type == "BYTE_ARRAY"
            else _labels(shard, opened.read_row_group(number, columns=[label]), begin)
        )
        pages = inside.pages(columns[image])
        values = [(page, place) for page in pages for place in range(page.values)]
        names = [""] * len(values) if path is None else inside.texts(path)
        if not len(labels) == len(values) == len(names) == group.num_rows:
            raise DatasetError(f"{shard} has columns of different lengths")
        rows = zip(labels, values, names, strict=True)
        for row, (said, (page, place), name) in enumerate(rows, begin):
            yield _Row(said, PageValue(page, place, row), name)
        begin += group.num_rows


def _chosen(shard: Path, columns: Collection[str]) -> tuple[str, str]:
    """Choose the columns of the images and of the labels."""
    images = [name for name in columns if name.endswith(".bytes")]
    image = next((name for name in _IMAGES if name in images), "".join(images[:1]))
    label = next((name for name in _LABELS if name in columns), "")
    if not image or not label:
        raise DatasetError(
            f"{shard} has the columns {', '.join(columns)}; images are read from a "
            f"column such as image.bytes and labels from one of {', '.join(_LABELS)}"
        )
    if len(images) > 1 and image not in _IMAGES:
        raise DatasetError(
            f"{shard} has several columns of images, {', '.join(images)}; call the one "
            f"that is meant {_IMAGES[0]}"
        )
    return image, label


def _labels(shard: Path, read: Any, begin: int) -> list[str]:
    """Give the labels that pyarrow has read of the rows from one on."""
    found = read.column(0).to_pylist()
    if None in found:
        row = begin + found.index(None)
        raise DatasetError(f"{shard}, row {row} has no label; restore it")
    return list(map(cache(str), found))


class _Group(msgspec.Struct, frozen=True):
    """The columns of a row group, as pyarrow describes them."""

    shard: Path
    stamp: Stamp
    opened: Any
    group: Any

    def pages(self, column: int) -> list[Page]:
        """List the pages of a column of bytes."""
        about = self.opened.schema.column(column)
        if about.physical_type != "BYTE_ARRAY" or about.max_repetition_level:
            raise DatasetError(f"{self.shard}: {about.path} is not one value a row")
        found = self.group.column(column)
        if found.num_values != self.group.num_rows:
            raise DatasetError(f"{self.shard} has columns of different lengths")
        return pages_of(self.shard, self.stamp, found, about.max_definition_level)

    def texts(self, column: int) -> list[str]:
        """Read a column of texts; empty where they are damaged or missing."""
        return [text for page in self.pages(column) for text in _texts(page)]


def _texts(page: Page) -> list[str]:
    try:
        values = page_values(page)
    except ValueError:
        return [""] * page.values
    return [value[:255].decode("utf-8", "replace") for value in values]
