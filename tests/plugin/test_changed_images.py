"""A number belongs to the bytes that it was measured on, wherever it is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torchvision import datasets, transforms

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.records.ledger import Ledger

from .conftest import SUITE, ReleaseCopy, RunCases

CHECKPOINT = "supervised/real/160"
#: Classes whose images change places: names, sizes and times stay what they are.
SWAPPED = {"3": "8", "8": "3"}
WHOLE = "--repro-no-early-stop"


def of_one_size(folder: Path, *checkpoints: str) -> ReleaseCopy:
    """Copy some checkpoints, and images that all have names and sizes alike."""
    copy = ReleaseCopy(folder)
    copy.keep(*checkpoints)
    for place in sorted((copy.folder / "val").iterdir()):
        for number, file in enumerate(sorted(place.iterdir())):
            with Image.open(file) as image:
                image.convert("RGB").resize((57, 57)).save(place / f"{number:02}.bmp")
            file.unlink()
    return copy


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseCopy:
    copy = of_one_size(tmp_path / "release", CHECKPOINT)
    copy.bring_code()
    monkeypatch.setenv("REPRO_RUN_CODE", "1")
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


def plain_loop(release: ReleaseCopy, case: Case) -> set[str]:
    """Name the images that a checkpoint has right: torchvision, and no cache."""
    model = Evaluator(EngineSettings(device="cpu", run_code=True)).model(case)
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
    is_right: list[bool] = []
    with torch.inference_mode():
        for batch, labels in torch.utils.data.DataLoader(images, batch_size=100):
            is_right += (model(batch).argmax(1) == labels).tolist()
    files = [Path(file) for file, _ in images.samples]
    named = [f"{file.parent.name}/{file.name}" for file in files]
    return {name for name, right in zip(named, is_right, strict=True) if right}


Right = dict[str, set[str]]


def rounds(release: ReleaseCopy) -> Iterator[Right]:
    """Change the images and change them back; each time, name the right ones by case.

    After the last round they are where they were.
    """
    cases = list_cases([release.read()])
    before: Right = {}
    for _ in range(2):
        found = {case.id: plain_loop(release, case) for case in cases}
        for case, names in before.items():
            assert len(names) - len(found[case]) > 20
        yield found
        before = before or found
        swap(release)
    yield before


def measured(report: Path) -> dict[str, int]:
    cases = json.loads(report.read_bytes())["cases"]
    return {case["id"]: case["metrics"]["top1"]["correct"] for case in cases}


def counted(right: Right) -> dict[str, int]:
    return {case: len(names) for case, names in right.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "option",
    [
        "",
        *(
            pytest.param(option, marks=pytest.mark.slow)
            for option in ("--repro-resume", "--repro-cache=none", "-n1")
        ),
    ],
    ids=["cold and warm", "resumed", "no cache", "a worker"],
)
def test_the_number_is_that_of_a_plain_loop_after_every_change(
    option: str, release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    options = [option] if option else []
    for right in rounds(release):
        run_cases(release, WHOLE, f"--repro-report={report}", *options)
        assert measured(report) == counted(right)


@pytest.mark.slow
def test_a_part_of_the_images_has_right_what_a_plain_loop_has(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    report, folder = tmp_path / "report.json", tmp_path / "ledger"
    options = (f"--repro-report={report}", f"--repro-ledger={folder}")
    for run, right in enumerate(rounds(release), 1):
        run_cases(release, "--repro-limit=200", *options)
        ((case, names),) = right.items()
        with Ledger(folder) as ledger:
            kept = ledger.predictions(run, case)
            (result,) = ledger.results(run)
            assert result.measurement is not None
            known = ledger.names(result.measurement.dataset_fingerprint)
        assert kept is not None
        assert known is not None
        part = {known.files[index] for index in kept.indices}
        assert 200 <= len(part) < 500
        assert measured(report) == {case: len(part & names)}


@pytest.mark.slow
def test_merged_shards_have_the_numbers_of_a_plain_loop_after_every_change(
    run_cases: RunCases, tmp_path: Path
) -> None:
    release = of_one_size(tmp_path / "release", CHECKPOINT, "supervised/real/80")
    report = tmp_path / "merged.json"
    parts = [tmp_path / "first", tmp_path / "second"]
    arguments = ["merge", *map(str, parts), f"--output={report}"]
    places = [f"--ledger={tmp_path / 'merged'}", f"--expected={release.folder}"]
    for right in rounds(release):
        for number, part in enumerate(parts, 1):
            shard = f"--repro-shard={number}/2"
            run_cases(release, WHOLE, shard, f"--repro-ledger={part}")
        CliRunner().invoke(cli, [*arguments, *places])
        assert measured(report) == counted(right)
        report.unlink()


@pytest.mark.slow
def test_with_ray_the_number_is_that_of_a_plain_loop_after_every_change(
    release: ReleaseCopy, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; pip install '.[ray]'")
    pytester.makepyfile(test_release=SUITE)
    report = tmp_path / "report.json"
    for right in rounds(release):
        pytester.runpytest_subprocess(
            *("-p", "no:cacheprovider", "--repro-no-diagnose", WHOLE),
            *(f"--repro-expected={release.folder}", f"--repro-report={report}"),
            *(f"--repro-cache={tmp_path / 'cache'}", "--repro-device=cpu"),
            *("--repro-engine=ray", "--repro-ray-address=local"),  # one of its own
        )
        assert measured(report) == counted(right)
        report.unlink()
