"""What a repository of one's own needs beside its numbers: tests, and every night."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from repro.errors import OptionError
from repro.published import RELEASE_FILE, Release

TOX = Path("tox-nightly.ini")
WORKFLOW = Path(".github/workflows/nightly.yml")
BADGE = (
    "[![reproduced](https://img.shields.io/endpoint?url=https://"
    "raw.githubusercontent.com/OWNER/REPOSITORY/badges/reproduced.badge.json)]"
    "(https://github.com/OWNER/REPOSITORY/actions/workflows/nightly.yml)"
)
_TEST = '''\
"""The numbers published with {name}."""

import pytest


@pytest.mark.repro({places})
def test_{identifier}(case, reproduce):
    """Each checkpoint scores what was published, within its tolerance."""
    reproduce(case)
'''


def module_name(name: str) -> str:
    """Give the file name of the test module of a release."""
    return f"test_{name.replace('-', '_').replace('.', '_')}.py"


def module_template(
    name: str, places: Mapping[str, str], *, run_code: bool = False
) -> str:
    """Write a test module that runs the cases of a release.

    Args:
        name: of the release.
        places: paths from the module by the keyword of the marker.
        run_code: whether models are built by code beside the numbers.
    """
    identifier = "".join(c if c.isalnum() else "_" for c in name)
    marked = ", ".join(f"{key}={json.dumps(path)}" for key, path in places.items())
    marked += ", run_code=True" * run_code
    return _TEST.format(name=name, places=marked, identifier=identifier)


def nightly_files(test: Path, places: Mapping[str, str]) -> dict[Path, bytes]:
    """Give the tox environment and the workflow by their places in the repository.

    Args:
        test: the module whose cases run.
        places: where `checkpoints` and `data` are unless a variable names them; what
            the marker says would count before the variable, an option does not.
    """
    options = "".join(
        f"\\\n        --repro-{name}={{env:REPRO_{name.upper()}:{place}}} "
        for name, place in places.items()
    )
    here = Path(__file__).parent
    tox = (here / "nightly-tox.ini").read_text("utf-8")
    return {
        TOX: tox.replace("TEST", test.as_posix()).replace("PLACES", options).encode(),
        WORKFLOW: (here / "nightly.yml").read_bytes(),
    }


def gallery_folder(shipped: Path, name: str) -> Path:
    """Find a release of the gallery.

    Raises:
        OptionError: there is none of that name; the message lists those there are.
    """
    gallery = shipped / "gallery"
    known = sorted(file.parent.name for file in gallery.glob(f"*/{RELEASE_FILE}"))
    if name not in known:
        raise OptionError(
            f"--gallery is {name!r:.80}; there are {', '.join(known) or 'none'}"
        )
    return gallery / name


def gallery_files(folder: Path) -> dict[str, bytes]:
    """Give the files of a release by their names."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file()
    }


def code_commands(release: Release) -> list[str]:
    """List the commands that bring the code which is not beside the numbers."""
    lacking = (
        model.code_command(release.location)
        for model in release.models.values()
        if model.code_url and not (release.location / model.code).exists()
    )
    return list(dict.fromkeys(lacking))
