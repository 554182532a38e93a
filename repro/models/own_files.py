"""The files that a release brings for a model, read once: for digests and for use."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from repro.errors import ExpectedError
from repro.published import ModelSpec


class OwnFiles(msgspec.Struct, frozen=True):
    """Files beside a TOML file as they were read: their bytes by the model's keys.

    `location` is the folder of the TOML file.
    """

    location: Path
    contents: dict[str, bytes]
    names: dict[str, str]

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each."""
        return tuple(
            hashlib.sha256(content).hexdigest() for content in self.contents.values()
        )

    def path(self, key: str) -> Path:
        """Say where a file was."""
        return self.location / self.names[key]

    def check_same(self) -> None:
        """Insist that what somebody else has read meanwhile are the same bytes.

        Raises:
            ExpectedError: a file holds others now.
        """
        for key, content in self.contents.items():
            if _read(self.path(key)) != content:
                raise ExpectedError(
                    f"{self.path(key)} was changed while a model was made with it. "
                    "Leave the files of a release alone while it is evaluated, and "
                    "run again"
                )


def read_own_files(spec: ModelSpec, location: Path) -> OwnFiles:
    """Read what describes a model besides the TOML file, which lies in `location`.

    Raises:
        ExpectedError: a file is not there, cannot be read, or is not the code that the
            release names.
    """
    for name in spec.files.values():
        if not (location / name).is_file():
            raise ExpectedError(
                f"model {spec.id!r} names {location / name}, which does not exist"
            )
    contents = {key: _read(location / name) for key, name in spec.files.items()}
    if spec.code_sha256:
        _check_code(spec, location, contents["code"])
    return OwnFiles(location, contents, spec.files)


def _check_code(spec: ModelSpec, location: Path, code: bytes) -> None:
    # Of the very bytes that are going to be run: the file may be another one by then.
    found = hashlib.sha256(code).hexdigest()
    if found != spec.code_sha256:
        again = f" with {spec.code_command(location)!r}" if spec.code_url else ""
        raise ExpectedError(
            f"{location / spec.code} has the SHA-256 {found[:16]}…, the release names "
            f"{spec.code_sha256[:16]}…; get it again{again}, or write the other one as "
            "code_sha256 if it is right"
        )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ExpectedError(f"{file} cannot be read: {error.strerror}") from error
