"""Weights files: where they lie, and whether they are what was recorded.

Their own checksums, sizes and SHA-256 are compared; trusted on first use only.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec
from filelock import FileLock

from repro.cases import Case
from repro.errors import ExpectedError, NotAvailableError, WeightsError
from repro.files import Stamp, keep, kept, replace_bytes, stamp_of
from repro.models.containers import check_complete, parts_of
from repro.models.libraries import find_loader
from repro.published import (
    CHECKSUMS_FILE,
    Checksum,
    Release,
    checksums_text,
    place_beside,
    place_of_user,
    place_to_record,
    read_checksums,
    split_weights_name,
)

_DOWNLOAD_TO = "--repro-download and --repro-checkpoints=DIR"


class WeightsFile(msgspec.Struct, frozen=True):
    """A weights file: where it lies, its bytes, and its SHA-256.

    `shards` are the files of an index, itself first; its digest is that of theirs.
    `stamp` is what the file had before it was hashed.
    """

    path: Path
    size: int
    sha256: str
    shards: tuple[WeightsFile, ...] = ()
    stamp: Stamp | None = None

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        """The files that it consists of."""
        return self.shards or (self,)

    def check_same(self) -> None:
        """Insist that nobody has written to it, or replaced it, since it was hashed.

        Raises:
            WeightsError: somebody has.
        """
        for file in self.files:
            if file.stamp != _stamp(file.path):
                raise WeightsError(
                    f"{file.path} was written to or replaced after it was hashed, so "
                    "nothing tells what was read of it. Leave weights alone while "
                    "they are evaluated, and run again"
                )


def verify_weights(path: Path, cache: Path | None) -> WeightsFile:
    """Hash a weights file and check the checksums that it holds itself.

    The result is remembered in `cache` for the file's size, inode and time stamps.

    Raises:
        WeightsError: the file is damaged or no weights file.
    """
    files = tuple(
        _verify(part, cache, is_whole=part == path) for part in parts_of(path)
    )
    if len(files) == 1:
        return files[0]
    digest = hashlib.sha256("".join(file.sha256 for file in files).encode())
    size = sum(file.size for file in files)
    return WeightsFile(path, size, digest.hexdigest(), files)


def _verify(path: Path, cache: Path | None, *, is_whole: bool) -> WeightsFile:
    stamp = stamp_of(path.stat())
    note = cache and _note_of(path, stamp, cache)
    if note and (known := kept(note)):
        return WeightsFile(path, stamp.size, known.decode(), stamp=stamp)
    began = time.time_ns()
    try:
        if is_whole:
            check_complete(path)
        digest = hash_file(path)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}. Make it readable"
        ) from error
    found = WeightsFile(path, stamp.size, digest, stamp=stamp)
    # The digest is of bytes that were read over seconds: of a file that was written to
    # in them it would be that of no file at all.
    found.check_same()
    if note and not stamp.is_young(began):
        keep(note, digest.encode())
    return found


def _note_of(path: Path, stamp: Stamp, cache: Path) -> Path:
    known = msgspec.json.encode([str(path.resolve()), stamp])
    return cache / "weights" / f"{hashlib.sha256(known).hexdigest()[:32]}.sha256"


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def hash_file(path: Path, advance: Callable[[int], object] | None = None) -> str:
    """Compute the SHA-256 of a file; `advance` is told how many bytes were read."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(2**20):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()


def read_ahead(path: Path) -> None:
    """Let the system read a file into memory while something else computes."""
    with contextlib.suppress(OSError, WeightsError):
        for part in parts_of(path):
            with part.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


class Checked(msgspec.Struct, frozen=True):
    """What checking a file `family/name.suffix` showed, and its sum if it is sound."""

    id: str
    outcome: Literal["as recorded", "not recorded", "changed", "damaged", "unreadable"]
    reason: str = ""
    found: Checksum | None = None

    @property
    def is_fault(self) -> bool:
        """Whether nothing may be evaluated from the file."""
        return self.outcome in {"changed", "damaged", "unreadable"}


