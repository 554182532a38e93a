"""What a repository of one's own needs to check its numbers every night."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

TOX = Path("tox-nightly.ini")
WORKFLOW = Path(".github/workflows/nightly.yml")
BADGE = (
    "[![reproduced](https://img.shields.io/endpoint?url=https://"
    "raw.githubusercontent.com/OWNER/REPOSITORY/badges/reproduced.badge.json)]"
    "(https://github.com/OWNER/REPOSITORY/actions/workflows/nightly.yml)"
)


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
