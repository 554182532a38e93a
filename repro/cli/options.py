"""Options that several commands share, named as in pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import repro
from repro.published import PRECISIONS


def _default_expected() -> tuple[str, ...]:
    if Path("expected").is_dir():
        return ("expected",)
    package = Path(repro.__file__).parent
    shipped = (package / "expected", package.parent / "expected")
    return tuple(str(folder) for folder in shipped if folder.is_dir())[:1]


def _default_cache() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("repro", appauthor=False)


def _cache(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> Path | None:
    if value == "none":
        return None
    return Path(value).expanduser() if value else _default_cache()


def _ledger(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path:
    """Find the ledger of the project that the current folder belongs to."""
    if value is not None:
        return value.expanduser()
    here = Path.cwd()
    found = (folder / ".repro" for folder in (here, *here.parents))
    return next((folder for folder in found if folder.is_dir()), here / ".repro")


def _accelerate(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, ...]:
    from repro.evaluation.acceleration import read_names

    try:
        return read_names(value)
    except ValueError as error:
        raise click.BadParameter(f"it {error}") from error


_FOLDER: Any = click.Path(path_type=Path, file_okay=False)

expected_option = click.option(
    "--expected",
    multiple=True,
    default=_default_expected,
    envvar="REPRO_EXPECTED",
    metavar="PATH",
    help="Published numbers: a TOML file, a folder of them, or 'embedded'. "
    "[default: expected/ here, else what is shipped with repro]",
)
checkpoints_option = click.option(
    "--checkpoints",
    type=_FOLDER,
    envvar="REPRO_CHECKPOINTS",
    metavar="DIR",
    help="Folder that holds the weights: DIR/<family>/<checkpoint>.pt",
)
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="REPRO_DATA",
    metavar="DIR",
    help="Folder that holds the images: DIR/val/<class>/<image>",
)
cache_option = click.option(
    "--cache",
    callback=_cache,
    envvar="REPRO_CACHE",
    metavar="DIR",
    help="Folder for decoded pixels and text classifiers, or 'none'. "
    "[default: the user's cache folder]",
)
device_option = click.option(
    "--device",
    default="auto",
    envvar="REPRO_DEVICE",
    show_default=True,
    help="auto, cpu, cuda or cuda:N",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["published", *PRECISIONS]),
    default="published",
    envvar="REPRO_PRECISION",
    show_default=True,
    callback=lambda context, parameter, name: None if name == "published" else name,
    help="Arithmetic of the model; published is that of the protocol.",
)

accelerate_option = click.option(
    "--accelerate",
    callback=_accelerate,
    default="auto",
    envvar="REPRO_ACCELERATE",
    show_default=True,
    metavar="NAMES",
    help="none, or some of auto, channels-last, compile, cuda-graphs.",
)
ledger_option = click.option(
    "--ledger",
    type=_FOLDER,
    callback=_ledger,
    envvar="REPRO_LEDGER",
    metavar="DIR",
    help="Folder of the history of runs. [default: .repro here or above]",
)
