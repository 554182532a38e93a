"""What strangers may give us ends well or with one sentence, however it is spoilt."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from attack import formats, ledgers, strangers, whole_runs
from attack.attack import MEMORY, Attack, limited_memory, said_badly
from attack.kinds import KINDS
from attack.odd import odd_weights
from attack.written import TAG, written_badly
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.cli import cli
from repro.judgement.verdict import Verdict

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


TOML = f"{strangers.RELEASE}/release.toml"


def run_whole(folder: Path, files: Mapping[str, bytes]) -> tuple[str, dict[str, str]]:
    """Run a whole release: what fell short, and the verdicts that it reports."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        fell_short = whole_runs.whole_run("--repro-no-diagnose")
    report = folder / whole_runs.PLACE / "reports/r.json"
    cases = json.loads(report.read_bytes())["cases"] if report.exists() else []
    return fell_short, {case["id"]: case["verdict"] for case in cases}


@pytest.mark.parametrize(
    ("published", "verdict"), [("70.00", "reproduced"), ("10.00", "above")]
)
def test_a_stranger_s_release_is_sound_before(
    published: str, verdict: str, tmp_path: Path
) -> None:
    assert run_whole(tmp_path, _published(published)) == (
        "",
        {
            "supervised/real/80@digits-supervised": verdict,
            "clip/real/80@digits-clip": "expected divergence",
        },
    )


def _published(top1: str) -> dict[str, bytes]:
    files = strangers.sound()
    return files | {TOML: files[TOML].replace(b'"70.00"', f'"{top1}"'.encode())}


@pytest.mark.parametrize("what", ["nan", "one nan", "inf"])
def test_weights_that_are_no_numbers_reproduce_nothing(
    what: str, tmp_path: Path
) -> None:
    files = strangers.sound()
    name = f"{strangers.RELEASE}/checkpoints/supervised/real/80.pt"
    files[name] = odd_weights(files[name], what)
    fell_short, verdicts = run_whole(tmp_path, files)
    assert fell_short == ""
    assert verdicts.pop("supervised/real/80@digits-supervised") != "reproduced"
    assert len(verdicts) == 1


def work_for_ever(*_: object, **__: object) -> None:
    while True:
        pass


#: What is put in place of a part of the house, and how that should be noticed.
PLANTED: dict[str, tuple[str, Callable[..., object], str]] = {
    "a wrong number is reproduced": (
        "repro.judgement.verdict._verdict",
        lambda *_: (Verdict.REPRODUCED, ""),
        ".json: 'supervised/real/80@digits-supervised' is reproduced and off by 60",
    ),
    "a terminal obeys": (
        "repro.cli.output.visible",
        lambda text: f"{text}\x9b",
        "it prints '\\x9b'",
    ),
    "a test breaks": (
        "repro.engine.device.load_checkpoint",
        lambda *_, **__: 1 / 0,
        "it prints '",
    ),
    "a file is written elsewhere": (
        "repro.engine.device.load_checkpoint",
        lambda *_, **__: Path("stray").touch(),
        "it wrote home/user/stray",
    ),
    "the process dies": (
        "repro.engine.device.load_checkpoint",
        lambda *_, **__: signal.raise_signal(signal.SIGUSR1),
        "it ended by SIGUSR1",
    ),
    "it does not end": (
        "repro.engine.device.load_checkpoint",
        work_for_ever,
        "it takes more than",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_whole_run_that_falls_short_is_noticed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, planted, noticed = PLANTED[what]
    monkeypatch.setattr(place, planted)
    monkeypatch.setattr(whole_runs, "_SECONDS", 2)
    assert noticed in run_whole(tmp_path, _published("10.00"))[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.html", f"<td><{TAG}></td>", f"it has the tag {TAG}"),
        ("r.html", f"<td title='' {TAG}=1>", "it has the tag td"),
        ("r.html", "<a href=' JavaScript:alert(1)'>", "it has the tag a that runs"),
        ("r.md", f"| <{TAG}> |", f"it has the tag {TAG}"),
        ("r.csv", "a,b\n1,=1+1\n", "it has the formula '=1+1'"),
        ("r.csv", "a,b\n1,2,3\n", "its rows have several lengths"),
        ("r.md", "\x1b[31m", "it holds '\\x1b'"),
        ("junit.xml", "<a><failure message='KeyError: 1'/></a>", "a test ends in"),
        ("r.html", f"<td>&lt;{TAG}&gt;</td>", ""),
        ("r.md", f"| \\<{TAG}\\> |", ""),
        ("r.csv", "a,b\n1,-1.5\n", ""),
        ("junit.xml", "<a><failure message='WeightsError: a.pt'/></a>", ""),
    ],
)
def test_a_report_that_does_what_a_stranger_wrote_is_noticed(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    assert written_badly(tmp_path).removeprefix(f"{name}: ").startswith(said)
    assert bool(written_badly(tmp_path)) == bool(said)


@pytest.mark.slow
def test_all_kinds_of_attacks_are_withstood(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.attack", "--seed=1", "--count=200"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" as they should be") == len(KINDS)
