"""Options of the plugin; each has an ini twin, an environment variable and a marker.

The command line counts before the marker, the marker before the ini file, that before
the environment variable, and that before the default.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from repro.errors import OptionError
from repro.files import parse_size

if TYPE_CHECKING:
    from repro.engines.settings import EngineSettings
    from repro.published import Precision

# Written out: importing the type would cost every project that has the plugin.
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16", "fp16")

ENGINES = ("local", "ray")

REPORTS = (".json", ".md", ".csv", ".html")


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: `--repro-NAME`, ini `repro_NAME`, environment `REPRO_NAME`.

    `read` turns text and the folder that relative paths start from into a value.
    """

    name: str
    help: str
    read: Callable[[str, Path], Any]
    default: Any = None
    metavar: str | None = None
    repeatable: bool = False
    flag: bool = False
    in_marker: bool = True

    @property
    def flag_name(self) -> str:
        """How it is written on the command line."""
        return f"--repro-{self.name.replace('_', '-')}"

    @property
    def ini_name(self) -> str:
        """How it is written in an ini file."""
        return f"repro_{self.name}"

    @property
    def variable(self) -> str:
        """How it is written in the environment."""
        return f"REPRO_{self.name.upper()}"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is in force for a test: one field for each option."""

    data: Path | None = None
    checkpoints: Path | None = None
    cache: Path | None = None
    cache_limit: int | None = None
    expected: tuple[Path | str, ...] = ()
    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: int | None = None
    limit: int | None = None
    no_early_stop: bool = False
    diagnose: bool = False
    no_diagnose: bool = False
    strict: bool = False
    download: bool = False
    report: tuple[Path, ...] = ()
    ledger: Path | None = None
    resume: bool = False
    baseline: str | None = None
    diverged_exit: int = 1
    shard: str | None = None
    costs: Path | None = None
    engine: str = "local"
    ray_address: str | None = None
    accelerate: tuple[str, ...] = ("auto",)

    def for_engine(self, workers: int = 1) -> EngineSettings:
        """Give what an engine has to know.

        Args:
            workers: how many processes share this machine.
        """
        from repro.engines.settings import EngineSettings

        return EngineSettings(
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
            accelerate=self.accelerate,
        )


def _path(text: str, base: Path) -> Path:
    return base / Path(text).expanduser()


def _folder_or_none(text: str, base: Path) -> Path | None:
    return None if text == "none" else _path(text, base)


def _expected(text: str, base: Path) -> Path | str:
    return text if text == "embedded" else _path(text, base)


def _text(text: str, base: Path) -> str:
    return text


def _positive(text: str, base: Path) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _exit_status(text: str, base: Path) -> int:
    number = int(text)
    if not 1 <= number <= 255:
        raise ValueError("must be between 1 and 255")
    return number


def _size(text: str, base: Path) -> int:
    return parse_size(text)


def _precision(text: str, base: Path) -> str:
    if text not in PRECISIONS:
        raise ValueError(f"must be one of {', '.join(PRECISIONS)}")
    return text


def _accelerate(text: str, base: Path) -> tuple[str, ...]:
    from repro.evaluation.acceleration import read_names

    return read_names(text)


def _switch(text: str, base: Path) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False}
    known |= {"no": False, "on": True, "off": False, "": False}
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def _engine(text: str, base: Path) -> str:
    if text not in ENGINES:
        raise ValueError(f"must be one of {', '.join(ENGINES)}")
    return text


def _shard(text: str, base: Path) -> str:
    from repro.planning.shards import parse_shard

    return str(parse_shard(text))


def _report(text: str, base: Path) -> Path:
    path = _path(text, base)
    if path.suffix not in REPORTS:
        raise ValueError(f"must end with {', '.join(REPORTS)}")
    if path.is_dir():
        raise ValueError("is a folder")
    return path


OPTIONS = (
    Option(
        "data",
        "folder that holds the images: DIR/val/<class>/<image>",
        _path,
        metavar="DIR",
    ),
    Option(
        "checkpoints",
        "folder that holds the weights: DIR/<family>/<checkpoint>.pt",
        _path,
        metavar="DIR",
    ),
    Option(
        "cache",
        "folder for decoded pixels and text classifiers, or 'none' to keep nothing "
        "(default: the user's cache folder)",
        _folder_or_none,
        metavar="DIR",
        in_marker=False,
    ),
    Option(
        "cache_limit",
        "drop decoded pixels that no case needs any more when all of them exceed "
        "SIZE, such as 500M or 20G (default: no limit)",
        _size,
        metavar="SIZE",
        in_marker=False,
    ),
    Option(
        "expected",
        "published numbers: a TOML file, a folder of them, or 'embedded' for the small "
        "release that is shipped with repro; repeatable (default: expected/)",
        _expected,
        metavar="PATH",
        repeatable=True,
    ),
    Option(
        "device",
        "auto, cpu, cuda or cuda:N (default: auto, a GPU where there is one)",
        _text,
        default="auto",
        metavar="NAME",
    ),
    Option(
        "precision",
        "arithmetic: fp32, tf32, bf16 or fp16; numbers were published in fp32, so "
        "the others settle nothing (default: fp32)",
        _precision,
        default="fp32",
        metavar="NAME",
    ),
    Option(
        "accelerate",
        "make the forward pass faster, if that moves no logit by more than 1e-4 of "
        "their spread: none, or some of channels-last, compile, cuda-graphs and auto "
        "(those that pay), with commas between (default: auto)",
        _accelerate,
        default=("auto",),
        metavar="NAMES",
    ),
    Option(
        "batch_size",
        "images at once (default: found by measuring, halved when memory runs out)",
        _positive,
        metavar="N",
    ),
    Option(
        "limit",
        "evaluate at least N images of each dataset, balanced over its classes; "
        "a part of the images reproduces nothing, but may contradict a number",
        _positive,
        metavar="N",
    ),
    Option(
        "no_early_stop",
        "evaluate all images even when it is beyond doubt that a number is not met",
        _switch,
        default=False,
        flag=True,
    ),
    Option(
        "diagnose",
        "look for what would explain a number in every case that has one, not only in "
        "those that diverge",
        _switch,
        default=False,
        flag=True,
    ),
    Option(
        "no_diagnose",
        "do not look for what would explain a divergence",
        _switch,
        default=False,
        flag=True,
    ),
    Option(
        "strict",
        "fail, not skip, where weights or images are missing",
        _switch,
        default=False,
        flag=True,
    ),
    Option(
        "download",
        "download weights that are missing from where their release says",
        _switch,
        default=False,
        flag=True,
    ),
    Option(
        "report",
        "write a report, its kind chosen by the suffix: .json, .md, .csv, .html or "
        ".badge.json (for shields.io); repeatable",
        _report,
        metavar="FILE",
        repeatable=True,
        in_marker=False,
    ),
    Option(
        "ledger",
        "folder for the history of runs, or 'none' to keep none (default: .repro in "
        "the root folder)",
        _folder_or_none,
        metavar="DIR",
        in_marker=False,
    ),
    Option(
        "baseline",
        "show in reports which images flipped since this run of the ledger: its "
        "number, 'last', or 'green' for the last one in which every number was met",
        _text,
        metavar="RUN",
        in_marker=False,
    ),
    Option(
        "diverged_exit",
        "exit status when a case fails since it diverges, to tell it from what breaks "
        "(default: 1, as for every failed test)",
        _exit_status,
        default=1,
        metavar="N",
        in_marker=False,
    ),
    Option(
        "engine",
        "where cases are measured: local, in these processes, or ray, on the nodes of "
        "a Ray cluster (default: local)",
        _engine,
        default="local",
        metavar="NAME",
        in_marker=False,
    ),
    Option(
        "ray_address",
        "the Ray cluster of --repro-engine ray: HOST:PORT, or 'auto' for one on this "
        "machine (default: RAY_ADDRESS)",
        _text,
        metavar="ADDRESS",
        in_marker=False,
    ),
    Option(
        "shard",
        "run part I of N of the selected cases, for machines that know nothing of each "
        "other; 'repro merge' joins what they measured",
        _shard,
        metavar="I/N",
        in_marker=False,
    ),
    Option(
        "costs",
        "seconds of each case, as 'repro plan --costs FILE' wrote them, to order cases "
        "and to balance shards (default: the ledger's for the order, estimates for "
        "shards)",
        _path,
        metavar="FILE",
        in_marker=False,
    ),
    Option(
        "resume",
        "take over the cases that an earlier run finished with the same code, weights, "
        "images, protocol and environment",
        _switch,
        default=False,
        flag=True,
        in_marker=False,
    ),
)
#: What the marker takes besides options: which cases a test gets.
SELECTORS = ("kind", "family")


def add_options(parser: pytest.Parser) -> None:
    """Register all options and their ini twins."""
    group = parser.getgroup("repro", "repro: published numbers, checked")
    for option in OPTIONS:
        if option.flag:
            group.addoption(
                option.flag_name, action="store_true", default=None, help=option.help
            )
        else:
            group.addoption(
                option.flag_name,
                action="append" if option.repeatable else "store",
                default=None,
                metavar=option.metavar,
                help=option.help,
            )
        kind: Literal["args", "string"] = "args" if option.repeatable else "string"
        parser.addini(option.ini_name, option.help, type=kind, default=None)


def read_settings(
    config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> Settings:
    """Find out what is in force for a test.

    Args:
        config: of the run.
        marker: keyword arguments of the test's `repro` marker.
        folder: of the test's module; paths in the marker start from it.

    Raises:
        OptionError: a value is not allowed, or the marker has an unknown keyword.
    """
    allowed = [option.name for option in OPTIONS if option.in_marker]
    for keyword in marker:
        if keyword not in (*allowed, *SELECTORS):
            raise OptionError(
                f"the marker repro does not know {keyword!r}; "
                f"it takes {', '.join((*SELECTORS, *allowed))}"
            )
    values = {option.name: _value(option, config, marker, folder) for option in OPTIONS}
    own = _project(config) / "expected"
    if not values["expected"] and own.is_dir():
        values["expected"] = (own,)
    if values["cache"] is _UNSET:
        values["cache"] = default_cache()
    if values["ledger"] is _UNSET:
        values["ledger"] = _project(config) / ".repro"
    return Settings(**values)


def names_expected(config: pytest.Config) -> bool:
    """Whether the whole run was given published numbers, before anything is collected.

    What only a marker names is known later.
    """
    option = next(option for option in OPTIONS if option.name == "expected")
    return bool(_value(option, config, {}, config.rootpath))


def default_cache() -> Path:
    """Give the user's cache folder."""
    import platformdirs

    return platformdirs.user_cache_path("repro", appauthor=False)