def recorded_checksums(release: Release) -> dict[str, Checksum]:
    """Read what the weights files of a release must be: `{family/file: checksum}`.

    What the release itself says comes before what this user has recorded.

    Raises:
        ExpectedError: a file of checksums cannot be read.
    """
    own = place_of_user(release, "checksums", CHECKSUMS_FILE)
    beside = place_beside(release, CHECKSUMS_FILE)
    recorded = read_checksums(beside) if beside else {}
    # The last one counts: a user's first sight of a file must not outrank its
    # publisher.
    return read_checksums(own) | recorded | release.checksums


def record_checksums(release: Release, seen: Iterable[Checksum]) -> Path:
    """Write down sums of files that have none yet, and tell where.

    Raises:
        ExpectedError: the file cannot be read or written.
    """
    file = place_to_record(release, "checksums", CHECKSUMS_FILE)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock")):
            # Under the lock: another process may have recorded some in the meantime.
            known = read_checksums(file)
            new = {entry.id: entry for entry in seen if entry.id not in known}
            if new:
                replace_bytes(file, checksums_text(known | new).encode())
    except OSError as error:
        raise ExpectedError(
            f"{file}: checksums cannot be written ({error.strerror}); make it writable"
        ) from error
    return file


def check_recorded(release: Release, family: str, found: WeightsFile) -> bool:
    """Compare a file, and its shards, with recorded checksums; tell if all have one.

    Raises:
        WeightsError: the file is another one; the message names both sums.
    """
    recorded = recorded_checksums(release)
    known = [recorded.get(f"{family}/{file.path.name}") for file in found.files]
    for expected, file in zip(known, found.files, strict=True):
        if expected is not None and (fault := difference(expected, file)):
            alike = (c.id for c in recorded.values() if c.sha256 == file.sha256)
            swapped = next(alike, "")
            raise WeightsError(
                f"{fault}. It is what is recorded as {swapped}" if swapped else fault
            )
    return None not in known


def difference(expected: Checksum, found: WeightsFile) -> str:
    """Say how a file differs from what was recorded; empty if it does not."""
    if (found.size, found.sha256) == (expected.size, expected.sha256):
        return ""
    origin = f" ({expected.origin})" if expected.origin else ""
    return (
        f"{found.path} has changed: it has {found.size:,} bytes with SHA-256 "
        f"{found.sha256[:16]}…; recorded{origin} are {expected.size:,} bytes with "
        f"{expected.sha256[:16]}…. Nothing is evaluated from it: get the file again, "
        f'or remove [checksum."{expected.id}"] from {CHECKSUMS_FILE} if it is right'
    )


def check_file(
    path: Path,
    identity: str,
    expected: Checksum | None,
    advance: Callable[[int], object] | None = None,
) -> Checked:
    """Read a whole file and compare it with what was recorded, and with itself.

    Args:
        path: the file.
        identity: `family/file`.
        expected: what was recorded of it, if anything was.
        advance: told how many bytes were read.
    """
    try:
        found = WeightsFile(path, path.stat().st_size, hash_file(path, advance))
        fault = difference(expected, found) if expected else ""
        if not fault:
            check_complete(path)
    except OSError as error:
        return Checked(identity, "unreadable", f"{path}: {error.strerror}")
    except WeightsError as error:
        return Checked(identity, "damaged", str(error))
    if fault:
        return Checked(identity, "changed", fault)
    today = datetime.date.today().isoformat()
    new = Checksum(
        id=identity,
        size=found.size,
        sha256=found.sha256,
        origin=f"first seen {today} by repro verify",
    )
    return Checked(identity, "as recorded" if expected else "not recorded", "", new)


