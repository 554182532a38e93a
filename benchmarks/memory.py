"""How much memory a worker takes, whatever the size of the dataset."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.loading import ROOT
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import spread

#: Evaluates a case in a process of its own and prints two peaks in KiB: of the memory
#: that is its own, and of all that it has in memory. The latter has pages of mapped
#: pixels and libraries, which the system takes back when it needs room.
PROGRAM = """
import sys
import threading
import time
from pathlib import Path
from repro.cases import list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
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

def kibibytes(name):
    return int(Path("/proc/self/status").read_text().partition(name)[2].split()[0])

peak = 0

def watch():
    global peak
    while True:
        peak = max(peak, kibibytes("RssAnon:"))
        time.sleep(0.01)

threading.Thread(target=watch, daemon=True).start()
Evaluator(settings).measure(case)
# Not getrusage, which begins with the peak of the process that started this one.
print(peak, kibibytes("VmHWM:"))
"""


def peak_memory(setting: Setting) -> list[Row]:
    """Evaluate a part of a dataset and four times as much, from photographs."""
    case, *_ = setting.stand_ins.cases("supervised/vit-ti16", "many")
    few, much = (64, 256) if setting.is_quick else (256, 1024)
    own, all_pages = [], []
    for images in (few, much):
        arguments = [setting.stand_ins.folder, case.dataset.id, setting.device, images]
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        peaks = finished.stdout.split()[-2:]
        own.append(int(peaks[0]) / 1024)
        all_pages.append(int(peaks[1]) / 1024)
    return [
        Row(
            id="memory",
            what=f"peak memory of a worker, {much:,} images / {few:,}, ViT-Ti/16",
            unit="ratio",
            value=spread([own[1] / own[0]]),
            goal=Goal(1.05),
            parts={
                f"MiB with {few} images": own[0],
                f"MiB with {much}": own[1],
                f"MiB with {few}, mapped pages too": all_pages[0],
                f"MiB with {much}, mapped pages too": all_pages[1],
            },
        )
    ]


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [peak_memory]
