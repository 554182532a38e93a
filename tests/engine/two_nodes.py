"""A Ray cluster of two nodes, each in a network namespace of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import repro

HEAD, OTHER = "10.213.7.1", "10.213.7.2"
PORT = 6399


class TwoNodes:
    """The cluster, with ways to use it and to kill a node.

    Args:
        folder: for Ray's files; its path must be short, since sockets lie there.
        name: of the namespaces, with a number after it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.spaces = [f"{name}1", f"{name}2"]
        self.address = f"{HEAD}:{PORT}"

    def start(self, **other: str) -> None:
        """Start both nodes, each with one GPU that does not exist.

        Args:
            other: environment variables of the second node.
        """
        port = f"--port={PORT}"
        head = ["--head", port, "--include-dashboard=false"]
        self._ray(0, [*head, f"--temp-dir={self.folder}"], HEAD, {})
        self._ray(1, [f"--address={self.address}"], OTHER, other)

    def run(self, command: Sequence[str], cwd: Path) -> subprocess.Popen[str]:
        """Start a command in the namespace of the first node."""
        return subprocess.Popen(
            [*self._inside(0), *command],
            cwd=cwd,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill_second_node(self) -> None:
        """Kill every process of the second node, as when its power fails."""
        for process in self._processes(1):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """Kill what runs in the namespaces."""
        for number in (1, 0):
            for _ in range(50):
                if not (found := self._processes(number)):
                    break
                for process in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.1)

    def environment(self, **more: str) -> dict[str, str]:
        """Give the environment of nodes and drivers."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        package = str(Path(repro.__file__).parents[1])
        own = {
            "PYTHONPATH": package,
            "HOME": str(self.folder),  # a token of Ray lies there, and shuts nodes out
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_memory_monitor_refresh_ms": "0",  # the machine has other tenants
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "1000",
        }
        return {**kept, **own, **more}

    def _ray(
        self, number: int, options: list[str], address: str, more: dict[str, str]
    ) -> None:
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", *options),
            *(f"--node-ip-address={address}", "--num-cpus=1", "--num-gpus=1"),
            *("--object-store-memory=100000000", "--disable-usage-stats"),
        ]
        subprocess.run(
            [*self._inside(number), *command],
            env=self.environment(**more),
            check=True,
            capture_output=True,
            timeout=90,
        )

    def _inside(self, number: int) -> list[str]:
        return ["ip", "netns", "exec", self.spaces[number]]

    def _processes(self, number: int) -> list[int]:
        found = subprocess.run(
            ["ip", "netns", "pids", self.spaces[number]],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(line) for line in found.stdout.split()]


def why_not() -> str:
    """Say why no namespace can be made here; nothing if one can."""
    if shutil.which("ip") is None:
        return "there is no command ip (iproute2)"
    name = f"repro-try-{os.getpid()}"
    made = _ip("netns", "add", name)
    _ip("netns", "del", name)
    if made.returncode:
        return f"network namespaces are not allowed here: {made.stderr.strip()}"
    return ""


@contextlib.contextmanager
def two_namespaces(folder: Path) -> Iterator[TwoNodes]:
    """Connect two namespaces; they and their processes end with the block."""
    nodes = TwoNodes(folder, f"repro{os.getpid()}-")
    first, second = nodes.spaces
    ends = f"r{os.getpid()}a", f"r{os.getpid()}b"
    try:
        _ip("netns", "add", first)
        _ip("netns", "add", second)
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for space, end, address in zip(nodes.spaces, ends, (HEAD, OTHER), strict=True):
            _ip("link", "set", end, "netns", space)
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", end)
            _ip("-n", space, "link", "set", end, "up")
            _ip("-n", space, "link", "set", "lo", "up")
        yield nodes
    finally:
        nodes.stop()
        for space in nodes.spaces:
            _ip("netns", "del", space)


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False
    )
