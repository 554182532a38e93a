"""The state of the code that a run was made with, as git sees it."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path

import msgspec

_TIMEOUT = 20  # seconds; a working tree on a slow network drive is not waited for


class GitState(msgspec.Struct, frozen=True):
    """A commit, and a SHA-256 of the changes since to files that git knows.

    `changes` is empty where there are none; both are empty outside of git.
    """

    commit: str = ""
    changes: str = ""


@functools.cache
def git_state(folder: Path) -> GitState:
    """Describe the working tree that a folder belongs to; it is looked at once.

    Files that git does not know do not count: reports lie beside the code.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "diff", "HEAD", "--binary", "--no-ext-diff")
    if commit is None or changes is None:
        return GitState()
    digest = hashlib.sha256(changes).hexdigest() if changes else ""
    return GitState(commit.decode().strip(), digest)


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
