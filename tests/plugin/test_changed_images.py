"""A number belongs to the bytes that it was measured on, wherever it is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import datasets, transforms

from repro.cases import list_cases
from repro.engines.local import LocalEngine
from repro.engines.settings import EngineSettings

from .conftest import ReleaseCopy, RunCases

CHECKPOINT = "supervised/real/160"
#: Classes whose images change places: names, sizes and times stay what they are.
SWAPPED = {"3": "8", "8": "3"}
WHOLE = "--repro-no-early-stop"


@pytest.fixture
def release(tmp_path: Path) -> ReleaseCopy:
    """One checkpoint, and images that all have names and sizes alike."""
    copy = ReleaseCopy(tmp_path / "release")
    copy.keep(CHECKPOINT)
    for folder in sorted((copy.folder / "val").iterdir()):
        for number, file in enumerate(sorted(folder.iterdir())):
            with Image.open(file) as image:
                image.convert("RGB").resize((57, 57)).save(folder / f"{number:02}.bmp")
            file.unlink()
    return copy


def swap(release: ReleaseCopy) -> None:
    """Let the images of two classes change places; again, and they are back."""
    val = release.folder / "val"
    swapped = [file for name in SWAPPED for file in sorted((val / name).iterdir())]
    contents = {file: file.read_bytes() for file in swapped}
    for file in contents:
        before = file.stat()
        file.write_bytes(contents[val / SWAPPED[file.parent.name] / file.name])
        assert file.stat().st_size == before.st_size
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def plain_loop(release: ReleaseCopy) -> int:
    """Count the images that the checkpoint has right: torchvision, and no cache."""
    (case,) = list_cases([release.read()])
    model = LocalEngine(EngineSettings(device="cpu")).model(case)
    images = datasets.ImageFolder(
        str(release.folder / "val"),
        transforms.Compose(
            [
                transforms.Resize(32),
                transforms.CenterCrop(28),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        ),
    )
    right = 0
    with torch.inference_mode():
        for batch, labels in torch.utils.data.DataLoader(images, batch_size=100):
            right += int((model(batch).argmax(1) == labels).sum())
    return right


@pytest.fixture
def right(release: ReleaseCopy) -> tuple[int, int]:
    """What a plain loop counts, with the images in their places and out of them."""
    found = []
    for _ in range(2):
        found.append(plain_loop(release))
        swap(release)
    assert found[0] - found[1] > 20
    return found[0], found[1]


def measured(report: Path) -> int:
    (case,) = json.loads(report.read_bytes())["cases"]
    return int(case["metrics"]["top1"]["correct"])


@pytest.mark.parametrize(
    "option",
    ["", "--repro-resume", "--repro-cache=none"],
    ids=["cold and warm", "resumed", "no cache"],
)
def test_the_number_is_that_of_a_plain_loop_after_every_change(
    option: str,
    release: ReleaseCopy,
    right: tuple[int, int],
    run_cases: RunCases,
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.json"
    options = [option] if option else []
    for expected in (right[0], right[1], right[0]):
        run_cases(release, WHOLE, f"--repro-report={report}", *options)
        assert measured(report) == expected
        swap(release)
