"""The software, hardware and code that a measurement was made with."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repro.machine import available_cores

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "pytest-repro",
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "pillow",
)

_PROCESSORS = Path("/proc/cpuinfo")
_DRIVER = Path("/proc/driver/nvidia/version")
_GIT_TIMEOUT = 20  # seconds; a working tree on a slow network drive is not waited for


class GitState(msgspec.Struct, frozen=True):
    """A commit, and a SHA-256 of the changes since to files that git knows.

    `changes` is empty where there are none; both are empty outside of git.
    """

    commit: str = ""
    changes: str = ""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What a result can depend on besides weights, images and protocol.

    `commit` is that of the git working tree that the run was started in, and `dirty`
    whether files that git knows were changed since.
    """

    packages: dict[str, str]
    python: str
    system: str
    cpu: str
    cores: int
    decoder: str
    device: str
    cuda: str | None = None
    driver: str | None = None
    commit: str | None = None
    dirty: bool = False

    def summary(self) -> str:
        """One line for people."""
        shown = ("torch", "torchvision", "timm", "open_clip_torch")
        known = [name for name in shown if name in self.packages]
        versions = [f"{name} {self.packages[name]}" for name in known]
        return ", ".join(
            [*versions, self.decoder, f"Python {self.python}", self.device]
        )


@functools.cache
def describe_environment(device: str) -> Environment:
    """Describe this machine and the device (`cpu`, `cuda:0`) that computes on it."""
    import torch

    from repro.data.geometry import decoder_identity

    is_cuda = device.startswith("cuda")
    code = git_state(Path.cwd())
    return Environment(
        packages=_versions(),
        python=platform.python_version(),
        system=platform.platform(terse=True),
        cpu=_cpu_name(),
        cores=available_cores(),
        decoder=decoder_identity(),
        device=_device_name(torch.device(device)),
        cuda=torch.version.cuda if is_cuda else None,
        driver=_driver() if is_cuda else None,
        commit=code.commit or None,
        dirty=bool(code.changes),
    )


def _device_name(device: torch.device) -> str:
    """Name what computes, so that no two kinds of devices have one name."""
    import torch

    if device.type == "cpu":
        return _cpu_name()
    of_type = getattr(torch, device.type)
    if hasattr(of_type, "get_device_name"):
        return str(of_type.get_device_name(device))
    return f"{device.type} of {_cpu_name()}"


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    try:
        with _PROCESSORS.open(encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _driver() -> str | None:
    """Give the version of NVIDIA's driver, which calls itself by several names."""
    try:
        found = re.search(r"\d+(\.\d+)+", _DRIVER.read_text("utf-8"))
    except OSError:
        return None
    return found and found[0]


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
            # git would refresh its index as it looks, and lock out a commit meanwhile.
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            check=True,
            timeout=_GIT_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
