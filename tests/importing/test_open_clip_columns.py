"""Columns of open_clip's table beside ImageNet's: numbers, prompts, shards, reasons."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from PIL import Image

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.data.dataset import index_dataset
from repro.errors import ExpectedError
from repro.files import file_shipped_with
from repro.importing.checkpoints import library_case
from repro.importing.open_clip import (
    ABOUT,
    BESIDE,
    IMAGENET,
    LEFT_OUT,
    NAMES,
    SETS,
    TEMPLATES,
    VERSION,
)
from repro.models import zeroshot
from repro.models.zeroshot import count_classes, prompts_of
from repro.published import TextSpec, read_releases

from .tables import numbers

OTHERS = [name for names in LEFT_OUT.values() for name in names]
PACKAGE = "clip-benchmark"


def installed() -> bool:
    return any(
        found.metadata["Name"] == PACKAGE and found.version == VERSION
        for found in metadata.distributions(name=PACKAGE)
    )


def write_names(data: Path) -> None:
    """Write what lies beside the shards of each set, as clip-benchmark exports it."""
    for other in BESIDE:
        folder = (data / other.folder).parent
        folder.mkdir(parents=True)
        assert isinstance(other.classes, int)
        lines = [f" no. {number}\n" for number in range(other.classes)]
        (folder / NAMES).write_text("".join(lines))
        (folder / TEMPLATES).write_text("a photo of {c}.\nmy {c}.\n")


@pytest.fixture
def imported(tmp_path: Path) -> tuple[str, dict[str, Case]]:
    cells = {
        "name": "ViT-B-32",
        "pretrained": "laion400m_e32",
        "params (M)": "151.28",
        "FLOPs (B)": "14.78",
        "Average perf. on 38 datasets": "0.5067",
        IMAGENET: "0.6020",
        **{
            other.column: f"0.50{place:02}"
            for place, other in enumerate((*SETS, *BESIDE))
        },
        **dict.fromkeys([*OTHERS, "Cats"], "0.9000"),
    }
    file = tmp_path / "openclip_results.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, cells)
        writer.writeheader()
        writer.writerow(cells)
    write_names(tmp_path / "data")
    arguments = ["import", "open_clip", str(file), "-o", str(tmp_path / "out")]
    arguments += ["--data-path", str(tmp_path / "data")]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(cli, [*arguments, "--check"])
    assert again.exit_code == 0, again.output
    cases = list_cases(read_releases([tmp_path / "out"]))
    return done.output, {case.dataset.id: case for case in cases}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    zeroshot._of_benchmark.cache_clear()


def test_the_38_columns_are_cases_or_have_a_reason(
    imported: tuple[str, dict[str, Case]],
) -> None:
    said, cases = imported
    assert 1 + len(SETS) + len(BESIDE) + len(OTHERS) == 38
    assert not {IMAGENET, *ABOUT} & set(OTHERS)
    assert len(cases) == 1 + len(SETS) + len(BESIDE)
    left_out = [line for line in said.splitlines() if line.startswith("left out: ")]
    for name in (*OTHERS, "Cats"):
        assert any(name in line.split(": ")[1].split(", ") for line in left_out)
    assert "left out: Cats: not known" in left_out
    assert "left out: Flickr, MSCOCO: the recall of a retrieval" in left_out


def test_each_number_has_its_metric_its_source_and_its_tolerance(
    imported: tuple[str, dict[str, Case]],
) -> None:
    _, cases = imported
    assert numbers(cases["imagenet-val"]) == {"top1": "60.20"}
    for place, other in enumerate((*SETS, *BESIDE)):
        case = cases[other.id]
        assert numbers(case) == {other.metric: f"50.{place:02}"}
        (reference,) = case.references
        assert float(reference.tolerance or 0) == float(other.tolerance)
        assert "benchmark.csv" in reference.tolerance_reason
        assert other.column in case.release.sources[reference.source].title
        assert case.dataset.images == other.images
    sets = (*SETS, *BESIDE)
    assert {other.column for other in sets if other.metric != "top1"} == {
        "Caltech-101",
        "FGVC Aircraft",
        "Oxford Flowers-102",
        "Oxford-IIIT Pet",
    }


def test_the_number_beside_an_evaluation_is_that_of_imagenet(
    imported: tuple[str, dict[str, Case]], tmp_path: Path
) -> None:
    found = library_case(
        "open_clip",
        "ViT-B-32.laion400m_e32",
        has_file=True,
        table=tmp_path / "openclip_results.csv",
        releases=[],
    )
    assert numbers(found.case) == {"top1": "60.20"}
    assert found.case.dataset.id == "imagenet-val"


def test_sets_of_imagenets_classes_have_its_prompts(
    imported: tuple[str, dict[str, Case]],
) -> None:
    _, cases = imported
    for name in ("imagenet-a", "imagenet-r", "imagenet-sketch", "imagenetv2"):
        case = cases[name]
        assert case.protocol.text == cases["imagenet-val"].protocol.text
        assert len(case.dataset.outputs or case.dataset.classes) == 1000
    assert cases["imagenet-a"].dataset.columns is not None


def test_class_names_beside_the_shards_are_those_of_the_benchmark(
    imported: tuple[str, dict[str, Case]],
) -> None:
    _, cases = imported
    text = cases["stl10"].protocol.text
    assert text is not None
    found, templates = prompts_of(text)
    assert templates == 2
    assert found[:3] == ["a photo of no. 0.", "my no. 0.", "a photo of no. 1."]
    assert len(found) == 20


def test_class_names_that_are_not_there_are_asked_for(
    imported: tuple[str, dict[str, Case]], tmp_path: Path
) -> None:
    file, data = tmp_path / "openclip_results.csv", tmp_path / "data"
    arguments = ["import", "open_clip", str(file), "-o", str(tmp_path / "new")]
    said = CliRunner().invoke(cli, [*arguments, "--check"]).output
    assert f"{BESIDE[0].column}, {BESIDE[1].column}, " in said
    assert "DIR/wds_cifar10_test/classnames.txt is read with --data-path DIR" in said
    arguments += ["--check", "--data-path", str(data)]
    (data / "wds_stl10_test" / NAMES).unlink()
    said = CliRunner().invoke(cli, arguments).output
    assert "left out: STL-10: accuracies by class names in files beside" in said
    assert f"{data / 'wds_stl10_test' / NAMES} is missing" in said
    (data / "wds_cifar10_test" / NAMES).write_text("cat\ndog\n")
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 1
    assert "has 2 class names, but CIFAR-10 has 10 classes" in str(done.exception)


@pytest.mark.skipif(not installed(), reason=f"{PACKAGE} {VERSION} is not installed")
def test_the_real_package_has_a_name_for_each_class(
    imported: tuple[str, dict[str, Case]],
) -> None:
    _, cases = imported
    for other in SETS:
        text = cases[other.id].protocol.text
        assert text is not None
        spec = cases[other.id].dataset
        assert count_classes(text) == len(spec.outputs or spec.classes)
        found, templates = prompts_of(text)
        assert len(found) == count_classes(text) * templates
        assert not any("{" in prompt for prompt in found)


def install(folder: Path, version: str) -> None:
    """Lay out a package as pip does, with lists of text in the form of the real one."""
    package = folder / "clip_benchmark/datasets"
    package.mkdir(parents=True)
    (folder / "clip_benchmark/__init__.py").write_text("raise ImportError('not read')")
    lists = {"en_classnames": ["crop", "lake or sea"]}
    lists["en_zeroshot_classification_templates"] = ["{c}.", "a photo of {c}"]
    for name, found in lists.items():
        (package / f"{name}.json").write_text(json.dumps({"land": found}))
    about = folder / f"clip_benchmark-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: {PACKAGE}\nVersion: {version}\n")


def land(version: str = "9.1", name: str = "land") -> TextSpec:
    named = f"clip_benchmark=={version}:{name}"
    return TextSpec(classnames=named, templates=named)


@pytest.mark.skipif(installed(), reason="the real package would be found")
def test_prompts_are_read_of_the_version_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ExpectedError, match="none is installed; pip install --no-deps"):
        prompts_of(land())
    install(tmp_path, "9.1")
    monkeypatch.syspath_prepend(tmp_path)
    assert file_shipped_with("clip_benchmark", "__init__.py")
    assert prompts_of(land()) == (
        ["crop.", "a photo of crop", "lake or sea.", "a photo of lake or sea"],
        2,
    )
    with pytest.raises(ExpectedError, match=r"clip-benchmark 9\.0, and 9\.1 is inst"):
        prompts_of(land("9.0"))
    with pytest.raises(ExpectedError, match="no templates sea; it has those of land"):
        prompts_of(land(name="sea"))


def test_the_shards_of_the_benchmark_are_read_as_they_are_downloaded(
    imported: tuple[str, dict[str, Case]], tmp_path: Path
) -> None:
    _, cases = imported
    whole = cases["eurosat"].dataset
    folder = tmp_path / "data" / whole.folder
    folder.mkdir(parents=True)
    (folder / "nshards.txt").write_text("2\n")
    labels = [*range(10), 3, 7]
    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w") as archive:
            for number in range(6 * shard, 6 * shard + 6):
                image = io.BytesIO()
                Image.new("RGB", (8, 8), (number, 0, 0)).save(
                    image, "webp", lossless=True
                )
                for suffix, content in (
                    ("cls", str(labels[number]).encode()),
                    ("webp", image.getvalue()),
                ):
                    member = tarfile.TarInfo(f"s{number:07}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    spec = msgspec.structs.replace(whole, images=12)
    found = index_dataset(spec, tmp_path / "data")
    assert sorted(found.labels.tolist()) == sorted(labels)
