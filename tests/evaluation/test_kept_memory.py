"""What a batch has of memory, the next one uses again; at the end it is given back."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repro.evaluation import memory
from repro.evaluation.memory import keeping_memory

CPU = torch.device("cpu")
#: 64 MiB: more than glibc ever keeps by itself.
LARGE = 2**24

needs_glibc = pytest.mark.skipif(
    memory._glibc() is None, reason="the C library differs"
)


def faults_of_twenty() -> int:
    """Have and free large pieces of memory; count the pages that were given for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.zeros(LARGE)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@needs_glibc
def test_a_batch_has_the_memory_of_the_one_before() -> None:
    # In a process of its own: once memory ran out, glibc takes it from another arena,
    # which keeps no large piece.
    script = (
        "import torch; from repro.evaluation.memory import keeping_memory\n"
        "from tests.evaluation.test_kept_memory import faults_of_twenty as faults\n"
        "anew = faults()\n"
        "with keeping_memory(torch.device('cpu')):\n"
        "    print(anew, faults(), faults())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        check=True,
        text=True,
        capture_output=True,
    )
    anew, first, second = map(int, run.stdout.split())
    assert second < anew / 10
    assert first < anew / 2


@needs_glibc
def test_what_is_free_is_given_back() -> None:
    script = (
        "import torch; from repro.evaluation.memory import keeping_memory\n"
        "def resident():\n"
        "    pages = int(open('/proc/self/statm').read().split()[1])\n"
        "    return pages * 4096 / 2**20\n"
        "torch.zeros(2**20); before = resident()\n"
        "with keeping_memory(torch.device('cpu')):\n"
        "    torch.ones(2**26); within = resident()\n"
        "print(within - before, resident() - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, text=True, capture_output=True
    )
    within, after = map(float, run.stdout.split())
    assert within > 200
    assert after < 50


@needs_glibc
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_who_has_chosen_otherwise_is_left_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    anew = faults_of_twenty()
    with keeping_memory(CPU):
        torch.zeros(LARGE)
        assert faults_of_twenty() > anew / 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    anew = faults_of_twenty()
    with keeping_memory(CPU):
        torch.zeros(LARGE)
        assert faults_of_twenty() > anew / 2


@needs_glibc
def test_logits_are_the_same_bits() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 64, 3)
    images = torch.randn(16, 3, 64, 64)
    with torch.inference_mode():
        anew = network(images)
        with keeping_memory(CPU):
            assert torch.equal(network(images), anew)
            assert torch.equal(network(images), anew)
