"""What one table of a release says of another has to fit, and what is left is free."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from repro.published import Release

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

PYTHON = {"loader": "python", "architecture": "Net"}
OPEN_CLIP = {"loader": "open_clip", "architecture": "ViT-B-32"}


def with_model(**keys: Any) -> str:
    return release_toml(model={"vit": keys})


def test_code_of_somebody_else_need_not_be_there(tmp_path: Path) -> None:
    own = with_model(**PYTHON, code="net.py")
    missing = f"model.vit: code names {tmp_path / 'net.py'}, which does not exist"
    assert fault_of(tmp_path, own) == missing
    theirs = with_model(**PYTHON, code="net.py", code_url="https://example.org/net.py")
    model = read_release(tmp_path, theirs).models["vit"]
    assert shlex.split(model.code_command(tmp_path)) == [
        *("curl", "-fLo", str(tmp_path / "net.py"), "https://example.org/net.py")
    ]
    # A link to code says nothing of another file.
    config = with_model(
        **PYTHON, code="net.py", code_url="https://x.org", config="c.json"
    )
    assert "config names" in fault_of(tmp_path, config)
    (tmp_path / "net.py").touch()
    assert read_release(tmp_path, own).models["vit"].code == "net.py"


def test_code_is_a_file_of_python_and_needs_its_loader(tmp_path: Path) -> None:
    for name in ("net.py", "net.txt"):
        (tmp_path / name).touch()
    assert "code is ''; loader 'python' needs the file" in fault_of(
        tmp_path, with_model(**PYTHON)
    )
    assert "code is 'net.txt'; loader 'python' needs" in fault_of(
        tmp_path, with_model(**PYTHON, code="net.txt")
    )
    assert "code has no effect with loader 'timm'; it belongs to python" in fault_of(
        tmp_path, with_model(**VIT, code="net.py")
    )


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ("0" * 64, ""),
        ("0" * 63, "code_sha256 must be 64 hexadecimal digits in lower case"),
        ("F" * 64, "code_sha256 must be 64 hexadecimal digits in lower case"),
    ],
)
def test_a_sum_of_code_is_a_sum(tmp_path: Path, digest: str, said: str) -> None:
    (tmp_path / "net.py").touch()
    text = with_model(**PYTHON, code="net.py", code_sha256=digest)
    if said:
        assert fault_of(tmp_path, text) == f"model.vit: {said}"
    else:
        assert read_release(tmp_path, text).models["vit"].code_sha256 == digest
    for key, value in (("code_sha256", "0" * 64), ("code_url", "https://x.org")):
        assert "name the file as code" in fault_of(
            tmp_path, with_model(**VIT, **{key: value})
        )


def test_a_tokenizer_needs_no_family_that_uses_it_yet(tmp_path: Path) -> None:
    (tmp_path / "bytes.gz").touch()
    clip = OPEN_CLIP | {"tokenizer": "bytes.gz"}
    unused = release_toml(model={"vit": VIT, "clip": clip})
    assert read_release(tmp_path, unused).models["clip"].tokenizer == "bytes.gz"
    # As the model of one checkpoint it is used too.
    used = release_toml(
        model={"vit": VIT, "clip": clip},
        family={"supervised/real": FAMILY | {"models": {"1M": "clip"}}},
    )
    assert "tokenizer has no effect" in fault_of(tmp_path, used)
    # What a family names wrongly is said of the family.
    astray = release_toml(
        model={"vit": VIT, "clip": clip},
        family={"a": FAMILY | {"models": {"1M": "clip"}, "protocols": ["none"]}},
    )
    assert "protocols names 'none', which is not defined" in fault_of(tmp_path, astray)


def test_checkpoints_of_a_family_may_have_models_of_their_own(tmp_path: Path) -> None:
    models = {"vit": VIT, "named": VIT | {"architecture": "{checkpoint}"}}
    family = FAMILY | {"models": {"resnet50": "named"}}
    text = release_toml(model=models, family={"a": family})
    release = read_release(tmp_path, text)
    found = release.families["a"]
    assert found.model_of("resnet50") == "named"
    assert found.model_of("1M") == "vit"
    named, vit = release.models["named"], release.models["vit"]
    assert named.of_checkpoint("resnet50").architecture == "resnet50"
    assert vit.of_checkpoint("resnet50").architecture == VIT["architecture"]
    unknown = release_toml(family={"a": FAMILY | {"models": {"1M": "none"}}})
    assert "models names 'none', which is not defined" in fault_of(tmp_path, unknown)
    wrong = release_toml(family={"a": FAMILY | {"models": {"a b": "vit"}}})
    assert "the name 'a b' must begin" in fault_of(tmp_path, wrong)


@pytest.mark.parametrize("outputs", [(), ("cat", "dog", "bird")])
def test_names_of_classes_are_as_many_as_what_a_model_tells_apart(
    tmp_path: Path, outputs: tuple[str, ...]
) -> None:
    dataset = VALIDATION | ({"outputs": list(outputs)} if outputs else {})
    for number in (1, 2, 3, 4):
        names = [f"n{place}" for place in range(number)]
        text = {"classnames": names, "templates": ["a {}."]}
        release = release_toml(
            dataset={"val": dataset},
            protocol={"plain": PLAIN | {"text": text, "logit_scale": "checkpoint"}},
        )
        if number == len(outputs or VALIDATION["classes"]):
            read_release(tmp_path, release)
        else:
            assert f"has {number} classnames, but the dataset 'val' has" in fault_of(
                tmp_path, release
            )


def release_of(folder: Path, **header: str) -> Release:
    own = {"id": "tiny", "title": "Tiny"} | header
    return read_release(folder, release_toml(release=own))


def test_what_is_shipped_lies_below_the_release(tmp_path: Path) -> None:
    plain = release_of(tmp_path)
    assert plain.own_checkpoints is plain.own_data is None
    shipped = release_of(tmp_path, checkpoints="weights", data="images/all")
    assert shipped.own_checkpoints == tmp_path / "weights"
    assert shipped.own_data == tmp_path / "images/all"


def test_the_first_dataset_is_the_default_unless_another_is_named(
    tmp_path: Path,
) -> None:
    both = {"b": VALIDATION, "a": VALIDATION}
    family = {"supervised/real": FAMILY | {"datasets": ["a"]}}
    text = release_toml(dataset=both, family=family)
    assert read_release(tmp_path, text).default_dataset == "b"
    named = {"id": "tiny", "title": "Tiny", "default_dataset": "a"}
    chosen = release_toml(release=named, dataset=both, family=family)
    assert read_release(tmp_path, chosen).default_dataset == "a"
    other = release_toml(release=named | {"default_dataset": "c"}, dataset=both)
    assert "default_dataset names 'c', which is not" in fault_of(tmp_path, other)


def test_the_conditions_of_a_protocol_are_one_line(tmp_path: Path) -> None:
    release = read_release(tmp_path, HEAD)
    plain, text = release.protocols["plain"], release.protocols["text"]
    assert plain.kind == "supervised"
    assert text.kind == "clip"
    assert plain.conditions == "mean 0.5, std 0.25"
    assert text.conditions == (
        f"{plain.conditions}, templates 1, class names 2, logit scale 100.0"
    )
    shipped = {"classnames": ["a", "b"], "templates": "open_clip:openai"}
    half = PLAIN | {"text": shipped, "logit_scale": "checkpoint", "precision": "fp16"}
    said = read_release(tmp_path, release_toml(protocol={"plain": half}))
    assert said.protocols["plain"].conditions == (
        f"{plain.conditions}, templates open_clip:openai, class names 2, "
        "logit scale checkpoint, published in fp16"
    )


def test_a_cost_beside_a_number_counts_for_each_family_that_it_names(
    tmp_path: Path,
) -> None:
    families = release_toml(family={"a": FAMILY, "b": FAMILY})
    both = REFERENCE.replace('"supervised/real"', '["a", "b"]') + "gflops = 2\n"
    other = REFERENCE.replace('"supervised/real"', '"b"').replace("top1", "loss")
    for cost in (1.0, 3.0):
        assert f"gflops is {cost}, but" in fault_of(
            tmp_path, f"{families}{both}{other}gflops = {cost}\n"
        )
    # Without one of its own it has that of its model.
    read_release(tmp_path, families + both + other)
    free = other.replace('"1M"', '"2M"')
    read_release(tmp_path, f"{families}{both}{free}gflops = 3\n")


def test_a_number_of_two_families_is_the_same_in_either_order(tmp_path: Path) -> None:
    families = release_toml(family={"a": FAMILY, "b": FAMILY})
    one, other = (
        REFERENCE.replace('"supervised/real"', names)
        for names in ('["a", "b"]', '["b", "a"]')
    )
    assert "top1 of the same checkpoint" in fault_of(tmp_path, families + one + other)
    # Of one of them alone it is another number.
    alone = REFERENCE.replace('"supervised/real"', '"a"')
    assert len(read_release(tmp_path, families + one + alone).references) == 2


def test_files_of_a_loader_that_is_not_ours_are_its_own_affair(tmp_path: Path) -> None:
    (tmp_path / "c.json").touch()
    model = with_model(loader="onnx", architecture="net", config="c.json")
    assert read_release(tmp_path, model).models["vit"].config == "c.json"


def test_where_nothing_is_defined_that_is_said(tmp_path: Path) -> None:
    assert fault_of(tmp_path, release_toml(source={})) == (
        "protocol.plain: source names 'paper', which is not defined; defined are none"
    )
