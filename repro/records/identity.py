"""All that a measurement depends on, its environment with it, as one key.

The key is made here and nowhere else. Whatever keeps, shares, resumes or joins
measurements goes by its digest, so that nobody has to think of a field that was added
later.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import repro
from repro.cases import Case
from repro.machine import available_cores
from repro.published import (
    GUARDED,
    METRICS,
    DatasetSpec,
    ModelSpec,
    Protocol,
    Reference,
)

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
    code = git_state_here()
    return Environment(
        packages=_versions() | (_of_cuda() if is_cuda else {}),
        python=platform.python_version(),
        system=platform.platform(terse=True),
        cpu=_cpu_name(),
        cores=available_cores(),
        decoder=decoder_identity(),
        device=_device_name(torch.device(device)),
        cuda=_cuda() if is_cuda else None,
        driver=_driver() if is_cuda else None,
        commit=code.commit or None,
        dirty=bool(code.changes),
    )


def _cuda() -> str | None:
    """Give the version of CUDA, or of ROCm, which torch calls by its name too."""
    import torch

    return torch.version.cuda or (torch.version.hip and f"ROCm {torch.version.hip}")


def _of_cuda() -> dict[str, str]:
    """Give the version of what convolutions are computed by, which no package tells."""
    import torch

    try:
        found = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    except RuntimeError:  # another one than torch was built for
        return {}
    return {"cudnn": str(found)} if found else {}


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


def git_state_here() -> GitState:
    """Describe the working tree of the current folder, which may be removed by now."""
    try:
        return git_state(Path.cwd())
    except FileNotFoundError:
        return GitState()


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


_OF_CHECKPOINT = (
    *("case", "model", "model_files", "weights_sha256", "ends_with", "decides"),
)
_OF_SOFTWARE = ("environment", "code", "changes")


class MeasurementKey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the predictions of a case depend on.

    `settings` are those of the engine that count (`EngineSettings.counted`);
    `model_files` are SHA-256 of the files that describe the model; `code` is that of
    repro itself, `changes` those of the working tree that the run was started in, whose
    commit is in the environment; `ends_with` are the published numbers that may end an
    evaluation early, none where that is not allowed; `decides` are those that guarded
    precision computes as much in float32 for as they need.
    """

    case: str
    release: str
    model: ModelSpec
    model_files: tuple[str, ...]
    protocol: Protocol
    dataset: DatasetSpec
    weights_sha256: str
    dataset_fingerprint: str
    settings: dict[str, Any]
    environment: Environment
    code: str
    changes: str
    ends_with: tuple[Reference, ...] = ()
    decides: tuple[Reference, ...] = ()

    @property
    def digest(self) -> str:
        """Name of the measurement: 64 hexadecimal digits."""
        return digest_of(self)

    @property
    def conditions(self) -> str:
        """Name what measurements of several checkpoints have in common, or have not.

        All but the checkpoint and what is the software's counts.
        """
        fields = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if name not in _OF_CHECKPOINT and name not in _OF_SOFTWARE
        }
        return digest_of(fields)[:32]

    @property
    def whole(self) -> MeasurementKey:
        """The key of the measurement if it is not ended early: no number matters."""
        return msgspec.structs.replace(self, ends_with=())

    @property
    def unguarded(self) -> MeasurementKey:
        """The key of the measurement if every image is computed in float32."""
        if self.settings.get("precision") != GUARDED:
            return self
        settings = {**self.settings, "precision": "fp32"}
        return msgspec.structs.replace(self, settings=settings, decides=())

    @property
    def as_good(self) -> tuple[str, ...]:
        """Digests of measurements of all images that serve as this one."""
        # That in the same arithmetic comes first, since it has the very numbers that
        # this one would have; that of float32 decides as much, and knows its loss
        # exactly.
        return self.whole.digest, self.unguarded.whole.digest


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a test asks for, which is known before anything is read.

    `settings` are those of the engine that somebody has set, for people to read; the
    `digest` is of all that counts, and empty where it is not known. A run has one
    result for each thing that is asked.
    """

    settings: dict[str, str] = {}
    digest: str = ""


#: Where nobody knows any more what was asked for.
UNKNOWN = Asked()


def measurement_key(
    case: Case,
    settings: Mapping[str, Any],
    *,
    model_files: tuple[str, ...],
    weights_sha256: str,
    dataset_fingerprint: str,
    environment: Environment,
    may_end_early: bool = False,
    code: GitState | None = None,
) -> MeasurementKey:
    """Gather all that a measurement of a case depends on.

    Args:
        case: what is measured.
        settings: of the engine, those that count.
        model_files: SHA-256 of the files that the model names.
        weights_sha256: of the weights file.
        dataset_fingerprint: of the images.
        environment: that it is measured in.
        may_end_early: whether published numbers can end the evaluation.
        code: that the run was started with; what is found here by default.
    """
    return MeasurementKey(
        case=case.id,
        release=case.release.id,
        model=case.model,
        model_files=model_files,
        protocol=case.protocol,
        dataset=case.dataset,
        weights_sha256=weights_sha256,
        dataset_fingerprint=dataset_fingerprint,
        settings=dict(settings),
        environment=environment,
        code=code_digest(),
        changes=(code or git_state_here()).changes,
        # Only then do published numbers matter to what is predicted: else a number that
        # is corrected would have everything measured again.
        ends_with=_plain(case.references) if may_end_early else (),
        decides=_plain(decided_by(case)) if settings["precision"] == GUARDED else (),
    )


def asked(case: Case, settings: Mapping[str, Any], chosen: Mapping[str, Any]) -> Asked:
    """Write down what is asked for.

    Args:
        case: with its published numbers.
        settings: of the engine, those that may change what is measured.
        chosen: those of them that are not as they are by default.
    """
    release = case.release
    content = (
        *(case.id, release.id, release.location, case.model, case.protocol),
        *(case.dataset, _plain(case.references), settings),
    )
    texts = {name: _in_words(value) for name, value in chosen.items()}
    return Asked(settings=texts, digest=digest_of(content))


def digest_of(content: object) -> str:
    """Digest structs, mappings and paths: 64 hexadecimal digits."""
    # Sorted: equal mappings have one digest, in whatever order they were written down.
    text = msgspec.json.encode(content, order="sorted", enc_hook=str)
    return hashlib.sha256(text).hexdigest()


# Once: what this process computes with are the sources that it has imported, also when
# somebody edits the files while it runs.
@functools.cache
def code_digest() -> str:
    """Digest the source files of the package."""
    package = Path(repro.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def decided_by(case: Case) -> list[Reference]:
    """List the published means that say how well guarded precision has to know it."""
    return [r for r in case.published if METRICS[r.metric].bound == "mean"]


def _plain(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Give published numbers, wherever they are written down."""
    return tuple(
        msgspec.structs.replace(reference, defined_in=None) for reference in references
    )


def _in_words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
