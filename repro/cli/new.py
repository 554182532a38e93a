"""`repro new`: the first files for somebody's own paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import click

from repro.cli.options import (
    EXISTING,
    EXISTING_FILE,
    Command,
    cache_option,
    device_option,
)
from repro.cli.output import echo
from repro.errors import OptionError
from repro.published import check_name, read_releases, split_weights_name


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--from-checkpoint",
    "checkpoint",
    type=EXISTING_FILE,
    metavar="FILE",
    help="Fill in what this weights file tells: architecture, classes, image size.",
)
@click.option(
    "--weights",
    type=EXISTING,
    metavar="W",
    help="A weights file or a folder of them, to look into; with --images.",
)
@click.option(
    "--images",
    type=EXISTING,
    metavar="I",
    help="Folder of images, I/CLASS/IMAGE, or a file of arrays (.npz, idx); each "
    "weights file is tried on a hundred of them.",
)
@click.option(
    "--code",
    type=EXISTING,
    metavar="FILE",
    help="Python that builds the models, where no library does. It is run, and "
    "copied beside the numbers.",
)
@click.option(
    "--gallery",
    metavar="RELEASE",
    help="Begin with a release of others that repro is shipped with.",
)
@click.option(
    "--with-ci",
    is_flag=True,
    help="Write a tox environment and a GitHub workflow for every night, too.",
)
@cache_option
@device_option
def new(
    name: str, cache: Path | None, device: str, *, with_ci: bool, **given: Any
) -> None:
    """Begin the files for a paper of your own.

    They are expected/NAME/release.toml, a list of classes and tests/test_NAME.py. With
    --weights and --images they run as they are: architectures, classes and protocol are
    what the files tell, and each checkpoint is tried on a hundred images. Nothing that
    exists is overwritten.
    """
    asked = _Asked(**given)
    _check(name, asked)

    from repro.importing.drafts import BADGE, TOX, WORKFLOW, module_name, nightly_files

    folder = Path("expected", name)
    test = Path("tests", module_name(name))
    _refuse_existing([folder / "release.toml", test, *[TOX, WORKFLOW] * with_ci])
    begun = _begun(name, asked, cache, device)
    files = {folder / file: content for file, content in begun.contents.items()}
    _refuse_existing(list(files))
    files[test] = _test_module(name, folder, test, begun)
    if with_ci:
        here = {key: os.path.relpath(place) for key, place in begun.paths.items()}
        files |= nightly_files(test, here)
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        echo(file)
    if with_ci:
        echo(f"badge, for your README: {BADGE}")
    if asked.gallery is not None:
        _say_what_is_next(folder, test)
    elif begun.paths:
        echo(f"next: pytest {test}")
        echo(f"then: repro import table TABLE -o {folder} --source=paper")
    else:
        first = folder / "release.toml"
        echo(f"next: fill in {first}, then repro cases --expected {folder}")


class _Asked(NamedTuple):
    """What the first files are made of: see the options."""

    checkpoint: Path | None
    weights: Path | None
    images: Path | None
    code: Path | None
    gallery: str | None


class _Begun(NamedTuple):
    """The files of a release, and where its weights and images lie, where known."""

    contents: dict[str, bytes]
    paths: dict[str, Path]
    runs_code: bool = False


def _begun(name: str, asked: _Asked, cache: Path | None, device: str) -> _Begun:
    if asked.gallery is not None:
        places = {"checkpoints": Path("weights"), "data": Path("data")}
        return _Begun(_from_gallery(asked.gallery), places)
    if asked.weights and asked.images:
        return _from_files(name, asked.weights, asked.images, asked.code, cache, device)
    return _Begun(_blank(name, asked.checkpoint), {})


def _test_module(name: str, folder: Path, test: Path, begun: _Begun) -> bytes:
    from repro.importing.drafts import module_template

    marked = {
        key: Path(os.path.relpath(place, test.parent)).as_posix()
        for key, place in {"expected": folder, **begun.paths}.items()
    }
    return module_template(name, marked, run_code=begun.runs_code).encode()


def _check(name: str, asked: _Asked) -> None:
    """Refuse a name that is none, and options that do not go together.

    Raises:
        OptionError: the message says which to leave out.
    """
    checkpoint, weights, images, code, gallery = asked
    try:
        check_name(name)
    except ValueError as error:
        raise OptionError(f"NAME: {error}") from error
    if (weights is None) != (images is None):
        given, other = ("weights", "images") if weights else ("images", "weights")
        raise OptionError(f"--{given} is tried with --{other}; name both or none")
    if code and not weights:
        raise OptionError("--code is tried with --weights and --images; name them too")
    if code and code.is_dir():
        raise OptionError(
            f"--code is the folder {str(code)!r}; it must be one file of Python: name "
            "that which builds the models, and install the package that it imports "
            "(pip install -e .), or put what is needed into that file"
        )
    if code and code.suffix != ".py":
        raise OptionError(f"--code is {str(code)!r}; it must be a file of Python, .py")
    if weights and checkpoint:
        raise OptionError(
            "--from-checkpoint and --weights exclude each other; leave one out"
        )
    if gallery is not None and (weights or checkpoint):
        other = "weights" if weights else "from-checkpoint"
        raise OptionError(f"--gallery and --{other} exclude each other; leave one out")


def _from_gallery(release: str) -> dict[str, bytes]:
    from repro.cli.options import shipped_expected
    from repro.importing.drafts import gallery_files, gallery_folder

    return gallery_files(gallery_folder(shipped_expected()[0], release))


def _say_what_is_next(folder: Path, test: Path) -> None:
    """Say how the files of a release of the gallery are got, and run."""
    from repro.importing.drafts import code_commands

    (release,) = read_releases([folder])
    for command in code_commands(release):
        echo(f"its code, to be read before it is run: {command}")
    echo(f"weights: repro fetch --expected {folder} --checkpoints weights")
    allowed = " --repro-run-code" * any(m.code for m in release.models.values())
    echo(f"images go to data/ (url of the dataset); then: pytest {test}{allowed}")


def _refuse_existing(files: list[Path]) -> None:
    for file in files:
        if file.exists():
            raise OptionError(f"{file} exists; choose another NAME or remove it")


def _blank(name: str, checkpoint: Path | None) -> dict[str, bytes]:
    from repro.importing.drafts import blank_draft
    from repro.importing.writing import CLASSES_FILE, class_list

    found = None
    if checkpoint is not None:
        from repro.models.inspection import inspect_weights

        found = inspect_weights(checkpoint)
    stem = split_weights_name(checkpoint.name)[0] if checkpoint else "best"
    return {
        "release.toml": blank_draft(name, found, stem).text().encode(),
        CLASSES_FILE: class_list(),
    }


def _from_files(
    name: str,
    weights: Path,
    images: Path,
    code: Path | None,
    cache: Path | None,
    device: str,
) -> _Begun:
    """Look into the files, try them, and say what is seen."""
    from repro.importing.beginning import Beginning
    from repro.importing.survey import survey_images, survey_weights

    seen = survey_images(images)
    surveyed = survey_weights(weights, code, len(seen.classes))
    begun = Beginning(name, surveyed, seen, code)
    echo(begun.summary())
    begun.attempt(cache, echo, device)
    places = {"checkpoints": begun.root, "data": begun.data}
    return _Begun(begun.contents(), places, begun.runs_code)
