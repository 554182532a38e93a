"""What is just allowed, and what is just beyond it, for the reader and for editors."""

from __future__ import annotations

import decimal
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ExpectedError
from repro.published import (
    PRECISIONS,
    WEIGHTS_SUFFIXES,
    is_weights_name,
    known_files,
    printed,
    training_images,
)
from repro.published.files import load_toml, shown
from repro.published.geometry import Geometry
from repro.published.json_schema import release_schema
from repro.published.known_files import list_text, make_list, shipped_list
from repro.published.vocabulary import (
    check_below,
    check_class_folders,
    check_path_name,
    is_same_arithmetic,
    list_weights,
    weights_suffixes,
)

from ..releases import (
    FAMILY,
    HEAD,
    PLAIN,
    REFERENCE,
    VALIDATION,
    VIT,
    fault_of,
    read_release,
    release_toml,
)

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def with_images(number: Any) -> str:
    return release_toml(dataset={"val": VALIDATION | {"images": number}})


def with_guidance(scale: Any) -> str:
    return release_toml(family={"supervised/real": FAMILY | {"cfg_scale": scale}})


def with_size(size: Any) -> str:
    checksum = {"supervised/real/1M.pt": {"size": size, "sha256": EMPTY}}
    return release_toml(checksum=checksum)


def with_cost_of_a_model(gflops: float) -> str:
    return release_toml(model={"vit": VIT | {"gflops": gflops}})


def with_cost_of_a_number(gflops: float) -> str:
    return f"{HEAD}{REFERENCE}gflops = {gflops}\n"


def with_logit_scale(scale: Any) -> str:
    assert "logit_scale = 100.0" in HEAD
    return HEAD.replace("logit_scale = 100.0", f"logit_scale = {scale}")


@pytest.mark.parametrize(
    ("write", "table", "key", "limits", "beyond"),
    [
        (with_images, "DatasetSpec", "images", (1, 10**9), (0, 10**9 + 1)),
        (with_guidance, "Family", "cfg_scale", (0.0,), (-0.5, float("inf"))),
        (with_size, "Checksum", "size", (0,), (-1,)),
    ],
)
def test_reader_and_editors_know_the_same_limits(
    tmp_path: Path,
    write: Any,
    table: str,
    key: str,
    limits: tuple[float, ...],
    beyond: tuple[float, ...],
) -> None:
    schema = release_schema()["definitions"][table]["properties"][key]
    told = tuple(schema[name] for name in ("minimum", "maximum") if name in schema)
    assert told == limits
    for value in limits:
        read_release(tmp_path, write(value))
    for value in beyond:
        assert key in fault_of(tmp_path, write(value))


@pytest.mark.parametrize("scale", ["0.0", "-1.0", "inf", "-inf", "nan"])
def test_a_scale_of_logits_is_a_number_above_zero(tmp_path: Path, scale: str) -> None:
    assert "a number above 0" in fault_of(tmp_path, with_logit_scale(scale))
    read_release(tmp_path, with_logit_scale("0.001"))


@pytest.mark.parametrize("cost", [0.0, -1.0, float("inf"), float("nan")])
def test_what_an_image_costs_is_a_number_above_zero(
    tmp_path: Path, cost: float
) -> None:
    for write in (with_cost_of_a_model, with_cost_of_a_number):
        assert "gflops" in fault_of(tmp_path, write(cost))
        read_release(tmp_path, write(0.001))


def test_of_many_classes_that_are_missing_the_first_are_named(tmp_path: Path) -> None:
    dataset = VALIDATION | {"classes": list("abcdefg"), "outputs": ["a"]}
    said = fault_of(tmp_path, release_toml(dataset={"val": dataset}))
    assert said.endswith("outputs lacks the classes b, c, d, e, f")


