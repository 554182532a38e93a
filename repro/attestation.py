"""What a case of the ledger scored, as an in-toto Statement v1, signed or not.

Its predicate is of the type test-result, whose fields and those of a resource
descriptor are named as in the specification (spec/predicates/test-result.md and
spec/v1/resource_descriptor.md of https://github.com/in-toto/attestation). The envelope
of what is signed is the Dead Simple Signing Envelope; securesystemslib, which in-toto
and sigstore stand on, signs and verifies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from repro.errors import OptionError, ReproError
from repro.files import decode_json
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.records.identity import digest_of
from repro.records.result import CaseResult, Measurement, Run
from repro.words import nonzero_text, shortened

StatementType = Literal["https://in-toto.io/Statement/v1"]
PredicateType = Literal["https://in-toto.io/attestation/test-result/v0.1"]
Outcome = Literal["PASSED", "WARNED", "FAILED"]

#: What is not here says nothing of the weights.
_OUTCOMES: dict[Verdict, Outcome] = {
    Verdict.REPRODUCED: "PASSED",
    Verdict.EXPECTED_DIVERGENCE: "WARNED",
    Verdict.INCONCLUSIVE: "WARNED",
    Verdict.BELOW: "FAILED",
    Verdict.ABOVE: "FAILED",
    Verdict.UNEXPECTEDLY_MET: "FAILED",
    Verdict.FAILED: "FAILED",
}

_MOST_DIGITS, _LARGEST_VALUE = 6, 1e6
PAYLOAD_TYPE = "application/vnd.in-toto+json"
#: A statement has some kilobytes; what is larger is not read at all.
_LARGEST = 1 << 22


class AttestationError(ReproError):
    """A statement that is none, or does not hold for what it is shown."""


class ResourceDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a statement speaks of; `digest` is by algorithm."""

    digest: dict[str, str]
    name: str = ""
    annotations: dict[str, Any] = {}


class TestResult(msgspec.Struct, frozen=True, rename="camel"):
    """The predicate: what was tested how, and how it came out."""

    result: Outcome
    configuration: tuple[ResourceDescriptor, ...]
    passed_tests: tuple[str, ...] = ()
    warned_tests: tuple[str, ...] = ()
    failed_tests: tuple[str, ...] = ()

    @property
    def tests(self) -> dict[Outcome, tuple[str, ...]]:
        """The tests by how they came out, the worst first."""
        return {
            "FAILED": self.failed_tests,
            "WARNED": self.warned_tests,
            "PASSED": self.passed_tests,
        }


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A published number beside the measured one, in the annotations of the subject."""

    metric: str
    published: str
    measured: float | None
    difference: float | None
    tolerance: float
    verdict: Verdict
    source: str
    title: str
    url: str

    @property
    def test(self) -> str:
        """What a test is called that met this number, or did not, after its case."""
        return f"{self.metric} {self.published} ({self.source})"

    @property
    def outcome(self) -> str:
        """What was measured, with the digits of what was published."""
        if self.measured is None or self.difference is None:
            return "not measured"
        decimals = self.published.partition(" ")[0].partition(".")[2]
        digits = min(max(2, len(decimals)), _MOST_DIGITS)
        difference = nonzero_text(self.difference, digits, signed=True)
        form = "f"
        # Of a stranger it may be any number.
        if max(abs(self.measured), abs(self.difference)) > _LARGEST_VALUE:
            form, difference = "e", f"{self.difference:+.{digits}e}"
        return (
            f"measured {self.measured:.{digits}{form}}, difference {difference}, "
            f"tolerance {self.tolerance:.3g}"
        )


class Statement(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A statement about files, which are told by their digests alone."""

    type: StatementType = msgspec.field(name="_type")
    subject: Annotated[tuple[ResourceDescriptor, ...], msgspec.Meta(min_length=1)]
    predicate_type: PredicateType
    predicate: TestResult


def is_attestable(result: CaseResult) -> bool:
    """Tell whether a result says something of its weights."""
    return result.measurement is not None and result.verdict in _OUTCOMES


def statement_of(run: Run, result: CaseResult) -> Statement:
    """State what a case scored in a run, by what the ledger kept of it and no more.

    The result must be attestable.
    """
    assert result.measurement is not None
    measurement = result.measurement
    # A number that is another checkpoint's says nothing of this one.
    numbers = [_number(c) for c in result.comparisons if c.verdict in _OUTCOMES]
    tests = {
        outcome: tuple(f"{result.id} {number.test}" for number in found)
        for outcome, found in _by_outcome(numbers).items()
    }
    measured = msgspec.to_builtins(numbers)
    return Statement(
        type="https://in-toto.io/Statement/v1",
        subject=(
            ResourceDescriptor(
                {"sha256": measurement.weights_sha256},
                PurePosixPath(measurement.weights).name,
                {"measured": measured},
            ),
        ),
        predicate_type="https://in-toto.io/attestation/test-result/v0.1",
        predicate=TestResult(
            result=_OUTCOMES[result.verdict],
            configuration=(
                *_configuration(run, result, measurement),
                ResourceDescriptor({"sha256": digest_of(measured)}, "measured"),
            ),
            passed_tests=tests["PASSED"],
            warned_tests=tests["WARNED"],
            failed_tests=tests["FAILED"],
        ),
    )


