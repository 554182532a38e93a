"""CIFAR, SVHN and STL-10 as they are downloaded, against torchvision."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
from PIL import Image
from torchvision import datasets

from repro.data import array_files
from repro.data.dataset import index_dataset
from repro.data.listing import read_image
from repro.data.readers import find_images
from repro.errors import DatasetError
from repro.importing.survey import survey_images
from repro.published import EMBEDDED, DatasetSpec, read_releases

WORDS = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "imp", "jay")
RANDOM = np.random.default_rng(0)
SMALL = RANDOM.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
LARGE = RANDOM.integers(0, 256, (10, 96, 96, 3), dtype=np.uint8)
LABELS = [(3 * number + 1) % 10 for number in range(20)]


def spec(folder: str, classes: tuple[str, ...], images: int = 20) -> DatasetSpec:
    (release,) = read_releases([EMBEDDED])
    return msgspec.structs.replace(
        release.datasets[release.default_dataset],
        folder=folder,
        classes=classes,
        images=images,
        files=None,
    )


def folder_in(place: Path, name: str) -> Path:
    (place / name).mkdir(parents=True)
    return place / name


def rows(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def as_python_2(entry: dict[str, Any]) -> bytes:
    """Pickle as Python 2 did, whose texts and bytes are one."""
    array: npt.NDArray[np.uint8] = entry["data"]
    head = b"\x80\x02}q\x00(U\x04datacnumpy.core.multiarray\n_reconstruct\n"
    head += b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    head += b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"\x86"
    head += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
    head += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    head += b"T" + struct.pack("<i", array.nbytes) + array.tobytes() + b"tb"
    labels = b"U\x06labels](" + b"".join(b"K" + bytes([n]) for n in entry["labels"])
    return head + labels + b"eu."


def cifar10(place: Path, write: Callable[[dict[str, Any]], bytes]) -> None:
    folder = folder_in(place, "cifar-10-batches-py")
    for name in ("test_batch", *(f"data_batch_{n}" for n in range(1, 6))):
        images = SMALL if name == "test_batch" else 255 - SMALL
        content = write({"data": rows(images), "labels": LABELS})
        (folder / name).write_bytes(content)
    meta = {"label_names": list(WORDS), "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, 2))


def cifar100(place: Path) -> None:
    folder = folder_in(place, "cifar-100-python")
    for name in ("test", "train"):
        images = SMALL if name == "test" else 255 - SMALL
        entry = {"data": rows(images), "fine_labels": LABELS, "coarse_labels": [0] * 20}
        (folder / name).write_bytes(pickle.dumps(entry, 2))
    meta = {"fine_label_names": list(WORDS), "coarse_label_names": ["all"]}
    (folder / "meta").write_bytes(pickle.dumps(meta, 2))


def svhn(place: Path, *, compressed: bool = True) -> None:
    folder = folder_in(place, "svhn")
    labels = np.array([[n or 10] for n in LABELS], dtype=np.uint8)
    content = {"X": SMALL.transpose(1, 2, 3, 0), "y": labels}
    for name in ("test", "train", "extra"):
        file = folder / f"{name}_32x32.mat"
        scipy.io.savemat(file, content, do_compression=compressed)


def stl10(place: Path) -> None:
    folder = folder_in(place, "stl10_binary")
    LARGE.transpose(0, 3, 2, 1).tofile(folder / "test_X.bin")
    np.array(LABELS[:10], dtype=np.uint8).__add__(1).tofile(folder / "test_y.bin")
    (255 - LARGE).tofile(folder / "unlabeled_X.bin")
    (folder / "class_names.txt").write_text("\n".join(WORDS))


class Trusting:
    """Takes files for what they are: torchvision knows the sums of the originals."""

    def _check_integrity(self) -> bool:
        return True


class Cifar10(datasets.CIFAR10):  # type: ignore[misc]
    meta: ClassVar = {**datasets.CIFAR10.meta, "md5": None}
    test_list: ClassVar = [["test_batch", None]]
    train_list: ClassVar[list[Any]] = []


class Cifar100(datasets.CIFAR100):  # type: ignore[misc]
    meta: ClassVar = {**datasets.CIFAR100.meta, "md5": None}
    test_list: ClassVar = [["test", None]]
    train_list: ClassVar[list[Any]] = []


class Svhn(Trusting, datasets.SVHN):  # type: ignore[misc]
    split_list: ClassVar = {"test": ["", "test_32x32.mat", None]}


class Stl10(Trusting, datasets.STL10):  # type: ignore[misc]
    pass


DIGITS = tuple(map(str, range(10)))
#: Folder, classes, how it is written, and what torchvision reads of it.
SETS: dict[str, tuple[str, tuple[str, ...], Any, Any]] = {
    "CIFAR-10": (
        "cifar-10-batches-py",
        WORDS,
        lambda place: cifar10(place, as_python_2),
        lambda place: Cifar10(place, train=False),
    ),
    "CIFAR-10, written again": (
        "cifar-10-batches-py",
        WORDS,
        lambda place: cifar10(place, lambda entry: pickle.dumps(entry, 5)),
        lambda place: Cifar10(place, train=False),
    ),
    "CIFAR-100": (
        "cifar-100-python",
        WORDS,
        cifar100,
        lambda place: Cifar100(place, train=False),
    ),
    "SVHN": ("svhn", DIGITS, svhn, lambda place: Svhn(place / "svhn", split="test")),
    "SVHN, not compressed": (
        "svhn",
        DIGITS,
        lambda place: svhn(place, compressed=False),
        lambda place: Svhn(place / "svhn", split="test"),
    ),
    "STL-10": (
        "stl10_binary",
        WORDS,
        stl10,
        lambda place: Stl10(place, split="test"),
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_images_and_labels_are_those_that_torchvision_reads(
    name: str, tmp_path: Path
) -> None:
    folder, classes, write, read = SETS[name]
    write(tmp_path)
    wanted = read(tmp_path)
    found = index_dataset(spec(folder, classes, len(wanted)), tmp_path)
    assert len(found) == len(wanted)
    for place, file, label in zip(
        found.places, found.files, found.labels.tolist(), strict=True
    ):
        number = int(file.partition("/")[2].partition(".")[0])
        image, class_ = wanted[number]
        assert label == class_, file
        opened = Image.open(io.BytesIO(read_image(place)))
        assert np.array_equal(np.asarray(opened), np.asarray(image)), file


@pytest.mark.parametrize("name", SETS)
def test_a_release_can_begin_from_them(name: str, tmp_path: Path) -> None:
    folder, classes, write, _ = SETS[name]
    write(tmp_path)
    found = survey_images(tmp_path / folder)
    assert found.classes == classes
    assert found.size in {(32, 32), (96, 96)}


def test_names_beside_labels_count_and_not_their_places(tmp_path: Path) -> None:
    cifar10(tmp_path, as_python_2)
    turned = index_dataset(spec("cifar-10-batches-py", WORDS[::-1]), tmp_path)
    for file, label in zip(turned.files, turned.labels.tolist(), strict=True):
        number = int(file.partition("/")[2].partition(".")[0])
        assert label == 9 - LABELS[number]


def test_names_that_are_no_classes_leave_the_order_open(tmp_path: Path) -> None:
    cifar10(tmp_path, as_python_2)
    others = tuple(f"kind {letter}" for letter in "abcdefghij")
    with pytest.raises(DatasetError, match=r"names labels 'ant' and so on, which are"):
        index_dataset(spec("cifar-10-batches-py", others), tmp_path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("ran", "w")


def batch(content: bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        (folder_in(place, "small") / "test_batch").write_bytes(content)

    return write


def mat(content: bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        (folder_in(place, "small") / "test_32x32.mat").write_bytes(content)

    return write


def saved(**variables: object) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(cast("Any", stream), variables, do_compression=True)
    return stream.getvalue()


def mat_bomb() -> bytes:
    """A variable that unpacks to 3 GB; scipy would do so."""
    packing = zlib.compressobj()
    packed = packing.compress(bytes(2**20)) + packing.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same bytes are packed the same way again.
    more = packing.compress(bytes(2**20)) + packing.flush(zlib.Z_FULL_FLUSH)
    packed += 3000 * more + packing.flush()
    return saved()[:128] + struct.pack("<II", 15, len(packed)) + packed


def mat_promise() -> bytes:
    """A variable whose head promises 4 GB that do not follow."""
    whole = saved(X=SMALL.transpose(1, 2, 3, 0), y=np.ones((20, 1)))
    size = struct.unpack("<I", whole[132:136])[0]
    inner = bytearray(zlib.decompress(whole[136 : 136 + size]))
    at = inner.index(struct.pack("<II", 2, SMALL.nbytes))
    inner[at : at + 8] = struct.pack("<II", 2, 2**32 - 8)
    packed = zlib.compress(bytes(inner))
    begin = whole[:128] + struct.pack("<II", 15, len(packed)) + packed
    return begin + whole[136 + size :]


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (batch(pickle.dumps({"data": Bomb(), "labels": LABELS})), "no array of uint8"),
        (batch(pickle.dumps(Bomb())), "its pickle is no dictionary"),
        (
            batch(pickle.dumps({"data": rows(SMALL), "labels": Bomb()})),
            "labels are no list of integers",
        ),
        (batch(pickle.dumps({"data": rows(SMALL)})), "has no 'labels'"),
        (batch(pickle.dumps({"data": SMALL / 2, "labels": LABELS})), "array of uint8"),
        (
            batch(
                as_python_2({"data": rows(SMALL), "labels": LABELS}).replace(
                    b"U\x02u1", b"]"
                )
            ),
            "no array of uint8",
        ),
        (
            batch(
                as_python_2({"data": rows(SMALL), "labels": LABELS}).replace(
                    b"_reconstruct", b"_other"
                )
            ),
            "no array of uint8",
        ),
        (
            batch(as_python_2({"data": rows(SMALL), "labels": LABELS})[:5000]),
            "cannot be read as arrays of images",
        ),
        (
            batch(b"\x80\x04}\x8e" + struct.pack("<Q", 3 * 2**30) + b"x."),
            "cannot be read as arrays of images",
        ),
        (mat(mat_promise()), "cannot be read as arrays of images"),
        (mat(saved(X=np.array([[Bomb, 1]], dtype=object)[:, 1:], y=1)), "kind cell"),
        (mat(saved(X=SMALL, y=np.ones((20, 1)))[:900]), "cannot be read as arrays"),
        (mat(b"\x89HDF" + bytes(200)), "another version of MATLAB; save it with -v7"),
    ],
)
def test_what_is_spoilt_is_a_sentence_and_runs_nothing(
    write: Callable[[Path], None],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data")
    with pytest.raises(DatasetError, match=sentence) as caught:
        index_dataset(spec("small", WORDS), tmp_path / "data")
    assert len(str(caught.value)) <= 500
    assert not (tmp_path / "ran").exists()


def test_what_fills_the_memory_is_unpacked_as_far_as_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with the usual limit, which takes ten seconds to reach.
    monkeypatch.setattr(array_files, "LARGEST", 2**25)
    mat(mat_bomb())(tmp_path)
    with pytest.raises(DatasetError, match="would unpack to more than 33,554,432"):
        index_dataset(spec("small", DIGITS), tmp_path)


@pytest.mark.parametrize("lacking", [1, 96, 3 * 96, 96 * 96, 2 * 96 * 96])
def test_a_folder_of_stl_10_that_is_cut_off_is_a_sentence(
    lacking: int, tmp_path: Path
) -> None:
    stl10(tmp_path)
    images = tmp_path / "stl10_binary/test_X.bin"
    images.write_bytes(images.read_bytes()[:-lacking])
    with pytest.raises(DatasetError, match="no images of 96 x 96 x 3"):
        index_dataset(spec("stl10_binary", WORDS, 10), tmp_path)


def test_pickles_of_other_things_are_no_dataset(tmp_path: Path) -> None:
    (folder_in(tmp_path, "small") / "notes").write_bytes(pickle.dumps([1]))
    found = find_images(spec("small", WORDS), tmp_path)
    assert found is None or found.reader != "labelled-arrays"


def test_ten_stands_for_zero_only_where_labels_count_from_one_to_it(
    tmp_path: Path,
) -> None:
    for labels, wanted in (
        ([1, 10, 2], [1, 0, 2]),
        ([0, 10, 1], [0, 10, 1]),
        ([1, 11, 2], [1, 11, 2]),
        ([1, 9, 2], [1, 9, 2]),
    ):
        images = SMALL[:3].transpose(1, 2, 3, 0)
        content = saved(X=images, y=np.array(labels, dtype=np.uint8)[:, None])
        file = tmp_path / "test_32x32.mat"
        file.write_bytes(content)
        (found,) = array_files.sets_in(file)
        assert array_files.read_array(found.labels).ravel().tolist() == wanted
        assert np.array_equal(array_files.read_array(found.images), SMALL[:3])
        assert bool(found.note) == (wanted != labels)
    file.write_bytes(saved(X=images, z=np.ones((3, 1))))
    assert array_files.sets_in(file) == []


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickled_arrays_are_read_in_the_order_of_their_bytes(
    order: Any, protocol: int, tmp_path: Path
) -> None:
    array = np.asarray(rows(SMALL), order=order)
    file = tmp_path / "test_batch"
    file.write_bytes(pickle.dumps({"data": array, "labels": LABELS}, protocol))
    (found,) = array_files.sets_in(file)
    assert (found.name, found.names) == ("test", None)
    assert np.array_equal(array_files.read_array(found.images), SMALL)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"data": rows(SMALL)[:, :-1], "labels": LABELS},
            r"shape \[20, 3071\], not \[",
        ),
        ({"data": rows(SMALL)[None], "labels": LABELS}, r"of shape \[1, 20, 3072\]"),
        ({"data": rows(SMALL)[0], "labels": LABELS}, r"of shape \[3072\], not"),
        ({"data": rows(SMALL).astype(np.int8), "labels": LABELS}, "no array of uint8"),
        ({"data": rows(SMALL).tolist(), "labels": LABELS}, "no array of uint8"),
        ({"labels": LABELS}, "its dictionary has no 'data'"),
        ({"data": rows(SMALL), "labels": tuple(LABELS)}, "no list of integers"),
        ({"data": rows(SMALL), "labels": [*LABELS[:-1], True]}, "no list of integers"),
        ({"data": rows(SMALL), "labels": [*LABELS[:-1], 1.0]}, "no list of integers"),
        ({"data": rows(SMALL), "other": LABELS}, "its dictionary has no 'labels'"),
    ],
)
def test_a_batch_that_is_otherwise_is_refused(
    entry: dict[str, Any], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "test_batch"
    file.write_bytes(pickle.dumps(entry, 2))
    (found,) = array_files.sets_in(file)
    with pytest.raises(DatasetError, match=said):
        list(map(array_files.read_array, (found.images, found.labels)))


def test_images_of_another_size_are_square(tmp_path: Path) -> None:
    file = tmp_path / "test"
    entry = {"data": rows(SMALL[:, :5, :5]), "fine_labels": LABELS}
    file.write_bytes(pickle.dumps(entry, 2))
    (found,) = array_files.sets_in(file)
    assert np.array_equal(array_files.read_array(found.images), SMALL[:, :5, :5])
    assert array_files.read_array(found.labels).tolist() == LABELS


@pytest.mark.parametrize(
    ("name", "set_"),
    [
        ("test_batch", "test"),
        ("data_batch_3", "train"),
        ("train", "train"),
        ("val", "val"),
        ("test_32x32.mat", "test"),
        ("Extra.mat", "extra"),
        ("test_X.bin", "test"),
        ("train_X.bin", "train"),
        ("t10k-images-idx3-ubyte", "t10k"),
        ("emnist-test-images-idx3-ubyte.gz", "emnist-test"),
        ("images.idx3-ubyte", ""),
        ("unlabeled_X.bin", None),
        ("test_batches", None),
        ("test_x.bin", None),
    ],
)
def test_a_set_is_called_as_its_file_is(
    name: str, set_: str | None, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x80")
    if name.endswith(".mat"):
        file.write_bytes(saved(X=SMALL, y=np.ones((20, 1))))
    labels = name.replace("images", "labels").replace("idx3", "idx1")
    (tmp_path / labels.removesuffix(".gz")).touch()
    (tmp_path / name.replace("X", "y")).touch()
    assert [one.name for one in array_files.sets_in(file)] == (
        [] if set_ is None else [set_]
    )


def test_an_array_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, x=SMALL, y=LABELS)
    place = array_files.ArrayPlace(file, "z")
    with pytest.raises(DatasetError, match="cannot be read as arrays of images"):
        array_files.read_array(place)


def test_what_begins_otherwise_or_is_a_folder_holds_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "test").write_bytes(b"text")
    (tmp_path / "a.npz").mkdir()
    for name in ("test", "a.npz", "nowhere.npz"):
        assert not array_files.has_arrays(tmp_path / name)
        assert array_files.sets_in(tmp_path / name) == []


@pytest.mark.parametrize(
    ("images", "labels", "set_"),
    [
        ("x_test", "y_test", "test"),
        ("X_val", "y_val", "val"),
        ("validation_images", "validation_labels", "validation"),
        ("train_data", "train_labels", "train"),
        ("images", "labels", ""),
        ("data", "labels", ""),
        ("x", "y", ""),
        ("X", "y", ""),
        ("x_test", "labels", None),
        ("images", "y", None),
    ],
)
def test_arrays_of_numpy_are_a_set_by_their_names(
    images: str, labels: str, set_: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "a.npz"
    content: dict[str, Any] = {images: SMALL, labels: LABELS}
    np.savez(file, **content)
    found = array_files.sets_in(file)
    assert [one.name for one in found] == ([] if set_ is None else [set_])
    for one in found:
        assert (str(one.images), str(one.labels)) == (
            f"{file}:{images}",
            f"{file}:{labels}",
        )
