"""Cards of the forms that repositories of the Hub have become cases, or say why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.errors import ReproError
from repro.models.libraries import find_loader
from repro.published import read_releases

from ..fetching.host import Host, HubAnswer, running_host
from .cards import IMAGENET, OLD_TIMM, OPEN_CLIP, TIMM, TOP1, entry, index
from .tables import numbers

URL = "https://huggingface.co/somebody/a-resnet/blob/0123abc/README.md"
PROSE = "\n# A ResNet\n\nIt reaches **79%**.\n"


class Repository:
    """A folder with a card and a configuration, as a snapshot of a repository has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.configure(TIMM)

    @property
    def card(self) -> Path:
        return self.folder / "README.md"

    def configure(self, content: Any, name: str = "config.json") -> None:
        (self.folder / name).write_text(json.dumps(content))

    def write(self, *models: dict[str, Any], **others: str) -> None:
        # YAML has all of JSON; values are written as they are given, not quoted.
        text = json.dumps(list(models), indent=1)
        for digits in {
            metric["value"]
            for model in models
            for one in model["results"]
            for metric in one["metrics"]
        }:
            text = text.replace(f'"value": "{digits}"', f'"value": {digits}')
        head = "".join(f"{key}: {value}\n" for key, value in others.items())
        self.card.write_text(f"---\n{head}model-index: {text}\n---\n{PROSE}")

    def load(self, *options: str) -> Result:
        output = str(self.folder / "release")
        arguments = ["import", "model-card", str(self.card), "--url", URL, "-o", output]
        return CliRunner().invoke(cli, [*arguments, *options])

    def case(self, *options: str) -> Case:
        done = self.load(*options)
        assert done.exit_code == 0, done.exception
        (case,) = list_cases(read_releases([self.folder / "release"]))
        return case

    def refused(self) -> str:
        done = self.load()
        assert isinstance(done.exception, ReproError), done.exception
        said = str(done.exception)
        assert len(said) <= 500
        assert said.isprintable()
        assert not (self.folder / "release").exists()
        return said


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "a-resnet")


def test_a_card_of_timm_is_a_case_by_its_test_size_with_the_digits_as_printed(
    repository: Repository,
) -> None:
    top5 = ("accuracy", "Top 5 Accuracy", "94.300")
    repository.write(index(entry(TOP1, top5)), library_name="timm")
    (huggings,) = {one.metric_value for one in read_by_hub(repository)[:1]}
    assert huggings == 79.1
    case = repository.case()
    assert numbers(case) == {"top1": "79.10", "top5": "94.300"}
    assert case.protocol.geometry == "rgb|resize(288,bicubic)|center_crop(288)"
    assert case.model.loader == "timm"
    assert case.model.architecture == "resnet18"
    assert case.model.options == {"num_classes": 1000}
    assert case.release.sources["published"].url == URL
    link = "hf://somebody/a-resnet@0123abc/model.safetensors"
    assert list(case.family.files.values()) == [link]


def test_a_float_that_a_trainer_wrote_in_full_is_a_fraction(
    repository: Repository,
) -> None:
    full = ("accuracy", "Accuracy", "0.8012345678901235")
    where: dict[str, Any] = {**IMAGENET, "args": {"language": "en"}}
    repository.write(index(entry(full, dataset=where)))
    assert numbers(repository.case()) == {"top1": "80.12345678901235"}


def read_by_hub(repository: Repository) -> list[Any]:
    found: list[Any] = ModelCard.load(repository.card).data.eval_results
    return found


def test_a_case_says_that_its_protocol_is_the_librarys_own(
    repository: Repository,
) -> None:
    repository.write(index(entry(TOP1)))
    assert "the card says no protocol" in repository.load().output
    (case,) = list_cases(read_releases([repository.folder / "release"]))
    assert "the card says no protocol, so it is timm's own" in case.protocol.note


def test_an_old_configuration_of_timm_is_read(repository: Repository) -> None:
    repository.configure(OLD_TIMM)
    repository.write(index(entry(("accuracy", "", "0.6971"))))
    case = repository.case()
    assert case.protocol.geometry == "rgb|resize(256,bilinear)|center_crop(224)"
    assert case.protocol.mean == (0.5, 0.5, 0.5)
    assert numbers(case) == {"top1": "69.71"}


