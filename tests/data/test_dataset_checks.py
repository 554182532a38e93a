"""Each way in which a copy of a dataset can be wrong is named exactly."""

from __future__ import annotations

import io
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from scipy.io import savemat

from repro.cli import cli
from repro.data.dataset import Dataset, index_dataset, index_part
from repro.data.geometry import decode
from repro.data.trusted_copy import read_record
from repro.errors import DatasetError, ReproError
from repro.published import DatasetSpec, read_releases

# In the order of the devkit's ids, which is not the sorted one.
DEVKIT_ORDER = ("n02119789", "n01440764", "n02100735", "n01443537")
CLASSES = tuple(sorted(DEVKIT_ORDER))
PER_CLASS = 3

RELEASE = """
[release]
id = "tiny"
title = "A tiny release"
[source.paper]
title = "The paper"
url = "https://example.org/paper"
[protocol.plain]
geometry = "rgb|resize(16,bilinear)|center_crop(16)"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
source = "paper"
[model.vit]
loader = "timm"
architecture = "vit_base_patch16_224"
[family.real]
model = "vit"
training_data = "photographs"
protocols = ["plain"]
datasets = ["val"]
"""
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


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a healthy copy in class folders."""
    write(tmp_path / "data" / "val", validation())
    return tmp_path / "data"


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release with all the sets."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    tables = [
        f'[dataset.{name}]\ntitle = "{title}"\nfolder = "{folder}"\n'
        f"classes = {list(classes)}\nimages = {images}\n"
        for name, (title, folder, classes, images) in SETS.items()
    ]
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "release.toml").write_text(RELEASE + "".join(tables))
    return folder


def check(release: Path, path: Path, *options: str) -> Result:
    arguments = ["dataset", "check", str(path), "--expected", str(release), *options]
    return CliRunner().invoke(cli, arguments)


def fault(data: Path, name: str = "val", **changes: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        index_dataset(spec(name, **changes), data, known())
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Layouts ---------------------------------------------------------------------------


def test_a_flat_folder_is_labelled_by_the_devkit_without_moving_a_file(
    data: Path, tmp_path: Path
) -> None:
    flat = {Path(name).name: content for name, content in validation().items()}
    write(tmp_path / "flat" / "val", flat)
    write_devkit(tmp_path / "flat")
    before = sorted((tmp_path / "flat" / "val").iterdir())
    sorted_copy = index_dataset(spec(), data)
    dataset = index_dataset(spec(), tmp_path / "flat")
    assert dataset.files == sorted_copy.files
    assert dataset.labels.tolist() == sorted_copy.labels.tolist()
    assert dataset.fingerprint == sorted_copy.fingerprint
    assert pixels_of(dataset) == pixels_of(sorted_copy)
    assert sorted((tmp_path / "flat" / "val").iterdir()) == before


@pytest.mark.parametrize("where", ["data", "data/val", "the tar itself"])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
def test_the_official_tar_is_read_in_place(
    data: Path, tmp_path: Path, where: str, packed: bool
) -> None:
    folder = tmp_path / "downloaded"
    inside = folder / "val" if where == "data/val" else folder
    tar = write_tar(inside / "ILSVRC2012_img_val.tar", validation())
    write_devkit(folder, packed=packed)
    place = tar if where == "the tar itself" else folder
    dataset = index_dataset(spec(), place)
    sorted_copy = index_dataset(spec(), data)
    assert dataset.files == sorted_copy.files
    assert dataset.labels.tolist() == sorted_copy.labels.tolist()
    assert dataset.fingerprint == sorted_copy.fingerprint
    assert pixels_of(dataset) == pixels_of(sorted_copy)
    assert list(folder.rglob("*.JPEG")) == []


@pytest.mark.parametrize("place", ["", "val"])
def test_a_tar_that_was_left_beside_its_sorted_images_is_not_read(
    data: Path, place: str
) -> None:
    """The usual way to sort them unpacks and sorts in the folder of the tar."""
    healthy = index_dataset(spec(), data)
    (data / "val/ILSVRC2012_img_val.tar").write_bytes(b"no devkit is here, nor needed")
    assert index_dataset(spec(), data / place).fingerprint == healthy.fingerprint


def test_a_folder_with_most_classes_can_be_named_itself(data: Path) -> None:
    shutil.rmtree(data / "val/n01440764")
    assert "of its 4 class folders 1 is missing (n01440764). Restore" in fault(
        data / "val"
    )


def test_a_ground_truth_without_the_ids_of_the_classes_is_not_enough(
    tmp_path: Path,
) -> None:
    write(tmp_path / "val", {"ILSVRC2012_val_00000001.JPEG": photograph(1)})
    truth = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("1\n")
    message = fault(tmp_path)
    assert f"{truth} alone does not say which class a number is" in message


@pytest.mark.parametrize("layout", ["flat", "tar"])
def test_without_a_devkit_it_says_which_file_to_put_where(
    tmp_path: Path, layout: str
) -> None:
    if layout == "flat":
        write(tmp_path / "val", {"ILSVRC2012_val_00000001.JPEG": photograph(1)})
    else:
        write_tar(tmp_path / "ILSVRC2012_img_val.tar", validation())
    message = fault(tmp_path)
    assert "their labels are not known" in message
    assert f"Put ILSVRC2012_devkit_t12.tar.gz (from image-net.org) into {tmp_path}" in (
        message
    )


def test_a_tar_that_is_cut_off_is_named(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "ILSVRC2012_img_val.tar", validation())
    content = tar.read_bytes()
    last = content.rindex(b"\xff\xd9")
    tar.write_bytes(content[: last - 100])
    write_devkit(tmp_path)
    assert f"{tar} ({last - 100:,} bytes) is cut off or no plain tar" in fault(tmp_path)


def test_a_tar_that_is_cut_off_between_two_images_is_named(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "ILSVRC2012_img_val.tar", validation())
    with tarfile.open(tar) as archive:
        last = archive.getmembers()[-1].offset
    tar.write_bytes(tar.read_bytes()[:last])
    write_devkit(tmp_path)
    assert f"{tar} ({last:,} bytes) is cut off or no plain tar" in fault(tmp_path)


def test_a_file_that_is_no_tar_is_not_asked_for_labels(
    tmp_path: Path, release: Path
) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    result = check(release, tmp_path / "notes.txt", "--dataset", "val")
    assert "notes.txt (5 bytes) is cut off or no plain tar" in str(result.exception)


@pytest.mark.parametrize("options", [(), ("--dataset", "val")])
def test_a_path_that_does_not_exist_is_said_so(
    tmp_path: Path, release: Path, options: tuple[str, ...]
) -> None:
    result = check(release, tmp_path / "nowhere", *options)
    assert isinstance(result.exception, ReproError)
    assert str(result.exception).startswith(f"{tmp_path}/nowhere does not exist")


def test_a_compressed_tar_is_no_plain_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "ILSVRC2012_img_val.tar", "w:gz"):
        pass
    write_devkit(tmp_path)
    assert "it must not be compressed" in fault(tmp_path)


def test_a_damaged_devkit_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "ILSVRC2012_img_val.tar", validation())
    write_devkit(tmp_path, packed=False)
    (meta,) = tmp_path.rglob("meta.mat")
    meta.write_bytes(meta.read_bytes()[:200])
    assert "is damaged or not the devkit of ILSVRC 2012" in fault(tmp_path)


def test_a_devkit_of_other_images_is_named(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "ILSVRC2012_img_val.tar",
        {**validation(), "x/ILSVRC2012_val_00000013.JPEG": photograph(13)},
    )
    write_devkit(tmp_path)
    assert "has labels of images 1 to 12, but there is an image" in fault(tmp_path)


def test_a_damaged_image_in_a_tar_is_named(tmp_path: Path) -> None:
    images = validation()
    name = "n01440764/ILSVRC2012_val_00000002.JPEG"
    images[name] = images[name][:200]
    tar = write_tar(tmp_path / "ILSVRC2012_img_val.tar", images)
    write_devkit(tmp_path)
    dataset = index_dataset(spec(), tmp_path)
    with pytest.raises(DatasetError, match="cannot be decoded") as caught:
        decode(dataset.place(dataset.files.index(name)))
    assert str(caught.value).startswith(f"{tar}:ILSVRC2012_val_00000002.JPEG ")


def test_the_folder_of_the_classes_itself_can_be_named(data: Path) -> None:
    direct = index_dataset(spec(), data / "val")
    assert direct.fingerprint == index_dataset(spec(), data).fingerprint


def test_a_part_of_a_tar_is_indexed_with_the_labels_of_the_whole(
    tmp_path: Path,
) -> None:
    name = "n02100735/ILSVRC2012_val_00000003.JPEG"
    images = {name: validation()[name]}
    write_tar(tmp_path / "ILSVRC2012_img_val.tar", images)
    write_devkit(tmp_path)
    dataset = index_part(spec(), tmp_path)
    assert dataset.files == (name,)
    assert dataset.labels.tolist() == [CLASSES.index("n02100735")]


# Damage ----------------------------------------------------------------------------


def first(data: Path) -> Path:
    return data / "val/n01440764/ILSVRC2012_val_00000002.JPEG"


def empty(data: Path) -> None:
    first(data).write_bytes(b"")


def remove(data: Path) -> None:
    first(data).unlink()


def copy_beside(data: Path) -> None:
    shutil.copy(first(data), first(data).with_name("copy.JPEG"))


def copy_elsewhere(data: Path) -> None:
    shutil.copy(first(data), data / "val/n02119789")


def move_elsewhere(data: Path) -> None:
    first(data).rename(data / "val/n02119789" / first(data).name)


def take_training(data: Path) -> None:
    for folder in (data / "val").iterdir():
        for number, file in enumerate(sorted(folder.iterdir())):
            file.rename(folder / f"{folder.name}_{number}.JPEG")


def take_sketch(data: Path) -> None:
    for number, file in enumerate(sorted((data / "val").rglob("*.JPEG"))):
        file.rename(file.with_name(f"sketch_{number}.JPEG"))


def leave_hidden(data: Path) -> None:
    (first(data).parent / f"._{first(data).name}").write_bytes(b"x")


def leave_beside(data: Path) -> None:
    shutil.copy(first(data), data / "val")


def add_folder(data: Path) -> None:
    (data / "val" / ".cache").mkdir()


def remove_class(data: Path) -> None:
    shutil.rmtree(data / "val/n01440764")


def number_classes(data: Path) -> None:
    for number, name in enumerate(CLASSES):
        (data / "val" / name).rename(data / "val" / str(number))


def name_classes(data: Path) -> None:
    for name in CLASSES:
        (data / "val" / name).rename(data / "val" / f"class {name[-2:]}")


def keep_two_classes(data: Path) -> None:
    for name in CLASSES[2:]:
        shutil.rmtree(data / "val" / name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (empty, "1 image is empty (n01440764/ILSVRC2012_val_00000002.JPEG)"),
        (
            remove,
            "it holds 11 images; Tiny ImageNet validation has 12. Class n0144",
        ),
        (copy_beside, "Class n01440764 has 4 instead of 3"),
        (
            copy_elsewhere,
            "1 image stands in two classes (ILSVRC2012_val_00000002.JPEG)",
        ),
        (
            take_training,
            "12 images are of ImageNet's training set (n01440764/n01440",
        ),
        (take_sketch, "12 images are of ImageNet-Sketch (n01440764/sketch_0.JPEG, "),
        (leave_hidden, "1 hidden file (n01440764/._ILSVRC2012_val_00000002.JPEG)"),
        (
            leave_beside,
            "1 image lies beside the class folders (ILSVRC2012_val_00000002.JPEG)",
        ),
        (add_folder, "1 is no class of it (.cache). Move that folder away"),
        (remove_class, "of its 4 class folders 1 is missing (n01440764)"),
        (number_classes, "as text, 10 would come before 2"),
        (name_classes, "not named by WordNet ids such as n01440764"),
        (keep_two_classes, "These are the classes of Tiny ImageNet-A"),
    ],
)
def test_each_damage_is_named_at_the_start_of_a_run_and_by_the_command(
    data: Path, release: Path, damage: Callable[[Path], None], message: str
) -> None:
    index_dataset(spec(), data, known())
    damage(data)
    assert message in fault(data)
    result = check(release, data, "--dataset", "val")
    assert result.exit_code == 1
    assert message in result.stderr


def test_fifty_images_of_each_class_are_expected_of_imagenets_validation_set(
    tmp_path: Path,
) -> None:
    names = [f"{name}/{number}.JPEG" for name in CLASSES for number in range(50)]
    write(tmp_path / "val", dict.fromkeys(names, b"x"))
    assert len(index_dataset(spec(images=200), tmp_path)) == 200
    moved = tmp_path / "val" / names[0]
    moved.rename(tmp_path / "val" / CLASSES[1] / "moved.JPEG")
    message = fault(tmp_path, images=200)
    assert "Class n01440764 has 49 instead of 50, and 1 more class differs" in message


def test_classes_of_equal_size_are_not_expected_of_every_set(data: Path) -> None:
    move_elsewhere(data)
    assert len(index_dataset(spec(), data)) == 12


def test_an_image_in_another_class_than_the_devkit_says_is_named(
    data: Path, release: Path
) -> None:
    write_devkit(data)
    assert check(release, data).exit_code == 0
    move_elsewhere(data)
    result = check(release, data)
    assert result.exit_code == 1
    assert (
        "1 image lies (n02119789/ILSVRC2012_val_00000002.JPEG) in another class than"
    ) in result.stderr


def test_a_list_of_classes_in_another_order_is_named(data: Path) -> None:
    message = fault(data, classes=tuple(reversed(CLASSES)))
    assert "the list of classes of 'val' is not sorted by WordNet id" in message


def test_numbers_in_the_order_of_text_are_named(tmp_path: Path) -> None:
    classes = tuple(sorted(SETS["v2"][2]))
    write(tmp_path / "v2", {f"{c}/{n}.jpeg": b"x" for c in classes for n in (1, 2)})
    assert len(index_dataset(spec("v2"), tmp_path)) == 24
    message = fault(tmp_path, "v2", classes=classes)
    assert "sorts numbers as text (10 before 2)" in message


@pytest.mark.parametrize("cut", [0.9, 0.3])
def test_a_truncated_image_is_found_by_reading_bytes(
    data: Path, release: Path, cut: float
) -> None:
    content = first(data).read_bytes()
    first(data).write_bytes(content[: int(len(content) * cut)])
    assert check(release, data).exit_code == 0
    result = check(release, data, "--bytes")
    assert result.exit_code == 1
    named = "1 image cannot be decoded (n01440764/ILSVRC2012_val_00000002.JPEG: "
    assert named in result.stderr


def test_an_image_in_place_of_another_is_remarked_by_reading_bytes(
    data: Path, release: Path
) -> None:
    others = data / "val/n02119789/ILSVRC2012_val_00000001.JPEG"
    shutil.copy(first(data), others)
    result = check(release, data, "--bytes")
    assert (
        "1 image occurs more than once (n01440764/ILSVRC2012_val_00000002.JPEG = n0211"
        in (result.stdout)
    )


# Records ---------------------------------------------------------------------------


def test_a_recorded_copy_is_trusted_and_every_other_is_named(
    data: Path, release: Path
) -> None:
    recorded = check(release, data, "--record")
    assert recorded.exit_code == 0
    assert "this copy is trusted from now on" in recorded.stdout
    assert "it is the copy recorded in" in check(release, data).stdout

    first(data).write_bytes(first(data).read_bytes() + b"x")
    remove_and_add = data / "val/n02119789/ILSVRC2012_val_00000001.JPEG"
    remove_and_add.rename(remove_and_add.with_name("ILSVRC2012_val_00000099.JPEG"))
    (tiny,) = read_releases([release])
    record = read_record(tiny, spec())
    with pytest.raises(DatasetError) as caught:
        index_dataset(spec(), data, known(), record)
    assert "is not the copy recorded in" in str(caught.value)
    assert (
        "1 file has other bytes (n01440764/ILSVRC2012_val_00000002.JPEG), "
        "1 file is missing (n02119789/ILSVRC2012_val_00000001.JPEG), "
        "1 file is new (n02119789/ILSVRC2012_val_00000099.JPEG)"
    ) in str(caught.value)


def test_other_bytes_of_the_same_number_are_found_by_reading_them(
    data: Path, release: Path
) -> None:
    check(release, data, "--record")
    content = bytearray(first(data).read_bytes())
    content[-3] ^= 1
    first(data).write_bytes(content)
    assert check(release, data).exit_code == 0
    result = check(release, data, "--bytes")
    assert result.exit_code == 1
    assert "1 file has other bytes (n01440764/ILSVRC2012_val_000000" in result.stderr


def test_a_damaged_copy_is_not_recorded(data: Path, release: Path) -> None:
    first(data).write_bytes(first(data).read_bytes()[:100])
    assert check(release, data, "--record").exit_code == 1
    (tiny,) = read_releases([release])
    assert read_record(tiny, spec()) is None


def test_a_record_that_is_none_is_an_error(data: Path, release: Path) -> None:
    (release / "records").mkdir()
    (release / "records" / "val.txt").write_text("colour\n")
    (tiny,) = read_releases([release])
    with pytest.raises(DatasetError, match="is no record of a dataset"):
        read_record(tiny, spec())


# Recognition -----------------------------------------------------------------------


def as_v2(root: Path) -> Path:
    names = [f"{c}/{n}{c}.jpeg" for c in SETS["v2"][2] for n in range(2)]
    return write(root, {name: photograph(1) for name in names})


def as_sketch(root: Path) -> Path:
    names = [f"{CLASSES[n % 4]}/sketch_{n}.JPEG" for n in range(13)]
    return write(root, {name: photograph(n) for n, name in enumerate(names)})


def as_a(root: Path) -> Path:
    names = [f"{CLASSES[n % 2]}/0.1_fox_{n}.jpg" for n in range(5)]
    return write(root, {name: photograph(n) for n, name in enumerate(names)})


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (as_v2, "Tiny ImageNet-V2, in class folders"),
        (as_sketch, "Tiny ImageNet-Sketch, in class folders"),
        (as_a, "Tiny ImageNet-A, in class folders"),
        (lambda root: write(root, validation()), "Tiny ImageNet validation, in class"),
    ],
)
def test_a_set_is_recognised_by_its_layout_under_any_name(
    tmp_path: Path, release: Path, make: Callable[[Path], Path], title: str
) -> None:
    result = check(release, make(tmp_path / "unnamed"))
    assert title in result.stdout
    assert result.exit_code == 0, result.stderr


def test_a_folder_of_sets_is_checked_set_by_set(tmp_path: Path, release: Path) -> None:
    write(tmp_path / "all" / "val", validation())
    as_v2(tmp_path / "all" / "v2")
    (as_a(tmp_path / "all" / "a") / CLASSES[0] / "0.1_fox_0.jpg").unlink()
    result = check(release, tmp_path / "all")
    assert result.exit_code == 1
    assert "Tiny ImageNet validation, in class folders" in result.stdout
    assert "Tiny ImageNet-V2, in class folders" in result.stdout
    assert "it holds 4 images; Tiny ImageNet-A has 5" in result.stderr


def test_a_tar_is_recognised(tmp_path: Path, release: Path) -> None:
    tar = write_tar(tmp_path / "ILSVRC2012_img_val.tar", validation())
    write_devkit(tmp_path)
    result = check(release, tar, "--bytes")
    assert result.exit_code == 0, result.stderr
    assert "in the tar, labelled by" in result.stdout


def test_what_is_no_known_set_is_said_so(tmp_path: Path, release: Path) -> None:
    write(tmp_path / "other", {"cat/1.jpg": b"x"})
    result = check(release, tmp_path / "other")
    assert isinstance(result.exception, ReproError)
    assert "is laid out like none of val, v2, sketch, a" in str(result.exception)


# Speed -----------------------------------------------------------------------------


@pytest.mark.slow
def test_50000_files_are_checked_in_less_than_5_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    classes = tuple(f"n{number:08d}" for number in range(1000))
    number = 0
    for name in classes:
        (tmp_path / "val" / name).mkdir(parents=True)
        for _ in range(50):
            number += 1
            file = tmp_path / "val" / name / f"ILSVRC2012_val_{number:08d}.JPEG"
            file.write_bytes(b"x")
    (tmp_path / "release.toml").write_text(
        f'{RELEASE}[dataset.val]\ntitle = "Validation"\nfolder = "val"\n'
        f"classes = {list(classes)}\nimages = 50000\n"
    )
    check(tmp_path, tmp_path)  # From here on the listing is in memory.
    started = time.perf_counter()
    result = check(tmp_path, tmp_path)
    assert time.perf_counter() - started < 5
    assert "50,000 images of 1,000 classes" in result.stdout
    assert result.exit_code == 0, result.stderr
