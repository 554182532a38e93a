"""A stratum on disk is what was written, or it is said what is wrong with it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from repro.data.geometry import Pixels
from repro.data.layout import DESCRIPTION, StoreFolder, StoreIdentity
from repro.errors import DatasetError
from repro.files import DamageWarning

IDENTITY = StoreIdentity(
    dataset="val",
    fingerprint="f",
    partition="p",
    geometry="g",
    decoder="d",
    layout=3,
)
PIXELS = np.arange(5 * 3 * 4 * 2, dtype=np.uint8).reshape(5, 3, 4, 2)
DIGESTS = [hashlib.md5(bytes([n])).hexdigest() for n in range(5)]
FILE = "0007.npy"


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    store = StoreFolder(tmp_path / "pixels" / IDENTITY.key, IDENTITY)
    with store.writing(7, PIXELS.shape, DIGESTS) as append:
        append(PIXELS[:2])
        append(PIXELS[2:])
    return store


def test_what_was_written_is_read(folder: StoreFolder) -> None:
    assert folder.is_ready(7)
    assert not folder.is_ready(0)
    for read in (folder.read, folder.read_sound):
        pixels = read(7)
        assert pixels is not None
        assert np.array_equal(pixels, PIXELS)
    assert folder.fault(7) == ""
    assert folder.record(7).digests == b"".join(map(bytes.fromhex, DIGESTS))
    assert np.array_equal(np.load(folder.path / FILE), PIXELS)


def test_a_stratum_that_is_not_there_has_neither_pixels_nor_a_fault(
    folder: StoreFolder,
) -> None:
    assert folder.read(0) is None
    assert folder.read_sound(0) is None
    assert folder.compared(0) == (None, "")


def test_a_store_is_known_by_what_its_pixels_depend_on(folder: StoreFolder) -> None:
    written = (folder.path / DESCRIPTION).read_bytes()
    assert msgspec.json.decode(written, type=StoreIdentity) == IDENTITY
    other = msgspec.structs.replace(IDENTITY, dataset="another name")
    assert other.key == IDENTITY.key
    for field in ("fingerprint", "partition", "geometry", "decoder"):
        other = msgspec.structs.replace(IDENTITY, **{field: "x"})
        assert other.key != IDENTITY.key
        is_of_images = field in ("fingerprint", "partition")
        assert (other.photographs != IDENTITY.photographs) == is_of_images
    assert msgspec.structs.replace(IDENTITY, layout=4).key != IDENTITY.key


def replaced(array: npt.NDArray[np.generic]) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / FILE, array)


def changed(folder: Path) -> None:
    content = bytearray((folder / FILE).read_bytes())
    content[-1] ^= 1
    (folder / FILE).write_bytes(content)


def with_sum(digest: str) -> Callable[[Path], object]:
    record = {"shape": PIXELS.shape, "xxh128": digest}
    return lambda folder: (folder / "0007.json").write_bytes(
        msgspec.json.encode(record)
    )


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (changed, "has another checksum than when it was written"),
    "a smaller sum": (with_sum("0" * 32), "has another checksum than when it was"),
    "a larger sum": (with_sum("f" * 32), "has another checksum than when it was"),
    "smaller levels": (replaced(PIXELS.astype(bool)), "holds bool pixels of shape"),
    "larger levels": (replaced(PIXELS.astype(np.int16)), "holds int16 pixels"),
    "fewer images": (replaced(PIXELS[:4]), r"shape \(4, 3, 4, 2\); expected uint8 of"),
    "more images": (replaced(PIXELS.repeat(2, 0)), r"pixels of shape \(10, 3, 4, 2\)"),
    "another shape": (
        replaced(PIXELS.reshape(5, 3, 2, 4)),
        r"expected .*\(5, 3, 4, 2\)",
    ),
    "no pixels": (lambda folder: (folder / FILE).unlink(), "cannot be read"),
    "no array": (lambda folder: (folder / FILE).write_bytes(b"x"), "cannot be read"),
    "no record": (
        lambda folder: (folder / "0007.json").write_bytes(b"x"),
        "cannot be read|JSON",
    ),
    "an old record": (
        lambda folder: (folder / "0007.json").write_text('{"shape": [5, 3, 4, 2]}'),
        "is of an earlier version",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_said_and_removed_to_be_made_again(
    name: str, folder: StoreFolder
) -> None:
    damage, said = DAMAGES[name]
    damage(folder.path)
    pixels, fault = folder.compared(7)
    assert pixels is None
    assert folder.fault(7) == fault
    with pytest.warns(DamageWarning, match=said):
        assert folder.read_sound(7) is None
    assert sorted(file.name for file in folder.path.iterdir()) == [DESCRIPTION]
    assert folder.read(7) is None


def test_what_cannot_be_mapped_is_an_error_with_what_to_do(folder: StoreFolder) -> None:
    remedy = f"Delete the folder {folder.path}; it is made again from the images"
    for array in (PIXELS[:4], PIXELS.astype(bool)):
        replaced(array)(folder.path)
        with pytest.raises(DatasetError) as caught:
            folder.read(7)
        assert str(caught.value).endswith(remedy)
    (folder.path / FILE).unlink()
    with pytest.raises(DatasetError, match=r"cannot be read: .*Delete the folder"):
        folder.read(7)


def test_parts_of_the_dead_go_when_their_stratum_is_written(
    folder: StoreFolder,
) -> None:
    for name in ("0007.npy.a.part", "0008.npy.a.part"):
        (folder.path / name).touch()
    shape = PIXELS.shape
    with contextlib.suppress(KeyError), folder.writing(7, shape, DIGESTS) as append:
        append(PIXELS)
        raise KeyError
    left = sorted(file.name for file in folder.path.iterdir())
    assert left == ["0007.json", FILE, "0008.npy.a.part", DESCRIPTION]
    assert np.array_equal(np.load(folder.path / FILE), PIXELS)


def test_one_at_a_time_decodes_a_stratum_of_any_geometry(folder: StoreFolder) -> None:
    other = msgspec.structs.replace(IDENTITY, geometry="another")
    beside = StoreFolder(folder.path.parent / other.key, other)
    with folder.try_lock(7) as first:
        assert first
        with beside.try_lock(7) as second, beside.try_lock(8) as third:
            assert (second, third) == (False, True)
    with beside.try_lock(7) as again:
        assert again


def stack(pixels: Pixels) -> Pixels:
    return np.concatenate([pixels, pixels])


def test_a_stratum_that_is_made_again_is_compared_again(folder: StoreFolder) -> None:
    assert folder.read_sound(7) is not None
    more = stack(PIXELS)
    with folder.writing(7, more.shape, DIGESTS * 2) as append:
        append(more)
    found = folder.read_sound(7)
    assert found is not None
    assert np.array_equal(found, more)
    changed(folder.path)
    (folder.path / FILE).replace(folder.path / "x")
    (folder.path / "x").replace(folder.path / FILE)
    with pytest.warns(DamageWarning, match="has another checksum"):
        assert folder.read_sound(7) is None