def test_a_zero_shot_card_of_open_clip_is_a_case_whose_model_is_built_of_the_card(
    repository: Repository,
) -> None:
    repository.configure(OPEN_CLIP, "open_clip_config.json")
    (repository.folder / "config.json").unlink()
    task = "zero-shot-image-classification"
    value = ("accuracy", "Zero-shot Accuracy", "69.8")
    repository.write(index(entry(value, task=task)))
    case = repository.case()
    assert numbers(case) == {"top1": "69.8"}
    assert case.kind == "clip"
    assert case.protocol.geometry == "rgb|resize(32,bicubic)|center_crop(32)"
    model: Any = find_loader("open_clip").build(
        case.model, repository.folder / "release"
    )
    assert model.visual.conv1.weight.shape == (64, 3, 16, 16)
    assert case.model.architecture in open_clip.list_models()


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        (entry(TOP1, dataset={"name": "CIFAR-10", "type": "cifar10"}), "not ImageNet"),
        (
            entry(TOP1, dataset={"name": "ImageNet-V2", "type": "imagenet-1k"}),
            "not ImageNet",
        ),
        (entry(TOP1, dataset=IMAGENET | {"split": "train"}), "the split 'train'"),
        (entry(TOP1, task="object-detection"), "object-detection, and timm"),
        (entry(TOP1, task="zero-shot-image-classification"), "and timm is measured"),
        (entry(("accuracy", "Top-3 accuracy", "97.1")), "no metric that is known"),
        (entry(("f1", "F1", "0.7")), "no metric that is known"),
        (entry(("accuracy", "", "about 80")), "no plain number"),
        (
            entry(TOP1, source={"name": "pytest-repro", "url": "https://x.org"}),
            "measured by repro",
        ),
    ],
)
def test_what_is_no_case_is_left_out_by_name(
    repository: Repository, added: dict[str, Any], reason: str
) -> None:
    other = entry(("accuracy", "", "78.25"))
    repository.write(index(added, other))
    done = repository.load()
    assert done.exit_code == 0, done.exception
    assert "left out: " in done.output
    assert reason in done.output
    (case,) = list_cases(read_releases([repository.folder / "release"]))
    assert numbers(case) == {"top1": "78.25"}


def test_a_card_with_no_number_to_measure_says_what_it_has(
    repository: Repository,
) -> None:
    repository.write(index(entry(("f1", "F1", "0.7"))))
    assert "'F1' of 'ImageNet-1k' = '0.7': no metric" in repository.refused()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((entry(TOP1, ("accuracy", "", "80.1")),), "says top1 twice, 79.10 and 80.1"),
        (
            (entry(TOP1, ("accuracy", "Top 5 accuracy", "0.941")),),
            "some shares are percent and others look like fractions",
        ),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(
    repository: Repository, entries: tuple[dict[str, Any], ...], message: str
) -> None:
    repository.write(index(*entries))
    assert message in repository.refused()


def test_a_card_of_two_models_is_refused(repository: Repository) -> None:
    repository.write(index(entry(TOP1)), index(entry(TOP1), name="another"))
    assert "numbers of 2 models" in repository.refused()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# no head\n", "does not begin with a block of YAML"),
        ("---\na: [\n---\n", "its head is no YAML"),
        ("---\n- a\n---\n", "its head must be a table"),
        ("---\nlicense: mit\n---\n", "has no model-index"),
        ("---\nmodel-index: 5\n---\n", "model-index is not as the Hub has it"),
        ("---\nmodel-index:\n- name: a\n  results: {}\n---\n", "is not as the Hub"),
        ("---\na: &a [1]\nb: [*a, *a]\n---\n", "its YAML has aliases"),
        ("---\na: !!python/object:os.system x\n---\n", "has no model-index"),
        ("---\na: " + "[" * 5000 + "\n---\n", "its head is no YAML"),
    ],
)
def test_a_head_that_is_none_is_refused(
    repository: Repository, text: str, message: str
) -> None:
    repository.card.write_text(text)
    assert message in repository.refused()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"architectures": ["ViTForImageClassification"]}, "says no architecture"),
        ([], "says no architecture"),
        (TIMM | {"architecture": "resnet5000"}, "has no checkpoint 'resnet5000'"),
        (TIMM | {"num_classes": 10}, "has 10 classes, and ImageNet-1k has 1,000"),
        (TIMM | {"pretrained_cfg": {"crop_mode": "spiral"}}, "crop mode 'spiral'"),
        (TIMM | {"pretrained_cfg": {"input_size": 3}}, "says no architecture"),
        (TIMM | {"pretrained_cfg": {"crop_pct": "much"}}, "says no architecture"),
        (
            TIMM | {"pretrained_cfg": {"input_size": [3, 0, 288]}},
            "is neither S nor HxW",
        ),
    ],
)
def test_a_configuration_that_is_of_no_library_is_refused(
    repository: Repository, content: Any, message: str
) -> None:
    repository.configure(content)
    repository.write(index(entry(TOP1)))
    assert message in repository.refused()


