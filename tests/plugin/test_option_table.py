"""Every option, keyword of the marker and ini key has an effect, or is refused.

One row for each: what the header says then and not otherwise, or what a run says,
leaves or ends with then and not otherwise; and beside what it is refused. A new option
without a row fails.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from repro.data.housekeeping import drop_store, list_stores
from repro.errors import OptionError
from repro.options.option import Option
from repro.options.table import OPTIONS, SELECTORS
from repro.planning.costs import Costs
from repro.plugin.settings import read_settings, summary
from repro.words import counted

from .conftest import ReleaseCopy, RunCases


class Row(NamedTuple):
    """A value, and what of the header or else of the run tells it.

    `beside` are arguments that it needs to mean anything; beside `idle` it can have no
    effect, and is refused.
    """

    value: str = ""
    header: str = ""
    run: str = ""
    beside: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


TABLE = {
    "data": Row("a", "data a"),
    "checkpoints": Row("a", "checkpoints a"),
    "cache": Row("a", "cache a"),
    "cache_limit": Row("1K", run="1 store of pixels", idle=("--repro-cache=none",)),
    "expected": Row("embedded", "expected embedded"),
    "case": Row("*80*", "cases *80*"),
    "device": Row("cpu", "device cpu"),
    "precision": Row("bf16", "bf16"),
    "accelerate": Row("compile", "accelerated by compile"),
    "batch_size": Row("7", "batches of 7"),
    "limit": Row("60", "limit 60 images"),
    "no_early_stop": Row("", "no early stop", idle=("--repro-limit=5",)),
    "diagnose": Row("", "diagnosing every case", idle=("--repro-no-diagnose",)),
    "no_diagnose": Row("", "no diagnosis", idle=("--repro-diagnose",)),
    "diagnose_share": Row("30", "30 % of an evaluat", idle=("--repro-no-diagnose",)),
    "diagnose_time": Row("60", "60 s for a diagnosis", idle=("--repro-no-diagnose",)),
    "strict": Row("", "strict"),
    "download": Row("", "downloading what is missing"),
    "run_code": Row("", "running code of releases"),
    "report": Row("a.json", run="file a.json"),
    "ledger": Row("a", run="file a/ledger.sqlite"),
    "baseline": Row("1", run="run 1 → run 2", idle=("--repro-ledger=none",)),
    "diverged_exit": Row("9", run="exit status 9"),
    "engine": Row("ray", "engine ray"),
    "ray_address": Row(
        "a:1",
        "engine ray at a:1",
        beside=("--repro-engine=ray",),
        idle=("--repro-limit=5",),
    ),
    "shard": Row("1/2", "shard 1/2"),
    "costs": Row("costs.json", run="; about 1:00:"),
    "resume": Row("", run="taken over from run 1", idle=("--repro-ledger=none",)),
}


def _rows(column: str) -> list[Any]:
    """List the options whose rows have something in a column."""
    return [
        pytest.param(option, row, id=option.name)
        for option in OPTIONS.values()
        if getattr(row := TABLE.get(option.name, Row()), column)
    ]


SAID_BY_HEADER, SAID_BY_RUN = _rows("header"), _rows("run")
IDLE = [option for option in OPTIONS.values() if TABLE.get(option.name, Row()).idle]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what is set around the tests."""
    for name in list(os.environ):
        if name.startswith("REPRO_"):
            monkeypatch.delenv(name)


def flag(option: Option[Any], value: str) -> str:
    return option.flag_name if option.flag else f"{option.flag_name}={value}"


def header(pytester: pytest.Pytester, *arguments: str, **marker: str | bool) -> str:
    config = pytester.parseconfig(*arguments)
    return summary(read_settings(config, marker, pytester.path), pytester.path)


def test_every_option_has_a_row() -> None:
    assert set(TABLE) == {option.name for option in OPTIONS.values()}
    assert all(bool(row.header) != bool(row.run) for row in TABLE.values())


