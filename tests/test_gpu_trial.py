"""The trial of a GPU: every step of it on a processor, and on a GPU where one is."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parent.parent


def tried(folder: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    file = folder / "trial.json"
    done = subprocess.run(
        [sys.executable, "-m", "tools.gpu_trial", f"-o{file}", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert file.exists(), done.stderr
    trial = msgspec.json.decode(file.read_bytes())
    assert trial["environment"]["device"]
    return done.returncode, trial["steps"]


@pytest.mark.slow
def test_every_step_is_run_on_a_processor_and_none_is_wrong(tmp_path: Path) -> None:
    status, steps = tried(tmp_path, "--device=cpu")
    verdicts = Counter(step["verdict"] for step in steps)
    assert (status, verdicts["wrong"]) == (0, 0), steps
    elsewhere = [s["name"].split()[0] for s in steps if s["verdict"] == "not here"]
    assert set(elsewhere) == {"cuda-graphs", "GPU:", "no", "a"}
    names = " ".join(step["name"] for step in steps)
    paths = (
        "normalised fp32 bf16 guarded halved sentence channels-last compile warm two "
        "diagnosis gap waits bits full equal float64 fails"
    )
    assert [path for path in paths.split() if path not in names] == []


def test_a_device_that_is_not_here_is_refused_before_anything_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gpu_trial.__main__ import main

    with pytest.raises(SystemExit, match="2"):
        main([f"-o{tmp_path / 'a.json'}", "--device=meta"])
    said = capsys.readouterr().err
    assert "--device is 'meta', but torch finds no meta device here" in said
    assert not list(tmp_path.iterdir())


def test_what_a_device_did_not_compute_is_a_gap_unless_kernels_overlap() -> None:
    from gpu_trial.warm import idle

    kernels = [(10.0, 20.0), (15.0, 30.0), (32.0, 40.0), (45.0, 60.0)]
    # One before all, one beside a kernel, one half in a gap.
    copies = [(0.0, 6.0), (12.0, 16.0), (43.0, 47.0)]
    found = idle(kernels, copies)
    assert found["idle part"] == (2 + 5) / 50
    assert found["longest gap, ms"] == 0.005
    assert found["part of copies beside kernels"] == (4 + 2) / 14
    assert "part of copies beside kernels" not in idle(kernels, [])


def test_the_table_of_the_document_is_that_of_the_trial() -> None:
    from gpu_trial.findings import Trial, table

    kept = ROOT / "benchmarks/results/gpu_trial.json"
    trial = msgspec.json.decode(kept.read_bytes(), type=Trial)
    assert kept.with_suffix(".md").read_text() == table(trial)
    assert table(trial) in (ROOT / "docs/performance.md").read_text()


@pytest.mark.gpu
@pytest.mark.slow
def test_no_step_is_wrong_on_a_gpu(tmp_path: Path) -> None:
    status, steps = tried(tmp_path)
    assert status == 0, [step for step in steps if step["verdict"] == "wrong"]
