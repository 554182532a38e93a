"""`repro new`: the first files for somebody's own paper."""

from __future__ import annotations

import os
from pathlib import Path

import click

from repro.cli.options import Command
from repro.errors import OptionError
from repro.published import check_name, split_weights_name


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--from-checkpoint",
    "checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Fill in what this weights file tells: architecture, classes, image size.",
)
def new(name: str, checkpoint: Path | None) -> None:
    """Begin the files for a paper of your own.

    They are expected/NAME/release.toml, a list of classes and tests/test_NAME.py.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise OptionError(f"NAME: {error}") from error
    folder = Path("expected", name)
    test = Path("tests", f"test_{name.replace('-', '_').replace('.', '_')}.py")
    files = (folder / "release.toml", folder / "imagenet-1k.txt", test)
    for file in files:
        if file.exists():
            raise OptionError(f"{file} exists; choose another NAME or remove it")

    from repro.importing.template import module_template, release_template
    from repro.importing.writing import class_list

    found = None
    if checkpoint is not None:
        from repro.models.inspection import inspect_weights

        found = inspect_weights(checkpoint)
    stem = split_weights_name(checkpoint.name)[0] if checkpoint else "best"
    expected = os.path.relpath(folder, test.parent)
    contents = (
        release_template(name, str(folder), found, stem).encode(),
        class_list(),
        module_template(name, Path(expected).as_posix()).encode(),
    )
    for file, content in zip(files, contents, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        click.echo(file)
    click.echo(f"next: fill in {files[0]}, then repro cases --expected {folder}")
