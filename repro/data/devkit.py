"""Labels of ImageNet's validation images, from the development kit of ILSVRC 2012.

Its ground truth has one line for each image, in the order of their numbers. A line is
an id of the challenge's own, 1 to 1000, which is not the place in the sorted list of
WordNet ids that models are trained with; `meta.mat` says which id is which WordNet id.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import DatasetError

DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"

#: The images as they are downloaded, and how each is named.
VALIDATION_TAR = "ILSVRC2012_img_val.tar"
VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})(?:_n\d{8})?\.JPEG")
_FOLDERS = (
    "",
    "data",
    "devkit/data",
    "ILSVRC2012_devkit_t12/data",
    "ILSVRC2012_devkit_t12",
)
_LARGEST = 100 * 2**20


class Devkit(msgspec.Struct, frozen=True):
    """The class of each validation image, first to last, as WordNet ids."""

    source: Path
    classes: tuple[str, ...]

    def class_of(self, name: str) -> str:
        """Give the class of `ILSVRC2012_val_NNNNNNNN.JPEG`, or of such with its class.

        Raises:
            DatasetError: the ground truth has no such line.
        """
        match = VALIDATION_IMAGE.fullmatch(name)
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(self.classes):
            raise DatasetError(
                f"{self.source} has labels of images 1 to {len(self.classes):,}, but "
                f"there is an image {name}; devkit and images do not belong together"
            )
        return self.classes[number - 1]


def find_devkit(folders: Iterable[Path]) -> Devkit | None:
    """Look for the devkit, as it is downloaded or unpacked, in some folders.

    Raises:
        DatasetError: it is there and cannot be read.
    """
    for folder in folders:
        for place in (folder / below for below in _FOLDERS):
            truth, meta = place / GROUND_TRUTH, place / META
            if truth.is_file() and meta.is_file():
                return _read(place, truth.read_bytes(), meta.read_bytes())
        if (archive := folder / DEVKIT).is_file():
            return _read_archive(archive)
    return None


def _read_archive(archive: Path) -> Devkit:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for entry in opened:
                name = Path(entry.name).name
                if name in {GROUND_TRUTH, META} and entry.isreg():
                    stream = opened.extractfile(entry)
                    assert stream is not None
                    found[name] = stream.read(_LARGEST)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(
            f"{archive} cannot be read: {error}. Download it again"
        ) from error
    if len(found) != 2:
        raise DatasetError(
            f"{archive} lacks {GROUND_TRUTH} or {META}; it is not the devkit of "
            "ILSVRC 2012, tasks 1 and 2"
        )
    return _read(archive, found[GROUND_TRUTH], found[META])


def _read(source: Path, truth: bytes, meta: bytes) -> Devkit:
    try:
        wordnet = _wordnet_ids(meta)
        classes = tuple(wordnet[int(line)] for line in truth.split())
    except Exception as error:  # scipy raises what it likes on damaged files.
        raise DatasetError(
            f"{source} is damaged or not the devkit of ILSVRC 2012: {GROUND_TRUTH} or "
            f"{META} cannot be understood ({type(error).__name__}: {error})"
        ) from error
    return Devkit(source, classes)


def _wordnet_ids(meta: bytes) -> dict[int, str]:
    """Read which id of the challenge is which WordNet id."""
    from scipy.io import loadmat

    stream: Any = io.BytesIO(meta)
    synsets = loadmat(stream, squeeze_me=True)["synsets"]
    ids, names = synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist()
    return {int(number): str(name) for number, name in zip(ids, names, strict=True)}
