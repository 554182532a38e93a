"""`repro attest` writes what in-toto's own libraries read, of the ledger alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from repro.attestation import Number, statement_of
from repro.cli import cli
from repro.errors import ReproError
from repro.judgement.verdict import Verdict
from repro.records.identity import GitState
from repro.records.ledger import Ledger

from ..made_results import measurement, predictions, result
from .keys import write_keys


class Attested(msgspec.Struct, frozen=True):
    """A folder with a ledger, weights, two key pairs, and statements of both kinds."""

    folder: Path

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments])

    def files(self, kind: str) -> dict[str, Path]:
        return {
            file.name.partition("@")[0]: file
            for file in (self.folder / kind).glob("*.intoto.json")
        }

    def verify(self, file: Path, *options: str, weights: str = "1M.pt") -> Result:
        named = ("--weights", str(self.folder / weights))
        return self.run("verify-attestation", str(file), *named, *options)

    def key(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> Attested:
    folder = tmp_path_factory.mktemp("attested")
    (folder / "1M.pt").write_bytes(b"weights")
    (folder / "2M.pt").write_bytes(b"other weights")
    with Ledger(folder / "ledger", create=True) as ledger:
        run = ledger.begin("a run", 3, [], GitState())
        for checkpoint, verdict in (
            ("1M", Verdict.REPRODUCED),
            ("2M", Verdict.BELOW),
            ("4M", Verdict.NOT_RUN),
        ):
            outcome = result(checkpoint, verdict)
            if verdict is not Verdict.NOT_RUN:
                file = folder / f"{checkpoint}.pt"
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                measured = measurement(weights=str(file), weights_sha256=digest)
                outcome = msgspec.structs.replace(
                    outcome,
                    measurement=measured,
                    comparisons=tuple(
                        msgspec.structs.replace(check, verdict=verdict)
                        for check in outcome.comparisons
                    ),
                )
            ledger.record(run, outcome, predictions() if outcome.measurement else None)
    write_keys(folder, "ours")
    write_keys(folder, "theirs")
    made = Attested(folder)
    ledger_at = ("--ledger", str(folder / "ledger"))
    said = made.run("attest", *ledger_at, "-o", str(folder / "plain")).output
    assert "2 statements" in said
    assert "not signed; 1 case without a comparison left out" in said
    options = ("-o", str(folder / "signed"), "--key", made.key("ours.pem"))
    assert "signed" in made.run("attest", *ledger_at, *options).output
    return made


def test_in_totos_own_library_reads_a_statement(attested: Attested) -> None:
    file = attested.files("plain")["supervised_real_1M"]
    parsed = json_format.Parse(file.read_text(), statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    predicate = json_format.ParseDict(
        json_format.MessageToDict(parsed.predicate), test_result_pb2.TestResult()
    )
    assert predicate.result == "PASSED"
    first, *_ = predicate.passed_tests
    assert first.startswith("supervised/real/1M@plain top1 ")
    assert not predicate.failed_tests
    names = [part.name for part in predicate.configuration]
    assert names == ["protocol", "dataset", "environment", "run", "measured"]


def test_no_path_of_whoever_measured_is_stated(attested: Attested) -> None:
    for file in attested.files("plain").values():
        assert str(attested.folder) not in file.read_text()


def test_weights_that_met_their_numbers_are_verified(attested: Attested) -> None:
    done = attested.verify(attested.files("plain")["supervised_real_1M"])
    assert done.exit_code == 0, done.exception
    assert done.output.startswith("PASSED: ")
    assert "not signed" in done.output
    told = r"top1 (\S+) .*: measured (\S+), difference (\S+), tolerance (\S+)$"
    ((published, *rest),) = re.findall(told, done.output, re.MULTILINE)
    measured, difference, tolerance = map(float, rest)
    assert measured - float(published) == pytest.approx(difference)
    assert abs(difference) <= tolerance


def test_a_number_that_was_not_met_is_said(attested: Attested) -> None:
    file = attested.files("plain")["supervised_real_2M"]
    done = attested.verify(file, weights="2M.pt")
    assert done.exit_code == 1
    assert "  not met supervised/real/2M@plain top1" in done.output


def test_other_weights_are_refused(attested: Attested) -> None:
    done = attested.verify(
        attested.files("plain")["supervised_real_1M"], weights="2M.pt"
    )
    assert "it says nothing of that file" in str(done.exception)


def test_a_signature_is_that_of_the_key_that_is_named(attested: Attested) -> None:
    file = attested.files("signed")["supervised_real_1M"]
    done = attested.verify(file, "--public-key", attested.key("ours.pub"))
    assert done.exit_code == 0, done.exception
    assert "signed by the key in" in done.output
    done = attested.verify(file, "--public-key", attested.key("theirs.pub"))
    assert "is not signed by the key in" in str(done.exception)
    assert "name the key of whom you trust" in str(attested.verify(file).exception)


def test_sigstores_own_library_reads_and_verifies_a_statement(
    attested: Attested,
) -> None:
    dsse = pytest.importorskip("sigstore.dsse", reason="sigstore is not installed")
    plain = attested.files("plain")["supervised_real_1M"].read_bytes()
    assert dsse.Statement(plain)._matches_digest(hashed(attested.folder / "1M.pt"))
    # Its public face wants a certificate, which takes a network; this is what it
    # calls for the signature below one.
    signed = attested.files("signed")["supervised_real_1M"].read_bytes()
    envelope = dsse.Envelope._from_json(signed)
    payload = dsse._verify(public_key(attested.key("ours.pub")), envelope)
    assert json.loads(payload) == json.loads(plain)
    with pytest.raises(Exception, match="invalid signature"):
        dsse._verify(public_key(attested.key("theirs.pub")), envelope)


def hashed(file: Path) -> Any:
    from sigstore.hashes import Hashed
    from sigstore_models.common.v1 import HashAlgorithm

    digest = hashlib.sha256(file.read_bytes()).digest()
    return Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)


def public_key(file: str) -> Any:
    return load_pem_public_key(Path(file).read_bytes())


def forged(file: Path, folder: Path) -> Path:
    """Replace what a signed file says, and leave its signature."""
    content = json.loads(file.read_text())
    payload = base64.b64decode(content["payload"])
    assert b"76.500" in payload
    changed = payload.replace(b"76.500", b"96.500")
    content["payload"] = base64.b64encode(changed).decode()
    made = folder / file.name
    made.write_text(json.dumps(content))
    return made


def test_what_was_changed_after_it_was_signed_is_not_believed(
    attested: Attested, tmp_path: Path
) -> None:
    file = forged(attested.files("signed")["supervised_real_1M"], tmp_path)
    done = attested.verify(file, "--public-key", attested.key("ours.pub"))
    assert "is not signed by the key in" in str(done.exception)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (-1e-7, "measured 1.120817, difference -1e-7, tolerance 0.00112"),
        (0.0, "measured 1.120817, difference 0.000000, tolerance 0.00112"),
        (-2e9, "measured 1.120817e+00, difference -2.000000e+09, tolerance 0.00112"),
    ],
)
def test_a_difference_never_looks_like_none(difference: float, said: str) -> None:
    number = Number(
        metric="loss",
        published="1.120817",
        measured=1.120817,
        difference=difference,
        tolerance=0.00112,
        verdict=Verdict.REPRODUCED,
        source="s",
        title="t",
        url="u",
    )
    assert number.outcome == said


def another_predicate(content: Any) -> None:
    content["predicateType"] = "https://slsa.dev/provenance/v1"


def another_result(content: Any) -> None:
    content["predicate"]["result"] = "\x1b[31mGREAT" * 100


def no_digest(content: Any) -> None:
    del content["subject"][0]["digest"]


def no_subject(content: Any) -> None:
    content["subject"] = []


def another_protocol(content: Any) -> None:
    content["predicate"]["configuration"][0]["annotations"]["geometry"] = "rgb"


def a_failure_called_passed(content: Any) -> None:
    predicate = content["predicate"]
    predicate["failedTests"], predicate["passedTests"] = predicate["passedTests"], []


def another_number(content: Any) -> None:
    content["subject"][0]["annotations"]["measured"][0]["published"] = "99.999"


def another_verdict(content: Any) -> None:
    content["subject"][0]["annotations"]["measured"][0]["verdict"] = "below"


def a_verdict_of_nothing(content: Any) -> None:
    content["subject"][0]["annotations"]["measured"][0]["verdict"] = "not run"


def numbers_of_another_form(content: Any) -> None:
    content["subject"][0]["annotations"]["measured"] = {"top1": "76.5"}


def no_tests(content: Any) -> None:
    content["predicate"]["passedTests"] = []


def a_test_that_clears_the_screen(content: Any) -> None:
    content["predicate"]["passedTests"][0] = "\x1b[2J"
    del content["subject"][0]["annotations"]


def leaves(content: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yield where each value stands that is no list or table."""
    if isinstance(content, dict | list):
        parts = content.items() if isinstance(content, dict) else enumerate(content)
        for key, part in parts:
            yield from leaves(part, *path, key)
    else:
        yield path


