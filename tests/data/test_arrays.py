"""Arrays of small images, with the identity and pixels of the same images in files."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from repro.data.arrays import ArrayReader
from repro.data.dataset import index_dataset
from repro.data.listing import read_image
from repro.data.readers import find_images
from repro.errors import DatasetError
from repro.published import EMBEDDED, DatasetSpec, read_releases

NAMES = ("ant", "bee", "cat")
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)
GREY = COLOUR[..., 0].copy()
LABELS = np.arange(12) % 3


def spec(folder: str = "small", classes: tuple[str, ...] = NAMES) -> DatasetSpec:
    (release,) = read_releases([EMBEDDED])
    return msgspec.structs.replace(
        release.datasets[release.default_dataset],
        folder=folder,
        classes=classes,
        images=12,
        files=None,
    )


def idx(array: npt.NDArray[Any]) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def as_idx(folder: Path, images: npt.NDArray[Any], *, packed: bool = False) -> None:
    for name, array in (("images-idx3", images), ("labels-idx1", LABELS)):
        content = gzip.compress(idx(array)) if packed else idx(array)
        file = folder / f"t10k-{name}-ubyte{'.gz' if packed else ''}"
        file.write_bytes(content)


LAYOUTS: dict[str, tuple[Callable[[Path], object], npt.NDArray[np.uint8]]] = {
    "npz": (lambda f: np.savez(f / "a.npz", images=COLOUR, labels=LABELS), COLOUR),
    "packed npz": (
        lambda f: np.savez_compressed(f / "a.npz", x_test=COLOUR, y_test=LABELS),
        COLOUR,
    ),
    "channels first": (
        lambda f: np.savez(f / "a.npz", x=COLOUR.transpose(0, 3, 1, 2), y=LABELS),
        COLOUR,
    ),
    "grey, labels in a column": (
        lambda f: np.savez(
            f / "a.npz", test_images=GREY[..., None], test_labels=LABELS[:, None]
        ),
        GREY,
    ),
    "names as labels": (
        lambda f: np.savez(f / "a.npz", images=GREY, labels=np.array(NAMES)[LABELS]),
        GREY,
    ),
    "training images beside": (
        lambda f: np.savez(
            f / "a.npz",
            x_train=COLOUR[:2],
            y_train=LABELS[:2],
            x_test=GREY,
            y_test=LABELS,
        ),
        GREY,
    ),
    "idx": (lambda f: as_idx(f, GREY), GREY),
    "idx.gz": (lambda f: as_idx(f, GREY, packed=True), GREY),
}


def in_files(folder: Path, images: npt.NDArray[np.uint8]) -> Path:
    """Write the same images as files in class folders."""
    for number, (pixels, label) in enumerate(zip(images, LABELS, strict=True)):
        kind, suffix = ("P6", "ppm") if pixels.ndim == 3 else ("P5", "pgm")
        place = folder / "small" / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        head = f"{kind} 7 9 255\n".encode()
        (place / f"{number:06}.{suffix}").write_bytes(head + pixels.tobytes())
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_are_the_dataset_that_the_same_images_are_in_files(
    layout: str, tmp_path: Path
) -> None:
    write, images = LAYOUTS[layout]
    (tmp_path / "arrays/small").mkdir(parents=True)
    write(tmp_path / "arrays/small")
    found = index_dataset(spec(), tmp_path / "arrays")
    same = index_dataset(spec(), in_files(tmp_path / "files", images))
    assert found.fingerprint == same.fingerprint
    assert found.files == same.files
    assert found.labels.tolist() == same.labels.tolist()
    for place, name in zip(found.places, found.files, strict=True):
        opened = Image.open(io.BytesIO(read_image(place)))
        number = int(name.partition("/")[2].partition(".")[0])
        assert np.array_equal(np.asarray(opened), images[number])


def test_a_set_is_chosen_by_the_name_of_the_dataset_or_asked_for(
    tmp_path: Path,
) -> None:
    file = tmp_path / "both.npz"
    np.savez(file, x_test=GREY, y_test=LABELS, x_val=COLOUR, y_val=LABELS)
    for folder, suffix in (("test", "pgm"), ("my-val", "ppm")):
        named = tmp_path / folder
        named.mkdir()
        (named / "both.npz").write_bytes(file.read_bytes())
        dataset = index_dataset(spec(folder), tmp_path)
        assert all(name.endswith(suffix) for name in dataset.files)
    (tmp_path / "small").mkdir()
    file.rename(tmp_path / "small/both.npz")
    with pytest.raises(DatasetError, match=r"several sets .*name the one"):
        index_dataset(spec(), tmp_path)


def test_the_only_set_is_taken_though_it_is_of_training(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for name in ("train", "extra"):
        content: dict[str, Any] = {f"x_{name}": GREY, f"y_{name}": LABELS}
        np.savez(tmp_path / "small/a.npz", **content)
        if name == "train":
            assert len(index_dataset(spec(), tmp_path)) == 12
    with pytest.raises(DatasetError, match="has no images with labels; they are"):
        ArrayReader().list(spec(), tmp_path / "small", tmp_path)


def test_of_many_sets_three_are_named(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for name in "abcde":
        np.savez(tmp_path / f"small/{name}.npz", images=GREY, labels=LABELS)
    with pytest.raises(DatasetError, match=r"\(images, images, images and 2 more\)"):
        index_dataset(spec(), tmp_path)


def test_images_of_the_raw_folder_are_found_as_torchvision_leaves_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "small/raw").mkdir(parents=True)
    as_idx(tmp_path / "small/raw", GREY)
    assert ArrayReader().find(spec(), tmp_path) == tmp_path / "small/raw"
    (tmp_path / "small/raw/more").mkdir()
    assert ArrayReader().find(spec(), tmp_path) is None


def test_images_say_where_they_are_and_how_large(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    file = tmp_path / "small/a.npz"
    for images in (GREY, COLOUR):
        np.savez(file, images=images, labels=LABELS)
        listing = ArrayReader().list(spec(), file.parent, tmp_path)
        found = [image for some in listing.images.values() for image in some]
        assert {image.size for image in found} == {images[0].nbytes}
        assert [str(image.place) for image in found][:2] == [
            f"{file}:images[0]",
            f"{file}:images[3]",
        ]
    np.savez(file, images=COLOUR[:2], labels=LABELS[:2])
    with pytest.raises(DatasetError, match="cannot be read: index 3 is out of bounds"):
        read_image(found[1].place or "")
    file.write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="cannot be read as arrays of images"):
        read_image(found[1].place or "")


def test_three_hundred_images_have_as_many_labels(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    whole = msgspec.structs.replace(spec(), images=300)
    images, labels = np.zeros((300, 2, 2), np.uint8), np.arange(300) % 3
    images[:, 0, 0], images[:, 0, 1] = labels, np.arange(300) // 3
    np.savez(tmp_path / "small/a.npz", images=images, labels=labels)
    assert len(index_dataset(whole, tmp_path)) == 300
    np.savez(tmp_path / "small/a.npz", images=images[:299], labels=labels)
    with pytest.raises(DatasetError, match="has 299 images and 300 labels"):
        index_dataset(whole, tmp_path)


HEADS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not begin as an idx file"),
    "three bytes": (b"\0\0\x08", "does not begin as an idx file"),
    "another type": (b"\0\0\x0d\x03" + bytes(99), "does not begin as an idx file"),
    "two axes": (b"\0\0\x08\x02" + bytes(99), "does not begin as an idx file"),
    "an axis too few": (b"\0\0\x08\x03" + bytes(8), "it ends within its head"),
    "a part of an axis": (b"\0\0\x08\x03" + bytes(11), "cannot be read as arrays"),
    "a byte more": (idx(GREY) + b"x", "promises 12 x 9 x 7 bytes and has not so many"),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_mnist_is_as_long_as_its_head_says(
    name: str, packed: bool, tmp_path: Path
) -> None:
    content, said = HEADS[name]
    (tmp_path / "small").mkdir()
    as_idx(tmp_path / "small", GREY)
    images = tmp_path / "small/t10k-images-idx3-ubyte"
    images.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DatasetError, match=said):
        index_dataset(spec(), tmp_path)


def test_colours_of_a_file_as_mnists_are_read(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small/t10k-images-idx4-ubyte").write_bytes(idx(COLOUR))
    (tmp_path / "small/t10k-labels-idx1-ubyte").write_bytes(idx(LABELS))
    found = index_dataset(spec(), tmp_path)
    same = index_dataset(spec(), in_files(tmp_path / "files", COLOUR))
    assert found.fingerprint == same.fingerprint


def test_what_lies_beside_class_folders_is_no_dataset(tmp_path: Path) -> None:
    in_files(tmp_path, GREY)
    np.savez(tmp_path / "small/features.npz", images=COLOUR, labels=LABELS[:5])
    found = find_images(spec(), tmp_path)
    assert found is not None
    assert found.reader == "folders"


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("ran", "w")


def objects(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            content, {"shape": (12,), "fortran_order": False, "descr": "|O"}
        )
        archive.writestr("images.npy", content.getvalue() + pickle.dumps(Bomb()))
        archive.writestr("labels.npy", content.getvalue() + pickle.dumps(Bomb()))


def promised(folder: Path) -> None:
    as_idx(folder, GREY)
    head = bytes([0, 0, 8, 3]) + np.array([2**31, 28, 28], ">u4").tobytes()
    (folder / "t10k-images-idx3-ubyte").write_bytes(head)


def huge(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            content, {"shape": (2**40, 28, 28), "fortran_order": False, "descr": "|u1"}
        )
        archive.writestr("images.npy", content.getvalue())
        archive.writestr("labels.npy", content.getvalue())


def short(folder: Path) -> None:
    as_idx(folder, GREY)
    file = folder / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (objects, "holds objects of Python, which are never read"),
        (promised, "an array of it would take"),
        (huge, "an array of it would take"),
        (short, "promises 12 x 9 x 7 bytes and has not so many"),
        (
            lambda f: np.savez(f / "a.npz", images=GREY / 255, labels=LABELS),
            "images are float64 of shape .*have to be uint8",
        ),
        (
            lambda f: np.savez(f / "a.npz", images=GREY, labels=LABELS[:5]),
            "has 12 images and 5 labels",
        ),
        (
            lambda f: np.savez(f / "a.npz", images=GREY, labels=LABELS / 2),
            "labels are float64",
        ),
        (
            lambda f: np.savez(f / "a.npz", images=GREY, labels=LABELS + 1),
            "labels from 1 to 3",
        ),
        (
            lambda f: np.savez(
                f / "a.npz", images=COLOUR[:, :3, :3].repeat(1, 1), labels=LABELS
            ),
            "does not tell where the three channels are",
        ),
        (
            lambda f: (f / "a.npz").write_bytes(b"PK\x03\x04 cut"),
            "cannot be read as arrays of images",
        ),
        (
            lambda f: (f / "t10k-images-idx3-ubyte").write_bytes(idx(GREY)),
            "needs t10k-labels-idx1-ubyte beside it",
        ),
    ],
)
def test_arrays_that_cannot_be_used_are_a_sentence_and_run_nothing(
    write: Callable[[Path], object],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/small").mkdir(parents=True)
    write(tmp_path / "data/small")
    with pytest.raises(DatasetError, match=sentence):
        index_dataset(spec(), tmp_path / "data")
    assert not (tmp_path / "ran").exists()
