"""`repro env`: what a bug report needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata

import click

from repro.cli.options import Command, device_option
from repro.cli.output import echo

#: What its plugins for pytest are called tells more than what they are.
_GROUPS = {
    "pytest11": "pytest plugins",
    "repro.loaders": "loaders",
    "repro.metrics": "metrics",
    "repro.engines": "engines",
}


@click.command(cls=Command)
@device_option
def env(device: str) -> None:
    """Print what a bug report needs.

    Versions, machine and device; no path, no user, no host, no value of a variable.
    """
    for label, text in _rows(device):
        echo(f"{label:<16}{text}")


def _rows(device: str) -> Iterator[tuple[str, str]]:
    from repro.engine.device import choose_device
    from repro.records.environment import describe_environment

    found = describe_environment(str(choose_device(device)))
    yield from found.packages.items()
    for package in ("pytest", "pytest-xdist"):
        yield package, metadata.version(package)
    yield "python", found.python
    yield "system", found.system
    yield "cpu", f"{found.cpu}, {found.cores} cores"
    yield "decoder", found.decoder
    yield "device", found.device
    if found.cuda:
        yield "cuda", f"{found.cuda}, driver {found.driver}"
    for group, label in _GROUPS.items():
        owners = {
            f"{point.dist.name} {point.dist.version}"
            for point in metadata.entry_points(group=group)
            if point.dist is not None
        }
        if owners:
            yield label, ", ".join(sorted(owners))
    names = sorted(name for name in os.environ if name.startswith("REPRO_"))
    yield "variables set", ", ".join(names) or "none of REPRO_*"
