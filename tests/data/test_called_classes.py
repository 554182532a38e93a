"""Which class a name surely stands for, and that none is guessed of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from repro.data import readers
from repro.data.class_names import (
    Named,
    class_from_files,
    classes_in_names,
    composed,
    is_numbered,
    name_classes,
    own_class,
)
from repro.data.examination import repeated_names
from repro.data.folders import FolderReader
from repro.data.labels import set_faults
from repro.data.listing import Reader
from repro.data.validation import FlatReader
from repro.errors import DatasetError
from repro.published import DatasetSpec, make_list

from .small_imagenet import DEVKIT_ORDER, write_devkit

OWN = ("sea lion", "cat", "Dog")
IDS = ("n01440764", "n01443537", "n02012849")


def spec(classes: Sequence[str], **more: object) -> DatasetSpec:
    values = {"id": "own", "title": "Own", "folder": "val", "images": 9, **more}
    return DatasetSpec(classes=tuple(classes), **values)  # type: ignore[arg-type]


def called(names: Sequence[str], classes: Sequence[str] = OWN) -> dict[str, str]:
    return name_classes(spec(classes), names).classes


SPELT = "classes told by their names, spelt otherwise"


def test_names_of_classes_count_before_anything_else() -> None:
    found = name_classes(spec(OWN), ["cat", "DOG", "Dog"])
    assert found == Named({"cat": "cat", "Dog": "Dog"}, ("DOG",))
    assert name_classes(spec(OWN), []) == Named({}, ())
    found = name_classes(spec(OWN), ["Sea-Lion", "CAT", "dog"])
    wanted = {"Sea-Lion": "sea lion", "CAT": "cat", "dog": "Dog"}
    assert found == Named(wanted, (), SPELT)


def test_any_other_way_has_to_fit_all_names() -> None:
    assert called(["Sea-Lion", "cow"]) == {}
    assert called(["sea_lion", "SEALION"]) == {}
    assert name_classes(spec(OWN), ["CAT", "cow"]).unknown == ("CAT", "cow")
    # Of two classes that are spelt alike none is meant.
    assert called(["A-B"], ["a b", "ab"]) == {}
    # One of them has a name of its own.
    alike = ["a b", "ab", "c"]
    assert called(["AB", "C"], alike) == {}
    assert called(["c", "ab", "A B"], alike) == {"c": "c", "ab": "ab"}


def test_accents_may_be_apart() -> None:
    apart, together = "pa\u0302te\u0301", "p\u00e2t\u00e9"
    assert composed(apart) == together
    assert composed("plain") == "plain"
    assert called([apart, "cat"], [together, "cat"]) == {apart: together, "cat": "cat"}
    assert called([apart], [together.upper()]) == {apart: together.upper()}
    # The name itself comes before one that is only written alike.
    both = name_classes(spec([together]), [apart, together])
    assert both == Named({together: together}, (apart,))


def test_what_was_written_down_comes_first() -> None:
    told = {"x": "cat", "cow": "Dog"}
    found = name_classes(spec(OWN), ["x", "cat", "cow"], told)
    assert found == Named({"x": "cat", "cow": "Dog"}, ("cat",))
    found = name_classes(spec(OWN), ["cat"], told)
    assert found == Named({"cat": "cat"}, ())


def test_numbers_stand_for_no_class() -> None:
    assert called(["1", "2"], ["01", "02"]) == {}
    assert called(["x"], ["1"]) == {}
    assert is_numbered(["0", "123456"])
    for names in ([], ["1", "x"], ["1234567"], ["\u0661"], [""]):
        assert not is_numbered(names)


@pytest.mark.parametrize("sign", ["_", "-", ".", " ", ","])
def test_an_id_of_wordnet_may_stand_before_words(sign: str) -> None:
    names = [f"{one}{sign}fish" for one in IDS]
    found = name_classes(spec(IDS), names)
    assert found.classes == dict(zip(names, IDS, strict=True))
    assert found.assumed == "classes told by the WordNet ids that names begin with"
    assert called([names[0], "n00000001_cow"], IDS) == {}
    assert called(["n01440764+fish"], IDS) == {}
    assert called([names[0], f"n01440764{sign}tench"], IDS) == {}


def test_words_of_wordnet_stand_for_a_class_of_the_dataset() -> None:
    found = name_classes(spec(IDS), ["tench", "Carassius auratus", "crane bird"])
    assert list(found.classes.values()) == list(IDS)
    assert found.assumed == "classes told by their names in WordNet"
    assert called(["tench, Tinca tinca"], IDS) == {"tench, Tinca tinca": IDS[0]}
    assert called(["TENCH"], IDS) == {"TENCH": IDS[0]}
    # A machine is called so too, which is no class of this dataset.
    assert called(["crane"], IDS) == {"crane": IDS[2]}
    cranes = ("n02012849", "n03126707")
    assert called(["crane"], cranes) == {}
    assert called(["crane", "crane bird"], cranes) == {
        "crane": cranes[1],
        "crane bird": cranes[0],
    }


def test_a_name_that_is_left_is_of_the_class_that_is_left() -> None:
    found = called(["maillot", "maillot tank suit"], ("n03710637", "n03710721"))
    assert found == {"maillot": "n03710637", "maillot tank suit": "n03710721"}


# Files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["cat_0.png", "dog_1.png"], ["cat", "dog"]),
        (["0-cat.png", "1-dog.png"], ["cat", "dog"]),
        (["cat.0.x.png", "dog 1 x.png"], ["cat", "dog"]),
        (["cat_dog_0.png", "cat_dog_1.png"], ["cat_dog", "cat_dog"]),
        (["0_cat_dog.png", "1_dog.png"], ["cat_dog", "dog"]),
        (["cat_0_dog.png"], []),
        (["cat_0_cat.png", "dog_1_dog.png"], ["cat", "dog"]),
        (["cat_0_cat.png", "cat_1_x.png"], ["cat", "cat"]),
        (["cat_0.png", "1_dog.png"], []),
        (["cat_0.png", "cow_1.png"], []),
        (["cat.png"], []),
        (["cat_0"], []),
        ([], []),
    ],
)
def test_names_of_files_begin_or_end_with_the_longest_class(
    names: list[str], wanted: list[str]
) -> None:
    found = classes_in_names(["cat", "dog", "cat_dog"], names)
    assert found == dict(zip(names, wanted, strict=False))


def test_a_list_tells_folders_by_the_files_in_them() -> None:
    pairs = [(class_, f"{class_}{n}.png") for class_ in OWN for n in range(2)]
    listed = spec(OWN, files=make_list("Own", "here", ".*", pairs))
    files = {"x": ["cat0.png", "cat1.png", "more.png"], "y": ["Dog0.png"]}
    found = class_from_files(listed, files, None)
    assert found.classes == {"x": "cat", "y": "Dog"}
    assert found.assumed == "classes told by the names of the images in them"
    for wrong in (
        {**files, "z": []},
        {**files, "z": ["cat0.png"]},
        {"x": ["cat0.png", "Dog0.png"]},
        {},
    ):
        assert class_from_files(listed, wrong, None) == Named({}, tuple(wrong))
    # Where a devkit is there, it is asked in its place.
    found = class_from_files(listed, files, {"cat0.png": "Dog"}.get)  # type: ignore[arg-type]
    assert found.classes == {}
    found = class_from_files(listed, {"x": ["1", "2"]}, lambda name: "cat")
    assert found.classes == {"x": "cat"}
    found = class_from_files(listed, {"x": ["1"]}, lambda name: "cow")
    assert found == Named({}, ("x",))
    # Of ids the own names of files say it.
    own = {"x": ["n01440764_1.JPEG"], "y": ["ILSVRC2012_val_00000001_n01443537.JPEG"]}
    assert class_from_files(spec(IDS), own, None).classes == {"x": IDS[0], "y": IDS[1]}


@pytest.mark.parametrize(
    ("name", "class_"),
    [
        ("x/n01440764_1.JPEG", "n01440764"),
        ("n01440764_1.JPEG", "n01440764"),
        ("x/ILSVRC2012_val_00000001_n01440764.JPEG", "n01440764"),
        ("n01440764/1.JPEG", ""),
        ("x/n01440764.JPEG", ""),
        ("x/n0144076_1.JPEG", ""),
        ("x/1_n01440764_1.JPEG", ""),
        ("x/1_n01440764", ""),
        ("x/nothing.png", ""),
    ],
)
def test_a_name_carries_an_id_in_front_or_behind(name: str, class_: str) -> None:
    assert own_class(name) == class_


def test_names_of_one_image_are_those_that_no_other_has() -> None:
    for file in ("n01440764_1", "ILSVRC2012_val_00000001", "0" * 32, "F" * 64):
        names = [f"{folder}/x/{file}.png" for folder in "aab"]
        assert repeated_names(names) == [f"{file}.png"]
        assert repeated_names(names[:2]) == []
        assert repeated_names([f"b/{file}.png", f"a/{file}.png"]) == [f"{file}.png"]
    for file in ("0" * 31, "0" * 65, "n0144076_1", "fox"):
        assert repeated_names([f"a/{file}.png", f"b/{file}.png"]) == []


def foreign(title: str, classes: Sequence[str], *files: str) -> list[str]:
    names = [f"{classes[0]}/{file}" for file in files]
    return list(set_faults(spec(classes, title=title, folder="set"), names))


def test_images_of_another_set_are_foreign_in_folders_of_imagenet() -> None:
    toys = ["toy_1.jpg", "toy_2.jpg"]
    (said,) = foreign("ImageNet-A", IDS, *toys)
    assert said.startswith("2 images are of ImageNet-R (n01440764/toy_1.jpg, ")
    assert said.endswith(", not of ImageNet-A")
    assert foreign("ImageNet-R", IDS, *toys) == []
    assert foreign("Toys", IDS, *toys) == foreign("ImageNet-A", OWN, *toys) == []
    (said,) = foreign("ImageNet-V2", OWN, *toys)
    assert said.startswith("2 images are of ImageNet-R")
    # Nobody else has images of these names.
    (said,) = foreign("Toys", OWN, "n01440764_1.JPEG")
    assert said.startswith("1 image is of ImageNet's training set (sea lion/n0144")
    assert (
        ": a model scores too well on what it was trained with. If it is made" in said
    )
    (said,) = foreign("Toys", OWN, "sketch_1.JPEG")
    assert said.endswith(", not of Toys: move them away")


TENCH = "bcf8a5326180b5e9320642f5024096fbc8a5d454.jpeg"


@pytest.mark.parametrize(("others", "is_said"), [(0, True), (1, False), (2, False)])
def test_hashes_are_of_imagenet_v2_where_most_are_listed(
    others: int, is_said: bool
) -> None:
    hashes = [f"{number:040x}.jpeg" for number in range(others)]
    names = [f"0/{file}" for file in (TENCH, *hashes)]
    said = list(set_faults(spec(IDS, title="ImageNet validation"), names))
    assert [one.partition(" (")[0] for one in said] == (
        ["1 image is of ImageNet-V2"] if is_said else []
    )
    # What is of no list says nothing of the sets that come after it.
    said = list(set_faults(spec(IDS, title="ImageNet-A"), [*names, "0/toy_1.jpg"]))
    assert [one.partition(" (")[0] for one in said][-1] == "1 image is of ImageNet-R"


# Folders ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(5))
def test_a_folder_with_most_of_the_classes_is_the_dataset(
    number: int, tmp_path: Path
) -> None:
    classes = ("a", "b", "c", "d")
    for name in classes[:number]:
        (tmp_path / name).mkdir()
    wanted = tmp_path if number > 2 else None
    assert FolderReader().find(spec(classes), tmp_path) == wanted
    assert FolderReader().find(spec(classes), tmp_path / "nowhere") is None
    (tmp_path / "val").mkdir()
    assert FolderReader().find(spec(classes), tmp_path) == tmp_path / "val"


def test_folders_are_asked_for_after_every_other_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def find_reader(name: str) -> Reader:
        asked.append(name)
        return FolderReader()

    monkeypatch.setattr(readers, "find_reader", find_reader)
    assert readers.find_images(spec(OWN), tmp_path) is None
    assert asked.pop() == "folders"
    assert asked == [name for name in readers.READERS.names() if name != "folders"]
    (tmp_path / "val").mkdir()
    found = readers.find_images(spec(OWN), tmp_path)
    assert found == readers.Found(tmp_path / "val", asked[0])


def test_one_folder_beside_flat_images_is_not_theirs(tmp_path: Path) -> None:
    for place in ("cat_1.png", "notes/1.png", "zoo/2.png"):
        (tmp_path / "val" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "val" / place).touch()
    flat = FlatReader()
    assert flat.find(spec(OWN), tmp_path) == tmp_path / "val"
    (tmp_path / "val" / "notes" / "1.png").unlink()
    for name in ("notes", "zoo"):
        (tmp_path / "val" / name).rename(tmp_path / name)
        assert flat.find(spec(OWN), tmp_path) == tmp_path / "val"
    (tmp_path / "val" / "images").mkdir()
    assert flat.find(spec(OWN), tmp_path) is None
    (tmp_path / "val" / "cat_1.png").rename(tmp_path / "val" / "images" / "cat_1.png")
    assert flat.find(spec(OWN), tmp_path) == tmp_path / "val" / "images"


def test_a_devkit_of_classes_that_a_dataset_lacks_is_not_its_own(
    tmp_path: Path,
) -> None:
    write_devkit(tmp_path)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG").touch()
    more = spec((*DEVKIT_ORDER, "n09999999"))
    listing = FlatReader().list(more, tmp_path / "val", tmp_path)
    assert [len(found) for found in listing.images.values()] == [1, 0, 0, 0, 0]
    few = spec(("n09999999",))
    said = (
        r"has 4 classes that Own does not have \(n01440764, n01443537, n02100735\); it"
    )
    with pytest.raises(DatasetError, match=said):
        FlatReader().list(few, tmp_path / "val", tmp_path)