def summary(settings: Settings) -> str:
    """Say in one line what is in force."""
    parts = [
        "expected " + ", ".join(map(_short, settings.expected)),
        f"data {_short(settings.data or 'of the release')}",
        f"checkpoints {_short(settings.checkpoints or 'of the release')}",
        f"cache {_short(settings.cache or 'none')}",
        f"device {settings.device}",
        settings.precision,
    ]
    if settings.accelerate != ("auto",):
        parts.append(f"accelerated by {', '.join(settings.accelerate) or 'nothing'}")
    if settings.batch_size:
        parts.append(f"batches of {settings.batch_size}")
    if settings.limit:
        parts.append(f"limit {settings.limit:,} images")
    if settings.no_early_stop:
        parts.append("no early stop")
    if settings.no_diagnose:
        parts.append("no diagnosis")
    elif settings.diagnose:
        parts.append("diagnosing every case")
    if settings.strict:
        parts.append("strict")
    if settings.engine != "local":
        parts.append(f"engine {settings.engine}")
    if settings.shard:
        parts.append(f"shard {settings.shard}")
    if settings.download:
        parts.append("downloading what is missing")
    return "repro: " + ", ".join(parts)


def _project(config: pytest.Config) -> Path:
    """Give the folder of the project whose tests run: that of pytest's ini file.

    Without one pytest guesses it from all arguments that are paths, also from the value
    of an option: with images elsewhere it may be the root of the file system.
    """
    is_known = config.inipath is not None or config.getoption("rootdir") is not None
    return config.rootpath if is_known else _invoked_in(config)


