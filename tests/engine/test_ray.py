"""A Ray cluster of two nodes, in network namespaces, gives what a local run gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.published import EMBEDDED
from repro.records.ledger import Ledger

from ..conftest import wait_for_a_case
from .two_nodes import TwoNodes, two_namespaces, why_not

SUITE = """
import pytest

@pytest.mark.repro
def test_checkpoint(case, reproduce):
    reproduce(case)
"""
KEPT = " or ".join(f"supervised/real/{n}" for n in (40, 80, 160, 320))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder to run in, and weights that only one of the nodes can find."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "test_release.py").write_text(SUITE)
    shutil.copytree(EMBEDDED / "checkpoints", folder / "of-first")
    shutil.copytree(EMBEDDED / "checkpoints", folder / "real")
    return {
        "here": folder,
        "first": folder / "of-first",
        "second": folder / "of-second",
    }


@pytest.fixture(scope="module")
def nodes(paths: dict[str, Path]) -> Iterator[TwoNodes]:
    pytest.importorskip("ray", reason="Ray is not installed; pip install '.[ray]'")
    if reason := why_not():
        pytest.skip(reason)
    moves = {
        paths["first"]: paths["here"] / "none",
        paths["second"]: paths["here"] / "real",
    }
    folder = Path(tempfile.mkdtemp(prefix="r"))
    with two_namespaces(folder) as made:
        there = ":".join(f"{old}={new}" for old, new in moves.items())
        made.start(REPRO_NODE_PATHS=there)
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def command(paths: dict[str, Path], name: str, *options: str) -> list[str]:
    here = paths["here"]
    return [
        *(sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"),
        *("--repro-expected=embedded", f"--repro-cache={here / 'cache'}", "-k", KEPT),
        "--repro-batch-size=50",  # else the quickest one counts, and losses are rounded
        f"--repro-report={here / name}.json",
        f"--repro-ledger={here / name}",
        *options,
    ]


@pytest.fixture(scope="module")
def local(paths: dict[str, Path]) -> str:
    """The output of a run in this process."""
    done = subprocess.run(
        command(paths, "local"),
        cwd=paths["here"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # as many as a node gives a case
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def on_cluster(paths: dict[str, Path], nodes: TwoNodes, name: str, *more: str) -> str:
    options = ("--repro-engine=ray", f"--repro-ray-address={nodes.address}", *more)
    run = nodes.run(command(paths, name, *options), paths["here"])
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 0, output
    return output


def table(output: str) -> list[str]:
    # Ray itself tells of a node that died, whenever it notices.
    lines = [line for line in output.splitlines() if line and "(raylet)" not in line]
    start = next(n for n, line in enumerate(lines) if "published and measured" in line)
    return [line for line in lines[start:] if " in " not in line]


def measured(paths: dict[str, Path], name: str) -> dict[str, Any]:
    """Read a report without what no two runs have in common."""
    content: dict[str, Any] = json.loads((paths["here"] / f"{name}.json").read_text())
    for case in content["cases"]:
        assert case.pop("seconds") > 0
        case.pop("weights", None)
    return content


def test_table_report_and_ledger_are_those_of_a_local_run(
    paths: dict[str, Path], nodes: TwoNodes, local: str
) -> None:
    output = on_cluster(paths, nodes, "cluster")
    assert "Ray with 2 nodes, 2 cases at once, each on one GPU with 1 core" in output
    own = [line.replace("cluster.json", "local.json") for line in table(output)]
    assert own == table(local)
    assert measured(paths, "cluster") == measured(paths, "local")
    with (
        Ledger(paths["here"] / "local") as first,
        Ledger(paths["here"] / "cluster") as second,
    ):
        for case in first.cases():
            one, other = (ledger.predictions(1, case) for ledger in (first, second))
            assert one is not None
            assert other is not None
            assert one.classes.tolist() == other.classes.tolist()
            (found,) = second.history(case)
            measurement = found[1].measurement
            assert measurement is not None
            assert second.names(measurement.dataset_fingerprint) is not None
    again = on_cluster(paths, nodes, "cluster", "--repro-resume")
    assert "taken over from run 1: " in again


@pytest.mark.parametrize(
    ("place", "host"), [("first", "10.213.7.2"), ("second", "10.213.7.1")]
)
def test_a_node_that_lacks_the_weights_says_so_and_gets_no_case(
    paths: dict[str, Path], nodes: TwoNodes, place: str, host: str
) -> None:
    checkpoints = f"--repro-checkpoints={paths[place]}"
    output = on_cluster(paths, nodes, place, checkpoints, "-k", "supervised/real/40")
    assert f"({host}) gets 0 of 1 cases; no weights: {paths['here']}" in output
    assert "1 case: 1 reproduced" in output


def test_what_no_node_has_is_not_run_and_named(
    paths: dict[str, Path], nodes: TwoNodes
) -> None:
    missing = f"--repro-checkpoints={paths['here'] / 'nowhere'}"
    output = on_cluster(paths, nodes, "missing", missing, "-rs")
    assert "no node has it" in output.replace("\n", " ")
    assert "4 cases: 4 not run" in output


def test_an_error_of_ours_is_not_repeated_and_names_the_node(
    paths: dict[str, Path], nodes: TwoNodes
) -> None:
    damaged = paths["here"] / "damaged"
    shutil.copytree(EMBEDDED / "checkpoints", damaged)
    (damaged / "supervised/real/40.pt").write_bytes(b"damaged")
    options = command(paths, "damaged", f"--repro-checkpoints={damaged}")
    more = ("--repro-engine=ray", f"--repro-ray-address={nodes.address}")
    run = nodes.run([*options, *more, "-k", "supervised/real/40"], paths["here"])
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 1, output
    assert "damaged" in output
    assert "(on node " in output
    assert "Traceback" not in output


def test_a_node_that_dies_in_mid_run_changes_nothing(
    paths: dict[str, Path], nodes: TwoNodes, local: str
) -> None:
    options = ("--repro-engine=ray", f"--repro-ray-address={nodes.address}")
    run = nodes.run(command(paths, "killed", *options), paths["here"])
    wait_for_a_case(paths["here"] / "killed")
    nodes.kill_second_node()
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 0, output
    own = [line.replace("killed.json", "local.json") for line in table(output)]
    assert own == table(local)
    assert measured(paths, "killed") == measured(paths, "local")
