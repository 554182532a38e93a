"""What is uploaded: the archive builds the same wheel everywhere, and tests itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Tests of every kind: documents, what services read, schemas, and code.
TESTS = (
    "tests/test_docs.py",
    "tests/packaging/test_repository.py",
    "tests/published/test_json_schema.py",
    "tests/attestation",
)


def build(folder: Path, kind: str, out: Path, umask: int) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)],
        cwd=folder,
        umask=umask,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    archive = build(ROOT, "sdist", folder / "dist", 0o022)
    (folder / "unpacked").mkdir()
    subprocess.run(["tar", "xzf", archive, "-C", folder / "unpacked"], check=True)
    (found,) = (folder / "unpacked").iterdir()
    return found


def test_the_archive_and_the_repository_build_the_same_wheel(
    unpacked: Path, tmp_path: Path
) -> None:
    # Times, the umask and the order of the file system are not those of the clone.
    for file in unpacked.rglob("*"):
        os.utime(file, (1e9, 1e9))
    ours = build(ROOT, "wheel", tmp_path / "ours", 0o022)
    theirs = build(unpacked, "wheel", tmp_path / "theirs", 0o077)
    assert ours.name == theirs.name
    assert ours.read_bytes() == theirs.read_bytes()


def test_the_archive_tests_itself(unpacked: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *TESTS],
        cwd=unpacked,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
