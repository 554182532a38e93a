"""The table of options: what can be set, with what it means and how it is read.

An option is one field of `Settings`, and nothing else has to be changed for another
one. It has an ini twin, an environment variable and, mostly, a keyword of the marker.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repro.options import option as read
from repro.options.option import Option

if TYPE_CHECKING:
    from repro.engine.settings import EngineSettings
    from repro.published import AskedPrecision


def own_expected(project: Path) -> tuple[Path, ...]:
    """Give the project's published numbers, if there are any."""
    own = project / "expected"
    return (own,) if own.is_dir() else ()


def own_ledger(project: Path) -> Path:
    """Give the project's ledger."""
    return project / ".repro"


def users_cache(project: Path) -> Path | None:
    """Give the user's cache folder; None where the user has nowhere to write one."""
    import platformdirs

    folder = platformdirs.user_cache_path("repro", appauthor=False)
    places = (folder, *folder.parents)
    there = next(place for place in places if os.access(place, os.F_OK))
    return folder if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else None


def switch(help: str, *, in_marker: bool = True) -> Option[bool]:  # noqa: A002
    """Make an option that is given without a value."""
    return Option(help, read.switch, default=False, in_marker=in_marker)


class Settings:
    """What is in force for a test: one field for each option."""

    data: Option[Path | None] = Option(
        "folder that holds the images: DIR/val/<class>/<image>",
        read.path,
        metavar="DIR",
    )
    checkpoints: Option[Path | None] = Option(
        "folder that holds the weights: DIR/<family>/<checkpoint>.pt",
        read.folder,
        metavar="DIR",
    )
    cache: Option[Path | None] = Option(
        "folder for decoded pixels and text classifiers, or 'none' to keep nothing "
        "(default: the user's cache folder)",
        read.folder_or_none,
        otherwise=users_cache,
        metavar="DIR",
        in_marker=False,
    )
    cache_limit: Option[int | None] = Option(
        "drop decoded pixels that no case needs any more when all of them exceed "
        "SIZE, such as 500M or 20G (default: no limit)",
        read.size,
        metavar="SIZE",
        in_marker=False,
    )
    expected: Option[tuple[Path | str, ...]] = Option(
        "published numbers: a TOML file, a folder of them, or 'embedded' for the small "
        "release that is shipped with repro; repeatable (default: expected/)",
        read.expected,
        default=(),
        otherwise=own_expected,
        metavar="PATH",
        repeatable=True,
    )
    case: Option[tuple[str, ...]] = Option(
        "run only the cases whose id GLOB matches, such as 'supervised/*@plain', and "
        "no claim; repeatable",
        read.plain,
        default=(),
        metavar="GLOB",
        in_marker=False,
        repeatable=True,
    )
    device: Option[str] = Option(
        "where to compute: auto, cpu, cuda, cuda:N, or another device of torch such "
        "as mps or xpu (default: auto, a GPU of CUDA or ROCm where there is one)",
        read.plain,
        default="auto",
        metavar="NAME",
    )
    precision: Option[AskedPrecision | None] = Option(
        "arithmetic: published, as the protocol of the number says, or fp32, tf32, "
        "amp-fp16, amp-bf16 (mixed precision), fp16 or bf16 (all of the model); "
        "another one than that of the number settles nothing. Or guarded: as "
        "published, with the decisions of fp32 from mixed precision where that is "
        "faster, and in fp32 only what could be decided otherwise (default: published)",
        read.precision,
        metavar="NAME",
    )
    accelerate: Option[tuple[str, ...]] = Option(
        "make the forward pass faster, if that moves no logit by more than 1e-4 of "
        "their spread: none, or some of channels-last, compile, cuda-graphs and auto "
        "(those that pay), with commas between (default: auto)",
        read.accelerators,
        default=("auto",),
        metavar="NAMES",
    )
    batch_size: Option[int | Literal["remembered"] | None] = Option(
        "images at once, halved when memory runs out; or 'remembered': found by "
        "measuring once, and kept for later runs, which then compute the same last "
        "digits (default: found by measuring in each run)",
        read.images_at_once,
        metavar="N",
    )
    limit: Option[int | None] = Option(
        "evaluate at least N images of each dataset, balanced over its classes; "
        "a part of the images reproduces nothing, but may contradict a number",
        read.positive,
        metavar="N",
    )
    no_early_stop: Option[bool] = switch(
        "evaluate all images even when it is beyond doubt that a number is not met",
    )
    diagnose: Option[bool] = switch(
        "look for what would explain a number in every case that has one, not only in "
        "those that diverge",
    )
    no_diagnose: Option[bool] = switch(
        "do not look for what would explain a divergence",
    )
    diagnose_share: Option[float] = Option(
        "how much of a full evaluation each suspect of a diagnosis may cost on "
        "average, in percent; more settles more (default: 10)",
        read.percent,
        default=0.1,
        metavar="PERCENT",
    )
    diagnose_time: Option[int | None] = Option(
        "how many seconds a diagnosis may take; what does not fit is left out with a "
        "word (default: that share of an evaluation for each suspect, at least 30)",
        read.positive,
        metavar="SECONDS",
    )
    strict: Option[bool] = switch(
        "fail, not skip, where weights or images are missing",
    )
    download: Option[bool] = switch(
        "download weights that are missing from where their release says",
    )
    run_code: Option[bool] = switch(
        "build models by running the Python files that releases bring for them "
        "(loader 'python')",
    )
    report: Option[tuple[Path, ...]] = Option(
        "write a report, its kind chosen by the suffix: .json, .md, .csv, .html or "
        ".badge.json (for shields.io); repeatable",
        read.report,
        default=(),
        metavar="FILE",
        in_marker=False,
        repeatable=True,
    )
    ledger: Option[Path | None] = Option(
        "folder for the history of runs, or 'none' to keep none (default: .repro in "
        "the root folder)",
        read.folder_or_none,
        otherwise=own_ledger,
        metavar="DIR",
        in_marker=False,
    )
    baseline: Option[str | None] = Option(
        "show in reports which images flipped since this run of the ledger: its "
        "number, 'last', or 'green' for the last one in which every number was met",
        read.plain,
        metavar="RUN",
        in_marker=False,
    )
    diverged_exit: Option[int] = Option(
        "exit status when a case fails since it diverges, to tell it from what breaks "
        "(default: 1, as for every failed test)",
        read.exit_status,
        default=1,
        metavar="N",
        in_marker=False,
    )
    engine: Option[str] = Option(
        "where cases are measured: local, in these processes, ray, on the nodes of a "
        "Ray cluster, or an engine of another package (default: local)",
        read.engine,
        default="local",
        metavar="NAME",
        in_marker=False,
    )
    ray_address: Option[str | None] = Option(
        "the Ray cluster of --repro-engine=ray: HOST:PORT, or 'auto' for one on this "
        "machine (default: RAY_ADDRESS)",
        read.plain,
        metavar="ADDRESS",
        in_marker=False,
    )
    shard: Option[str | None] = Option(
        "run part I of N of the selected cases, for machines that know nothing of each "
        "other; 'repro merge' joins what they measured",
        read.shard,
        metavar="I/N",
        in_marker=False,
    )
    costs: Option[Path | None] = Option(
        "seconds of each case, as 'repro plan --costs FILE' wrote them, to order cases "
        "and to balance shards (default: the ledger's for the order, estimates for "
        "shards)",
        read.path,
        metavar="FILE",
        in_marker=False,
    )
    resume: Option[bool] = switch(
        "take over the cases that an earlier run finished with the same code, weights, "
        "images, protocol and environment",
        in_marker=False,
    )

    def __init__(self, **values: Any) -> None:
        #: What was given or found; the rest is as it is by default.
        self.values = {name: one.default for name, one in OPTIONS.items()} | values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.values == other.values

    def __hash__(self) -> int:
        return hash(frozenset(self.values.items()))

    def for_engine(self, workers: int = 1) -> EngineSettings:
        """Give what an engine has to know: what it calls as an option is called.

        Args:
            workers: how many processes share this machine.
        """
        from repro.engine.settings import EngineSettings

        named = OPTIONS.keys() & EngineSettings.__struct_fields__
        return EngineSettings(
            **{name: self.values[name] for name in named},
            early_stop=not self.no_early_stop,
            workers=workers,
        )


#: All options by name, in the order of the help.
OPTIONS: dict[str, Option[Any]] = {
    name: field for name, field in vars(Settings).items() if isinstance(field, Option)
}

#: What the marker takes besides options: which cases a test gets.
SELECTORS = ("kind", "family")


def refuse_misprints() -> None:
    """Refuse variables of the environment that are an option's but for a misprint.

    Others that begin with REPRO_ may belong to somebody else.

    Raises:
        OptionError: there is one.
    """
    variables = [option.variable for option in OPTIONS.values()]
    ours = (name for name in os.environ if name.startswith("REPRO_"))
    strangers = [name for name in ours if name not in variables]
    if not strangers:
        return
    import difflib

    from repro.errors import OptionError

    for name in strangers:
        near = difflib.get_close_matches(name, variables, n=1, cutoff=0.9)
        if near:
            raise OptionError(
                f"the environment variable {name} is not known; correct it to "
                f"{near[0]}, or unset it"
            )
