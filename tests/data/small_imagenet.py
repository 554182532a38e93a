"""ImageNet's validation set and others in miniature, in all their layouts."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from scipy.io import savemat

from repro.cli import cli
from repro.data.dataset import Dataset, index_dataset
from repro.data.geometry import decode
from repro.errors import DatasetError
from repro.published import DatasetSpec

# In the order of the devkit's ids, which is not the sorted one.
DEVKIT_ORDER = ("n02119789", "n01440764", "n02100735", "n01443537")
CLASSES = tuple(sorted(DEVKIT_ORDER))
PER_CLASS = 3

SETS = {
    "val": ("Tiny ImageNet validation", "val", CLASSES, 12),
    "v2": ("Tiny ImageNet-V2", "v2", tuple(str(n) for n in range(12)), 24),
    "sketch": ("Tiny ImageNet-Sketch", "sketch", CLASSES, 13),
    "a": ("Tiny ImageNet-A", "a", CLASSES[:2], 5),
}


def spec(name: str = "val", **changes: Any) -> DatasetSpec:
    title, folder, classes, images = SETS[name]
    values = {"title": title, "folder": folder, "classes": classes, "images": images}
    return DatasetSpec(id=name, **{**values, **changes})


def known() -> list[DatasetSpec]:
    return [spec(name) for name in SETS]


def photograph(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    stream = io.BytesIO()
    pixels = random.integers(0, 255, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def truth() -> list[int]:
    """Give the devkit's id of each image, 1 to 4."""
    return [1 + number % 4 for number in range(len(CLASSES) * PER_CLASS)]


def validation() -> dict[str, bytes]:
    """Make the images of the set by their names in class folders."""
    return {
        f"{DEVKIT_ORDER[id_ - 1]}/ILSVRC2012_val_{number:08d}.JPEG": photograph(number)
        for number, id_ in enumerate(truth(), 1)
    }


def write(root: Path, images: dict[str, bytes]) -> Path:
    for name, content in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_devkit(folder: Path, *, packed: bool = True) -> None:
    """Make the devkit: ground truth and a MATLAB file with the ids of the classes."""
    inside = folder / "ILSVRC2012_devkit_t12" / "data"
    inside.mkdir(parents=True)
    lines = "".join(f"{id_}\n" for id_ in truth())
    (inside / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    synsets = np.zeros((len(CLASSES) + 1, 1), dtype=fields)
    for row, name in enumerate([*DEVKIT_ORDER, "n00000001"]):
        synsets[row, 0] = (row + 1, name, 0 if row < len(CLASSES) else 4)
    savemat(inside / "meta.mat", {"synsets": synsets})
    if packed:
        with tarfile.open(folder / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as archive:
            archive.add(inside.parent, inside.parent.name)
        shutil.rmtree(inside.parent)


def write_tar(file: Path, images: dict[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in sorted(images.items(), key=lambda item: item[0][-14:]):
            entry = tarfile.TarInfo(Path(name).name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file


def pixels_of(dataset: Dataset) -> dict[str, bytes]:
    return {
        name: decode(dataset.place(index)).tobytes()
        for index, name in enumerate(dataset.files)
    }


def as_v2(root: Path) -> Path:
    names = [f"{c}/{n}{c}.jpeg" for c in SETS["v2"][2] for n in range(2)]
    return write(root, {name: photograph(1) for name in names})


def as_sketch(root: Path) -> Path:
    names = [f"{CLASSES[n % 4]}/sketch_{n}.JPEG" for n in range(13)]
    return write(root, {name: photograph(n) for n, name in enumerate(names)})


def as_a(root: Path) -> Path:
    names = [f"{CLASSES[n % 2]}/0.1_fox_{n}.jpg" for n in range(5)]
    return write(root, {name: photograph(n) for n, name in enumerate(names)})


def check(release: Path, path: Path, *options: str) -> Result:
    """Run `repro dataset check`."""
    arguments = ["dataset", "check", str(path), "--expected", str(release), *options]
    return CliRunner().invoke(cli, arguments)


def fault(data: Path, name: str = "val", **changes: Any) -> str:
    """Index what is no good copy and return the one sentence that says so."""
    with pytest.raises(DatasetError) as caught:
        index_dataset(spec(name, **changes), data, known())
    assert "\n" not in str(caught.value)
    return str(caught.value)
