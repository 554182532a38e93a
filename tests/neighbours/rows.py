"""What the embedded release is run beside, a row for each combination."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

#: How often and how a row is run.
Way = Literal["once", "twice", "two at once", "SIGINT", "SIGTERM", "read-only"]

Verdicts = dict[str, str | None]

BOTH: Verdicts = {"80": "reproduced", "640": "reproduced"}
ONE: Verdicts = {"80": "reproduced"}
CUT_SHORT: Verdicts = {"80": "reproduced", "640": "not run"}
#: Of the release with a planted divergence.
PLANTED: Verdicts = {"80": "reproduced", "640": "below"}
FAILED: Verdicts = {"640": "below"}
#: Where one case fails while another is measured, that one may come to its end or not.
RACED: Verdicts = {"80": None, "640": "below"}

LEFT = (".pytest_cache", ".repro")

#: Where a row has a test of its own.
NEIGHBOUR = "tests/test_neighbour.py"
ASYNC = """
import asyncio

async def test_own_coroutine():
    await asyncio.sleep(0)
"""
ORDERED = """
import pytest

@pytest.mark.order("last")
def test_own_last():
    pass

@pytest.mark.order(1)
def test_own_first():
    pass
"""
PROPERTY = """
from hypothesis import given
from hypothesis.strategies import integers

@given(integers())
def test_own_law(number):
    assert number + 0 == number
"""
#: Fixtures of the project that are called as those of repro are.
NAMESAKES = """
import pytest

@pytest.fixture(params=[1, 2])
def case(request):
    return request.param

@pytest.fixture(scope="session")
def dataset():
    return "own"

model = classifier = evaluate = claim = dataset
"""
NAMESAKES_USED = """
def test_own_names(case, dataset, model, classifier, evaluate, claim):
    assert case in (1, 2)
    assert {dataset, model, classifier, evaluate, claim} == {"own"}
"""
#: What a project sets for its own tests, and never sets back.
STATES = """
import decimal, os
import numpy, pytest, torch

@pytest.fixture(autouse=True)
def of_this_project(tmp_path):
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    decimal.getcontext().prec = 2
    decimal.getcontext().traps[decimal.Inexact] = True
    numpy.seterr(all="raise")
    os.chdir(tmp_path)
"""
#: What fixtures of a project replace for all of its tests, with mocks and by libraries.
FOR_ALL = """
import pytest
from unittest import mock

@pytest.fixture(autouse=True)
def of_this_project({0}):
    {1}
"""
MOCKED = FOR_ALL.format(
    "",
    """with (
        mock.patch("builtins.open", mock.mock_open(read_data="")),
        mock.patch("pathlib.Path.is_file", return_value=False),
        mock.patch("os.scandir", return_value=[]),
        mock.patch("subprocess.Popen", side_effect=RuntimeError),
        mock.patch("time.sleep"),
        mock.patch("uuid.uuid4", return_value="1"),
        mock.patch.dict("os.environ", clear=True),
    ):
        yield""",
)
FROZEN = FOR_ALL.format(
    "", 'with pytest.importorskip("freezegun").freeze_time("2099-01-01"): yield'
)
#: A package of the project that has the name of ours.
PACKAGE = {"repro/__init__.py": "", "repro/own.py": "NUMBER = 1"}
TEMPORARY = """
import os, tempfile

if "PYTEST_XDIST_WORKER" in os.environ:
    tempfile.tempdir = os.environ["HOME"]
"""
GONE = """
import os, tempfile

folder = tempfile.mkdtemp()
os.chdir(folder)
os.rmdir(folder)
"""
#: Ends the run with a status of its own when both cases are measured.
ENDING = """
import pytest

