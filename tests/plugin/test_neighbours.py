"""Nothing happens because of tests that are not repro's, and nothing is left undone.

Most releases here have no weights: their cases end at once, without torch.
"""

from __future__ import annotations

import os
import shlex
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from repro.data.readers import Found, find_images
from repro.plugin import planned
from repro.plugin.recording import NO_TURN
from repro.published import DatasetSpec
from repro.records.ledger import Ledger

from .conftest import PACKAGE, SUITE, ReleaseCopy

FOREIGN = """
import pytest

@pytest.mark.parametrize("address", ["someone@example.org"])
def test_mail(address):
    assert address == "nobody"
"""
SUPERVISED = """
import pytest

@pytest.mark.repro(expected="embedded", kind="supervised", checkpoints="none")
def test_checkpoint(case, reproduce):
    reproduce(case)
"""
ALONE = ("-p", "no:cacheprovider")
GIVEN = {"limit": "100", "strict": "true"}


@pytest.mark.parametrize("workers", [(), ("-n1",), ("-p", "no:xdist")])
def test_a_foreign_test_with_an_at_in_its_name_leaves_no_ledger(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(FOREIGN)
    (pytester.path / ".repro").write_text("no ledger can be made here")
    result = pytester.runpytest(*ALONE, *workers)
    result.assert_outcomes(failed=1)
    assert "repro:" not in str(result.stdout)
    assert (pytester.path / ".repro").is_file()


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_test_that_passes_and_measures_nothing_fails_the_run(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUPERVISED.replace("reproduce(case)\n", "pass\n"))
    result = pytester.runpytest(*ALONE, *workers, "-k", "supervised and real")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["not run, its test passed and did not measure it: *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_options_that_are_typed_where_no_test_is_marked_are_said_to_do_nothing(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile("def test_something():\n    pass\n")
    options = ("--repro-expected=embedded", "--repro-strict")
    result = pytester.runpytest(*ALONE, *workers, *options)
    result.assert_outcomes(passed=1)
    said = [line for line in result.outlines if line.startswith("repro:")]
    assert said == [
        "repro: --repro-expected=embedded, --repro-strict have no effect: no selected "
        "test is marked with @pytest.mark.repro"
    ]


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_no_option_is_blamed_where_a_file_cannot_be_read(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile("import there_is_no_such_module")
    result = pytester.runpytest(*ALONE, *workers, "--repro-expected=embedded")
    result.assert_outcomes(errors=1)
    assert "repro:" not in str(result.stdout)


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_bad_variable_does_not_concern_foreign_tests(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    workers: tuple[str, ...],
) -> None:
    monkeypatch.setenv("REPRO_ENGINE", "slurm")
    pytester.makepyfile("def test_something():\n    pass\n")
    pytester.runpytest(*ALONE, *workers).assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-n1",)])
@pytest.mark.parametrize("place", ["command line", "ini file", "environment"])
def test_a_bad_value_is_one_sentence_also_with_workers(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    workers: tuple[str, ...],
    place: str,
) -> None:
    pytester.makepyfile(SUPERVISED)
    options = [*ALONE, *workers]
    if place == "command line":
        options.append("--repro-precision=fp8")
    elif place == "ini file":
        pytester.makeini("[pytest]\nrepro_precision = fp8\n")
    else:
        monkeypatch.setenv("REPRO_PRECISION", "fp8")
    result = pytester.runpytest(*options)
    said = "\n".join([*result.outlines, *result.errlines])
    assert "is 'fp8'; it must be one of" in said
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said


def test_a_release_of_one_kind_leaves_the_tests_of_the_other_empty(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    release.keep("supervised/real/80")
    clip = SUITE.replace("mark.repro", 'mark.repro(kind="clip")')
    claims = SUITE.replace("case", "claim").replace("reproduce", "uphold")
    pytester.makepyfile(test_clip=clip, test_claims=claims)
    (release.folder / "claims.toml").unlink()
    options = (f"--repro-expected={release.folder}", "--repro-checkpoints=none")
    result = pytester.runpytest(*ALONE, *options)
    result.assert_outcomes(skipped=2)
    assert result.ret == 0


SHOWN = "--setup-plan --setup-only --fixtures --fixtures-per-test --collect-only"
SHOW = f"""
import os, sys, pytest

sys.dont_write_bytecode = True
before = set(os.listdir())
for option in {[*SHOWN.split(), "--markers", "--help", "--version"]}:
    assert pytest.main([*sys.argv[1:], option]) == 0, option
    assert "torch" not in sys.modules, option
    assert set(os.listdir()) == before, option
"""


@pytest.mark.slow
def test_what_only_shows_measures_and_writes_nothing(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="embedded")
        def test_checkpoint(case, reproduce, classifier):
            reproduce(case)
        """
    )
    options = ("--repro-engine=ray", "--repro-ray-address=nowhere:1", "-k", "real/80")
    result = pytester.run(sys.executable, "-c", SHOW, *ALONE, *options)
    assert "Traceback" not in str(result.stderr)
    assert result.ret == 0


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)]
)
def test_two_tests_for_a_case_are_planned_once_and_those_without_result_never(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    again = SUPERVISED.partition("@")[2].replace("test_checkpoint", "test_again")
    only = again.replace("test_again", "test_only").replace(", reproduce", "")
    only = only.replace("reproduce(case)", "pass")
    pytester.makepyfile(f"{SUPERVISED}\n@{again}\n@{only}")
    result = pytester.runpytest(*ALONE, *workers, "-k", "real/80 or real/160")
    result.assert_outcomes(passed=2, skipped=4)
    with Ledger(pytester.path / ".repro") as ledger:
        (run,) = ledger.runs()
    assert (run.planned, run.cases) == (2, 2)


@pytest.mark.slow
def test_published_numbers_of_a_marker_have_a_header_with_workers_too(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest(*ALONE, "--tx", "2*popen", "--dist=load")
    said = str(result.stdout)
    assert "repro: expected embedded" in said
    assert "repro: 2 workers with" in said
    assert "repro: 12 cases have not got weights or images here" in said
    assert "repro: 0 cases" not in said
    assert result.ret == 0


def test_a_folder_of_images_is_looked_at_once_for_the_header_of_all_its_cases(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(SUPERVISED)
    looked: list[str] = []

    def counted(spec: DatasetSpec, data: Path) -> Found | None:
        looked.append(spec.id)
        return find_images(spec, data)

    monkeypatch.setattr(planned, "find_images", counted)
    result = pytester.runpytest(*ALONE)
    result.stdout.fnmatch_lines(["repro: 12 cases have not got weights *"])
    assert len(looked) == 1


DIES = """
import os, signal

def pytest_runtest_call(item):
    if "real/" in item.name:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit",
    [
        ("-n1", "--max-worker-restart=1"),
        ("-n2", "--max-worker-restart=0"),
        pytest.param(("-n2", "--max-worker-restart=3"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_cases_that_got_no_turn_are_named_and_the_run_fails(
    pytester: pytest.Pytester, tmp_path: Path, limit: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUPERVISED)
    pytester.makeconftest(DIES)
    file = tmp_path / "junit.xml"
    options = (*limit, f"--junitxml={file}")
    result = pytester.runpytest(*ALONE, *options)
    # xdist stops a run whose workers may not be replaced as an interrupt does.
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    turns = f"not run, {NO_TURN}: * cases"
    result.stdout.fnmatch_lines([turns, "    supervised/*", "12 cases: 1? not run*"])
    names = [case.get("name") for case in ET.parse(file).iter("testcase")]
    # A test that was going to be run again, by a worker that never came, has no case.
    assert names or "--max-worker-restart=0" in limit
    assert all(names)


def test_stepwise_leaves_out_no_case_that_never_ran(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(SUPERVISED)
    first = pytester.runpytest("--stepwise", "--repro-strict", "-v")
    failed = next(line for line in first.outlines if "FAILED" in line)
    passed = [line for line in first.outlines if "PASSED" in line or "SKIPPED" in line]
    again = pytester.runpytest("--stepwise", "--repro-strict", "-v")
    repeated = next(line for line in again.outlines if "FAILED" in line)
    assert failed.partition(" ")[0] == repeated.partition(" ")[0]
    assert f"{len(passed)} deselected" in str(again.stdout) or not passed


def test_failed_first_is_not_sorted_away(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUPERVISED)
    everything = pytester.runpytest("--repro-strict", "-v").outlines
    last = [line.partition(" ")[0] for line in everything if "FAILED" in line][11]
    only = last.partition("[")[2].removesuffix("]")
    cache = pytester.path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    module = last.partition("[")[0]
    cache.write_text(f'{{"{module}[{only}]": true}}')
    again = pytester.runpytest("--failed-first", "--repro-strict", "-v").outlines
    assert next(line for line in again if "FAILED" in line).startswith(last)


def test_a_test_that_a_conftest_lists_twice_is_set_up_each_time(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(SUPERVISED)
    pytester.makeconftest(
        "def pytest_collection_modifyitems(items):\n    items += list(items)"
    )
    result = pytester.runpytest(*ALONE, "-k", "real/80 or real/160")
    result.assert_outcomes(skipped=4)
    assert "KeyError" not in str(result.stdout)


#: What pytest itself runs without.
SPARED = (
    *("assertion", "capture", "debugging", "doctest", "faulthandler", "junitxml"),
    *("logging", "monkeypatch", "recwarn", "setuponly", "setupplan", "skipping"),
    *("stepwise", "terminal", "tmpdir", "unittest", "warnings"),
)


def test_nothing_of_pytest_is_needed_that_it_spares_itself(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(SUPERVISED)
    report = pytester.path / "report.json"
    without = [f"-pno:{name}" for name in SPARED]
    arguments = (*ALONE, *without, "-kreal/80", f"--repro-report={report}")
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == pytest.ExitCode.OK, str(result.stderr)
    assert '"not run"' in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [((), pytest.ExitCode.OK), (("--repro-strict",), pytest.ExitCode.USAGE_ERROR)],
)
def test_a_script_of_the_project_that_is_called_repro_is_not_run(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: pytest.ExitCode,
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    script = pytester.makepyfile(repro="raise SystemExit(3)")
    pytester.makepyfile("def test_it(): pass")
    result = pytester.run(sys.executable, "-mpytest", "-ppytest_repro", *arguments)
    assert result.ret == status
    assert (str(script) in str(result.stderr)) == bool(arguments)
    assert "repro:" not in str(result.stdout)


#: A project whose own package has the name of ours.
NAMESAKE = {"repro/__init__.py": "", "repro/own.py": "NUMBER = 1"}
USES_ITS_OWN = "from repro.own import NUMBER\n\ndef test_own(): assert NUMBER == 1\n"


def _make_namesake(pytester: pytest.Pytester, below: str) -> Path:
    # Not in the project itself: pytester lets Python look for modules there first.
    for name, text in NAMESAKE.items():
        file = pytester.path / below / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return pytester.path / below / "repro" / "__init__.py"


@pytest.mark.parametrize(
    ("below", "ini", "workers"),
    [
        (".", "", ()),
        ("src", "", ()),
        ("lib", "pythonpath = lib", ()),
        ("src", "", ("-n1",)),
    ],
)
def test_a_project_with_a_package_of_that_name_keeps_it(
    pytester: pytest.Pytester, below: str, ini: str, workers: tuple[str, ...]
) -> None:
    folder = _make_namesake(pytester, below).parents[1]
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makeconftest(f"import sys\nsys.path.insert(0, {str(folder)!r})\n")
    pytester.makepyfile(USES_ITS_OWN)
    result = pytester.runpytest_subprocess(*ALONE, *workers)
    result.assert_outcomes(passed=1)
    assert "import repro" not in str(result.stdout)


def test_a_plugin_in_a_zip_says_that_it_needs_a_folder(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    archive = tmp_path / "repro.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.write(Path(PACKAGE).with_name("pytest_repro.py"), "pytest_repro.py")
        for name in ("__init__.py", "plugin/__init__.py", "plugin/hooks.py"):
            content.writestr(f"repro/{name}", "")
    monkeypatch.setenv("PYTHONPATH", str(archive))
    pytester.makepyfile("def test_it(): pass")
    command = (sys.executable, "-mpytest", "-ppytest_repro", "--repro-strict")
    result = pytester.run(*command)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*repro lies in {archive}, *with pip"])


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_marked_test_there_is_told_why_it_has_no_case(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    place = _make_namesake(pytester, "src")
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest_subprocess(*ALONE, *workers)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"repro is {place} here, and not the plugin: *"])


@pytest.mark.parametrize(
    ("arguments", "ini"),
    [
        (("-prepro",), ""),
        (("--repro-expected=embedded", "-n1"), ""),
        ((), "repro_limit = 500"),
        (("-n1",), "addopts = --repro-limit=500"),
    ],
)
def test_such_a_project_gets_the_plugin_where_it_asks_for_it(
    pytester: pytest.Pytester, arguments: tuple[str, ...], ini: str
) -> None:
    place = _make_namesake(pytester, "src")
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest_subprocess(*ALONE, *arguments, "-kreal/80")
    result.assert_outcomes(skipped=1)
    said = f"repro: `import repro` gives the plugin here, not {place}"
    result.stdout.fnmatch_lines([said])


@pytest.mark.parametrize("named", ["-ppytest_repro", "-prepro.plugin.hooks"])
def test_the_plugin_is_loaded_once_however_it_is_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest_subprocess(*ALONE, "-ppytest_repro", named, "-kreal/80")
    result.assert_outcomes(skipped=1)


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_cases_that_others_leave_out_last_of_all_are_not_planned(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_collection_modifyitems(items):
            yield
            items[:] = [item for item in items if "640" not in item.name]
        """
    )
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest(*ALONE, *workers, "-kreal/640 or real/80")
    result.stdout.fnmatch_lines(["1 case: 1 not run", "*1 skipped*"])
    assert NO_TURN not in str(result.stdout)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)]
)
def test_a_misspelt_baseline_is_refused_and_a_missing_one_is_said(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUPERVISED)
    options = [*ALONE, *workers, "-k", "real/80"]
    misspelt = pytester.runpytest(*options, "--repro-baseline=gren")
    assert misspelt.ret == pytest.ExitCode.USAGE_ERROR
    first = pytester.runpytest(*options, "--repro-baseline=green")
    first.stdout.fnmatch_lines(["*has no earlier run: nothing to compare with"])
    second = pytester.runpytest(*options, "--repro-baseline=green")
    second.stdout.fnmatch_lines(["*has no green run: nothing to compare with"])


def test_a_clear_error_is_printed_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest(*ALONE, "--repro-strict", "-k", "real/80")
    result.assert_outcomes(failed=1)
    assert "another exception occurred" not in str(result.stdout)
    assert "direct cause" not in str(result.stdout)


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("def test_it(reproduce): pass", "mark test_it or"),
        ("def test_it(model): pass", "mark test_it or"),
        ("def test_it(request): request.getfixturevalue('uphold')", "mark test_it or"),
        ("@mark\ndef test_it(reproduce): pass", "test_it is marked with"),
        (
            "@mark\ndef test_it(request): request.getfixturevalue('case')",
            "test_it is marked with",
        ),
        (
            "@mark\nclass TestIt(unittest.TestCase):\n"
            "  @pytest.fixture(autouse=True)\n"
            "  def mine(self, case): pass\n"
            "  def test_it(self): pass",
            "test_it is marked with",
        ),
    ],
)
def test_a_test_that_can_have_no_case_is_told_so_in_a_sentence(
    pytester: pytest.Pytester, test: str, sentence: str
) -> None:
    mark = "mark = pytest.mark.repro(expected='embedded', checkpoints='none')"
    pytester.makepyfile(f"import unittest, pytest\n{mark}\n{test}")
    result = pytester.runpytest(*ALONE)
    # Where CI is set, the summary repeats whole sentences.
    told, _, _ = str(result.stdout).partition("short test summary info")
    assert told.count(sentence) == 1
    assert "fixtures.py" not in str(result.stdout)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


#: Ways in which others end a run, and the status that pytest gives it; that of an
#: error that is raised is not pytest's.
ENDINGS = {
    "raise ValueError": None,
    "pytest.exit('enough', returncode=7)": 7,
}


@pytest.mark.parametrize("workers", [(), ("-n1",)])
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_found_out_is_kept_where_others_end_the_run(
    pytester: pytest.Pytester,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    workers: tuple[str, ...],
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    is_mine = "not hasattr(session.config, 'workerinput')"
    pytester.makeconftest(
        f"import pytest\ndef pytest_sessionfinish(session):\n    if {is_mine}: {ending}"
    )
    pytester.makepyfile(SUPERVISED)
    report = pytester.path / "report.json"
    arguments = (*ALONE, *workers, "-kreal/80", f"--repro-report={report}")
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == (ENDINGS[ending] or pytest.ExitCode.TESTS_FAILED)
    result.stdout.fnmatch_lines(["*published and measured*", "1 case: 1 not run"])
    assert str(result.stdout).count("published and measured") == 1
    assert report.exists()
    assert not list(tmp_path.glob("repro-run-*"))
    with Ledger(pytester.path / ".repro") as ledger:
        assert [run.exit_status for run in ledger.runs()] == [result.ret]


@pytest.mark.parametrize("option", ["--repro-data", "--repro-checkpoints"])
def test_a_folder_behind_a_space_is_not_taken_for_a_test(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, option: str
) -> None:
    elsewhere = str(tmp_path_factory.mktemp("images"))
    pytester.makeini("[pytest]\nrepro_strict = true\nrepro_limit = 100\n")
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest("--collect-only", option, elsewhere)
    result.stdout.fnmatch_lines([f"rootdir: {pytester.path}", "configfile: tox.ini"])
    result.stdout.fnmatch_lines(["repro: *limit 100 images, strict"])
    assert result.ret == 0


NATIVE = pytest.mark.skipif(
    pytest.version_tuple < (9,), reason="pytest reads TOML of its own since 9.0"
)


@pytest.mark.parametrize(
    ("file", "head", "quote"),
    [
        ("pytest.ini", "pytest", ""),
        ("tox.ini", "pytest", ""),
        ("setup.cfg", "tool:pytest", ""),
        ("pyproject.toml", "tool.pytest.ini_options", '"'),
        pytest.param("pyproject.toml", "tool.pytest", '"', marks=NATIVE),
        pytest.param("pytest.toml", "pytest", '"', marks=NATIVE),
    ],
)
def test_options_are_found_in_each_file_that_pytest_reads(
    pytester: pytest.Pytester, file: str, head: str, quote: str
) -> None:
    pytester.makepyfile(SUPERVISED)
    lines = [f"repro_{n} = {quote}{v}{quote}" for n, v in GIVEN.items()]
    (pytester.path / file).write_text("\n".join([f"[{head}]", *lines]))
    result = pytester.runpytest("--collect-only")
    result.stdout.fnmatch_lines(["repro: *limit 100 images, strict"])


@pytest.mark.skipif(pytest.version_tuple < (9, 2), reason="pytest asks for strings")
def test_toml_may_have_numbers_and_truth_values(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUPERVISED)
    lines = ("[pytest]", "repro_limit = 100", "repro_strict = true")
    shares = ("repro_diagnose_share = 2.5", "repro_no_early_stop = false")
    (pytester.path / "pytest.toml").write_text("\n".join([*lines, *shares]))
    result = pytester.runpytest("--collect-only")
    result.stdout.fnmatch_lines(["repro: *limit 100 images, 2.5 % of *, strict"])


def test_an_ini_file_that_is_lost_otherwise_stops_the_run(
    pytester: pytest.Pytester,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path_factory.mktemp("images")
    pytester.makeini("[pytest]\nrepro_strict = true\n")
    pytester.makepyfile(SUPERVISED)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--repro-data {shlex.quote(str(elsewhere))}")
    result = pytester.runpytest("--collect-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tox.ini was not read*--option=value, or add -c *"])


@pytest.mark.parametrize("said", ["repro_strict = true", "addopts = -q"])
def test_cases_elsewhere_are_not_measured_without_the_settings_of_this_folder(
    pytester: pytest.Pytester, said: str
) -> None:
    here, elsewhere = pytester.mkdir("here"), pytester.mkdir("elsewhere")
    (here / "pytest.ini").write_text(f"[pytest]\n{said}\n")
    (elsewhere / "test_cases.py").write_text(SUPERVISED)
    (elsewhere / "test_foreign.py").write_text("def test_foreign(): pass\n")
    os.chdir(here)
    options = (*ALONE, "--collect-only")
    lost = pytester.runpytest(*options, "../elsewhere")
    foreign = pytester.runpytest(*options, "../elsewhere/test_foreign.py")
    assert foreign.ret == pytest.ExitCode.OK
    if "repro" not in said:
        assert lost.ret == pytest.ExitCode.OK
        return
    assert lost.ret == pytest.ExitCode.INTERRUPTED
    lost.stdout.fnmatch_lines(["*here/pytest.ini was not read*add -c *pytest.ini,*"])
    named = pytester.runpytest(*options, "-c", "pytest.ini", "../elsewhere")
    named.stdout.fnmatch_lines(["repro: *strict"])


def test_workers_use_the_folder_of_the_run_whatever_a_conftest_makes_of_theirs(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    elsewhere = pytester.mkdir("elsewhere")
    pytester.makeconftest(
        "import os, tempfile\n"
        "if 'PYTEST_XDIST_WORKER' in os.environ:\n"
        f"    tempfile.tempdir = {str(elsewhere)!r}\n"
    )
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest_subprocess(*ALONE, "-n1", "-kreal/80")
    result.stdout.fnmatch_lines(["1 case: 1 not run"])
    assert not [*elsewhere.glob("repro-run-*"), *tmp_path.glob("repro-run-*")]


def test_a_run_belongs_to_the_folder_that_it_was_started_in(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(
        """
        import os, tempfile

        def pytest_collection_modifyitems():
            folder = tempfile.mkdtemp()
            os.chdir(folder)
            os.rmdir(folder)
        """
    )
    pytester.makepyfile(SUPERVISED)
    result = pytester.runpytest_subprocess(*ALONE, "-kreal/80", "--repro-cache=mine")
    result.stdout.fnmatch_lines(["repro: *cache mine,*", "1 case: 1 not run"])
    assert (pytester.path / ".repro").is_dir()
