"""An in-toto Statement v1 that says what a case of the ledger scored.

Its predicate is of the type test-result, whose fields and those of a resource
descriptor are named as in the specification (spec/predicates/test-result.md and
spec/v1/resource_descriptor.md of https://github.com/in-toto/attestation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from repro.errors import ReproError
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.records.identity import digest_of
from repro.records.result import CaseResult, Measurement, Run

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
        # Of a stranger it may be any number.
        form = "e" if abs(self.measured) > _LARGEST_VALUE else "f"
        return (
            f"measured {self.measured:.{digits}{form}}, difference "
            f"{self.difference:+.{digits}{form}}, tolerance {self.tolerance:.3g}"
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
    tests = _tests(numbers, f"{result.id} ")
    measured = [msgspec.to_builtins(number) for number in numbers]
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


def _tests(numbers: Iterable[Number], case: str = "") -> dict[Outcome, tuple[str, ...]]:
    """Name the test of each number, by how it came out."""
    found: dict[Outcome, list[str]] = {"FAILED": [], "WARNED": [], "PASSED": []}
    for number in numbers:
        found[_OUTCOMES[number.verdict]].append(case + number.test)
    return {outcome: tuple(names) for outcome, names in found.items()}


def numbers_of(statement: Statement, sha256: str) -> dict[Outcome, list[Number]]:
    """Give what is stated of a subject by how it came out, in the order of the tests.

    The statement must not contradict itself.
    """
    found: dict[Outcome, list[Number]] = {"FAILED": [], "WARNED": [], "PASSED": []}
    for subject in statement.subject:
        if subject.digest.get("sha256") == sha256:
            stated = subject.annotations.get("measured", [])
            for number in msgspec.convert(stated, list[Number]):
                found[_OUTCOMES[number.verdict]].append(number)
            break
    return found


def contradiction(statement: Statement) -> str:
    """Say where a statement contradicts itself; empty where it does not.

    Raises:
        msgspec.ValidationError: its numbers are none of `repro attest`.
    """
    predicate = statement.predicate
    for part in predicate.configuration:
        if part.annotations and part.digest != {"sha256": digest_of(part.annotations)}:
            return f"what it says of {part.name!r} has another digest than it states"
    stated = {
        "FAILED": predicate.failed_tests,
        "WARNED": predicate.warned_tests,
        "PASSED": predicate.passed_tests,
    }
    worst = next((outcome for outcome, names in stated.items() if names), "no test")
    if worst != predicate.result:
        return f"its result is {predicate.result}, and its tests say {worst}"
    for subject in statement.subject:
        if "measured" not in subject.annotations:
            continue
        measured = subject.annotations["measured"]
        numbers = msgspec.convert(measured, list[Number])
        if any(number.verdict not in _OUTCOMES for number in numbers):
            return "it has a number that was compared with nothing"
        for outcome, names in _tests(numbers).items():
            said = stated[outcome]
            if len(said) != len(names) or not all(map(str.endswith, said, names)):
                return f"its numbers are not those of the tests that {outcome}"
        digests = [p.digest for p in predicate.configuration if p.name == "measured"]
        if digests != [{"sha256": digest_of(measured)}]:
            return "what it says was measured has another digest than it states"
    return ""
