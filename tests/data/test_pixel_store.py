from __future__ import annotations

import io
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import repro
from repro.data import geometry as geometry_module
from repro.data import layout
from repro.data.dataset import Dataset, index_dataset
from repro.data.geometry import Pixels, planar_pixels
from repro.data.pixels import PixelStore, stream
from repro.errors import DatasetError
from repro.files import DamageWarning
from repro.published import Geometry, parse_geometry
from tests.stand_ins import dataset_spec, photograph_dataset

SUPERVISED = parse_geometry("rgb|resize(48,bilinear)|center_crop(40)")
CLIP = parse_geometry("rgb|resize(40,bicubic)|center_crop(40)")
BOTH = (SUPERVISED, CLIP)
BUILDING = Path(__file__).with_name("building.py")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three classes of 40 photographs in ten strata."""
    return photograph_dataset(tmp_path_factory.mktemp("data"), per_class=40)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """List the images that this process decodes from now on."""
    decode = geometry_module.decode
    paths: list[Path] = []

    def decode_and_note(path: Path, digest: str | None = None) -> Image.Image:
        paths.append(path)
        return decode(path, digest)

    monkeypatch.setattr(geometry_module, "decode", decode_and_note)
    return paths


def all_strata(dataset: Dataset) -> range:
    return range(len(dataset.strata))


def gather(dataset: Dataset, strata: Iterator[tuple[int, Pixels]]) -> Pixels:
    """Put pixels back into the order of the dataset; strata may come in any order."""
    found = dict(strata)
    assert set(found) == set(all_strata(dataset))
    size = next(iter(found.values())).shape[1:]
    pixels = np.zeros((len(dataset), *size), np.uint8)
    for stratum, part in found.items():
        pixels[dataset.strata[stratum]] = part
    return pixels


def stratum_of(dataset: Dataset, file: str) -> int:
    index = dataset.files.index(file)
    return next(s for s in all_strata(dataset) if index in dataset.strata[s])


def decode_directly(dataset: Dataset, geometry: Geometry) -> Pixels:
    pixels = np.zeros((len(dataset), 3, *geometry.output_size), np.uint8)
    for file, output in zip(dataset.files, pixels, strict=True):
        planar_pixels(dataset.root / file, [geometry], [output])
    return pixels


def parts_in(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.part"))


def start_building(
    dataset: Dataset, cache: Path, log: Path, geometries: Sequence[Geometry]
) -> subprocess.Popen[str]:
    here = [Path(repro.__file__).parents[1], BUILDING.parents[2]]
    return subprocess.Popen(
        [
            sys.executable,
            str(BUILDING),
            str(dataset.root.parent),
            str(cache),
            str(log),
            *map(str, geometries),
        ],
        env={"PYTHONPATH": ":".join(map(str, here))},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_stored_pixels_are_those_of_direct_decoding(
    photographs: Dataset, tmp_path: Path
) -> None:
    for geometry in BOTH:
        store = PixelStore(photographs, geometry, tmp_path, threads=2)
        pixels = gather(photographs, store.iterate(all_strata(photographs)))
        assert np.array_equal(pixels, decode_directly(photographs, geometry))


def test_streamed_pixels_are_those_of_the_store(
    photographs: Dataset, tmp_path: Path
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    strata = all_strata(photographs)
    stored = dict(store.iterate(strata))
    for number, pixels in stream(photographs, CLIP, strata, threads=2):
        assert np.array_equal(pixels, stored[number])


def test_a_stored_photograph_is_never_decoded_again(
    photographs: Dataset, decoded: list[Path], tmp_path: Path
) -> None:
    for _ in range(3):
        store = PixelStore(photographs, CLIP, tmp_path)
        gather(photographs, store.iterate(all_strata(photographs)))
    assert len(decoded) == len(set(decoded)) == len(photographs)


def test_both_geometries_come_from_one_decode(
    photographs: Dataset, decoded: list[Path], tmp_path: Path
) -> None:
    for geometry in BOTH:
        store = PixelStore(photographs, geometry, tmp_path, 2, others=BOTH)
        pixels = gather(photographs, store.iterate(all_strata(photographs)))
        assert np.array_equal(pixels, decode_directly(photographs, geometry))
    # Each direct decoding above counts too.
    assert set(Counter(decoded).values()) == {3}


def test_some_strata_decode_only_their_images(
    photographs: Dataset, decoded: list[Path], tmp_path: Path
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    assert [number for number, _ in store.iterate([3, 7])] == [3, 7]
    members = np.concatenate([photographs.strata[3], photographs.strata[7]])
    assert {str(path.relative_to(photographs.root)) for path in decoded} == {
        photographs.files[index] for index in members
    }


@pytest.mark.slow
def test_four_processes_build_both_stores_with_one_decode_of_each_photograph(
    photographs: Dataset, tmp_path: Path
) -> None:
    cache, log = tmp_path / "cache", tmp_path / "decoded"
    orders = (BOTH, BOTH[::-1], BOTH, BOTH[::-1])
    processes = [start_building(photographs, cache, log, order) for order in orders]
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
    counted = Counter(log.read_text().splitlines())
    assert len(counted) == len(photographs)
    assert set(counted.values()) == {1}
    for geometry in BOTH:
        store = PixelStore(photographs, geometry, cache)
        pixels = gather(photographs, store.iterate(all_strata(photographs)))
        assert np.array_equal(pixels, decode_directly(photographs, geometry))


@pytest.mark.slow
def test_a_build_that_is_killed_at_random_moments_goes_on_and_is_right(
    tmp_path: Path,
) -> None:
    dataset = photograph_dataset(
        tmp_path / "data", ("a", "b"), per_class=35, size=(400, 300)
    )
    cache, log = tmp_path / "cache", tmp_path / "decoded"
    moments = random.Random(0)
    for _ in range(4):
        process = start_building(dataset, cache, log, BOTH)
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None and (
            not log.exists() or log.stat().st_size == before
        ):
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # What is visible is whole, at every moment.
        for geometry in BOTH:
            store = PixelStore(dataset, geometry, cache)
            for stratum in filter(store.is_ready, all_strata(dataset)):
                pixels = store.read(stratum)
                assert len(pixels) == len(dataset.strata[stratum])
    for geometry in BOTH:
        store = PixelStore(dataset, geometry, cache, 2, others=BOTH)
        pixels = gather(dataset, store.iterate(all_strata(dataset)))
        assert np.array_equal(pixels, decode_directly(dataset, geometry))
    assert not parts_in(cache)


def test_what_a_killed_writer_left_is_removed(
    photographs: Dataset, tmp_path: Path
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    (folder,) = (file.parent for file in tmp_path.rglob("store.json"))
    (folder / "0002.npy.0123456789ab.part").write_bytes(b"half a stratum")
    (folder / "0002.npy").write_bytes(b"a stratum without a record")
    gather(photographs, store.iterate(all_strata(photographs)))
    assert not parts_in(tmp_path)


def test_no_half_file_is_visible_while_a_store_is_built(
    photographs: Dataset, tmp_path: Path
) -> None:
    building = PixelStore(photographs, CLIP, tmp_path)
    reading = PixelStore(photographs, CLIP, tmp_path)
    expected = decode_directly(photographs, CLIP)
    seen: set[int] = set()
    strata = building.iterate(all_strata(photographs))
    next(strata)
    while len(seen) < len(photographs.strata):
        for stratum in filter(reading.is_ready, all_strata(photographs)):
            members = photographs.strata[stratum]
            assert np.array_equal(reading.read(stratum), expected[members])
            seen.add(stratum)
    assert len(list(strata)) == len(photographs.strata) - 1


def test_an_unreadable_image_is_named_and_other_strata_are_usable(
    tmp_path: Path,
) -> None:
    photographs = photograph_dataset(tmp_path / "data", per_class=20)
    broken = photographs.root / photographs.files[7]
    broken.write_bytes(broken.read_bytes()[:200].ljust(broken.stat().st_size))
    dataset = index_dataset(
        dataset_spec(photographs.classes, 60), tmp_path / "data", part=True
    )
    bad = stratum_of(dataset, photographs.files[7])
    store = PixelStore(dataset, CLIP, tmp_path / "cache", 2)
    with pytest.raises(DatasetError, match=f"{broken} cannot be decoded"):
        list(store.iterate(all_strata(dataset)))
    others = [stratum for stratum in all_strata(dataset) if stratum != bad]
    for stratum, pixels in store.iterate(others):
        assert len(pixels) == len(dataset.strata[stratum])
    assert not store.is_ready(bad)


def test_an_unreadable_image_is_named_when_nothing_is_stored(tmp_path: Path) -> None:
    dataset = photograph_dataset(tmp_path, per_class=4)
    (dataset.root / dataset.files[3]).unlink()
    with pytest.raises(DatasetError, match=f"{dataset.files[3]} is missing"):
        list(stream(dataset, CLIP, all_strata(dataset), threads=2))


def damaged_npy(shape: tuple[int, ...], dtype: type) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(shape, dtype))
    return buffer.getvalue()


def flipped(content: bytes, place: int) -> bytes:
    """Turn the lowest bit of one byte."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "damage", "found"),
    [
        ("0005.npy", lambda _: b"", "cannot be read"),
        ("0005.npy", lambda _: b"no array", "cannot be read"),
        ("0005.npy", lambda content: content[:-1], "cannot be read"),
        ("0005.npy", lambda content: content[:64], "cannot be read"),
        (
            "0005.npy",
            lambda _: damaged_npy((11, 3, 40, 40), np.uint8),
            r"shape \(11, 3, 40, 40\); expected",
        ),
        (
            "0005.npy",
            lambda _: damaged_npy((12, 3, 40, 40), np.int8),
            "int8 pixels .* expected uint8",
        ),
        ("0005.npy", lambda content: flipped(content, -1), "has another checksum"),
        ("0005.npy", lambda content: flipped(content, 5000), "has another checksum"),
        ("0005.json", lambda _: b'{"shape": 3}', "cannot be read"),
        ("0005.json", lambda _: b'{"\xff": 3}', "cannot be read"),
        (
            "0005.json",
            lambda content: content.replace(b'xxh128":"', b'x":"'),
            "is of an earlier version",
        ),
    ],
)
def test_a_damaged_stratum_is_made_again_with_a_line_that_says_so(
    name: str,
    damage: Callable[[bytes], bytes],
    found: str,
    photographs: Dataset,
    tmp_path: Path,
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    ((_, before),) = list(store.iterate([5]))
    whole = before.copy()
    (file,) = tmp_path.rglob(name)
    # Another file, as one is that was damaged between two runs.
    content = damage(file.read_bytes())
    file.unlink()
    file.write_bytes(content)
    layout._SOUND.clear()
    with pytest.warns(DamageWarning, match=f"{found}.*it is made again") as warned:
        ((_, after),) = list(PixelStore(photographs, CLIP, tmp_path).iterate([5]))
    assert str(warned[0].message).count("made again") == 1
    assert np.array_equal(after, whole)
    ((_, again),) = list(PixelStore(photographs, CLIP, tmp_path).iterate([5]))
    assert np.array_equal(again, whole)


def test_a_stratum_that_has_lost_its_pixels_is_made_again(
    photographs: Dataset, tmp_path: Path
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    ((_, before),) = list(store.iterate([5]))
    (file,) = tmp_path.rglob("0005.npy")
    file.unlink()
    with pytest.warns(DamageWarning, match="cannot be read: .*No such file"):
        ((_, after),) = list(store.iterate([5]))
    assert np.array_equal(after, before)


def test_a_store_that_is_dropped_meanwhile_is_made_again(
    photographs: Dataset, tmp_path: Path
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    list(store.iterate(all_strata(photographs)))
    strata = store.iterate(all_strata(photographs))
    pixels = dict([next(strata)])
    for folder in {file.parent for file in tmp_path.rglob("*.npy")}:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    pixels |= dict(strata)
    expected = decode_directly(photographs, CLIP)
    assert np.array_equal(gather(photographs, iter(pixels.items())), expected)


def test_other_images_geometries_and_decoders_have_other_stores(
    photographs: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = photograph_dataset(tmp_path / "data", per_class=2)
    cache = tmp_path / "cache"
    PixelStore(photographs, CLIP, cache)
    PixelStore(photographs, SUPERVISED, cache)
    PixelStore(other, CLIP, cache)
    monkeypatch.setattr(layout, "decoder_identity", lambda geometry: "Pillow 1.0")
    PixelStore(photographs, CLIP, cache)
    assert len(list(cache.rglob("store.json"))) == 4


def threads_of_the_store() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("repro-")]


def test_an_abandoned_store_ends_its_threads(
    photographs: Dataset, tmp_path: Path
) -> None:
    strata = PixelStore(photographs, CLIP, tmp_path).iterate(all_strata(photographs))
    next(strata)
    strata.close()  # type: ignore[attr-defined]
    assert not threads_of_the_store()


def test_an_abandoned_stream_ends_its_threads(photographs: Dataset) -> None:
    strata = stream(photographs, CLIP, all_strata(photographs), threads=2)
    next(strata)
    assert threads_of_the_store()
    strata.close()  # type: ignore[attr-defined]
    assert not threads_of_the_store()


def test_one_stratum_is_decoded_ahead_in_memory_and_no_more(
    photographs: Dataset, decoded: list[Path]
) -> None:
    sizes = [len(members) for members in photographs.strata]
    found = stream(photographs, CLIP, all_strata(photographs))
    for number in range(3):
        next(found)
        wanted = sum(sizes[: number + 2])
        end = time.monotonic() + 20
        while len(decoded) < wanted and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(decoded) == wanted
    list(found)


@pytest.mark.slow
def test_an_abandoned_store_stops_within_a_stratum(tmp_path: Path) -> None:
    dataset = photograph_dataset(tmp_path / "data", ("a",), 150, size=(240, 240))
    store = PixelStore(dataset, CLIP, tmp_path / "cache")
    strata = store.iterate(all_strata(dataset))
    next(strata)
    strata.close()  # type: ignore[attr-defined]
    assert not all(map(store.is_ready, all_strata(dataset)))
    assert not parts_in(tmp_path)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let the system refuse to write files above 30 kB, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_disk_that_takes_no_more_is_an_error_that_says_what_to_do(
    photographs: Dataset, tmp_path: Path
) -> None:
    store = PixelStore(photographs, CLIP, tmp_path)
    with pytest.raises(DatasetError, match=r"File too large.*Free some disk.*--repro-"):
        list(store.iterate(all_strata(photographs)))
    assert not parts_in(tmp_path)
    assert not any(map(store.is_ready, all_strata(photographs)))


def test_a_finished_store_is_read_without_writing(
    photographs: Dataset, tmp_path: Path
) -> None:
    def listing() -> dict[str, int]:
        return {str(p): p.stat().st_ctime_ns for p in sorted(tmp_path.rglob("0*"))}

    list(PixelStore(photographs, CLIP, tmp_path).iterate(all_strata(photographs)))
    shutil.rmtree(tmp_path / "pixels/locks")
    before = listing()
    list(PixelStore(photographs, CLIP, tmp_path).iterate(all_strata(photographs)))
    assert listing() == before
    assert not (tmp_path / "pixels/locks").exists()


def test_a_cache_that_cannot_be_written_is_an_error_that_says_what_to_do(
    photographs: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cannot write decoded pixels.*--repro-cac"):
        PixelStore(photographs, CLIP, tmp_path / "file")