def test_a_key_has_a_hundred_parts_at_most(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(".".join("a" * 100) + " = 1\n")
    assert list(load_toml(file)) == ["a"]
    file.write_text(".".join("a" * 101) + " = 1\n")
    with pytest.raises(ExpectedError, match="more than 100 parts"):
        load_toml(file)


def test_many_points_on_a_line_are_no_key_of_many_parts(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    for text in ("." * 101, " ".join(["a.b"] * 101)):
        file.write_text(f"a = '{text}'\n")
        assert load_toml(file) == {"a": text}
    file.write_text("# first\n" + ".".join("a" * 150) + " = 1\n")
    with pytest.raises(ExpectedError, match="more than 100 parts"):
        load_toml(file)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_parts_that_an_index_names_are_listed_where_they_are_asked_for(
    tmp_path: Path, suffix: str
) -> None:
    whole = {"1M.pt", "a-00001-of-2.pt", "00001-of-00002-a.pt"}
    parts = {f"1M-0000{n}-of-00002{suffix}" for n in (1, 2)}
    for name in {*whole, *parts, ".hidden.pt", "notes.txt"}:
        (tmp_path / name).touch()
    (tmp_path / "folder.pt").mkdir()
    assert [file.name for file in list_weights(tmp_path)] == sorted(whole)
    found = list_weights(tmp_path, shards=True)
    assert [file.name for file in found] == sorted(whole | parts)


def test_a_list_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [("cat", "cat/a.png"), ("dog", "dog/b.png"), ("cat", "cat/c.png")]
    made = make_list("A set", "https://example.org", r"[a-z]", images)
    (tmp_path / "written.txt").write_text(list_text(made))
    monkeypatch.setattr(known_files, "LISTS", tmp_path)
    read = shipped_list("written")
    assert read == made
    assert read.misfits(name for _, name in images) == []
    assert read.misfits(["dog/a.png", "cat/x.png"]) == ["dog/a.png", "cat/x.png"]


def test_images_as_they_are_have_no_size_that_is_known_before() -> None:
    with pytest.raises(ValueError, match="leaves the size to the photograph"):
        _ = Geometry(()).output_size


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda:0"])
def test_only_a_cuda_device_knows_tf32_from_float32(device: str) -> None:
    alike = {"fp32", "tf32"}
    for first, second in itertools.product(PRECISIONS, PRECISIONS):
        is_either = {first, second} == alike and device != "cuda:0"
        same = first == second or is_either
        assert is_same_arithmetic(first, second, device) is same


@pytest.mark.parametrize("length", [59, 60, 61, 200])
def test_what_is_quoted_has_sixty_characters_at_most(length: int) -> None:
    value = "x" * (length - 2)
    expected = repr(value) if length <= 60 else f"'{'x' * 56}..."
    assert shown(value) == expected
    assert len(shown(value)) == min(length, 60)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("7", 7),
        ("0.125M", 125_000),
        ("125K", 125_000),
        ("1.5B", 1_500_000_000),
        ("16M", 16_000_000),
        ("1k", None),
        ("M", None),
        ("1.M", None),
        ("16M-best", None),
    ],
)
def test_a_checkpoint_may_be_named_by_its_training_images(
    name: str, images: int | None
) -> None:
    assert training_images(name) == images


@pytest.mark.parametrize("suffix", WEIGHTS_SUFFIXES)
def test_a_checkpoint_is_a_name_with_a_suffix_of_weights(suffix: str) -> None:
    assert is_weights_name(f"1M{suffix}")
    for name in ("1M", f"1M{suffix}.txt", suffix, f"-k{suffix}", f"a b{suffix}"):
        assert not is_weights_name(name)


def test_a_loader_reads_files_of_its_own_kind() -> None:
    assert weights_suffixes("onnx") == (".onnx",)
    for loader in ("timm", "open_clip", "python", "another"):
        others = tuple(name for name in WEIGHTS_SUFFIXES if name != ".onnx")
        assert weights_suffixes(loader) == others


@pytest.mark.parametrize(
    ("digits", "decimals"), [("54", 0), ("54.0", 1), ("0.050", 3), ("101.25", 2)]
)
def test_a_number_has_the_decimals_that_were_printed(
    digits: str, decimals: int
) -> None:
    assert printed(digits).decimals == decimals
    # The point of a fraction is moved by two places.
    assert printed(digits, 2).decimals == max(0, decimals - 2)


