"""The table of options: what can be set, with what it means and how it is read.

An option is one field of `Settings`, and nothing else has to be changed for another
one. It has an ini twin, an environment variable and, mostly, a keyword of the marker.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from repro.plugin import places, readers
from repro.plugin.option import option, options_of

if TYPE_CHECKING:
    from repro.engine.settings import EngineSettings
    from repro.published import Precision


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is in force for a test: one field for each option."""

    data: Path | None = option(
        "folder that holds the images: DIR/val/<class>/<image>",
        readers.path,
        metavar="DIR",
    )
    checkpoints: Path | None = option(
        "folder that holds the weights: DIR/<family>/<checkpoint>.pt",
        readers.path,
        metavar="DIR",
    )
    cache: Path | None = option(
        "folder for decoded pixels and text classifiers, or 'none' to keep nothing "
        "(default: the user's cache folder)",
        readers.folder_or_none,
        otherwise=places.users_cache,
        metavar="DIR",
        in_marker=False,
    )
    cache_limit: int | None = option(
        "drop decoded pixels that no case needs any more when all of them exceed "
        "SIZE, such as 500M or 20G (default: no limit)",
        readers.size,
        metavar="SIZE",
        in_marker=False,
    )
    expected: tuple[Path | str, ...] = option(
        "published numbers: a TOML file, a folder of them, or 'embedded' for the small "
        "release that is shipped with repro; repeatable (default: expected/)",
        readers.expected,
        default=(),
        otherwise=places.own_expected,
        metavar="PATH",
        repeatable=True,
    )
    device: str = option(
        "auto, cpu, cuda or cuda:N (default: auto, a GPU where there is one)",
        readers.plain,
        default="auto",
        metavar="NAME",
    )
    precision: Precision | None = option(
        "arithmetic: published, as the protocol of the number says, or fp32, tf32, "
        "amp-fp16, amp-bf16 (mixed precision), fp16 or bf16 (all of the model); "
        "another one than that of the number settles nothing (default: published)",
        readers.precision,
        metavar="NAME",
    )
    accelerate: tuple[str, ...] = option(
        "make the forward pass faster, if that moves no logit by more than 1e-4 of "
        "their spread: none, or some of channels-last, compile, cuda-graphs and auto "
        "(those that pay), with commas between (default: auto)",
        readers.accelerators,
        default=("auto",),
        metavar="NAMES",
    )
    batch_size: int | None = option(
        "images at once (default: found by measuring, halved when memory runs out)",
        readers.positive,
        metavar="N",
    )
    limit: int | None = option(
        "evaluate at least N images of each dataset, balanced over its classes; "
        "a part of the images reproduces nothing, but may contradict a number",
        readers.positive,
        metavar="N",
    )
    no_early_stop: bool = option(
        "evaluate all images even when it is beyond doubt that a number is not met",
        readers.switch,
        default=False,
    )
    diagnose: bool = option(
        "look for what would explain a number in every case that has one, not only in "
        "those that diverge",
        readers.switch,
        default=False,
    )
    no_diagnose: bool = option(
        "do not look for what would explain a divergence",
        readers.switch,
        default=False,
    )
    diagnose_share: float = option(
        "how much of a full evaluation each suspect of a diagnosis may cost on "
        "average, in percent; more settles more (default: 10)",
        readers.percent,
        default=0.1,
        metavar="PERCENT",
    )
    strict: bool = option(
        "fail, not skip, where weights or images are missing",
        readers.switch,
        default=False,
    )
    download: bool = option(
        "download weights that are missing from where their release says",
        readers.switch,
        default=False,
    )
    report: tuple[Path, ...] = option(
        "write a report, its kind chosen by the suffix: .json, .md, .csv, .html or "
        ".badge.json (for shields.io); repeatable",
        readers.report,
        default=(),
        metavar="FILE",
        in_marker=False,
        repeatable=True,
    )
    ledger: Path | None = option(
        "folder for the history of runs, or 'none' to keep none (default: .repro in "
        "the root folder)",
        readers.folder_or_none,
        otherwise=places.own_ledger,
        metavar="DIR",
        in_marker=False,
    )
    baseline: str | None = option(
        "show in reports which images flipped since this run of the ledger: its "
        "number, 'last', or 'green' for the last one in which every number was met",
        readers.plain,
        metavar="RUN",
        in_marker=False,
    )
    diverged_exit: int = option(
        "exit status when a case fails since it diverges, to tell it from what breaks "
        "(default: 1, as for every failed test)",
        readers.exit_status,
        default=1,
        metavar="N",
        in_marker=False,
    )
    engine: str = option(
        "where cases are measured: local, in these processes, ray, on the nodes of a "
        "Ray cluster, or an engine of another package (default: local)",
        readers.engine,
        default="local",
        metavar="NAME",
        in_marker=False,
    )
    ray_address: str | None = option(
        "the Ray cluster of --repro-engine=ray: HOST:PORT, or 'auto' for one on this "
        "machine (default: RAY_ADDRESS)",
        readers.plain,
        metavar="ADDRESS",
        in_marker=False,
    )
    shard: str | None = option(
        "run part I of N of the selected cases, for machines that know nothing of each "
        "other; 'repro merge' joins what they measured",
        readers.shard,
        metavar="I/N",
        in_marker=False,
    )
    costs: Path | None = option(
        "seconds of each case, as 'repro plan --costs FILE' wrote them, to order cases "
        "and to balance shards (default: the ledger's for the order, estimates for "
        "shards)",
        readers.path,
        metavar="FILE",
        in_marker=False,
    )
    resume: bool = option(
        "take over the cases that an earlier run finished with the same code, weights, "
        "images, protocol and environment",
        readers.switch,
        default=False,
        in_marker=False,
    )

    def for_engine(self, workers: int = 1) -> EngineSettings:
        """Give what an engine has to know.

        Args:
            workers: how many processes share this machine.
        """
        from repro.engine.settings import EngineSettings

        return EngineSettings(
            engine=self.engine,
            address=self.ray_address,
            data=self.data,
            checkpoints=self.checkpoints,
            cache=self.cache,
            cache_limit=self.cache_limit,
            device=self.device,
            precision=self.precision,
            batch_size=self.batch_size,
            limit=self.limit,
            workers=workers,
            early_stop=not self.no_early_stop,
            download=self.download,
            diagnose_share=self.diagnose_share,
            accelerate=self.accelerate,
        )


OPTIONS = options_of(Settings)

#: What the marker takes besides options: which cases a test gets.
SELECTORS = ("kind", "family")
