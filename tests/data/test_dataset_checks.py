"""Each way in which a copy of a dataset can be wrong is named exactly."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.data.dataset import index_dataset
from repro.data.digests import read_record
from repro.data.examination import MESSAGE, refusal
from repro.data.geometry import decode
from repro.errors import DatasetError, ReproError
from repro.published import read_releases

from .small_imagenet import (
    CLASSES,
    SETS,
    as_a,
    as_sketch,
    as_v2,
    check,
    fault,
    known,
    photograph,
    pixels_of,
    spec,
    validation,
    write,
    write_devkit,
    write_tar,
)

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


@pytest.mark.parametrize("prefix", ["", "./", "val/"])
def test_a_tar_of_class_folders_is_read_in_place(
    data: Path, tmp_path: Path, prefix: str
) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "val.tar", "w") as archive:
        archive.add(data / "val", prefix or "/")
    dataset, unpacked = (index_dataset(spec(), place) for place in (packed, data))
    assert dataset.files == unpacked.files
    assert dataset.labels.tolist() == unpacked.labels.tolist()
    assert dataset.fingerprint == unpacked.fingerprint
    assert pixels_of(dataset) == pixels_of(unpacked)
    assert dataset.root == packed / "val.tar"


def test_a_tar_with_a_folder_that_is_no_class_is_refused(
    data: Path, tmp_path: Path
) -> None:
    (data / "val" / CLASSES[0]).rename(data / "val" / "n999")
    with tarfile.open(tmp_path / "val.tar", "w") as archive:
        archive.add(data / "val", "val")
    assert "in no folder of a class; pack it again without" in fault(tmp_path)


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
    # Where a folder has a long path, the message is cut before what it ends with.
    assert f"{truth.name[-20:]} alone does not say which class a number is" in message


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
    dataset = index_dataset(spec(), tmp_path, part=True)
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
    (first(data).parent / f".{first(data).name}").write_bytes(b"x")


def leave_beside(data: Path) -> None:
    shutil.copy(first(data), data / "val")


def add_folder(data: Path) -> None:
    (data / "val" / "cache").mkdir()


def remove_class(data: Path) -> None:
    shutil.rmtree(data / "val/n01440764")


def link_to_nowhere(data: Path) -> None:
    remove_class(data)
    (data / "val/n01440764").symlink_to("/nowhere/tench")


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
        (leave_hidden, "1 hidden file (n01440764/.ILSVRC2012_val_00000002.JPEG)"),
        (
            leave_beside,
            "1 image lies beside the class folders (ILSVRC2012_val_00000002.JPEG)",
        ),
        (add_folder, "1 is no class of it (cache). Move that folder away"),
        (
            link_to_nowhere,
            "/val/n01440764 is a link to /nowhere/tench, which is not there; restore",
        ),
        (remove_class, "of its 4 class folders 1 is missing (n01440764)"),
        (number_classes, "as text, 10 would come before 2"),
        (name_classes, "not named by WordNet ids such as n01440764; name them so, or"),
        (name_classes, "into a file labels.csv in it, a line <folder>,n01440764 for"),
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
    classes = tuple(sorted(map(str, range(1000))))
    write(tmp_path / "v2", {f"{c}/{n}.jpeg": b"x" for c in classes for n in (1, 2)})
    message = fault(tmp_path, "v2", classes=classes, images=2000)
    assert "sorts numbers as text (10 before 2)" in message


def test_a_set_of_ones_own_has_its_numbers_in_the_order_of_its_models(
    tmp_path: Path,
) -> None:
    classes = tuple(sorted(SETS["v2"][2]))
    write(tmp_path / "v2", {f"{c}/{n}.jpeg": b"x" for c in classes for n in (1, 2)})
    found = index_dataset(spec("v2", classes=classes), tmp_path)
    own = zip(found.files, found.labels.tolist(), strict=True)
    (label,) = {label for file, label in own if Path(file).parent.name == "10"}
    assert label == classes.index("10") == 2


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


def test_a_check_opens_no_image_unless_bytes_are_asked_for(
    tmp_path: Path, release: Path
) -> None:
    images = dict.fromkeys(validation(), b"no image, were it opened")
    result = check(release, write(tmp_path / "val", images))
    assert "12 images of 4 classes" in result.stdout
    assert result.exit_code == 0, result.stderr
    assert check(release, tmp_path / "val", "--bytes").exit_code == 1


def test_outputs_in_another_order_are_named_though_the_classes_are_sorted(
    data: Path,
) -> None:
    order = (*reversed(CLASSES), "n99999999")
    message = fault(data, outputs=order)
    assert "the list of classes of 'val' is not sorted by WordNet id" in message


def test_classes_with_other_names_come_in_the_order_that_the_release_gives(
    tmp_path: Path,
) -> None:
    for classes in (("2", "10", "cat"), ("n02119789", "n01440764", "cat")):
        root = tmp_path / classes[0]
        write(root / "val", {f"{c}/{n}.jpeg": b"x" for c in classes for n in (1, 2)})
        found = index_dataset(spec(classes=classes, images=6), root)
        assert found.classes == classes


def test_class_folders_without_images_are_no_part_of_a_dataset(tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "val" / name).mkdir(parents=True)
    with pytest.raises(DatasetError, match="it holds no <class>/<image> of Tiny"):
        index_dataset(spec(), tmp_path, part=True)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_each_fault_of_a_copy_is_said_or_counted(sizes: list[int]) -> None:
    faults = [f"fault {number} {'x' * size}" for number, size in enumerate(sizes)]
    said = str(refusal(Path("data"), faults))
    shown = [fault for fault in faults if f"{fault}." in f"{said}."]
    text = "data: "
    wanted: list[str] = []
    for one in faults:
        if wanted and len(text) + len(one) > MESSAGE:
            break
        wanted.append(one)
        text += f"{one}. "
    assert shown == wanted
    more = len(faults) - len(shown)
    assert said.endswith(f" {more} more: see `repro dataset check`" if more else "x")
