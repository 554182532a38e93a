"""What strangers may give us ends well or with one sentence, however it is spoilt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from attack import formats, ledgers
from attack.attack import MEMORY, Attack, limited_memory, said_badly
from attack.kinds import KINDS
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.cli import cli

KEPT = Path(__file__).parent / "kept"


@pytest.mark.parametrize("file", sorted(KEPT.glob("*.json")), ids=lambda f: f.stem)
def test_what_fell_short_once_does_so_no_more(file: Path) -> None:
    attack = msgspec.json.decode(file.read_bytes(), type=Attack)
    with limited_memory(MEMORY):
        assert attack.shortcoming() == ""


@pytest.mark.parametrize(
    ("text", "messages", "said"),
    [
        ("a\x9b", [], "it prints '\\x9b'"),
        ("a\u202e", [], "it prints '\\u202e'"),
        ("a\n\tb", ["x" * 500], ""),
        ("a", ["x" * 600], "a message has 600 characters"),
    ],
)
def test_what_should_not_be_said_is_noticed(
    text: str, messages: list[str], said: str
) -> None:
    assert said_badly(text, messages) == said


def test_a_command_that_breaks_is_noticed() -> None:
    broken = Attack("options", ("cases", "--expected", "a.toml"), {"a.toml": b"\xff"})
    assert broken.shortcoming() == ""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("repro.cli.published.read_releases", lambda _: 1 / 0)
        assert broken.shortcoming() == "ZeroDivisionError: division by zero"


#: What a command says at the end of sound input.
SOUND = {
    "cards": "1 numbers added",
    "merges": "4 of 4 cases",
    "attestations": "PASSED: a.pt by a.json",
}


@pytest.mark.parametrize("kind", SOUND)
def test_what_is_spoilt_is_sound_before(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for spoiling in ("damaged", "spoilt"):
        monkeypatch.setattr(formats, spoiling, st.just)
    for spoiling in ("damaged", "forged"):
        monkeypatch.setattr(ledgers, spoiling, st.just)
    found: list[Attack] = []

    @settings(max_examples=1, database=None)
    @given(KINDS[kind]())
    def draw(attack: Attack) -> None:
        found.append(attack)

    draw()
    monkeypatch.chdir(tmp_path)
    for name, content in found[0].files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
    said = CliRunner().invoke(cli, found[0].command).output
    assert SOUND[kind] in said


@pytest.mark.slow
def test_all_kinds_of_attacks_are_withstood(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.attack", "--seed=1", "--count=200"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("200 as they should be") == len(KINDS) - 1
