"""Every parameter of every command changes what it says or writes, or is refused.

One row for each parameter of click's own tree; one without a row fails.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from repro.cli import cli
from repro.cli.options import Command, shared
from repro.errors import OptionError
from repro.options.table import OPTIONS, Settings

from ..fetching.host import running_host
from .rows import CASE, EVAL, LINK, ROWS, SPREAD
from .world import make_world

#: From a folder that is made for it and a command's words.
SaidBy = Callable[[str, str], str]


def parameters(
    command: click.Command, path: str = ""
) -> Iterator[tuple[str, click.Parameter]]:
    """List click's parameters with the commands that they belong to."""
    for parameter in command.params:
        yield path, parameter
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from parameters(below, f"{path} {name}".strip())


TREE = {
    f"{path} {parameter.name}".strip(): (path, parameter)
    for path, parameter in parameters(cli)
}
VALUED = [
    name
    for name, (_, parameter) in TREE.items()
    if isinstance(parameter, click.Option) and not parameter.is_flag
]
#: Those that are made from the table of options, with its help.
SHARED = [
    name
    for name in VALUED
    if (option := OPTIONS.get(str(TREE[name][1].name)))
    and option.help[1:20] in str(getattr(TREE[name][1], "help", ""))
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("world")
    with running_host() as host:
        make_world(folder, host)
        yield folder


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what is set around the tests."""
    for option in OPTIONS.values():
        monkeypatch.delenv(option.variable, raising=False)
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "users-cache"))
    for kind in ("CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))


@pytest.fixture
def said_by(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SaidBy:
    """Run a command in a copy of the world; give what it says, writes and ends in."""

    def said(folder: str, line: str) -> str:
        shutil.copytree(world, tmp_path / folder)
        monkeypatch.chdir(tmp_path / folder)
        files = [file for file in Path().rglob("*") if file.is_file()]
        before = {file: file.read_bytes() for file in files}
        done = CliRunner().invoke(cli, shlex.split(line))
        written = [
            f"{file}"
            + f"\n{file.read_text(errors='replace')}" * (file.suffix != ".sqlite")
            for file in Path().rglob("*")
            if file.is_file() and before.get(file) != file.read_bytes()
        ]
        ended = [str(done.exception or ""), f"exit status {done.exit_code}"]
        return "\n".join([done.output, *ended, *written])

    return said


def test_every_parameter_has_a_row() -> None:
    assert set(ROWS) == set(TREE)
    assert len(SHARED) > 30


@pytest.mark.parametrize("name", ROWS)
def test_a_parameter_changes_what_is_said_or_written_or_is_refused(
    name: str, said_by: SaidBy
) -> None:
    row = ROWS[name]

    def run(folder: str, words: str) -> str:
        return said_by(folder, f"{row.call} {words}")

    assert row.says not in run("without", row.instead)
    assert row.says in run("with", row.given)


@pytest.mark.parametrize("name", SHARED)
def test_an_option_of_the_table_is_found_in_the_environment_too(
    name: str, said_by: SaidBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ROWS[name]
    variable = OPTIONS[str(TREE[name][1].name)].variable
    flag, _, value = row.given.partition("=")
    monkeypatch.setenv(variable, value)
    said = said_by("with", row.call)
    assert row.says.replace(flag, variable) in said.replace(flag, variable)
    monkeypatch.setenv(variable, "")
    said = said_by("empty", row.call)
    assert row.says not in said


@pytest.mark.parametrize("name", [name for name in TREE if name != "version"])
def test_an_empty_argument_is_refused(name: str) -> None:
    path, parameter = TREE[name]
    if isinstance(parameter, click.Argument):
        before = [p for at, p in TREE.values() if at == path][:5]
        earlier = before[: before.index(parameter)]
        words = ["x" for p in earlier if isinstance(p, click.Argument)] + [""]
    elif name in VALUED:
        words = [parameter.opts[0], ""]
    else:
        return
    done = CliRunner().invoke(cli, [*path.split(), *words])
    assert isinstance(done.exception, OptionError)
    assert "is empty; give a value, or leave it out" in str(done.exception)


@pytest.mark.parametrize("name", VALUED)
def test_an_option_that_is_given_twice_is_refused_or_repeatable(name: str) -> None:
    path, parameter = TREE[name]
    done = CliRunner().invoke(cli, [*path.split(), *[parameter.opts[0], "1"] * 2])
    is_refused = "is given 2 times; give it once" in str(done.exception)
    assert is_refused is not parameter.multiple


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "claims --published --ledger=.repro",
            "--ledger has no effect, since",
        ),
        ("plan supervised/* other/*", "no case is named 'other/*'"),
        (
            f"{LINK} --family=supervised/real=real --family=supervised/real=others",
            "--family gives supervised/real both real and others",
        ),
        (f"{LINK} --family=supervised/real=", "it must be FAMILY=FOLDER"),
        ("runs --ledger=none", "--ledger is none, and this command needs it"),
        ("cache list --cache=none", "--cache is none, and this command needs it"),
        ("report -o a.docx", "is 'a.docx'; it must end with"),
        ("merge .repro:1 other --ledger=merged -o a.docx", "it must end with"),
        (
            f"{SPREAD} '--spread=standard error'",
            "--spread has no effect without",
        ),
        ("cases --checkpoints=paper.toml", "it must be a folder, and is a file"),
    ],
)
def test_what_could_have_no_effect_is_refused_before_anything_is_written(
    call: str, message: str, said_by: SaidBy
) -> None:
    said = said_by("world", call)
    assert message in said
    assert said.endswith("exit status 1")


def test_errors_name_an_option_as_the_command_does_and_others_as_pytest_does() -> None:
    @click.command(cls=Command)
    @shared(Settings.device)
    @shared(Settings.batch_size)
    @click.option("--limit")  # of this command's own, which means something else
    def fail(**given: object) -> None:
        raise OptionError("--repro-device, --repro-batch-size; --repro-limit=3")

    done = CliRunner().invoke(fail)
    assert str(done.exception) == "--device, --batch-size; --repro-limit=3"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (f"{EVAL} --device=cuda:700", "--device is 'cuda:700', but torch finds"),
        ("runs --ledger=broken", "or name another folder with --ledger; a run"),
    ],
)
def test_what_fails_far_below_is_named_as_it_was_typed(
    call: str, message: str, said_by: SaidBy, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ledger.sqlite").write_text("this is no database\n" * 99)
    said = said_by("world", call.replace("=broken", "=../broken"))
    assert message in said


def test_a_baseline_of_the_environment_need_not_be_there_yet(
    said_by: SaidBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "report 1 -o a.json"
    typed = said_by("typed", f"{line} --baseline=last")
    assert "has no run 'last'" in typed
    assert typed.endswith("exit status 1")
    monkeypatch.setenv("REPRO_BASELINE", "last")
    said = said_by("found", line)
    assert "nothing to compare with: " in said
    assert "report: a.json" in said


def test_several_published_numbers_are_split_in_the_environment_as_in_pytest(
    said_by: SaidBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_EXPECTED", "paper.toml:embedded")
    said = said_by("world", "cases")
    assert CASE in said
    assert "clip/real/80@digits-clip" in said


def test_a_misprint_in_a_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_CHEKPOINTS", "a")
    done = CliRunner().invoke(cli, ["cases"])
    assert "correct it to REPRO_CHECKPOINTS" in str(done.exception)
