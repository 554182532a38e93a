"""The engines of a run, chosen by name here, and how long cases take with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from repro.errors import OptionError
from repro.plugin import asks, workers
from repro.plugin.items import SETTINGS, with_cases
from repro.plugin.settings import invoked_in, read_settings

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.engine.protocol import Engine
    from repro.engine.settings import EngineSettings
    from repro.options.table import Settings
    from repro.planning.costs import Costs, Timing

# Both hang on the config, not on this module: pytest runs sessions inside of sessions,
# and the engines of each end with it.
_ENGINES: pytest.StashKey[dict[EngineSettings, Engine]] = pytest.StashKey()
_STARTED: pytest.StashKey[set[EngineSettings]] = pytest.StashKey()


def refuse_workers(config: pytest.Config) -> None:
    """Refuse `-n` beside an engine that does not go with it.

    What only a marker or the environment says is known later, see `engine_of`.

    Raises:
        UsageError: both were asked for.
    """
    from repro.engine.protocol import find_engine

    if not asks(config):
        return
    try:
        settings = read_settings(config, {}, config.rootpath)
        engine = find_engine(settings.engine)(settings.for_engine())
        engine.check(workers=True)
    except OptionError as error:
        raise pytest.UsageError(str(error)) from error


def engine_of(config: pytest.Config, settings: Settings) -> Engine:
    """Give the engine of this process for what is in force, not yet started.

    Raises:
        OptionError: there is none, or it excludes something else that was asked for.
    """
    from repro.engine.protocol import find_engine

    engines = config.stash.setdefault(_ENGINES, {})
    wanted = settings.for_engine(workers.count(config))
    if wanted not in engines:
        engine = find_engine(wanted.engine)(wanted)
        engine.check(workers=workers.is_worker(config))
        # Also where collection fails later: a cluster must not be left with our tasks.
        config.add_cleanup(engine.stop)
        engines[wanted] = engine
    return engines[wanted]


def started_engine(
    config: pytest.Config, settings: Settings, items: Iterable[pytest.Item]
) -> Engine:
    """Give the engine for what is in force, started by who asks first.

    Args:
        config: of the run.
        settings: in force.
        items: all tests that this process may run.

    Raises:
        ReproError: it cannot be started.
    """
    from repro.engine.protocol import Run
    from repro.plugin.progress import BARS, Transfer

    engine = engine_of(config, settings)
    # Made at collection, where what excludes each other is refused; started by the
    # first test, so that `--collect-only` needs neither torch nor a cluster.
    started = config.stash.setdefault(_STARTED, set())
    if engine.settings in started:
        return engine
    pairs = list(with_cases(items))
    number, bars = workers.count(config), config.stash.get(BARS, None)
    engine.start(
        Run(
            planned=[
                case
                for item, case in pairs
                if item.stash[SETTINGS].for_engine(number) == engine.settings
            ],
            cases=[case for _, case in pairs],
            known=partial(_known, settings),
            downloading=Transfer(bars) if bars else None,
            folder=invoked_in(config),
        )
    )
    started.add(engine.settings)
    return engine


def _known(settings: Settings) -> list[str]:
    """List the measurements that `--repro-resume` would take over."""
    from repro.records.ledger import existing_ledger

    with existing_ledger(settings.ledger if settings.resume else None) as ledger:
        return ledger.keys() if ledger else []


#: What the controller tells a worker: the ledger's timings, as plain data. A worker
#: that read the ledger itself, later, would put the cases into another order.
TIMINGS = "repro_timings"

# Read once and kept: a worker that takes the place of a dead one has to collect in the
# order of all others, and by then the ledger has results of this run too.
_KNOWN = pytest.StashKey["list[Timing]"]()


def timings_for_worker(config: pytest.Config) -> list[Any]:
    """Give what the ledger of this run knows, for `workerinput`.

    It is empty, and nothing heavy is imported, in a project without a ledger.
    """
    from repro.errors import OptionError

    try:
        settings = read_settings(config, {}, config.rootpath)
    except OptionError:
        # Of the environment: whether it matters is known once there are cases.
        return []
    if not settings.ledger or not (settings.ledger / "ledger.sqlite").is_file():
        return []
    import msgspec

    found: list[Any] = msgspec.to_builtins(_timings(config, settings))
    return found


def costs_of(config: pytest.Config, settings: Settings, cases: Sequence[Case]) -> Costs:
    """Find out what is known of the time that cases take.

    Raises:
        OptionError: the file of `--repro-costs` holds none.
    """
    from repro.planning.costs import Costs, recorded_costs

    if settings.costs:
        return Costs.read(settings.costs)
    machine = engine_of(config, settings).machine
    timings = _timings(config, settings)
    return recorded_costs(
        cases, timings, machine.device, machine.cores, settings.precision
    )


def _timings(config: pytest.Config, settings: Settings) -> list[Timing]:
    from repro.planning.costs import Timing, timings_in

    if _KNOWN not in config.stash:
        if workers.is_worker(config):
            import msgspec

            told = config.workerinput.get(TIMINGS, [])  # type: ignore[attr-defined]
            found = msgspec.convert(told, list[Timing])
        else:
            found = timings_in(settings.ledger)
        config.stash[_KNOWN] = found
    return config.stash[_KNOWN]
