"""Loading a checkpoint, and commands that evaluate nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import plain
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import compare, seconds, spread
from repro.models.building import load_checkpoint

ROOT = Path(__file__).parents[1]


def load(setting: Setting) -> list[Row]:
    """Load a ViT-B/16, against building it at random and replacing that."""
    (case,) = setting.stand_ins.cases("supervised/vit-b16", "some")
    weights = setting.stand_ins.folder / case.family.id / "1.pt"
    architecture, classes = case.model.architecture, len(case.dataset.classes)
    found = compare(
        lambda: load_checkpoint(
            case.model, case.release.location, weights, setting.device
        ),
        lambda: plain.load_supervised(architecture, weights, classes).to(
            setting.device
        ),
        setting.repetitions + 2,
    )
    return [
        Row(
            id="load",
            what="load / create_model, torch.load, load_state_dict, ViT-B/16",
            unit="ratio",
            value=found.ratio,
            goal=Goal(0.1),
            parts={"ours, s": found.ours.median, "other, s": found.other.median},
        )
    ]


def start_up(setting: Setting) -> list[Row]:
    """Run the commands that evaluate nothing, against a bare Python and pytest."""
    rows: list[Row] = []
    for name, command in (
        ("cases", ["-m", "repro.cli", "cases"]),
        ("collect", ["-m", "pytest", "--collect-only", "-q", "tests/reproduction"]),
    ):
        taken = [
            seconds(partial(_run, command)) for _ in range(setting.repetitions + 1)
        ]
        rows.append(
            Row(
                id=f"start-{name}",
                what=" ".join(["python", *command]),
                unit="s",
                value=spread(taken[1:]),
            )
        )
    return rows


def _run(command: Sequence[str]) -> None:
    subprocess.run(
        [sys.executable, *command], check=True, capture_output=True, cwd=ROOT
    )


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [load, start_up]
