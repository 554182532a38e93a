"""A folder with something of everything that a command takes, and its ledgers."""

from __future__ import annotations

import shutil
from pathlib import Path

from repro.data.pixels import PixelStore
from repro.judgement.verdict import Verdict
from repro.published import EMBEDDED, parse_geometry
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.report.comparison import ROWS_SHOWN

from ..fetching.host import Host
from ..fetching.released import Released, weights, zipped
from ..importing.tables import OPEN_CLIP, RELEASE, TIMM
from ..made_results import predictions, result
from ..stand_ins import photograph_dataset
from .paper import PAPER

CLIP_BENCHMARK = """\
dataset,model,pretrained,task,acc1,acc5,mean_per_class_recall
imagenet1k,ViT-B-32,laion400m_e32,zeroshot_classification,0.6020,0.8500,0.6020
"""
PRINTED = """\
| Checkpoint | Top-1 |
|---|---|
| 4M | 90.10 |
"""
FAMILY = "supervised/real"

CARD = """\
---
model-index:
- name: ours
  results:
  - task: {type: image-classification}
    dataset: {name: ImageNet-1k, type: imagenet-1k}
    metrics: [{type: accuracy, value: 69.7}]
---
"""


def make_world(here: Path, host: Host) -> None:
    """Make ledgers, releases, weights, images, tables and a cache below a folder."""
    _ledgers(here)
    (here / "paper.toml").write_text(PAPER)
    for name in ("1M.pt", "4M.pt"):
        place = here / "weights" / FAMILY / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(weights(1))
    (here / "mirror").mkdir()
    _digits(here / "expected" / "digits")
    shutil.copytree(here / "expected/digits/checkpoints" / FAMILY, here / "mirror/real")
    shutil.copytree(here / "mirror/real", here / "mirror/others")
    tiny = Released(here / "tiny", here / "none")
    folder = host.share_folder("/scl/fo/1/h", zipped({"1M.pt": weights(1)}))
    tiny.link(folder)
    (here / "timm.csv").write_text(TIMM)
    (here / "card").mkdir()
    (here / "card/README.md").write_text(CARD)
    (here / "card/config.json").write_text('{"architecture": "resnet18"}')
    (here / "open_clip.csv").write_text(OPEN_CLIP)
    (here / "clip_benchmark.csv").write_text(CLIP_BENCHMARK)
    (here / "small").mkdir()
    (here / "small/release.toml").write_text(RELEASE)
    (here / "printed.md").write_text(PRINTED)
    (here / "spread.md").write_text(PRINTED.replace("90.10", "90.10 \u00b1 0.20"))
    (here / "two.md").write_text(f"{PRINTED}\n{PRINTED.replace('4M', '16M')}")
    (here / "differs.md").write_text(f"{PRINTED}| 8M | 80.00 |\n")
    dataset = photograph_dataset(here / "photographs", per_class=2)
    store = PixelStore(dataset, parse_geometry("rgb|center_crop(16)"), here / "cache")
    list(store.iterate(range(len(dataset.strata))))


def _ledgers(here: Path) -> None:
    """Make a ledger of three runs, the last unfinished, and one of another case."""
    with Ledger(here / ".repro", create=True) as ledger:
        for number, shift in enumerate((0.0, 4.0), start=1):
            run = ledger.begin(f"run {number}", 2, [], GitState())
            ledger.record(run, result("1M", difference=shift), predictions(seed=number))
            ledger.record(run, result("2M", difference=shift), predictions())
            ledger.finish(run, int(bool(shift)))
        ledger.record(ledger.begin("killed", 2, [], GitState()), result("1M"))
    with Ledger(here / "many", create=True) as ledger:
        for number in (1, 2):
            run = ledger.begin(f"run {number}", ROWS_SHOWN + 1, [], GitState())
            for step in range(ROWS_SHOWN + 1):
                seed = number * (step + 1)
                ledger.record(run, result(f"{40 - step}M"), predictions(seed=seed))
            ledger.finish(run, 0)
    with Ledger(here / "below", create=True) as ledger:
        run = ledger.begin("below", 1, [], GitState())
        ledger.record(run, result("1M", Verdict.BELOW, difference=-2.0))
        ledger.finish(run, 1)
    with Ledger(here / "other", create=True) as ledger:
        run = ledger.begin("another", 1, [], GitState())
        ledger.record(run, result("8M"))
        ledger.finish(run, 0)


def _digits(folder: Path) -> None:
    """Copy what is embedded with ten images, two checkpoints and no numbers."""
    folder.mkdir(parents=True)
    for file in ("bytes.bpe.gz", "clip-digits.json"):
        shutil.copy(EMBEDDED / file, folder)
    text = (EMBEDDED / "release.toml").read_text()
    text = text.replace('id = "embedded"', 'id = "digits"')
    (folder / "release.toml").write_text(text.replace("images = 500", "images = 10"))
    for image_class in sorted((EMBEDDED / "val").iterdir()):
        place = folder / "val" / image_class.name
        place.mkdir(parents=True)
        shutil.copy(min(image_class.iterdir()), place)
    for name in (f"{FAMILY}/80.pt", f"{FAMILY}/160.pt", "clip/real/80.pt"):
        place = folder / "checkpoints" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EMBEDDED / "checkpoints" / name, place)