def _configuration(
    run: Run, result: CaseResult, measurement: Measurement
) -> Iterator[ResourceDescriptor]:
    yield _described(
        "protocol",
        release=result.release,
        case=result.id,
        protocol=result.protocol,
        geometry=result.geometry,
        conditions=result.conditions,
        computedIn=measurement.arithmetic,
    )
    yield _described(
        "dataset",
        dataset=result.dataset,
        fingerprint=measurement.dataset_fingerprint,
        images=measurement.metrics.images,
        ofImages=measurement.total,
    )
    environment = msgspec.to_builtins(measurement.environment)
    yield _described("environment", **environment)
    yield _described("run", started=run.started.isoformat(), key=measurement.key)


def _described(name: str, **annotations: Any) -> ResourceDescriptor:
    """Describe what is no file: its digest is of what is said of it, keys sorted."""
    return ResourceDescriptor({"sha256": digest_of(annotations)}, name, annotations)


def _number(check: ReferenceCheck) -> Number:
    return Number(
        metric=check.metric,
        published=check.printed,
        measured=check.measured,
        difference=check.difference,
        tolerance=check.tolerance,
        verdict=check.verdict,
        source=check.source,
        title=check.source_title,
        url=check.source_url,
    )


def _by_outcome(numbers: Iterable[Number]) -> dict[Outcome, list[Number]]:
    """Sort numbers, which were compared with something, by how they came out."""
    found: dict[Outcome, list[Number]] = {"FAILED": [], "WARNED": [], "PASSED": []}
    for number in numbers:
        found[_OUTCOMES[number.verdict]].append(number)
    return found


def numbers_of(statement: Statement, sha256: str) -> dict[Outcome, list[Number]]:
    """Give what is stated of a subject by how it came out, in the order of the tests.

    The statement must not contradict itself.
    """
    known = (s for s in statement.subject if s.digest.get("sha256") == sha256)
    stated: Any = next((s.annotations.get("measured", []) for s in known), [])
    return _by_outcome(msgspec.convert(stated, list[Number]))


def contradictions(statement: Statement) -> Iterator[str]:
    """Yield where a statement contradicts itself.

    Raises:
        msgspec.ValidationError: its numbers are none of `repro attest`.
    """
    predicate, stated = statement.predicate, statement.predicate.tests
    if not all(name.isprintable() for names in stated.values() for name in names):
        yield "the name of a test has control characters"
    for part in predicate.configuration:
        if part.annotations and part.digest != {"sha256": digest_of(part.annotations)}:
            yield f"what it says of {part.name!r} has another digest than it states"
    worst = next((outcome for outcome, names in stated.items() if names), "no test")
    if worst != predicate.result:
        yield f"its result is {predicate.result}, and its tests say {worst}"
    digests = [p.digest for p in predicate.configuration if p.name == "measured"]
    for subject in statement.subject:
        if "measured" not in subject.annotations:
            continue
        measured = subject.annotations["measured"]
        numbers = msgspec.convert(measured, list[Number])
        if any(number.verdict not in _OUTCOMES for number in numbers):
            yield "it has a number that was compared with nothing"
            return
        for outcome, found in _by_outcome(numbers).items():
            said, names = stated[outcome], [number.test for number in found]
            if len(said) != len(names) or not all(map(str.endswith, said, names)):
                yield f"its numbers are not those of the tests that {outcome}"
        if digests != [{"sha256": digest_of(measured)}]:
            yield "what it says was measured has another digest than it states"


def attestation_bytes(statement: Statement, key: Path | None) -> bytes:
    """Write an attestation, signed where there is a private key.

    Raises:
        OptionError: the file is no private key, or the extra is not installed.
    """
    payload = msgspec.json.encode(statement)
    if key is None:
        return msgspec.json.format(payload) + b"\n"
    _insist_on_extra()
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    try:
        signer = CryptoSigner(load_pem_private_key(key.read_bytes(), None))
    except (OSError, TypeError, ValueError) as error:
        raise OptionError(
            f"--key: {key} is no private key in PEM without a password: {error}"
        ) from error
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
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
        wrong = next(contradictions(statement), "")
    except msgspec.ValidationError as error:
        raise AttestationError(
            f"{file} is no in-toto statement of a test result: {_quoted(str(error))}"
        ) from error
    if wrong:
        raise AttestationError(
            f"{file} is not as it was written: {_quoted(wrong)}; ask for it "
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


def _quoted(text: str) -> str:
    """Cut what a stranger wrote."""
    return shortened(text, 140)


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
            f"{_quoted(', '.join(known))}, and {weights} has {sha256}; it "
            "says nothing of that file"
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
            f"{file} holds {_quoted(repr(envelope.payload_type))}; it must be "
            f"{PAYLOAD_TYPE!r}"
        )
    # These very bytes are signed, with their type, and nothing else of the file.
    payload: bytes = envelope.payload
    return payload


def _insist_on_extra() -> None:
    if find_spec("securesystemslib") is None or find_spec("cryptography") is None:
        raise OptionError(
            "signatures need securesystemslib; install it with "
            "'pip install pytest-repro[attest]', or leave the key out"
        )