@pytest.mark.parametrize(("option", "row"), SAID_BY_HEADER)
def test_an_option_says_in_the_header_what_it_changes(
    option: Option[Any],
    row: Row,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = row.value or "true"
    assert row.header not in header(pytester, *row.beside)
    assert row.header in header(pytester, *row.beside, flag(option, row.value))
    if option.in_marker and not row.beside:
        keywords: dict[str, str | bool] = {option.name: row.value or True}
        assert row.header in header(pytester, **keywords)
    with monkeypatch.context() as patch:
        patch.setenv(option.variable, value)
        assert row.header in header(pytester, *row.beside)
    pytester.makeini(f"[pytest]\n{option.ini_name} = {value}\n")
    assert row.header in header(pytester, *row.beside)


@pytest.mark.slow
@pytest.mark.parametrize(("option", "row"), SAID_BY_RUN)
def test_an_option_changes_what_a_run_says_or_leaves(
    option: Option[Any],
    row: Row,
    pytester: pytest.Pytester,
    release: ReleaseCopy,
    run_cases: RunCases,
    tmp_path: Path,
) -> None:
    published = release.published("supervised/real/80", "loss")
    release.edit("references.toml", (published, "9.9"))
    one = "supervised/real/80@digits-supervised"
    Costs(seconds={one: 3600.0}).write(pytester.path / "costs.json")
    cache = tmp_path / "cache"

    def run(*arguments: str) -> str:
        for store in list_stores(cache):
            if "bilinear" in store.identity.geometry:  # What the case wants is made.
                drop_store(store)
        result = run_cases(release, "-k", "supervised/real/80", *arguments)
        names = (file.relative_to(pytester.path) for file in pytester.path.rglob("*"))
        return "\n".join(
            [
                *result.outlines,
                f"exit status {result.ret}",
                *(f"file {name.as_posix()}" for name in names),
                counted(len(list_stores(cache)), "store") + " of pixels",
            ]
        )

    assert row.run not in run()
    assert row.run in run(flag(option, row.value))


@pytest.mark.parametrize("option", IDLE, ids=lambda option: option.name)
def test_an_option_that_can_have_no_effect_is_refused_in_one_sentence(
    option: Option[Any], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = TABLE[option.name]
    with pytest.raises(OptionError) as caught:
        header(pytester, flag(option, row.value), *row.idle)
    message = str(caught.value)
    assert option.flag_name in message
    assert "leave" in message
    assert "\n" not in message
    # A default of the environment that does not apply is no mistake.
    monkeypatch.setenv(option.variable, row.value or "true")
    header(pytester, *row.idle)


def test_of_two_that_exclude_each_other_the_stronger_place_counts(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_NO_DIAGNOSE", "1")
    assert "diagnosing every case" in header(pytester, "--repro-diagnose")
    assert "diagnosing every case" in header(pytester, diagnose=True)
    pytester.makeini("[pytest]\nrepro_diagnose = true\n")
    assert "diagnosing every case" in header(pytester)
    assert "no diagnosis" in header(pytester, "--repro-no-diagnose")
    assert "no diagnosis" in header(pytester, "--repro-no-diagnose", diagnose=True)
    with pytest.raises(OptionError, match="marker repro and no_diagnose of"):
        header(pytester, diagnose=True, no_diagnose=True)


def test_an_ini_file_that_contradicts_itself_is_refused(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nrepro_resume = true\nrepro_ledger = none\n")
    with pytest.raises(OptionError, match="ini repro_resume has no effect"):
        header(pytester)


def test_what_a_marker_says_of_one_test_does_not_refuse_the_command_line(
    pytester: pytest.Pytester,
) -> None:
    assert "limit 5 images" in header(pytester, "--repro-no-early-stop", limit="5")


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_an_empty_value_is_refused_where_it_can_be_left_out(
    option: Option[Any], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not option.flag:
        with pytest.raises(OptionError, match=f"^{option.flag_name} is empty; give"):
            header(pytester, f"{option.flag_name}=")
    if option.in_marker:
        with pytest.raises(OptionError, match=f"^{option.name} of the marker"):
            header(pytester, **{option.name: ""})
    monkeypatch.setenv(option.variable, "")
    header(pytester)


def test_a_misprint_in_a_variable_is_refused_and_a_stranger_is_not(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRO_PROJECT_ROOT", "theirs")
    header(pytester)
    monkeypatch.setenv("REPRO_CHEKPOINTS", "a")
    with pytest.raises(OptionError, match="correct it to REPRO_CHECKPOINTS"):
        header(pytester)


#: What the marker selects, and a case that it leaves out.
SELECTED = {
    "kind": ("clip", "supervised/real/80@digits-supervised"),
    "family": ("clip/*", "supervised/real/80@digits-supervised"),
}


def test_every_selector_of_the_marker_has_a_row() -> None:
    assert set(SELECTED) == set(SELECTORS)


@pytest.mark.parametrize("selector", SELECTED)
def test_a_selector_of_the_marker_leaves_cases_out_or_is_refused(
    selector: str, pytester: pytest.Pytester
) -> None:
    value, left_out = SELECTED[selector]

    def collected(keywords: str) -> str:
        pytester.makepyfile(
            f"""
            import pytest

            @pytest.mark.repro(expected="embedded"{keywords})
            def test_case(case, reproduce):
                reproduce(case)
            """
        )
        return str(pytester.runpytest("--collect-only", "-q").stdout)

    assert left_out in collected("")
    said = collected(f", {selector}={value!r}")
    assert left_out not in said
    assert "clip/real/80@digits-clip" in said
    assert f"{selector} of the marker repro is" in collected(f", {selector}='other'")
    with pytest.raises(OptionError, match=f"{selector} of the marker repro is empty"):
        header(pytester, **{selector: ""})
