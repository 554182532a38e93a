"""The machine, its software and the code are described as they are."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch

from repro.machine import available_cores
from repro.records import identity
from repro.records.identity import (
    PACKAGES,
    GitState,
    describe_environment,
    git_state,
)

from ..made_results import ENVIRONMENT

#: As NVIDIA's driver writes it, closed and open.
DRIVERS = {
    "580.65.06": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27"
    " 07:00:00 UTC 2025\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n",
    "570.86": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86  Release"
    " Build  (dvs-builder@U22-I3)\nGCC version:  gcc version 13.3.0\n",
    None: "nothing that it says",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine of which nothing is known, and a folder without a working tree."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("_PROCESSORS", "_DRIVER"):
        monkeypatch.setattr(identity, name, tmp_path / name)
    yield tmp_path
    for known in (describe_environment, git_state):
        known.cache_clear()


@pytest.fixture(autouse=True)
def looked_at_anew() -> None:
    for known in (describe_environment, git_state):
        known.cache_clear()


def test_a_processor_is_named_as_the_system_names_it(here: Path) -> None:
    unknown = platform.processor() or platform.machine()
    assert describe_environment("cpu").cpu == unknown
    describe_environment.cache_clear()
    text = "processor\t: 0\nmodel name\t: A Model: 3 GHz\nmodel name\t: another\n"
    (here / "_PROCESSORS").write_text(text)
    found = describe_environment("cpu")
    assert (found.cpu, found.device) == ("A Model: 3 GHz",) * 2
    assert (found.cuda, found.driver, found.commit, found.dirty) == (
        *(None, None, None),
        False,
    )
    assert found.cores == available_cores()
    assert found.python == platform.python_version()
    assert found.system == platform.platform(terse=True)


def test_a_processor_that_the_system_does_not_name_has_its_kind(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "_PROCESSORS").write_text("vendor_id\t: nobody\n")
    for name, machine in (("", "riscv64"), ("a processor", "riscv64")):
        monkeypatch.setattr(platform, "processor", lambda name=name: name)
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        describe_environment.cache_clear()
        assert describe_environment("cpu").cpu == (name or machine)


@pytest.mark.parametrize("version", DRIVERS)
def test_a_graphics_card_has_its_own_name_and_the_versions_of_its_software(
    here: Path, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device}")
    on_cpu = describe_environment("cpu")
    assert (on_cpu.cuda, on_cpu.driver) == (None, None)
    assert "cudnn" not in on_cpu.packages
    assert describe_environment("cuda:0").driver is None
    (here / "_DRIVER").write_text(DRIVERS[version])
    found = describe_environment("cuda:1")
    assert (found.device, found.cuda, found.driver) == ("card cuda:1", "13.0", version)
    # It is there wherever torch was built with it.
    built_with = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    assert found.packages.get("cudnn") == (built_with and str(built_with))


def test_a_card_of_amd_has_the_version_of_rocm(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", "7.1.25424")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "card")
    assert describe_environment("cuda").cuda == "ROCm 7.1.25424"


def test_what_has_no_name_is_told_from_the_processor(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "mps", SimpleNamespace(), raising=False)
    found = describe_environment("mps")
    assert found.device == f"mps of {found.cpu}"
    assert (found.cuda, found.driver) == (None, None)


def test_packages_that_are_not_there_are_left_out(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = describe_environment("cpu").packages
    assert found["torch"] == metadata.version("torch")
    assert list(found) == [name for name in PACKAGES if name in found]
    monkeypatch.setattr(identity, "PACKAGES", ("torch", "no-such-package", "numpy"))
    describe_environment.cache_clear()
    assert set(describe_environment("cpu").packages) == {"torch", "numpy"}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_changes_are_those_of_files_that_git_knows(here: Path) -> None:
    assert git_state(here) == GitState("", "")
    git_state.cache_clear()
    git(here, "init", "-q")
    # There is no commit yet.
    assert git_state(here) == GitState("", "")
    (here / "a.txt").write_text("a")
    git(here, "add", ".")
    git(here, "commit", "-qm", "first")
    inside = here / "inside"
    inside.mkdir()
    git_state.cache_clear()
    clean = git_state(inside)
    assert clean == GitState(git(here, "rev-parse", "HEAD"), "")
    (here / "report.html").write_text("not known")
    git_state.cache_clear()
    assert git_state(here) == clean
    sums: set[str] = set()
    for text in ("b", "c"):
        (here / "a.txt").write_text(text)
        # It is looked at once.
        assert git_state(here) == clean or sums
        git_state.cache_clear()
        found = git_state(here)
        assert found.commit == clean.commit
        assert len(found.changes) == 64
        sums.add(found.changes)
    assert len(sums) == 2
    described = describe_environment("cpu")
    assert (described.commit, described.dirty) == (clean.commit, True)
    git(here, "commit", "-qam", "second")
    # So is the whole environment.
    assert describe_environment("cpu") == described
    git_state.cache_clear()
    describe_environment.cache_clear()
    assert not describe_environment("cpu").dirty
    assert git_state(here).commit != clean.commit


@pytest.mark.parametrize("is_there", [False, True])
def test_without_git_or_with_one_that_hangs_nothing_is_known(
    here: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    folder = here / "programs"
    folder.mkdir()
    if is_there:
        program = folder / "git"
        program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
        program.chmod(0o755)
        monkeypatch.setattr(identity, "_GIT_TIMEOUT", 0.05)
    monkeypatch.setenv("PATH", str(folder))
    assert git_state(here) == GitState("", "")


def test_a_summary_is_one_line_with_what_computes() -> None:
    assert ENVIRONMENT.summary() == (
        "torch 2.15.0, torchvision 0.29.0, timm 1.0.31, open_clip_torch 3.3.0, "
        "Pillow 13.0.0; libjpeg-turbo 3.1.2, Python 3.13.1, a graphics card"
    )
    other = msgspec.structs.replace(ENVIRONMENT, device="another")
    assert other.summary() != ENVIRONMENT.summary()
