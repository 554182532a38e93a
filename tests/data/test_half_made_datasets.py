"""Half-made copies and images of other classes or sets are named by every entrance.

The entrances are the index of a run, `repro eval` and `repro dataset check`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from repro.cli import cli
from repro.data.dataset import index_dataset
from repro.data.examination import MESSAGE
from repro.errors import DatasetError, ExpectedError, WeightsError
from repro.published import (
    DatasetSpec,
    make_list,
    read_releases,
    shipped_list,
    shipped_names,
)
from tests.data.small_imagenet import (
    CLASSES,
    as_v2,
    check,
    fault,
    known,
    photograph,
    spec,
    validation,
    write,
    write_devkit,
    write_tar,
)

IMAGE = "n01440764/ILSVRC2012_val_00000002.JPEG"
NAMES = sorted(validation())


def evaluate(release: Path, data: Path) -> str:
    """Run `repro eval` and give why it refuses the images; empty if it takes them.

    It then gets as far as the weights, which are none.
    """
    (release / "weights.pt").write_bytes(b"no weights")
    arguments = ["eval", "supervised", "--data-path", str(data), "--cache", "none"]
    arguments += ["--expected", str(release), "--ckpt", str(release / "weights.pt")]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, DatasetError | WeightsError), result.exception
    return str(result.exception) if isinstance(result.exception, DatasetError) else ""


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name.split("/")[0], name.split("/")[1]) for name in names]


def flat(folder: Path, names: list[str]) -> None:
    shutil.rmtree(folder)
    images = validation()
    write(folder, {Path(name).name: images[name] for name in names})


# Half-made -------------------------------------------------------------------------


def sort_one_only(data: Path) -> None:
    flat(data / "val", NAMES[1:])
    write(data / "val", {NAMES[0]: validation()[NAMES[0]]})


def leave_another_image_beside(data: Path) -> None:
    (data / "val" / "preview.png").write_bytes(photograph(1))


def empty_a_folder(data: Path) -> None:
    shutil.rmtree(data / "val/n01440764")
    (data / "val/n01440764").mkdir()


def stop_copying(data: Path) -> None:
    shutil.rmtree(data / "val/n02119789")
    (data / "val" / NAMES[-4]).unlink()


def nest_a_folder(data: Path) -> None:
    (data / "val/n02119789").rename(data / "val/n01440764/n02119789")


def nest_some_images(data: Path) -> None:
    (data / "val/n01440764/more").mkdir()
    (data / "val" / IMAGE).rename(data / "val/n01440764/more/00000002.JPEG")


def nest_all(data: Path) -> None:
    (data / "val").rename(data / "inside")
    (data / "val").mkdir()
    (data / "inside").rename(data / "val/imagenet")


def put_bytes_into_two_classes(data: Path) -> None:
    for class_ in CLASSES[:2]:
        (data / "val" / class_ / "fox.JPEG").write_bytes(photograph(99))


def put_a_name_into_two_classes(data: Path) -> None:
    shutil.copy(data / "val" / IMAGE, data / "val/n02119789")


def unpack_half(data: Path) -> None:
    write_tar(data / "ILSVRC2012_img_val.tar", validation())
    write_devkit(data)
    flat(data / "val", NAMES[:5])


def leave_an_unnamed_image(data: Path) -> None:
    write_devkit(data)
    flat(data / "val", NAMES)
    (data / "val" / "fox.png").write_bytes(photograph(1))


def leave_a_folder_beside(data: Path) -> None:
    write_devkit(data)
    flat(data / "val", NAMES)
    write(data / "val", {"fox/1.JPEG": photograph(1)})


def sort_none(data: Path) -> None:
    shutil.rmtree(data / "val")
    write(data / "val", {f"{n}.png": photograph(n) for n in range(3)})


HALF_MADE = [
    (
        sort_one_only,
        "11 images lie beside the class folders (ILSVRC2012_val_00000001.JPEG, "
        "ILSVRC2012_val_00000003.JPEG, ILSVRC2012_val_00000004.JPEG ...); sort them",
    ),
    (leave_another_image_beside, "1 image lies beside the class folders (preview.png)"),
    (empty_a_folder, "1 class folder is empty (n01440764) while others hold images"),
    (nest_some_images, "1 image lies in a folder (n01440764/more/00000002.JPEG)"),
    (nest_all, "1 does not belong there (imagenet). Class folders lie in "),
    (put_bytes_into_two_classes, "1 image stands in two classes (fox.JPEG)"),
    (
        put_a_name_into_two_classes,
        "1 image stands in two classes (ILSVRC2012_val_00000002.JPEG)",
    ),
    (unpack_half, "it holds 5 of 12 images, and "),
    (leave_an_unnamed_image, "1 image has no label (fox.png)"),
    (leave_a_folder_beside, "1 folder lies (fox) beside images without class folders"),
    (sort_none, "3 images lie right in it (0.png, 1.png, 2.png): sort them into"),
]


@pytest.mark.parametrize(("damage", "message"), HALF_MADE)
def test_a_half_made_copy_is_named_by_every_entrance(
    data: Path, release: Path, damage: Callable[[Path], None], message: str
) -> None:
    assert evaluate(release, data) == ""
    damage(data)
    said = [fault(data), evaluate(release, data)]
    result = check(release, data, "--dataset", "val")
    assert result.exit_code == 1
    assert [message in text for text in (*said, result.stderr)] == [True] * 3
    assert max(map(len, said)) < MESSAGE + 200


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (stop_copying, "holds 2 of 3 images, 2 others are whole and 1 is missing"),
        (
            nest_a_folder,
            "3 images lie in folders (n01440764/n02119789/ILSVRC2012_val_0",
        ),
    ],
)
def test_a_part_that_looks_cut_off_is_refused_by_eval(
    data: Path, release: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(data)
    assert message in evaluate(release, data)


@pytest.mark.parametrize(
    "names", [NAMES[:1], NAMES[:3], NAMES[:9:2], [*NAMES[:2], *NAMES[6:8]]]
)
def test_a_small_part_is_still_evaluated(
    tmp_path: Path, release: Path, names: list[str]
) -> None:
    images = validation()
    write(tmp_path / "part/val", {name: images[name] for name in names})
    assert evaluate(release, tmp_path / "part") == ""
    assert len(index_dataset(spec(), tmp_path / "part", known(), part=True)) == len(
        names
    )


def test_a_flat_part_without_its_tar_is_still_evaluated(
    data: Path, release: Path
) -> None:
    write_devkit(data)
    flat(data / "val", NAMES[:5])
    assert evaluate(release, data) == ""


def test_images_that_only_share_a_name_are_not_the_same(data: Path) -> None:
    for number, class_ in enumerate(CLASSES[:2]):
        (data / "val" / class_ / "0.JPEG").write_bytes(photograph(number))
    assert len(index_dataset(spec(images=14), data)) == 14


def test_images_of_several_depths_are_named_where_others_lie_right(
    tmp_path: Path,
) -> None:
    inside = ("a/1.png", "a/b/2.png", "3.png")
    names = [f"{class_}/{file}" for class_ in CLASSES for file in inside]
    write(tmp_path / "val", {name: photograph(n) for n, name in enumerate(names)})
    said = "8 images lie in folders (n01440764/a/1.png, n01440764/a/b/2.png, "
    assert said in fault(tmp_path)


def test_one_image_twice_in_a_class_does_not_stand_in_two(tmp_path: Path) -> None:
    names = [f"{class_}/{part}/fox.JPEG" for class_ in CLASSES for part in "ab"]
    images = {name: photograph(CLASSES.index(name[:9])) for name in names}
    write(tmp_path / "val", images)
    assert len(index_dataset(spec(images=8), tmp_path)) == 8


# Wrong folders ---------------------------------------------------------------------


def shift_folders(data: Path) -> None:
    images = validation()
    shutil.rmtree(data / "val")
    for name in images:
        class_, file = name.split("/")
        other = CLASSES[(CLASSES.index(class_) + 1) % len(CLASSES)]
        write(data / "val", {f"{other}/{file}": images[name]})


def swap_folders(data: Path) -> None:
    for old, new in (
        ("n01440764", "x"),
        ("n01443537", "n01440764"),
        ("x", "n01443537"),
    ):
        (data / "val" / old).rename(data / "val" / new)


def take_the_label_before(data: Path) -> None:
    images = validation()
    by_number = sorted(images, key=lambda name: name[-13:])
    shutil.rmtree(data / "val")
    for number, name in enumerate(by_number):
        label = by_number[max(0, number - 1)].partition("/")[0]
        write(data / "val", {f"{label}/{Path(name).name}": images[name]})


MISPLACED = [
    (shift_folders, "12 images lie (n01", ": every folder holds the class 1 before it"),
    (swap_folders, "6 images lie (n01", ": every folder holds one other class, as if"),
    (take_the_label_before, "11 images lie (n01", "image before it belongs; sort them"),
]


@pytest.mark.parametrize("listed", ["devkit", "files"])
@pytest.mark.parametrize(("damage", "count", "reason"), MISPLACED)
def test_images_in_wrong_folders_are_named_with_the_reason(
    data: Path,
    release: Path,
    damage: Callable[[Path], None],
    count: str,
    reason: str,
    listed: str,
) -> None:
    if listed == "devkit":
        write_devkit(data)
    else:
        (release / "val.txt").write_text("\n".join(NAMES))
        text = (release / "release.toml").read_text()
        own = 'folder = "val"\nfiles = "val.txt"\n'
        (release / "release.toml").write_text(text.replace('folder = "val"\n', own))
    assert evaluate(release, data) == ""
    damage(data)
    (tiny,) = read_releases([release])
    with pytest.raises(DatasetError) as caught:
        index_dataset(tiny.datasets["val"], data, known())
    said = (str(caught.value), evaluate(release, data), check(release, data).stderr)
    for text in said:
        assert count in text
        assert "in another class than" in text
        assert reason in text


def rename_with_class(class_: str, number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}_{class_}.JPEG"


def rename_as_training(class_: str, number: int) -> str:
    return f"{class_}_{number}.JPEG"


@pytest.mark.parametrize("rename", [rename_with_class, rename_as_training])
def test_an_image_whose_own_name_says_another_class_is_named(
    tmp_path: Path, release: Path, rename: Callable[[str, int], str]
) -> None:
    text = (release / "release.toml").read_text()
    (release / "release.toml").write_text(
        text.replace('folder = "val"', 'folder = "train"')
    )
    right = {f"{c}/{rename(c, n)}": photograph(n) for n, c in enumerate(CLASSES * 3)}
    write(tmp_path / "set/train", right)
    assert evaluate(release, tmp_path / "set") == ""
    name = next(iter(right))
    moved = tmp_path / "set/train" / CLASSES[1] / Path(name).name
    (tmp_path / "set/train" / name).rename(moved)
    message = evaluate(release, tmp_path / "set")
    assert f"1 image lies ({CLASSES[1]}/{moved.name}) in another class" in message
    assert "than their own names say" in message


def test_numbered_folders_that_were_sorted_as_text_are_named(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(12)]
    as_text = sorted(numbers)
    images = {f"{c}/{c}-{n}.jpeg": photograph(n) for c in numbers for n in range(2)}
    files = make_list("V2", "here", ".*", pairs(images))
    wrong = {
        f"{as_text.index(name.split('/')[0])}/{name.split('/')[1]}": content
        for name, content in images.items()
    }
    write(tmp_path / "v2", wrong)
    message = fault(tmp_path, "v2", files=files)
    assert "the class numbers were sorted as text (10 before 2)" in message


# Other sets ------------------------------------------------------------------------


def three_variants() -> dict[str, DatasetSpec]:
    """Make three sets of the same classes that share half of their images."""
    return {
        title: spec(
            "v2",
            title=f"V2, {title}",
            files=make_list(
                f"V2, {title}",
                "here",
                "[0-9a-f]{40}",
                [
                    (str(c), f"{c * 100 + n:040x}.jpeg")
                    for c in range(12)
                    for n in taken
                ],
            ),
        )
        for title, taken in {"a": (0, 1), "b": (0, 2), "c": (0, 3)}.items()
    }


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("there", ["a", "b", "c"])
def test_variants_of_a_set_are_told_apart_by_their_lists(
    tmp_path: Path, there: str, part: bool
) -> None:
    variants = three_variants()
    taken = {"a": (0, 1), "b": (0, 2), "c": (0, 3)}[there]
    classes = range(4 if part else 12)
    names = [f"{c}/{c * 100 + n:040x}.jpeg" for c in classes for n in taken]
    write(tmp_path / "v2", dict.fromkeys(names, b"x"))
    index = partial(index_dataset, part=part)
    for title, wanted in variants.items():
        if title == there:
            assert len(index(wanted, tmp_path, [*variants.values()])) == len(names)
            continue
        with pytest.raises(DatasetError) as caught:
            index(wanted, tmp_path, [*variants.values()])
        message = str(caught.value)
        half, whole = len(names) // 2, len(names)
        assert f"{half:,} images are not in the list of V2, {title} (" in message
        assert f"; all {whole} are in that of V2, {there}. Get the images of" in message


def test_of_images_of_two_sets_it_is_said_how_many_are_in_the_other(
    tmp_path: Path,
) -> None:
    variants = three_variants()
    # Of each class one of all variants, one of c, and of the first class one of b too.
    names = [f"{c}/{c * 100 + n:040x}.jpeg" for c in range(4) for n in (0, 3)]
    names.append(f"0/{2:040x}.jpeg")
    write(tmp_path / "v2", dict.fromkeys(names, b"x"))
    with pytest.raises(DatasetError) as caught:
        index_dataset(variants["a"], tmp_path, [*variants.values()], part=True)
    assert "; 8 are in that of V2, c. Get the images of V2, a" in str(caught.value)


# https://github.com/modestyachts/ImageNetV2, data/datasets at 0b0c3fe: class 0.
TENCHES = {
    "bcf8a5326180b5e9320642f5024096fbc8a5d454": {"matched", "threshold", "top"},
    "66123ec1b806abff544bb89e11653ef5185af4be": {"matched", "threshold"},
    "83f4031ff33228b81c998261cd7139e62901d0ec": {"threshold", "top"},
    "a31041fd31109279f69ba5827fe508eee00abd75": {"threshold"},
    "d337d803d2ca57a80e880cb0686ea96e5d4ca8c7": {"matched"},
    "e5cdec32ff335f3e036be8a9c41c616e74cce560": {"top"},
}


@pytest.mark.parametrize("name", TENCHES)
def test_the_shipped_lists_know_the_variants_of_imagenet_v2(name: str) -> None:
    of_v2 = [list_ for list_ in shipped_names() if "v2" in list_]
    assert len(of_v2) == 3
    found = {
        variant
        for list_ in of_v2
        for variant in ("matched", "threshold", "top")
        if variant in list_ and shipped_list(list_).classes_of(f"0/{name}.jpeg")
    }
    assert found == TENCHES[name]


def test_a_part_of_another_variant_of_imagenet_v2_is_named(tmp_path: Path) -> None:
    (scaling,) = read_releases([Path(__file__).parents[2] / "expected"])
    names = [f"0/{name}.jpeg" for name, sets in TENCHES.items() if "top" in sets]
    write(tmp_path / "imagenet-v2", dict.fromkeys(names, b"x"))
    with pytest.raises(DatasetError) as caught:
        index_dataset(scaling.datasets["imagenet-v2"], tmp_path, part=True)
    assert (
        "2 images are not in the list of ImageNet-V2, matched frequency "
        "(0/83f4031ff33228b81c998261cd7139e62901d0ec.jpeg, 0/e5cdec32ff335f3e036be8a9c4"
    ) in str(caught.value)
    assert "; all 3 are in that of ImageNet-V2, top images." in str(caught.value)


def test_the_shipped_lists_hold_as_many_images_as_their_sets() -> None:
    (scaling,) = read_releases([Path(__file__).parents[2] / "expected"])
    for name in ("imagenet-val", "imagenet-v2"):
        dataset = scaling.datasets[name]
        assert dataset.files is not None
        assert dataset.files.classes == dataset.classes
        per_class = dataset.images // len(dataset.classes)
        assert {len(digests) for digests in dataset.files.digests} == {4 * per_class}


def test_validation_images_in_wrong_folders_need_no_devkit(tmp_path: Path) -> None:
    (scaling,) = read_releases([Path(__file__).parents[2] / "expected"])
    dataset = scaling.datasets["imagenet-val"]
    files = dataset.files
    assert files is not None
    # Its first image is a sidewinder, a well-known fact of its ground truth.
    assert files.classes_of("ILSVRC2012_val_00000001.JPEG") == ("n01751748",)
    images = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 31)]
    right = [f"{files.classes_of(image)[0]}/{image}" for image in images]
    write(tmp_path / "right/val", dict.fromkeys(right, b"x"))
    assert len(index_dataset(dataset, tmp_path / "right", part=True)) == 30
    order = dataset.classes
    wrong = [
        f"{order[(order.index(name.split('/')[0]) + 1) % 1000]}/{name.split('/')[1]}"
        for name in right
    ]
    write(tmp_path / "wrong/val", dict.fromkeys(wrong, b"x"))
    with pytest.raises(DatasetError) as caught:
        index_dataset(dataset, tmp_path / "wrong", part=True)
    assert "30 images lie (" in str(caught.value)
    assert "than the list of ImageNet-1k validation (ILSVRC 2012) says: every" in str(
        caught.value
    )


SETS = {
    "val": ("ImageNet validation", "ILSVRC2012_val_{:08d}.JPEG"),
    "v2": ("ImageNet-V2", ""),
    "sketch": ("ImageNet-Sketch", "sketch_{}.JPEG"),
    "a": ("ImageNet-A", "0.{:06d}_fox squirrel _ bee_0.5.jpg"),
    "r": ("ImageNet-R", "art_{}.jpg"),
}


@pytest.mark.parametrize("wanted", SETS)
@pytest.mark.parametrize("there", SETS)
def test_images_of_another_set_in_the_right_folders_are_named(
    tmp_path: Path, wanted: str, there: str
) -> None:
    form = SETS[there][1]
    own = [form.format(n) for n in range(6)] if form else [f"{n}.jpeg" for n in TENCHES]
    names = [f"{CLASSES[n % 3]}/{file}" for n, file in enumerate(own)]
    names += [f"{CLASSES[3]}/{n}.png" for n in range(2)]
    write(tmp_path / "set", dict.fromkeys(names, b"x"))
    title = SETS[wanted][0]
    dataset = DatasetSpec(
        id=wanted, title=title, folder="set", classes=CLASSES, images=len(names)
    )
    if wanted == there:
        assert len(index_dataset(dataset, tmp_path)) == len(names)
        return
    for index in (index_dataset, partial(index_dataset, part=True)):
        with pytest.raises(DatasetError, match=f"6 images are of .*, not of {title}"):
            index(dataset, tmp_path)


@pytest.mark.parametrize(
    ("classes", "file"),
    [
        (("cat", "dog"), "toy_{}.jpg"),
        (("cat", "dog"), "{:040x}.jpeg"),
        (("n01440764", "n01443537"), "{:040x}.jpeg"),
    ],
)
def test_names_that_any_set_may_have_are_no_fault_of_an_own_set(
    tmp_path: Path, classes: tuple[str, ...], file: str
) -> None:
    names = [f"{class_}/{file.format(n)}" for n, class_ in enumerate(classes * 2)]
    write(tmp_path / "val", dict.fromkeys(names, b"x"))
    own = DatasetSpec(id="val", title="Toys", folder="val", classes=classes, images=4)
    assert len(index_dataset(own, tmp_path)) == 4


# The key `files` --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"repro:colour"', "files is 'repro:colour'; shipped are repro:imagenet-v2-m"),
        ('"nowhere.txt"', "files names a text file; "),
        ('"wrong.txt"', "its line 'fox' is not <class>/<image>"),
        ('"empty.txt"', "it holds no line <class>/<image>"),
        ('"other.txt"', "files has none of the classes; name a list of this set"),
        ('"repro:imagenet-v2-top-images"', "files has none of the classes"),
        ("3", "files must be a string, not 3"),
    ],
)
def test_a_list_of_files_that_is_none_is_refused(
    release: Path, value: str, message: str
) -> None:
    (release / "wrong.txt").write_text("n01440764/1.JPEG\nfox\n")
    (release / "empty.txt").write_text("\n")
    (release / "other.txt").write_text("fox/1.JPEG\n")
    text = (release / "release.toml").read_text()
    named = text.replace('folder = "val"\n', f'folder = "val"\nfiles = {value}\n')
    assert text != named
    (release / "release.toml").write_text(named)
    with pytest.raises(ExpectedError) as caught:
        read_releases([release])
    assert message in str(caught.value)


def test_a_file_that_an_own_list_lacks_is_named(data: Path) -> None:
    images = [name for name in NAMES if name != IMAGE]
    files = make_list("Tiny", "here", ".*", pairs(images))
    message = fault(data, files=files)
    assert f"1 image is not in the list of Tiny ({IMAGE}); remove what" in message


def test_a_healthy_copy_of_another_set_has_no_fault(tmp_path: Path) -> None:
    assert (
        len(index_dataset(spec("v2"), as_v2(tmp_path / "v2"), known(), part=True)) == 24
    )
