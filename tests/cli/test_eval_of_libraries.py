"""`repro eval LIBRARY:NAME` evaluates as the library does, without any TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from click.testing import CliRunner, Result
from PIL import Image
from timm.data import create_transform, resolve_data_config

from repro.cli import cli
from repro.importing.checkpoints import library_case
from repro.importing.supervised import timm_table
from repro.importing.writing import as_release, class_list

from ..importing.tables import OPEN_CLIP, TIMM, numbers
from ..stand_ins import make_photographs

CLASSES = class_list().decode().split()
SMALL = "test_vit.r160_in1k"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imagenet")
    make_photographs(folder / "val", CLASSES, 1, (48, 40))
    return folder


@pytest.fixture(scope="module")
def model(images: Path) -> Any:
    """A timm model whose answers are right for some of the photographs."""
    torch.manual_seed(7)
    built = timm.create_model(SMALL, pretrained=False).eval()
    with torch.inference_mode():
        for number, (_, pixels) in enumerate(transformed(images, built)):
            if number % 3 == 0:
                features = built.forward_head(
                    built.forward_features(pixels), pre_logits=True
                )[0]
                built.head.weight[number] += 3 * features / features.norm()
    return built


def transformed(images: Path, built: Any) -> list[tuple[Path, torch.Tensor]]:
    """Preprocess the photographs as timm's `validate.py` does."""
    config = resolve_data_config({}, model=built, use_test_size=True)
    transform: Any = create_transform(**config, is_training=False)
    files = [next((images / "val" / name).iterdir()) for name in CLASSES]
    return [(file, transform(Image.open(file).convert("RGB"))[None]) for file in files]


def evaluate(images: Path, name: str, *options: str) -> Result:
    arguments = ("--data-path", str(images), "--cache", "none", "--device", "cpu")
    return CliRunner().invoke(cli, ["eval", name, *arguments, *options])


@pytest.fixture(scope="module")
def weights(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "small.pt"
    torch.save(model.state_dict(), file)
    return file


@pytest.mark.slow
def test_timm_measures_what_its_own_validation_does(
    images: Path, model: Any, weights: Path
) -> None:
    with torch.inference_mode():
        right = sum(
            int(model(pixels).argmax()) == CLASSES.index(file.parent.name)
            for file, pixels in transformed(images, model)
        )
    total = len(CLASSES)
    assert 100 < right < total
    result = evaluate(images, f"timm:{SMALL}", "--ckpt", str(weights))
    assert result.exit_code == 0, result.output
    assert f"{100 * right / total:.3f}" in result.output
    assert "rgb|resize(168,bicubic)|center_crop(160)" in result.output
    assert f"timm {timm.__version__}" in result.output
    assert (
        "published no number of test_vit.r160_in1k with this protocol: https://"
        in result.output
    )
    assert "with --table" in result.output
    assert "1,000 of the 50,000 images" in result.output


@pytest.mark.slow
def test_the_number_of_the_librarys_table_stands_beside_the_measured_one(
    images: Path, weights: Path, tmp_path: Path
) -> None:
    table = tmp_path / "results-imagenet.csv"
    head = TIMM.splitlines()[0]
    table.write_text(f"{head}\n{SMALL},160,41.350,58.65,64.9,35.1,0.37,0.95,bicubic\n")
    options = ("--ckpt", str(weights), "--table", str(table))
    result = evaluate(images, f"timm:{SMALL}", *options)
    assert result.exit_code == 0, result.output
    assert "41.350" in result.output
    assert "published timm, results-imagenet.csv, https://github.com/" in result.output
    # The number is one of all 50,000 images, of which this copy has a fiftieth.
    assert "1 case: 1 inconclusive" in result.output
    assert "1,000 of the 50,000 images" in result.output


@pytest.mark.slow
def test_torchvision_says_its_number_itself(images: Path, tmp_path: Path) -> None:
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(3)
    weights = tmp_path / "weights.pth"
    torch.save(shufflenet_v2_x0_5().state_dict(), weights)
    result = evaluate(images, "torchvision:shufflenet_v2_x0_5", "--ckpt", str(weights))
    assert result.exit_code == 0, result.output
    assert "shufflenet_v2_x0_5.IMAGENET1K_V1" in result.output
    assert "60.552" in result.output
    assert "published torchvision" in result.output
    assert "rgb|resize(256,bilinear)|center_crop(224)" in result.output


def test_open_clip_takes_its_own_names_and_templates() -> None:
    found = library_case(
        "open_clip", "ViT-B-16.openai", has_file=False, table=None, releases=[]
    )
    protocol = found.case.protocol
    assert protocol.geometry == "rgb|resize(224,bicubic)|center_crop(224)"
    assert protocol.text is not None
    assert protocol.text.templates == "open_clip:OPENAI_IMAGENET_TEMPLATES"
    assert found.case.model.architecture == "ViT-B-16.openai"


def test_an_architecture_of_open_clip_is_enough_with_a_file(tmp_path: Path) -> None:
    table = tmp_path / "openclip_results.csv"
    table.write_text(OPEN_CLIP)
    named = library_case(
        "open_clip", "ViT-B-16-SigLIP-512", has_file=True, table=table, releases=[]
    )
    assert named.case.protocol.geometry.endswith("center_crop(512)")
    assert named.case.references == ()
    published = library_case(
        "open_clip",
        "ViT-B-16-SigLIP-512.webli",
        has_file=True,
        table=table,
        releases=[],
    )
    assert numbers(published.case) == {"top1": "79.14"}
    assert not published.hint


def test_numbers_that_were_imported_are_found(tmp_path: Path) -> None:
    table = tmp_path / "results-imagenet.csv"
    table.write_text(TIMM)
    releases = [as_release(timm_table(table))]
    found = library_case(
        "timm", "resnet50", has_file=False, table=None, releases=releases
    )
    # The size of timm's own validation, not the other one that the table has too.
    assert numbers(found.case) == {"top1": "81.206", "top5": "95.374"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (f"timm:{SMALL}", (), "hf://timm/test_vit.r160_in1k/model.safetensors"),
        ("torchvision:mobilenet_v2", (), "mobilenet_v2-7ebf99e0.pth"),
        ("open_clip:ViT-B-16.openai", (), "ViT-B-16.openai in its cache"),
        ("open_clip:ViT-B-16", (), "name one, such as ViT-B-16.openai"),
        ("timm:resnet50.a9_in1k", (), "has no checkpoint 'resnet50.a9_in1k'; it has"),
        ("timm:vit_base_patch16_224.augreg_in21k", (), "has 21,843 classes"),
        ("torchvision:resnet5", (), "it has resnet50"),
        ("torchvision:resnet50.V9", (), "it has resnet50.IMAGENET1K_V"),
        ("open_clip:ViT-B-16.none", (), "has no checkpoint 'ViT-B-16.none'"),
        ("keras:resnet50", (), "use LIBRARY:NAME with one of timm, torchvision"),
        ("convnet", (), "it must be supervised, clip, or a checkpoint of a library"),
        (f"timm:{SMALL}", ("--protocol", "paper"), "--protocol has no effect"),
        ("torchvision:resnet50", ("--table", __file__), "--table has no effect"),
        ("clip", (), "--ckpt is missing"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    result = evaluate(images, name, *options)
    said = str(result.exception)
    assert message in said
    assert len(said) <= 500
    assert "\n" not in said
