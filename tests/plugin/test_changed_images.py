"""A number belongs to the bytes that it was measured on, wherever it is kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torchvision import datasets, transforms

from repro.cases import list_cases
from repro.cli import cli
from repro.engines.local import LocalEngine
from repro.engines.settings import EngineSettings
from repro.records.ledger import Ledger

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
    ["", "--repro-resume", "--repro-cache=none", "-n2", "--repro-limit=500"],
    ids=["cold and warm", "resumed", "no cache", "two workers", "limited"],
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


def test_the_ledger_knows_which_images_a_number_is_of(
    release: ReleaseCopy, right: tuple[int, int], run_cases: RunCases, tmp_path: Path
) -> None:
    """Also after `repro merge`, and where the images lie elsewhere by other names."""
    ledgers = [tmp_path / "first", tmp_path / "second"]
    elsewhere = tmp_path / "elsewhere"
    for file in sorted((release.folder / "val").glob("*/*")):
        renamed = elsewhere / "val" / file.parent.name / f"image {file.name}"
        renamed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, renamed)
    run_cases(
        release, WHOLE, f"--repro-ledger={ledgers[0]}", f"--repro-data={elsewhere}"
    )
    run_cases(release, WHOLE, f"--repro-ledger={ledgers[0]}")
    swap(release)
    run_cases(release, WHOLE, f"--repro-ledger={ledgers[1]}", "--repro-shard=1/1")
    merged = tmp_path / "merged"
    arguments = ["merge", str(ledgers[1]), "--ledger", str(merged)]
    expected = f"--expected={release.folder}"
    CliRunner().invoke(cli, [*arguments, expected])
    with Ledger(ledgers[0]) as first, Ledger(merged) as second:
        found = [*first.results(1), *first.results(2), *second.results(1)]
        measurements = [one.measurement for one in found if one.measurement]
        assert [m.metrics.top1 for m in measurements] == [right[0], right[0], right[1]]
        prints = [m.dataset_fingerprint for m in measurements]
        assert prints[0] == prints[1] != prints[2]
        names = second.names(prints[2])
        assert names is not None
        assert len(names.digests) == len(names.files) == 500
