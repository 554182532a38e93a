"""`--repro-engine ray`: the engines of a run whose cases are measured on a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from repro.errors import OptionError, ReproError
from repro.options.table import Settings
from repro.plugin.settings import asks, read_settings

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.engine.ray import RayEngine
    from repro.engine.settings import EngineSettings

EXCLUDED = (
    "-n and --repro-engine ray exclude each other: the cluster starts the "
    "processes itself; leave out -n"
)

_ENGINES = pytest.StashKey["dict[EngineSettings, RayEngine]"]()


def refuse_workers(config: pytest.Config) -> None:
    """Refuse `-n` beside a cluster, which has its own processes.

    Raises:
        UsageError: both were asked for.
    """
    if not getattr(config.option, "tx", None) or not asks(config):
        return
    try:
        engine = read_settings(config, {}, config.rootpath).engine
    except OptionError as error:
        raise pytest.UsageError(str(error)) from error
    if engine == "ray":
        raise pytest.UsageError(EXCLUDED)


def start(config: pytest.Config, chosen: Sequence[tuple[Settings, Case]]) -> list[str]:
    """Submit all cases that are to be measured on a cluster; say what it is.

    Raises:
        UsageError: the cluster is not there, or not fit for it.
    """
    by_settings: dict[EngineSettings, tuple[Settings, list[Case]]] = {}
    for settings, case in chosen:
        if settings.engine == "ray":
            key = settings.for_engine()
            by_settings.setdefault(key, (settings, []))[1].append(case)
    lines: list[str] = []
    for key, (settings, cases) in by_settings.items():
        try:
            engine = _start(config, settings, key, cases)
        except ReproError as error:
            raise pytest.UsageError(str(error)) from error
        lines += [*engine.lines(), _plan(config, settings, cases, engine)]
    return list(dict.fromkeys(lines))


def engine_of(config: pytest.Config, settings: Settings) -> RayEngine | None:
    """Give the engine of a cluster where one was asked for."""
    if settings.engine != "ray":
        return None
    engines = config.stash.get(_ENGINES, {})
    key = settings.for_engine()
    return engines[key] if key in engines else _start(config, settings, key, [])


def _start(
    config: pytest.Config, settings: Settings, key: EngineSettings, cases: list[Case]
) -> RayEngine:
    from pathlib import Path

    import msgspec

    from repro.engine.ray import RayEngine
    from repro.records.environment import git_state

    address = settings.ray_address or os.environ.get("RAY_ADDRESS")
    if not address:
        raise OptionError(
            "--repro-engine is 'ray', and no cluster is named: give HOST:PORT with "
            "--repro-ray-address or RAY_ADDRESS, or 'auto' for one on this machine"
        )
    there = msgspec.structs.replace(key, code=git_state(Path.cwd()))
    engine = RayEngine(there, cases, address, _known(settings))
    engines = config.stash.setdefault(_ENGINES, {})
    if not engines:
        config.add_cleanup(engine.close)
    engines[key] = engine
    return engine


def _known(settings: Settings) -> list[str]:
    """List the measurements that `--repro-resume` would take over."""
    from repro.records.ledger import FILE, Ledger

    folder = settings.ledger
    if not settings.resume or folder is None or not (folder / FILE).is_file():
        return []
    with Ledger(folder) as ledger:
        return ledger.keys()


def _plan(
    config: pytest.Config, settings: Settings, cases: list[Case], engine: RayEngine
) -> str:
    from repro.planning.plan import Machine, make_plan
    from repro.plugin.costs import costs_of

    cores = int(sum(node.resources.get("CPU", 0) for node in engine.nodes))
    machine = Machine(engine.devices if engine.uses_gpus else 0, max(1, cores))
    costs = costs_of(config, settings, cases)
    return make_plan(cases, costs, machine, limit=settings.limit).summary()
