"""Numbers that were published in another precision than float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from repro.published import Precision, Protocol, TextSpec

from .conftest import SUITE, ReleaseCopy, RunCases

SUPERVISED = "supervised/real/80"
CLIP = "clip/real/80"
MIXED = {"amp-fp16": torch.float16, "amp-bf16": torch.bfloat16}
WHOLE = {"fp16": torch.float16, "bf16": torch.bfloat16}


class Scores(NamedTuple):
    """What a script prints: percent, and nats with the digits of a table."""

    top1: str
    loss: str


def scores_of(release: ReleaseCopy, checkpoint: str, precision: Precision) -> Scores:
    """Evaluate a checkpoint as scripts do: a model, a loop and torch's autocast."""
    read = release.read()
    family = read.families[checkpoint.rpartition("/")[0]]
    protocol, spec = read.protocols[family.protocols[0]], read.models[family.model]
    model: Any
    if protocol.text is None:
        model = timm.create_model(spec.architecture, **spec.options)
    else:
        model = open_clip.CLIP(**json.loads((release.folder / spec.config).read_text()))
    state = torch.load(release.weights(checkpoint), weights_only=True)
    model.load_state_dict({name: value.float() for name, value in state.items()})
    model = model.eval().to(WHOLE.get(precision, torch.float32))
    mixed = MIXED.get(precision)
    images = ImageFolder(release.folder / "val", _transform(protocol))
    with torch.no_grad(), torch.autocast("cpu", mixed, enabled=mixed is not None):
        batches = [
            batch.to(WHOLE.get(precision, torch.float32))
            for batch, _ in DataLoader(images, 50)
        ]
        if protocol.text is None:
            logits = torch.cat([model(batch).float() for batch in batches])
        else:
            tokenizer = open_clip.SimpleTokenizer(
                str(release.folder / spec.tokenizer),
                context_length=model.context_length,
            )
            logits = _compared(model, batches, tokenizer, protocol.text)
    labels = torch.tensor(images.targets)
    right = int((logits.argmax(dim=1) == labels).sum())
    loss = functional.cross_entropy(logits.double(), labels).item()
    return Scores(f"{100 * right / len(labels):.2f}", f"{loss:.6f}")


def _compared(
    model: Any, batches: list[Tensor], tokenizer: Any, text: TextSpec
) -> Tensor:
    classes = []
    for name in text.classnames:
        prompts = tokenizer([template.format(name) for template in text.templates])
        embedded = functional.normalize(model.encode_text(prompts), dim=-1).mean(dim=0)
        classes.append(embedded / embedded.norm())
    weights = torch.stack(classes, dim=1)
    scale = model.logit_scale.exp().item()
    logits = [
        scale * functional.normalize(model.encode_image(batch), dim=-1) @ weights
        for batch in batches
    ]
    return torch.cat(logits).float()


def _transform(protocol: Protocol) -> transforms.Compose:
    is_clip = protocol.text is not None
    mode = transforms.InterpolationMode
    resize = transforms.Resize(
        28 if is_clip else 32, mode.BICUBIC if is_clip else mode.BILINEAR
    )
    normalise = transforms.Normalize(protocol.mean, protocol.std)
    crop = transforms.CenterCrop(28)
    return transforms.Compose([resize, crop, transforms.ToTensor(), normalise])


def publish(
    release: ReleaseCopy, checkpoint: str, precision: Precision, scores: Scores
) -> None:
    """Let the release print the numbers of a loop, and the precision it was in."""
    protocol = f"digits-{'clip' if checkpoint.startswith('clip') else 'supervised'}"
    head = f"[protocol.{protocol}]\n"
    release.edit("release.toml", (head, f'{head}precision = "{precision}"\n'))
    release.keep(checkpoint)
    old = f'loss = "{release.published(checkpoint, "loss")}"\n'
    # The order of sums is another one. In half precision that shows in the loss, and on
    # processors that multiply fp16 themselves in one image of 500.
    tolerance = (
        'tolerance = { loss = "0.003", top1 = "0.2", '
        'reason = "sums in another order" }\n'
    )
    release.edit(
        "references.toml",
        (
            f'top1 = "{release.published(checkpoint, "top1")}"',
            f'top1 = "{scores.top1}"',
        ),
        (f'top5 = "{release.published(checkpoint, "top5")}"\n', ""),
        (old, f'loss = "{scores.loss}"\n{tolerance}'),
    )


def reported(folder: Path) -> dict[str, object]:
    (case,) = json.loads((folder / "report.json").read_text())["cases"]
    found: dict[str, object] = case
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("checkpoint", "precision"),
    [
        (SUPERVISED, "amp-bf16"),
        pytest.param(SUPERVISED, "fp16", marks=pytest.mark.slow),
        (SUPERVISED, "tf32"),
        pytest.param(CLIP, "amp-fp16", marks=pytest.mark.slow),
        pytest.param(CLIP, "fp16", marks=pytest.mark.slow),
    ],
)
def test_a_number_is_measured_in_the_precision_that_it_was_published_in(
    release: ReleaseCopy,
    run_cases: RunCases,
    tmp_path: Path,
    checkpoint: str,
    precision: Precision,
) -> None:
    publish(release, checkpoint, precision, scores_of(release, checkpoint, precision))
    result = run_cases(release, f"--repro-report={tmp_path / 'report.json'}")
    result.assert_outcomes(passed=1)
    case = reported(tmp_path)
    assert case["verdict"] == "reproduced"
    assert case["precision"] == precision


def test_an_option_overrules_it_and_then_nothing_is_settled(
    release: ReleaseCopy, run_cases: RunCases, pytester: pytest.Pytester
) -> None:
    publish(release, SUPERVISED, "amp-bf16", Scores("12.34", "9.000000"))
    pytester.makeini("[pytest]\nrepro_precision = fp32\n")
    result = run_cases(release, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["*inconclusive*measured in fp32, published in amp-bf16*"]
    )
    result = run_cases(release, "--repro-precision=published")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*published in amp-bf16*"])


def test_tf32_is_float32_where_there_is_no_cuda_device(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    release.keep(SUPERVISED)
    options = ("--repro-device=cpu", "--repro-precision=tf32")
    run_cases(release, *options).assert_outcomes(passed=1)


def test_a_hopeless_case_stops_early_in_its_own_precision(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    publish(release, SUPERVISED, "amp-bf16", Scores("1.00", "9.000000"))
    run_cases(release, f"--repro-report={tmp_path / 'report.json'}").assert_outcomes(
        failed=1
    )
    assert reported(tmp_path)["stopped_early"]


@pytest.mark.slow
def test_a_conftest_may_have_chosen_how_float32_is_multiplied(
    quick_release: ReleaseCopy, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        """
        import torch

        torch.backends.fp32_precision = "ieee"

        def pytest_sessionfinish(session):
            # What follows from it follows from it as before.
            torch.backends.fp32_precision = "tf32"
            print(f"left: {torch.backends.cudnn.conv.fp32_precision}")
        """
    )
    pytester.makepyfile(test_release=SUITE)
    options = ("-s", "-p", "no:cacheprovider", "--repro-device=cpu")
    result = pytester.runpytest_subprocess(
        f"--repro-expected={quick_release.folder}", *options
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*left: tf32*"])