def test_a_card_without_a_configuration_is_refused(repository: Repository) -> None:
    (repository.folder / "config.json").unlink()
    repository.write(index(entry(TOP1)))
    assert "nothing says which architecture" in repository.refused()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.md"], "nowhere.md is no file; name a README.md, or hf://"),
        (["hf://owner"], "must be hf://OWNER/NAME"),
        (["hf://owner/name", "--url=https://x.org"], "--url has no effect with hf://"),
        ([__file__], "nothing says where"),
    ],
)
def test_what_is_no_card_is_refused(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["import", "model-card", *arguments])
    assert message in str(done.exception)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with running_host() as host:
        host.answer_with(HubAnswer)
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", host.url)
        template = f"{host.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        # Up to version 0.27 of the client, a copy of the name is used.
        for module in (constants, huggingface_hub.file_download):
            name = "HUGGINGFACE_CO_URL_TEMPLATE"
            monkeypatch.setattr(module, name, template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield host


def test_a_card_of_the_hub_is_read_at_its_commit(
    hub: Host, repository: Repository, tmp_path: Path
) -> None:
    repository.write(index(entry(TOP1)))
    commit = "0" * 40
    hub.share("/somebody/a-resnet/resolve/main/README.md", repository.card.read_bytes())
    config = (repository.folder / "config.json").read_bytes()
    hub.share(f"/somebody/a-resnet/resolve/{commit}/config.json", config)
    folder = str(tmp_path / "release")
    what = "hf://somebody/a-resnet"
    done = CliRunner().invoke(cli, ["import", "model-card", what, "-o", folder])
    assert done.exit_code == 0, done.exception
    (case,) = list_cases(read_releases([Path(folder)]))
    page = f"https://huggingface.co/somebody/a-resnet/blob/{commit}/README.md"
    assert case.release.sources["published"].url == page
    assert numbers(case) == {"top1": "79.10"}


def test_a_repository_that_the_hub_does_not_have_is_one_clear_error(hub: Host) -> None:
    done = CliRunner().invoke(cli, ["import", "model-card", "hf://somebody/nothing"])
    assert isinstance(done.exception, ReproError)
    assert "hf://somebody/nothing cannot be fetched: 404" in str(done.exception)


def test_without_a_network_it_is_said_at_once_unless_the_card_was_kept(
    hub: Host,
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    repository.write(index(entry(TOP1)))
    hub.share("/somebody/a-resnet/resolve/main/README.md", repository.card.read_bytes())
    config = (repository.folder / "config.json").read_bytes()
    hub.share(f"/somebody/a-resnet/resolve/{'0' * 40}/config.json", config)
    card = ["import", "model-card", "-o", str(tmp_path / "release")]
    assert CliRunner().invoke(cli, [*card, "hf://somebody/a-resnet"]).exit_code == 0
    # No name below .invalid is ever found (RFC 6761), with a network or without.
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://hub.invalid")
    assert CliRunner().invoke(cli, [*card, "hf://somebody/a-resnet"]).exit_code == 0
    done = CliRunner().invoke(cli, [*card, "hf://somebody/another"])
    said = "there is no network here: hub.invalid cannot be looked up"
    assert str(done.exception) == said
    assert "Retrying" not in caplog.text
