"""The images as shards of parquet and of WebDataset."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .small_imagenet import CLASSES, validation

Rows = Sequence[tuple[str, bytes, int]]


def rows() -> list[tuple[str, bytes, int]]:
    """Give the images by their numbers: name, bytes, place of the class."""
    named = sorted(validation().items(), key=lambda item: item[0][-14:])
    return [
        (name.partition("/")[2], content, CLASSES.index(name.partition("/")[0]))
        for name, content in named
    ]


def parted(found: Rows, parts: int) -> list[Rows]:
    size = -(-len(found) // parts)
    return [found[start : start + size] for start in range(0, len(found), size)]


def table(
    found: Rows, names: Sequence[str] = (), *, paths: bool = True, column: str = "image"
) -> pa.Table:
    images = [
        {"bytes": content, "path": name if paths else None}
        for name, content, _ in found
    ]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    content = {
        column: pa.array(images, kind),
        "label": pa.array([label for *_, label in found], pa.int64()),
    }
    made = pa.table(content)
    if names:
        label = {"names": list(names), "_type": "ClassLabel"}
        said = {"info": {"features": {"label": label}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(said)})
    return made


def write_parquet(
    folder: Path, found: Rows, names: Sequence[str] = (), **options: Any
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shards = parted(found, 3)
    paths = options.pop("paths", True)
    for number, part in enumerate(shards):
        file = folder / f"validation-{number:05}-of-{len(shards):05}.parquet"
        made = table(part, names, paths=paths)
        pq.write_table(made, file, **{"row_group_size": 3, **options})
    return folder


def tar_of(file: Path, members: dict[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


def write_webdataset(
    folder: Path, found: Rows, label: Callable[[int], dict[str, bytes]]
) -> Path:
    for number, part in enumerate(parted(found, 3)):
        members: dict[str, bytes] = {}
        for name, content, class_ in part:
            key = name.removesuffix(".JPEG")
            members[f"{key}.jpg"] = content
            members |= {f"{key}.{end}": said for end, said in label(class_).items()}
        tar_of(folder / f"imagenet1k-validation-{number:02}.tar", members)
    return folder


def as_parquet(data: Path, **options: Any) -> Path:
    return write_parquet(data / "val", rows(), **options)


WORDS = ("tench, Tinca tinca", "goldfish", "English setter", "kit fox")
