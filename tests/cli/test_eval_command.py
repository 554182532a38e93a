"""`repro eval` evaluates one file and ends as the release's scripts do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.errors import ReproError
from repro.published import EMBEDDED


def _eval(kind: str, weights: Path, *options: str) -> Result:
    return CliRunner().invoke(
        cli,
        [
            "eval",
            kind,
            "--expected",
            "embedded",
            "--data-path",
            str(EMBEDDED),
            "--ckpt",
            str(weights),
            "--cache",
            "none",
            *options,
        ],
    )


def test_a_supervised_file_ends_with_checkpoint_accuracy_and_loss() -> None:
    weights = EMBEDDED / "checkpoints" / "supervised" / "real" / "160.pt"
    result = _eval("supervised", weights, "--batch-size", "50")
    checkpoint, accuracy, loss = result.stdout.splitlines()
    assert checkpoint == f"checkpoint: {weights}"
    assert re.fullmatch(r"Top-1 Accuracy: \d+\.\d+", accuracy)
    assert re.fullmatch(r"Loss: \d+\.\d+", loss)


def test_details_come_before_the_lines_of_the_releases_scripts() -> None:
    weights = EMBEDDED / "checkpoints" / "supervised" / "real" / "160.pt"
    lines = _eval("supervised", weights, "--details").stdout.splitlines()
    assert lines[0] == "Top-5 Accuracy: 97.6"
    assert re.fullmatch(r"Expected calibration error: \d+\.\d+ % \(20 bins\)", lines[1])
    worst = re.findall(r"\b(\d) (\d+\.\d)\b", lines[2])
    assert len(worst) == 5
    assert [float(v) for _, v in worst] == sorted(float(v) for _, v in worst)
    assert lines[3].startswith("checkpoint: ")


def test_in_another_precision_the_loss_is_near_and_another_one() -> None:
    weights = EMBEDDED / "checkpoints" / "supervised" / "real" / "80.pt"
    options: tuple[tuple[str, ...], ...] = ((), ("--precision=bf16",))
    lines = [_eval("supervised", weights, *given).stdout for given in options]
    published, rounded = (float(one.rpartition("Loss: ")[2]) for one in lines)
    assert rounded != published
    assert rounded == pytest.approx(published, rel=0.02)


def test_real_labels_are_for_imagenet_only() -> None:
    weights = EMBEDDED / "checkpoints" / "supervised" / "real" / "160.pt"
    result = _eval("supervised", weights, "--real-labels", "timm")
    assert "is not named like an image of ImageNet" in str(result.exception)


def test_a_clip_file_ends_with_zero_shot_accuracy_and_loss() -> None:
    weights = EMBEDDED / "checkpoints" / "clip" / "real" / "160.pt"
    result = _eval("clip", weights)
    assert re.fullmatch(
        r"ImageNet zero-shot accuracy: \d+\.\d+, loss: \d+\.\d+",
        result.stdout.splitlines()[-1],
    )


def test_a_clip_file_is_no_supervised_one() -> None:
    weights = EMBEDDED / "checkpoints" / "clip" / "real" / "160.pt"
    result = _eval("supervised", weights)
    assert isinstance(result.exception, ReproError)
    assert "does not fit timm" in str(result.exception)


def test_an_unknown_protocol_names_those_that_are_known() -> None:
    weights = EMBEDDED / "checkpoints" / "clip" / "real" / "160.pt"
    result = _eval("clip", weights, "--protocol", "paper")
    assert "known are digits-clip" in str(result.exception)


@pytest.mark.parametrize("missing", ["--data-path", "--ckpt"])
def test_what_does_not_exist_is_said(missing: str, tmp_path: Path) -> None:
    places = {
        "--data-path": EMBEDDED,
        "--ckpt": EMBEDDED / "checkpoints" / "clip" / "real" / "160.pt",
        missing: tmp_path / "nothing",
    }
    named = [f"{option}={place}" for option, place in places.items()]
    result = CliRunner().invoke(cli, ["eval", "clip", "--expected=embedded", *named])
    assert result.exit_code != 0
    assert "nothing" in f"{result.output}{result.exception}"
    assert "does not exist" in f"{result.output}{result.exception}"