def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        pytest.exit("the machine is wanted", returncode=75)
"""
#: Modules of the same name in folders that are no packages, and one that is tested.
SOURCES = {
    "src/mine/__init__.py": "NUMBER = 1",
    "tests/group/test_same.py": "import mine\n\ndef test_own_one():\n    pass\n",
    "tests/group/deep/test_same.py": "import mine\n\ndef test_own_two():\n    pass\n",
}


class Row(msgspec.Struct, frozen=True):
    """A combination, and what must come of it.

    Args:
        name: of the combination.
        arguments: of pytest; `{out}` is a folder outside of the project.
        plugins: entry points that are loaded; None for whatever is installed.
        environment: variables that are set, or unset by None.
        ini: lines of the ini file, below `[pytest]`.
        ini_file: its name.
        files: others of the project, by name.
        folder: seen from the project, in which pytest is started.
        way: how it is run.
        planted: whether the published numbers were changed, so that one case diverges.
        verdicts: of the cases, by checkpoint; None where any is right.
        status: exit status of the last run.
        leaves: what is new in the project, besides Python's own `__pycache__`.
    """

    name: str
    arguments: tuple[str, ...] = ()
    plugins: tuple[str, ...] | None = ("xdist",)
    environment: dict[str, str | None] = msgspec.field(default_factory=dict)
    ini: str = ""
    ini_file: str = "pytest.ini"
    files: dict[str, str] = msgspec.field(default_factory=dict)
    folder: str = "."
    way: Way = "once"
    planted: bool = False
    verdicts: Verdicts = msgspec.field(default_factory=lambda: BOTH)
    status: int = 0
    leaves: tuple[str, ...] = LEFT


def beside(name: str, entry: str, *arguments: str, **more: Any) -> Row:
    """Make the row of somebody else's plugin, alone beside xdist.

    Args:
        name: of its distribution.
        entry: its entry point.
        arguments: of pytest.
        more: fields of the row.
    """
    return Row(name, arguments, ("xdist", entry), **more)


def option(*arguments: str, **more: Any) -> Row:
    """Make the row of some options, which it is named by."""
    return Row(f"`{' '.join(arguments)}`", arguments, **more)


def diverging(*arguments: str, **more: Any) -> Row:
    """Make the row of a planted divergence and some options."""
    more = {"planted": True, "verdicts": PLANTED, "status": 1, **more}
    return Row(f"a divergence with `{' '.join(arguments)}`", arguments, **more)


#: Modules of the plugins that rows need, beside hypothesis.
NEIGHBOURS = (
    *("pytest_asyncio", "pytest_cov", "pytest_env", "pytest_forked", "pytest_html"),
    *("pytest_instafail", "pytest_jsonreport", "pytest_metadata", "pytest_parallel"),
    *("pytest_order", "pytest_randomly"),
    *("pytest_repeat", "pytest_rerunfailures", "pytest_socket", "pytest_split"),
    *("pytest_sugar", "pytest_timeout", "pyfakefs.pytest_plugin"),
)

#: Options of plugins that go together: --splits leaves tests out, --forked keeps the
#: others from seeing them.
ALL = (
    *("--cov=tests", "--html={out}/all.html", "--json-report", "--instafail"),
    *("--json-report-file={out}/all.json", "--reruns=1", "--timeout=300"),
)
PLUGINS = (
    Row("no other plugin", plugins=()),
    beside("pytest-randomly", "randomly", "--randomly-seed=3"),
    beside(
        "pytest-rerunfailures",
        "rerunfailures",
        "--reruns=1",
        planted=True,
        verdicts=PLANTED,
        status=1,
    ),
    beside(
        "pytest-rerunfailures, workers",
        "rerunfailures",
        *("--reruns=1", "-n2"),
        planted=True,
        verdicts=PLANTED,
        status=1,
    ),
    beside("pytest-order", "pytest_order", files={NEIGHBOUR: ORDERED}),
    beside("pytest-timeout", "timeout", "--timeout=300", "--timeout-method=thread"),
    beside("pytest-cov", "pytest_cov", "--cov=tests", leaves=(".coverage", *LEFT)),
    beside("pytest-sugar", "sugar"),
    Row(
        "pytest-html",
        ("--html={out}/report.html", "--self-contained-html"),
        ("xdist", "html", "html_fixtures", "metadata"),
    ),
    beside(
        "pytest-json-report",
        "pytest_jsonreport",
        "--json-report",
        "--json-report-file={out}/r.json",
    ),
    beside("pytest-parallel", "parallel", "--workers=2"),
    beside("pytest-parallel, threads", "parallel", "--tests-per-worker=2"),
    beside("pytest-split", "pytest-split", "--splits=3", "--group=1", verdicts=ONE),
    beside("pytest-repeat", "repeat", "--count=2"),
    beside("pytest-forked", "pytest_forked", "--forked"),
    beside(
        "pytest-asyncio", "asyncio", ini="asyncio_mode = auto", files={NEIGHBOUR: ASYNC}
    ),
    beside(
        "pytest-instafail",
        "instafail",
        "--instafail",
        planted=True,
        verdicts=PLANTED,
        status=1,
    ),
    beside(
        "pyfakefs, `fs` for all tests",
        "pyfakefs.pytest_plugin",
        files={"conftest.py": FOR_ALL.format("fs", "yield")},
    ),
    beside("pytest-socket", "pytest_socket", "--disable-socket"),
    beside("pytest-env", "env", ini="env = REPRO_LIMIT=500"),
    beside(
        "hypothesis",
        "hypothesispytest",
        files={NEIGHBOUR: PROPERTY},
        leaves=(".hypothesis", *LEFT),
    ),
    Row("all of them", ALL, None, leaves=(".coverage", *LEFT)),
    Row("all of them, `-n 2`", (*ALL, "-n2"), None, leaves=(".coverage", *LEFT)),
)
WORKERS = (
    option("-n", "0", "--dist=no"),
    option("-n", "1"),
    option("-n", "2"),
    option("-n", "auto"),
    *(
        option("-n", "2", f"--dist={mode}")
        for mode in ("loadscope", "loadfile", "loadgroup", "worksteal", "each")
    ),
)
PROJECTS = (
    option("-p", "no:terminal"),
    option("-p", "no:cacheprovider", leaves=(".repro",)),
    option("-p", "no:cacheprovider", "-p", "no:terminal", leaves=(".repro",)),
    option("-p", "no:xdist", plugins=None),
    option("-p", "no:setuponly"),
    option("--import-mode=prepend"),
    option("--import-mode=append"),
    option("--import-mode=importlib"),
    Row(
        "namespace packages and `src`, `--import-mode=importlib`",
        ("--import-mode=importlib",),
        ini="pythonpath = src",
        files=SOURCES,
    ),
    Row(
        "fixtures of the project that are called as ours",
        files={"conftest.py": NAMESAKES, NEIGHBOUR: NAMESAKES_USED},
    ),
    Row(
        "torch's type and device, decimals and the folder set by a conftest",
        files={"conftest.py": STATES},
    ),
    Row(
        "files, processes and names mocked for all tests", files={"conftest.py": MOCKED}
    ),
    Row("a clock that freezegun stops for all tests", files={"conftest.py": FROZEN}),
    Row(
        "`collect_ignore` in a conftest",
        files={
            "tests/conftest.py": 'collect_ignore = ["test_broken.py"]',
            "tests/test_broken.py": "raise RuntimeError",
        },
    ),
    Row(
        "options in `addopts` and `PYTEST_ADDOPTS`",
        ini="addopts = --repro-precision=fp32 --repro-limit=100",
        environment={"PYTEST_ADDOPTS": "--repro-limit 500"},
    ),
    Row(
        "`pytest.toml`, which asks for workers",
        ini_file="pytest.toml",
        ini='addopts = ["-n2"]\nrepro_limit = 500',
    ),
    Row(
        "`[tool.pytest]` in `pyproject.toml`",
        ini_file="pyproject.toml",
        ini="repro_limit = 500\nrepro_strict = true",
    ),
    Row(
        "`python -m pytest` beside a script `repro.py`",
        files={"repro.py": "raise SystemExit(3)"},
        status=4,
        verdicts={},
        leaves=(),
    ),
    Row(
        "`python -m pytest` where a package of the project is called `repro`",
        files=PACKAGE,
        status=4,
        verdicts={},
        leaves=(),
    ),
    Row(
        "`pytest` where a package of the project is called `repro`",
        files=PACKAGE,
        environment={"PYTHONSAFEPATH": "1"},
    ),
    Row(
        "workers whose `TMPDIR` a conftest changes",
        ("-n2",),
        files={"conftest.py": TEMPORARY},
    ),
    Row(
        "another current folder, which is gone when cases are measured",
        files={"conftest.py": GONE},
        verdicts=dict.fromkeys(BOTH, "failed"),
        status=1,
    ),
    Row("from a subfolder", folder="tests"),
    Row(
        "from outside with `-c`",
        ("-c../project/pytest.ini", "../project/tests"),
        folder="../out",
    ),
    Row(
        "a project that cannot be written",
        way="read-only",
        status=4,
        verdicts={},
        leaves=(),
    ),
    Row(
        "a project that cannot be written, without a ledger",
        ("--repro-ledger=none",),
        way="read-only",
        leaves=(),
    ),
    Row("`PYTHONOPTIMIZE=2`", environment={"PYTHONOPTIMIZE": "2"}),
    Row("no `HOME`", environment={"HOME": None}),
    Row(
        "a `HOME` that cannot be written, and no cache named",
        environment={"HOME": "/dev/null", "REPRO_CACHE": None},
    ),
    Row(
        "`LC_ALL=C`, on 40 columns",
        environment={
            **{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            "COLUMNS": "40",
        },
    ),
    Row("40 columns, `-n 2`", ("-n2",), environment={"COLUMNS": "40"}),
    Row("200 columns", ("-v",), environment={"COLUMNS": "200"}),
)
ENDINGS = (
    Row("SIGINT", way="SIGINT", verdicts=CUT_SHORT, status=2),
    Row("SIGINT, `-n 2`", ("-n2",), way="SIGINT", verdicts=CUT_SHORT, status=2),
    Row("`pytest.exit` of a conftest", files={"conftest.py": ENDING}, status=75),
    Row("SIGTERM, then the same again", way="SIGTERM"),
    Row("SIGTERM, then the same again, `-n 2`", ("-n2",), way="SIGTERM"),
    Row(
        "two sessions at once, without anything in their cache",
        environment={"REPRO_CACHE": "{out}/cold"},
        way="two at once",
    ),
    diverging("--repro-diverged-exit=10", status=10),
    diverging(
        "--sw", "--repro-diverged-exit=10", way="twice", verdicts=FAILED, status=10
    ),
    diverging("--lf", way="twice", verdicts=FAILED),
    diverging("-x", "-n", "2", "--repro-diverged-exit=10", verdicts=RACED, status=10),
    diverging(
        *("--maxfail=1", "-n", "2", "--dist=worksteal", "--repro-diverged-exit=10"),
        verdicts=RACED,
        status=10,
    ),
    diverging("--workers=2", plugins=("xdist", "parallel")),
    diverging("--count=2", "-n", "2", plugins=("xdist", "repeat")),
)
GROUPS = {
    "Plugins": PLUGINS,
    "Workers": WORKERS,
    "Projects and surroundings": PROJECTS,
    "Endings": ENDINGS,
}
ROWS = tuple(row for rows in GROUPS.values() for row in rows)
