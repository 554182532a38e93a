"""Attestations as files: a statement, or one in an envelope that somebody signed.

The envelope is the Dead Simple Signing Envelope; securesystemslib, which in-toto and
sigstore stand on, signs and verifies it.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from repro.attestation.statement import AttestationError, Statement, contradiction
from repro.errors import OptionError
from repro.files import decode_json
from repro.records.result import CaseResult
from repro.words import shortened

PAYLOAD_TYPE = "application/vnd.in-toto+json"
#: A statement has some kilobytes; what is larger is not read at all.
_LARGEST = 1 << 22


def attestation_bytes(statement: Statement, key: Path | None) -> bytes:
    """Write an attestation, signed where there is a private key.

    Raises:
        OptionError: the file is no private key, or the extra is not installed.
    """
    payload = msgspec.json.encode(statement)
    if key is None:
        return msgspec.json.format(payload) + b"\n"
    _insist_on_extra()
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(_signer(key))
    return msgspec.json.encode(envelope.to_dict()) + b"\n"


def read_attestation(file: Path, public_key: Path | None) -> Statement:
    """Read an attestation and verify its signature, its form and its own digests.

    Raises:
        AttestationError: it is none, is not signed by that key, or was changed.
        OptionError: it is signed and no key is named, or the other way round.
    """
    content = _decoded(file, _bytes_of(file))
    if isinstance(content, dict) and "payload" in content:
        if public_key is None:
            raise OptionError(
                f"{file} is signed; name the key of whom you trust with --public-key"
            )
        payload = _verified(file, content, public_key)
    elif public_key is not None:
        raise AttestationError(
            f"{file} is not signed, so --public-key says nothing of it; ask for a "
            "signed one, or leave the key out"
        )
    else:
        payload = msgspec.json.encode(content)
    try:
        statement = msgspec.convert(_decoded(file, payload), Statement)
        wrong = contradiction(statement)
    except msgspec.ValidationError as error:
        raise AttestationError(
            f"{file} is no in-toto statement of a test result: {_safe(str(error))}"
        ) from error
    predicate = statement.predicate
    tests = predicate.passed_tests + predicate.warned_tests + predicate.failed_tests
    if not all(map(str.isprintable, tests)):
        wrong = "the name of a test has control characters"
    if wrong:
        raise AttestationError(
            f"{file} is not as it was written: {_safe(wrong)}; ask for it "
            "again, and do not believe this one"
        )
    return statement


def _bytes_of(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            # One byte more tells a larger file; its size is what a stranger's file
            # system says.
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise AttestationError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise AttestationError(
            f"{file} is larger than {_LARGEST:,} bytes, and a statement never is; name "
            "what `repro attest` wrote"
        )
    return content


def _safe(text: str) -> str:
    """Show what a stranger wrote: not all of it, and nothing that steers a terminal."""
    return shortened("".join(c if c.isprintable() else "?" for c in text), 140)


def _decoded(file: Path, content: bytes) -> Any:
    try:
        return decode_json(content, object)
    except ValueError as error:
        raise AttestationError(f"{file} cannot be read as JSON: {error}") from error


def check_subject(statement: Statement, file: Path, weights: Path, sha256: str) -> None:
    """Insist that a statement is about a weights file.

    Raises:
        AttestationError: it is about others.
    """
    known = [subject.digest.get("sha256", "none") for subject in statement.subject]
    if sha256 not in known:
        raise AttestationError(
            f"{file} is about weights with SHA-256 "
            f"{_safe(', '.join(known))}, and {weights} "
            f"has {sha256}; it says nothing of that file"
        )


def _verified(file: Path, content: dict[str, Any], public_key: Path) -> bytes:
    _insist_on_extra()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error as SSLibError
    from securesystemslib.signer import SSlibKey

    try:
        key = SSlibKey.from_crypto(load_pem_public_key(public_key.read_bytes()))
    except (OSError, ValueError) as error:
        raise OptionError(
            f"--public-key: {public_key} is no public key in PEM: {error}"
        ) from error
    try:
        envelope = Envelope.from_dict(content)
        envelope.verify([key], 1)
    # Of a damaged envelope it raises what it likes.
    except (AttributeError, LookupError, TypeError, ValueError, SSLibError) as error:
        raise AttestationError(
            f"{file} is not signed by the key in {public_key}; do not believe it"
        ) from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise AttestationError(
            f"{file} holds {_safe(repr(envelope.payload_type))}; it must be "
            f"{PAYLOAD_TYPE!r}"
        )
    # These very bytes are signed, with their type, and nothing else of the file.
    payload: bytes = envelope.payload
    return payload


def _signer(key: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        return CryptoSigner(load_pem_private_key(key.read_bytes(), None))
    except (OSError, TypeError, ValueError) as error:
        raise OptionError(
            f"--key: {key} is no private key in PEM without a password: {error}"
        ) from error


def _insist_on_extra() -> None:
    if find_spec("securesystemslib") is None or find_spec("cryptography") is None:
        raise OptionError(
            "signatures need securesystemslib; install it with "
            "'pip install pytest-repro[attest]', or leave the key out"
        )


def file_name(result: CaseResult) -> str:
    """Name the file of a result: readable, and another one for each of a run."""
    readable = "".join(c if c.isalnum() or c in ".+-@" else "_" for c in result.id)
    digest = hashlib.sha256(result.place.encode()).hexdigest()
    return f"{readable}-{digest[:8]}.intoto.json"
