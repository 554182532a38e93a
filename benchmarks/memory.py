"""How much memory a worker takes, whatever the size of the dataset."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.loading import ROOT
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import spread

#: Evaluates a case in a process of its own and prints the peak of its memory in KiB.
PROGRAM = """
import sys
from pathlib import Path
from repro.cases import list_cases
from repro.engines.local import LocalEngine
from repro.engines.settings import EngineSettings
from repro.published import read_releases

folder, dataset, device, images = sys.argv[1:]
folder = Path(folder)
cases = list_cases(read_releases([folder / "release.toml"]), folder)
(case,) = (
    case for case in cases
    if case.family.id == "supervised/vit-ti16" and case.dataset.id == dataset
)
settings = EngineSettings(
    data=folder, checkpoints=folder, cache=folder / f"cache-{dataset}-{images}",
    device=device, limit=int(images), batch_size=8,
)
LocalEngine(settings).measure(case)
# Not getrusage, which begins with the peak of the process that started this one.
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def peak_memory(setting: Setting) -> list[Row]:
    """Evaluate a part of a dataset and four times as much, from photographs."""
    case, *_ = setting.stand_ins.cases("supervised/vit-ti16", "many")
    few, much = (64, 256) if setting.is_quick else (256, 1024)
    peaks = []
    for images in (few, much):
        arguments = [setting.stand_ins.folder, case.dataset.id, setting.device, images]
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        peaks.append(int(finished.stdout.split()[-1]) / 1024)
    return [
        Row(
            id="memory",
            what=f"peak memory of a worker, {much:,} images / {few:,}, ViT-Ti/16",
            unit="ratio",
            value=spread([peaks[1] / peaks[0]]),
            goal=Goal(1.05),
            parts={f"MiB with {few} images": peaks[0], f"MiB with {much}": peaks[1]},
        )
    ]


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [peak_memory]