def test_a_change_of_any_field_is_noticed(attested: Attested, tmp_path: Path) -> None:
    text = attested.files("plain")["supervised_real_1M"].read_text()
    unnoticed = []
    for *way, last in leaves(json.loads(text)):
        content = part = json.loads(text)
        for key in way:
            part = part[key]
        old = part[last]
        part[last] = f"{old}x" if isinstance(old, str) else (old or 0) + 1
        file = tmp_path / "changed.json"
        file.write_text(json.dumps(content))
        if not isinstance(attested.verify(file).exception, ReproError):
            unnoticed.append((way[0], last))
    # Weights are told by their digest; parts are what their annotations say.
    assert unnoticed == [("subject", "name"), *[("predicate", "name")] * 4]


NO_STATEMENT = "is no in-toto statement of a test result"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_predicate, NO_STATEMENT),
        (another_result, NO_STATEMENT),
        (no_digest, NO_STATEMENT),
        (no_subject, NO_STATEMENT),
        (numbers_of_another_form, NO_STATEMENT),
        (another_protocol, "what it says of 'protocol' has another digest"),
        (a_failure_called_passed, "its result is PASSED, and its tests say FAILED"),
        (no_tests, "its result is PASSED, and its tests say no test"),
        (another_number, "its numbers are not those of the tests"),
        (another_verdict, "its numbers are not those of the tests"),
        (a_verdict_of_nothing, "a number that was compared with nothing"),
        (a_test_that_clears_the_screen, "has control characters"),
    ],
)
def test_what_is_no_statement_or_contradicts_itself_is_refused(
    attested: Attested,
    tmp_path: Path,
    change: Callable[[Any], None],
    message: str,
) -> None:
    content = json.loads(attested.files("plain")["supervised_real_1M"].read_text())
    change(content)
    refuse(attested, tmp_path, json.dumps(content).encode(), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as JSON"),
        (b"\xff", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"a": 1e999999}', "cannot be read as JSON"),
        (b"[]", NO_STATEMENT),
        (b" " * (1 << 22) + b"{}", "is larger than 4,194,304 bytes"),
        (b'{"payload": 1}', "is signed; name the key"),
    ],
)
def test_a_hostile_file_is_refused_in_a_sentence(
    attested: Attested, tmp_path: Path, content: bytes, message: str
) -> None:
    refuse(attested, tmp_path, content, message)