def test_a_number_is_read_whatever_a_project_does_with_its_decimals() -> None:
    with decimal.localcontext(decimal.Context(prec=2, traps=[decimal.Inexact])):
        number = printed("0.68319", 2)
        images = training_images("1.2345M")
    assert (number.digits, number.value) == ("68.319", Fraction(68319, 1000))
    assert images == 1_234_500


@pytest.mark.parametrize(
    ("runs", "is_some"), [(1, 0), (2, 1), (10_000, 1), (10_001, 0)]
)
def test_runs_are_some_and_not_more_than_anybody_makes(
    tmp_path: Path, runs: int, is_some: int
) -> None:
    numbers = HEAD + REFERENCE.replace("50.580", "50.580 ± 0.1") + f"runs = {runs}\n"
    if is_some:
        assert read_release(tmp_path, numbers).references[0].runs == runs
    else:
        said = fault_of(tmp_path, numbers)
        assert f"runs is {runs}; it must be between 2 and 10,000" in said


@pytest.mark.parametrize(
    ("key", "inside", "beyond"),
    [("mean", (0, 1), (-0.001, 1.001)), ("std", (0.001, 1), (0, -0.001, 1.001))],
)
def test_pixels_are_scaled_to_one(
    tmp_path: Path, key: str, inside: tuple[float, ...], beyond: tuple[float, ...]
) -> None:
    def with_level(level: float) -> str:
        return release_toml(protocol={"plain": PLAIN | {key: [0.5, level, 0.5]}})

    for level in inside:
        protocol = read_release(tmp_path, with_level(level)).protocols["plain"]
        assert getattr(protocol, key) == (0.5, level, 0.5)
    for level in beyond:
        said = fault_of(tmp_path, with_level(level))
        assert said.startswith(f"protocol.plain: {key} is [0.5, {float(level)}, 0.5];")


def with_grey(**numbers: Any) -> str:
    grey = PLAIN | {"geometry": " grey|center_crop(28)"} | numbers
    return release_toml(protocol={"plain": grey})


@pytest.mark.parametrize("key", ["mean", "std"])
def test_grey_images_have_one_mean_and_one_deviation(tmp_path: Path, key: str) -> None:
    for numbers in ([0.3], [0.3, 0.3], [0.3, 0.3, 0.3]):
        protocol = read_release(tmp_path, with_grey(**{key: numbers})).protocols
        assert getattr(protocol["plain"], key) == (0.3, 0.3, 0.3)
    for wrong in ([], [0.3, 0.4, 0.3]):
        said = fault_of(tmp_path, with_grey(**{key: wrong}))
        assert said == (
            f"protocol.plain: {key} is {wrong}; a grey geometry has one channel, so "
            "write one number"
        )
    assert f"{key}: must be a list" in fault_of(tmp_path, with_grey(**{key: 0.3}))
    colours = release_toml(protocol={"plain": PLAIN | {key: [0.3]}})
    assert "must be a list of 3, not of 1" in fault_of(tmp_path, colours)
    wrong_type = fault_of(tmp_path, with_grey(geometry=5))
    assert "geometry: must be a string" in wrong_type


def test_a_class_is_a_folder_whose_name_a_disk_can_hold() -> None:
    check_class_folders("classes", ["cat", "ä" * 127])
    with pytest.raises(ValueError, match="which cannot be a folder's name"):
        check_class_folders("classes", ["cat", "ä" * 128])


@pytest.mark.parametrize("folder", ["a" * 255, "/".join(["a"] * 500)])
def test_a_path_is_not_too_long_for_a_disk(folder: str) -> None:
    check_below("folder", folder)
    with pytest.raises(ValueError, match="which is too long for a path"):
        check_below("folder", f"{folder}aa")


def test_a_family_has_a_name_that_is_not_too_long_for_a_disk() -> None:
    check_path_name("/".join(["a"] * 500))
    with pytest.raises(ValueError, match="and 1,000 in all"):
        check_path_name("/".join(["a"] * 501))
