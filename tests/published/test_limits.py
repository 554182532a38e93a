"""What is just allowed, and what is just beyond it, for the reader and for editors."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from repro.errors import ExpectedError
from repro.published import PRECISIONS, file_lists
from repro.published.file_lists import list_text, make_list, shipped_list
from repro.published.files import load_toml
from repro.published.geometry import Geometry
from repro.published.json_schema import release_schema
from repro.published.vocabulary import is_same_arithmetic, list_weights

from ..releases import (
    FAMILY,
    HEAD,
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
    monkeypatch.setattr(file_lists, "LISTS", tmp_path)
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
