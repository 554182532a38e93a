"""Options: the command line before the marker, the ini file, the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repro.errors import OptionError
from repro.options.option import Option
from repro.options.table import OPTIONS
from repro.plugin.settings import read_settings, summary

# Values for the command line, the marker, the ini file and the environment.
VALUES = {
    "data": ("a", "b", "c", "d"),
    "checkpoints": ("a", "b", "c", "d"),
    "cache": ("a", "b", "c", "d"),
    "cache_limit": ("1G", "2G", "3G", "4G"),
    "expected": ("a", "b", "c", "d"),
    "device": ("cpu", "cuda", "cuda:1", "auto"),
    "precision": ("amp-bf16", "fp16", "tf32", "fp32"),
    "accelerate": ("compile", "none", "channels-last", "auto, compile"),
    "batch_size": ("1", "2", "3", "4"),
    "limit": ("1", "2", "3", "4"),
    "diagnose_share": ("1", "2.5", "30", "40 %"),
    "diagnose_time": ("10", "20", "30", "40"),
    "strict": ("", "false", "true", "false"),
    "download": ("", "false", "true", "false"),
    "run_code": ("", "false", "true", "false"),
    "diagnose": ("", "false", "true", "false"),
    "no_diagnose": ("", "false", "true", "false"),
    "report": ("a.json", "b.json", "c.json", "d.json"),
    "engine": ("ray", "", "local", "ray"),
    "ray_address": ("a:1", "", "b:2", "auto"),
    "shard": ("1/4", "", "2/4", "3/4"),
    "costs": ("a", "", "b", "c"),
}
TESTED = [option for option in OPTIONS.values() if option.name in VALUES]


@pytest.mark.parametrize("option", TESTED, ids=lambda option: option.name)
def test_each_place_counts_before_the_next(
    option: Option[Any], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, marker, ini, environment = VALUES[option.name]

    def value(config: pytest.Config, keywords: dict[str, object]) -> object:
        return getattr(read_settings(config, keywords, pytester.path), option.name)

    def read(text: str) -> object:
        content = option.read(text, pytester.path)
        return (content,) if option.repeatable else content

    if option.name == "ray_address":
        monkeypatch.setenv("REPRO_ENGINE", "ray")
    monkeypatch.setenv(option.variable, environment)
    assert value(pytester.parseconfig(), {}) == read(environment)
    pytester.makeini(f"[pytest]\n{option.ini_name} = {ini}\n")
    config = pytester.parseconfig()
    assert value(config, {}) == read(ini)
    keywords: dict[str, object] = {}
    if option.in_marker:
        keywords = {option.name: marker}
        assert value(config, keywords) == read(marker)
    given = [option.flag_name] if option.flag else [option.flag_name, line]
    expected = True if option.flag else read(line)
    assert value(pytester.parseconfig(*given), keywords) == expected


def test_relative_paths_start_where_they_were_written(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / "sub").mkdir()
    pytester.makeini("[pytest]\nrepro_data = images\n")
    monkeypatch.chdir(pytester.path / "sub")
    config = pytester.parseconfig(f"--rootdir={pytester.path}", "--repro-cache=cache")
    settings = read_settings(config, {"checkpoints": "weights"}, Path("/module"))
    assert settings.data == pytester.path / "images"
    assert settings.checkpoints == Path("/module/weights")
    assert settings.cache is not None
    assert settings.cache.name == "cache"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--repro-precision", "fp8", "--repro-precision is 'fp8'; it must be one of"),
        ("--repro-accelerate", "tensorrt", "'tensorrt'; it must be none, or some of"),
        ("--repro-batch-size", "0", "--repro-batch-size is '0'; it must be at least 1"),
        ("--repro-batch-size", "many", "is 'many'; it must be a whole number"),
        ("--repro-limit", "-5", "--repro-limit is '-5'; it must be at least 1"),
        ("--repro-diagnose-share", "0", "it must be a number of percent above 0"),
        ("--repro-diagnose-share", "all", "it must be a number of percent above 0"),
        ("--repro-report", "table.docx", "it must end with"),
        ("--repro-engine", "slurm", "'slurm'; it must be one of local, ray"),
        ("--repro-shard", "0/4", "it must be I/N with I from 1 to N"),
    ],
)
def test_a_value_that_is_not_allowed_says_what_is(
    pytester: pytest.Pytester, option: str, value: str, message: str
) -> None:
    config = pytester.parseconfig(f"{option}={value}")
    with pytest.raises(OptionError) as error:
        read_settings(config, {}, pytester.path)
    assert message in str(error.value)


def test_a_bad_option_ends_the_run_with_one_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="embedded")
        def test_checkpoint(case, reproduce):
            reproduce(case)
        """
    )
    result = pytester.runpytest("--repro-precision=fp8")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*--repro-precision is 'fp8'; it must be one of*"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_the_header_says_in_one_line_what_is_in_force(
    pytester: pytest.Pytester,
) -> None:
    config = pytester.parseconfig(
        "--repro-expected=embedded",
        "--repro-cache=none",
        "--repro-precision=amp-bf16",
        "--repro-limit=1000",
        "--repro-strict",
    )
    line = summary(read_settings(config, {}, pytester.path), pytester.path)
    assert line == (
        "repro: expected embedded, data of the release, checkpoints of the release, "
        "cache none, device auto, amp-bf16, limit 1,000 images, strict"
    )
    config = pytester.parseconfig("--repro-batch-size=remembered")
    line = summary(read_settings(config, {}, pytester.path), pytester.path)
    assert line.endswith(", batches of a remembered size")