class _Unset:
    """No value was given anywhere; None can be one."""


_UNSET = _Unset()


def _value(
    option: Option, config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> Any:
    """Read an option from the first place that has it."""
    ini_folder = config.inipath.parent if config.inipath else config.rootpath
    places: list[tuple[Any, Path, str]] = [
        (config.getoption(option.flag_name), _invoked_in(config), option.flag_name),
        (marker.get(option.name), folder, f"{option.name} of the marker repro"),
        (config.getini(option.ini_name), ini_folder, f"ini {option.ini_name}"),
        (os.environ.get(option.variable), _invoked_in(config), option.variable),
    ]
    for given, base, place in places:
        if given is not None and given not in ([], ""):
            return _read(option, given, base, place)
    if option.name in ("cache", "ledger"):
        return _UNSET
    return () if option.repeatable else option.default


def _read(option: Option, given: Any, base: Path, place: str) -> Any:
    def read(text: Any) -> Any:
        try:
            return option.read(str(text), base)
        except ValueError as error:
            expected = (
                "must be a whole number" if "invalid literal" in str(error) else error
            )
            raise OptionError(f"{place} is {str(text)!r}; it {expected}") from error

    if not option.repeatable:
        return read(given)
    several = given.split(os.pathsep) if isinstance(given, str) else given
    return tuple(read(text) for text in several)


def _invoked_in(config: pytest.Config) -> Path:
    return config.invocation_params.dir


def _short(value: object) -> str:
    """Write a path below the home or the current folder shortly."""
    if isinstance(value, Path):
        for base, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
            if value.is_relative_to(base) and value != base:
                return f"{sign}{value.relative_to(base)}"
    return str(value)