@pytest.mark.parametrize(
    "content",
    [
        b'{"payload": 1}',
        b'{"payload": "", "payloadType": "", "signatures": []}',
        b'{"payload": "", "payloadType": "", "signatures": [{"keyid": 1}]}',
        b'{"payload": "\xc3\xa4", "payloadType": 1, "signatures": [[]]}',
        b'{"payload": "AA", "payloadType": "", "signatures": null}',
    ],
)
def test_a_damaged_envelope_is_not_believed(
    attested: Attested, tmp_path: Path, content: bytes
) -> None:
    options = ("--public-key", attested.key("ours.pub"))
    refuse(attested, tmp_path, content, "is not signed by the key in", *options)


def refuse(
    attested: Attested, folder: Path, content: bytes, message: str, *options: str
) -> None:
    file = folder / "changed.json"
    file.write_bytes(content)
    done = attested.verify(file, *options)
    assert isinstance(done.exception, ReproError)
    said = str(done.exception)
    assert message in said
    assert said.isprintable()
    assert len(said) <= 500


def test_fields_of_later_versions_are_ignored(
    attested: Attested, tmp_path: Path
) -> None:
    content = json.loads(attested.files("plain")["supervised_real_1M"].read_text())
    content["predicate"]["url"] = "https://example.org/runs/1"
    file = tmp_path / "later.json"
    file.write_text(json.dumps(content))
    assert attested.verify(file).exit_code == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [("--key", "is no private key in PEM"), ("--public-key", "is not signed, so")],
)
def test_a_key_without_use_is_refused(
    attested: Attested, tmp_path: Path, option: str, message: str
) -> None:
    if option == "--key":
        ledger_at = ("--ledger", str(attested.folder / "ledger"))
        options = ("-o", str(tmp_path), option, attested.key("ours.pub"))
        done = attested.run("attest", *ledger_at, *options)
        assert list(tmp_path.iterdir()) == []
    else:
        file = attested.files("plain")["supervised_real_1M"]
        done = attested.verify(file, option, attested.key("ours.pub"))
    assert message in str(done.exception)


def test_a_number_of_another_checkpoint_is_not_stated(tmp_path: Path) -> None:
    met, other = result("1M").comparisons
    other = msgspec.structs.replace(other, verdict=Verdict.UNREFERENCED)
    mixed = msgspec.structs.replace(result("1M"), comparisons=(met, other))
    with Ledger(tmp_path, create=True) as ledger:
        run = ledger.begin("a run", 1, [], GitState())
        ledger.record(run, mixed, predictions())
        stated = statement_of(ledger.find_run("last"), mixed)
    assert stated.predicate.passed_tests == (
        "supervised/real/1M@plain top1 76.500 (table)",
    )
    assert not stated.predicate.warned_tests + stated.predicate.failed_tests
