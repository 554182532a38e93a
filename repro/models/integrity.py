"""Size and SHA-256 of weights files: trusted on first use, checked ever after."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec
from filelock import FileLock

from repro.errors import ExpectedError, WeightsError
from repro.files import replace_bytes
from repro.models.containers import check_complete
from repro.models.weights import WeightsFile, hash_file
from repro.published import (
    CHECKSUMS_FILE,
    Checksum,
    Release,
    checksums_text,
    place_beside,
    place_of_user,
    place_to_record,
    read_checksums,
)


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
