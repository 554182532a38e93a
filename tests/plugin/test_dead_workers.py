"""A worker that dies loses its case only, and the case is run again once."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.judgement.verdict import Verdict
from repro.records.ledger import Ledger

from .conftest import SUITE, ReleaseCopy

# Dies like a process that the system kills for its memory; DEATHS is how often.
CONFTEST = """
import os, signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    worker = os.environ["PYTEST_XDIST_WORKER"]
    (HERE / f"{worker}.gpu").write_text(gpu)
    deaths = len(list(HERE.glob("*.dead")))
    if "supervised/real/80@" in item.name and deaths < DEATHS:
        (HERE / f"{worker}.dead").touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def release(quick_release: ReleaseCopy) -> ReleaseCopy:
    return quick_release


def run(
    pytester: pytest.Pytester, release: ReleaseCopy, deaths: int, suite: str = SUITE
) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST.replace("DEATHS", str(deaths)))
    pytester.makepyfile(test_release=suite)
    options = ("-n2", "-p", "no:cacheprovider", f"--repro-cache={release.folder}/cache")
    return pytester.runpytest(f"--repro-expected={release.folder}", *options)


@pytest.fixture(autouse=True)
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")


@pytest.mark.slow
def test_the_case_of_a_killed_worker_is_run_again_on_its_gpu_and_all_are_reproduced(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    result = run(pytester, release, deaths=1)
    result.stdout.fnmatch_lines(["3 cases: 3 reproduced", "*3 passed, 1 rerun*"])
    assert result.ret == 0
    with Ledger(pytester.path / ".repro") as ledger:
        verdicts = [found.verdict for found in ledger.results(1)]
    assert verdicts == [Verdict.REPRODUCED] * 3
    gpus = {file.stem: file.read_text() for file in pytester.path.glob("*.gpu")}
    (dead,) = [file.stem for file in pytester.path.glob("*.dead")]
    assert gpus["gw2"] == gpus[dead]
    assert {gpus["gw0"], gpus["gw1"]} == {"GPU-a", "GPU-b"}


@pytest.mark.slow
def test_a_case_that_kills_two_workers_fails_and_the_others_do_not(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    result = run(pytester, release, deaths=2)
    result.stdout.fnmatch_lines(
        [
            "*crashed while running*, for the second time; *fewer workers with -n*",
            "*failed: supervised/real/80@digits-supervised",
            "3 cases: 2 reproduced, 1 failed",
            "*1 failed, 2 passed, 1 rerun*",
        ]
    )


@pytest.mark.slow
def test_a_test_without_a_case_fails_at_once(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    dies = """
def test_of_something_else():
    import os
    os.kill(os.getpid(), 9)
"""
    result = run(pytester, release, deaths=0, suite=f"{SUITE}\n{dies}")
    result.stdout.fnmatch_lines(["*1 failed, 3 passed*"])
    assert not any("rerun" in line for line in result.outlines)


@pytest.mark.slow
@pytest.mark.parametrize("gpus", ["0", "2,5", "MIG-1,MIG-2,MIG-3,MIG-4", "none"])
def test_each_worker_sees_its_own_gpu(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, gpus: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "" if gpus == "none" else gpus)
    seen = seen_by_workers(pytester, 3)
    listed = [""] if gpus == "none" else gpus.split(",")
    assert seen == {f"gw{n}": listed[n % len(listed)] for n in range(3)}


@pytest.mark.slow
def test_a_conftest_that_asks_cuda_first_finds_a_gpu_for_each_worker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    # Not even --repro-expected: only the marker of the suite says that it is ours.
    seen = seen_by_workers(pytester, 2, asked_by="conftest", options=())
    assert seen == {"gw0": "GPU-a", "gw1": "GPU-b"}


@pytest.mark.slow
def test_all_workers_see_all_gpus_where_the_device_is_one_of_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    options = ("--repro-expected=embedded", "--repro-device=cuda:1")
    seen = seen_by_workers(pytester, 2, options=options)
    assert seen == {"gw0": "GPU-a,GPU-b", "gw1": "GPU-a,GPU-b"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 4])
def test_one_worker_for_each_of_several_gpus(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(number))))
    assert seen_by_workers(pytester, "auto") == {
        f"gw{gpu}": str(gpu) for gpu in range(number)
    }


def seen_by_workers(
    pytester: pytest.Pytester,
    workers: int | str,
    asked_by: str = "collection",
    options: tuple[str, ...] = ("--repro-expected=embedded",),
) -> dict[str, str]:
    """Run workers without torch; give what each finds in CUDA_VISIBLE_DEVICES.

    That is asked after collection, before any test is run, lest one is left without; or
    as soon as the conftest is loaded.
    """
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="embedded")
        def test_checkpoint(case):
            pass
        """
    )
    when = {
        "collection": "def pytest_collection_finish(session):",
        "conftest": "if True:",
    }
    pytester.makeconftest(
        f"""
        import os
        from pathlib import Path

        {when[asked_by]}
            if worker := os.environ.get("PYTEST_XDIST_WORKER"):
                gpu = os.environ["CUDA_VISIBLE_DEVICES"]
                (Path(__file__).parent / f"{{worker}}.gpu").write_text(gpu)
        """
    )
    result = pytester.runpytest(
        f"-n{workers}", "-q", *options, "-p", "no:cacheprovider"
    )
    assert result.ret == 0
    return {file.stem: file.read_text() for file in sorted(pytester.path.glob("*.gpu"))}


@pytest.mark.slow
def test_two_workers_decode_each_photograph_exactly_once(
    pytester: pytest.Pytester, release: ReleaseCopy, tmp_path: Path
) -> None:
    pytester.makepyfile(test_release=SUITE)
    pytester.makeconftest(
        """
        import os, time
        from pathlib import Path

        from repro.data import geometry

        decode = geometry.decode

        def noted(place, digest):
            file = Path(__file__).parent / f"{os.environ['PYTEST_XDIST_WORKER']}.seen"
            with file.open("a") as stream:
                print(place, file=stream)
            time.sleep(0.01)  # else the first worker is done before the second begins
            return decode(place, digest)

        geometry.decode = noted
        """
    )
    # In a process of its own: what its conftest replaces must not stay replaced here.
    result = pytester.runpytest_subprocess(
        "-n2",
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
    )
    assert result.ret == 0
    files = list(pytester.path.glob("*.seen"))
    seen = sorted(line for file in files for line in file.read_text().split())
    assert seen == sorted(map(str, (release.folder / "val").rglob("*.jpg")))
    assert len(files) == 2
