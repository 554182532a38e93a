"""Which ways there are for images to lie: the built-in ones and those of others.

| name | images | labels |
|---|---|---|
| `tar` | `ILSVRC2012_img_val.tar`, as it is downloaded | the devkit's ground truth |
| `flat` | images in one folder | a table beside them, their own names, or the devkit |
| `packed` | `<class>/<image>` in a tar beside the folder's place | as with `folders` |
| `parquet` | `image.bytes` in shards such as `val-00000-of-00014.parquet` | `label` |
| `webdataset` | `KEY.jpg` in shards such as `val-00.tar` | `KEY.cls` or `KEY.json` |
| `labelled-arrays` | `x_test` of `.npz`, of MNIST, CIFAR ... | the array beside |
| `folders` | `<class>/<image>` | the place of the folder's name among the classes |

Another package adds one as an entry point of the group `repro.datasets`: a class, a
`Reader` (docs/extending.md).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from repro.data.listing import Reader
from repro.errors import DatasetError
from repro.extensions import Extensions
from repro.published import DatasetSpec

#: Takes whatever folder has the name of the dataset, so it is asked last.
FOLDERS = "folders"

READERS = Extensions(
    "repro.datasets",
    "reader of datasets",
    DatasetError,
    {
        "tar": "repro.data.validation:TarReader",
        "packed": "repro.data.shards:PackedReader",
        "flat": "repro.data.validation:FlatReader",
        "parquet": "repro.data.parquet:ParquetReader",
        "webdataset": "repro.data.shards:WebDatasetReader",
        "labelled-arrays": "repro.data.arrays:ArrayReader",
        FOLDERS: "repro.data.folders:FolderReader",
    },
)


class Found(msgspec.Struct, frozen=True):
    """Where a dataset lies, and the name of the reader that knows how."""

    root: Path
    reader: str


@lru_cache
def find_reader(name: str) -> Reader:
    """Make the reader of a name, once a process.

    Raises:
        DatasetError: there is none, or its package cannot be imported.
    """
    reader: Reader = READERS.load(name)()
    return reader


def find_images(spec: DatasetSpec, data: Path) -> Found | None:
    """Find a dataset: below a data folder, or that folder or file itself.

    Raises:
        DatasetError: a folder, or a reader of another package, cannot be read.
    """
    names = sorted(READERS.names(), key=lambda name: name == FOLDERS)
    for name in names:
        if (root := find_reader(name).find(spec, data)) is not None:
            return Found(root, name)
    return None


def suppose_images(spec: DatasetSpec, path: Path) -> Found:
    """Take a path for a dataset, whether it looks like one or not."""
    root = below if (below := path / spec.folder).exists() else path
    return find_images(spec, path) or Found(root, "tar" if root.is_file() else FOLDERS)