def find_weights(case: Case, checkpoints: Path | None) -> Path:
    """Find the weights file of a case.

    What a library publishes is looked for in that library's own cache too.

    Args:
        case: which checkpoint.
        checkpoints: folder with one folder of weights a family, if the user has one.

    Raises:
        NotAvailableError: there is none; the message says where it was looked for and
            the command that gets it.
        WeightsError: there are several files of that name.
    """
    folder = case.weights_folder(checkpoints)
    names = case.weights_names
    found = [path for name in names if folder and (path := folder / name).is_file()]
    if len(found) > 1:
        raise WeightsError(
            f"{folder} holds {' and '.join(path.name for path in found)}; "
            "keep one of them, it is not said which is meant"
        )
    if found:
        return found[0]
    if cached := find_loader(case.model.loader).cached(case.model):
        return cached
    usual = f"{case.checkpoint}.pt"
    raise _not_here(case, folder, usual if usual in names else names[0])


def check_code(case: Case) -> None:
    """See that the code which builds a model is here.

    Raises:
        NotAvailableError: it is not; the message has the command that gets it.
    """
    model = case.model
    if not model.code_url:
        return
    file = case.release.location / model.code
    command = model.code_command(case.release.location)
    if not file.is_file():
        raise NotAvailableError(
            f"no code: the model {model.id!r} is built by {file.name}, which is not "
            f"beside the numbers; run {command!r}, and read it before it is run",
            "code",
            command,
        )


def _not_here(case: Case, folder: Path | None, name: str) -> NotAvailableError:
    """Say what is missing, and the command that brings it where there is one."""
    lacking = "weights"
    family = case.family.id
    missing = f"{folder} has no {name}" if folder else "no folder of weights is named"
    if near := _nearly(folder, case, name):
        return NotAvailableError(f"no weights: {missing}; {near}", lacking)
    files = {
        split_weights_name(file)[0]: link for file, link in case.family.files.items()
    }
    link = files.get(case.checkpoint, case.family.folder)
    if not link:
        place = folder or f"DIR/{family}"
        then = "" if folder else ", and name DIR with --repro-checkpoints"
        return NotAvailableError(
            f"no weights: {missing}; get {name} from its publisher and put it into "
            f"{place}{then}",
            lacking,
        )
    if case.checkpoint in files:
        # `repro fetch` would bring all of the family, which may be a thousand.
        options = "--repro-download" if folder else _DOWNLOAD_TO
        return NotAvailableError(
            f"no weights: {missing}; add {options} to fetch it (from {link})",
            lacking,
            f"add {options}",
        )
    if folder is None:
        root, then = "DIR", "then name DIR with --repro-checkpoints"
    else:
        root = str(folder).removesuffix(family).rstrip("/")
        then = "or add --repro-download"
    command = shlex.join(["repro", "fetch", family, "--checkpoints", root])
    return NotAvailableError(
        f"no weights: {missing}; run {command!r}, {then} (from {link})",
        lacking,
        f"repro fetch {{}} --checkpoints {shlex.quote(root)}",
    )


def _nearly(folder: Path | None, case: Case, wanted: str) -> str:
    """Say what lies where a checkpoint is looked for and cannot be read; or nothing."""
    checkpoint, names = case.checkpoint, case.weights_names
    with contextlib.suppress(OSError):
        for file in sorted(folder.iterdir()) if folder else ():
            stem, suffix = split_weights_name(file.name)
            if file.name in names and not file.exists():
                return f"{file.name} there leads to {file.readlink()}, which is gone"
            if stem == checkpoint and suffix and file.name not in names:
                return (
                    f"{file.name} is there, which loader {case.model.loader} does not "
                    f"read: get {wanted}, or name the loader that does"
                )
            if not suffix and file.stem == checkpoint and file.is_file():
                return (
                    f"{file.name} is there, but no file with that suffix is looked "
                    f"for: rename it to {checkpoint}.pt if it holds weights"
                )
    return ""
