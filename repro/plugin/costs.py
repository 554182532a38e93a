"""What is known of the time that cases take, in every process of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from repro.plugin import workers
from repro.plugin.engines import engine_of
from repro.plugin.settings import read_settings

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.options.table import Settings
    from repro.planning.costs import Costs, Timing

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


def shard_costs(settings: Settings) -> Costs:
    """Find out what all shards of a run know of the time that cases take.

    It is the file of `--repro-costs`, or else estimates; never a ledger, which the
    other shards may be writing.

    Raises:
        OptionError: the file of `--repro-costs` holds none.
    """
    from repro.planning.costs import Costs

    return Costs.read(settings.costs) if settings.costs else Costs()


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
