"""A release of one's own to damage: the embedded one, copied."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from repro.cases import list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.published import EMBEDDED, Release, read_releases

PACKAGE = EMBEDDED.parent
CODE = Path(__file__).with_name("digits_vit.py")

SUITE = """
import pytest

@pytest.mark.repro
def test_checkpoint(case, reproduce):
    reproduce(case)
"""
#: Cases that come to an end in the setup and in the teardown of a test.
OTHER_STEPS = """
@pytest.fixture
def after(case, request):
    reproduce = request.getfixturevalue("reproduce")
    yield
    reproduce(case)

@pytest.mark.repro(kind="clip")
def test_setup(case, model):
    raise AssertionError("not reached")

@pytest.mark.repro(kind="supervised")
def test_teardown(case, after):
    pass
"""


class ReleaseCopy:
    """A copy of the embedded release, with ways to change it.

    Args:
        folder: where it is copied to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(EMBEDDED, folder)

    def read(self) -> Release:
        """Read it as it is now."""
        return read_releases([self.folder])[0]

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Replace text in a file; each piece must be there once."""
        path = self.folder / file
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
            text = text.replace(old, new)
        path.write_text(text)

    def keep(self, *checkpoints: str) -> None:
        """Forget all references and weights but those of some checkpoints."""
        path = self.folder / "references.toml"
        head, *tables = path.read_text().split("[[reference]]\n")
        kept = [table for table in tables if checkpoint_of(table) in checkpoints]
        assert len(kept) == len(checkpoints)
        path.write_text("".join([head, *(f"[[reference]]\n{t}" for t in kept)]))
        weights = self.folder / "checkpoints"
        for file in weights.rglob("*.pt"):
            if str(file.relative_to(weights).with_suffix("")) not in checkpoints:
                file.unlink()

    def bring_code(self) -> None:
        """Let a file of the release build the supervised models, and not timm."""
        code = shutil.copy(CODE, self.folder)
        file = self.folder / "release.toml"
        head, model, rest = file.read_text().partition("[model.vit-digits]\n")
        rest = re.sub(r"\A(?:(?:loader|architecture|options) = .*\n)+", "", rest)
        built = f'architecture = "VisionTransformer"\ncode = "{Path(code).name}"\n'
        file.write_text(f'{head}{model}loader = "python"\n{built}{rest}')

    def weights(self, checkpoint: str) -> Path:
        """Give the weights file of `family/name`."""
        return self.folder / "checkpoints" / f"{checkpoint}.pt"

    def published(self, checkpoint: str, metric: str) -> str:
        """Give a published number of `family/name`, as printed."""
        family, _, name = checkpoint.rpartition("/")
        return next(
            str(r.published)
            for r in self.read().references
            if (r.families, r.checkpoint, r.metric) == ((family,), name, metric)
        )


def checkpoint_of(table: str) -> str:
    values = dict(line.split(" = ", 1) for line in table.splitlines() if " = " in line)
    return f"{values['family']}/{values['checkpoint']}".replace('"', "")


@pytest.fixture
def release(tmp_path: Path) -> ReleaseCopy:
    """The embedded release with two supervised checkpoints and one CLIP checkpoint."""
    copy = ReleaseCopy(tmp_path / "release")
    copy.keep("supervised/real/80", "supervised/real/160", "clip/real/80")
    return copy


@pytest.fixture(scope="session", autouse=True)
def _no_strangers() -> Iterator[None]:
    """Load no plugin in the runs of the tests that they are not about.

    These two take a second of each process; tests/neighbours is about them.
    """
    strangers = "-pno:hypothesispytest -pno:anyio"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", strangers, prepend=" ")
        yield


@pytest.fixture
def quick_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseCopy:
    """Three checkpoints whose model needs no library, for runs of several processes."""
    monkeypatch.setenv("REPRO_RUN_CODE", "1")
    copy = ReleaseCopy(tmp_path / "release")
    copy.keep("supervised/real/80", "supervised/real/160", "supervised/real/320")
    copy.bring_code()
    return copy


@pytest.fixture(scope="session", autouse=True)
def _imported_once() -> Iterator[None]:
    """Import what is heavy before pytester takes note of what is imported.

    It unloads the rest after each test, which numpy and torch do not survive, nor do
    the exceptions that httpx knows; and hypothesis, whose plugin imports it to
    print a summary, takes a second each time. Modules of repro are many.
    """
    kept = "repro.engine.evaluator timm open_clip scipy.stats httpcore hypothesis"
    own = (
        f"repro.{room}.{module.name}"
        for room in ["plugin", "records", "report", "claims", "planning", "diagnosis"]
        for module in pkgutil.iter_modules([str(PACKAGE / room)])
    )
    for heavy in (*kept.split(), *own):
        importlib.import_module(heavy)
    # Each run of pytest looks for garbage five times when it ends, among all of that.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


RunCases = Callable[..., pytest.RunResult]


def table_of(said: Sequence[str]) -> list[str]:
    """Take the lines between the table's title and its totals."""
    start = next(n for n, line in enumerate(said) if "published and measured" in line)
    end = next(n for n, line in enumerate(said) if re.match(r"\d+ cases?: ", line))
    return list(said[start + 1 : end + 1])


@pytest.fixture(scope="session")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the pixels of the embedded release and so of its copies."""
    cache = tmp_path_factory.mktemp("decoded")
    engine = Evaluator(EngineSettings(cache=cache, device="cpu"))
    for case in list_cases(read_releases([EMBEDDED])):
        if case.id.startswith(("supervised/real/80@", "clip/real/80@")):
            engine.measure(case)
    return cache


@pytest.fixture
def run_cases(
    pytester: pytest.Pytester,
    tmp_path: Path,
    decoded: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> RunCases:
    """Run the suite of three lines on a release: `run_cases(release, *options)`.

    Divergences are not diagnosed, which takes seconds, but where that is tested; and
    photographs are not decoded, unless they are others than those of the release.
    """
    monkeypatch.setenv("REPRO_NO_DIAGNOSE", "1")
    shutil.copytree(decoded, tmp_path / "cache")

    def run(release: ReleaseCopy, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_release=SUITE)
        return pytester.runpytest(
            "-p",
            "no:cacheprovider",
            f"--repro-expected={release.folder}",
            f"--repro-cache={tmp_path / 'cache'}",
            *options,
        )

    return run
