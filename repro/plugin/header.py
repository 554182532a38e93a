"""What a run says before it starts: what is in force, and what that will take."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repro.data.readers import Found, find_images
from repro.errors import NotAvailableError, ReproError
from repro.machine import gpus_for
from repro.models.finding import find_weights
from repro.options.table import Settings
from repro.planning.plan import Allowance, Plan, make_plan, shown_time
from repro.plugin import workers
from repro.plugin.engines import costs_of, engine_of
from repro.plugin.planned import Planned
from repro.plugin.settings import measures_nothing, summary
from repro.words import counted

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.published import DatasetSpec


def header(config: pytest.Config, planned: Planned) -> list[str]:
    """Say what is in force for some tests, and what measuring them takes."""
    lines = [summary(settings) for settings in planned.settings]
    if measures_nothing(config):
        return lines
    if workers.STARTED in config.stash:
        devices = {settings.device for settings in planned.settings}
        gpus = gpus_for(devices.pop() if len(devices) == 1 else "auto", os.environ)
        number = config.stash[workers.STARTED]
        lines.append(f"repro: {workers.describe(number, gpus)}")
    groups = {
        settings: [test.case for test in tests]
        for settings, tests in planned.by_settings().items()
    }
    for settings in groups:
        lines += engine_of(config, settings).lines()
    plans: list[Plan] = []
    # A folder may have 50,000 entries, and thousands of cases.
    found = cache(find_images)
    for settings, cases in groups.items():
        ready = [case for case in cases if _is_here(config, settings, case, found)]
        if ready:
            plans.append(_plan(config, settings, ready))
            lines.append(plans[-1].summary())
        if lacking := len(cases) - len(ready):
            said = "has not" if lacking == 1 else "have not"
            named = counted(lacking, "more case" if ready else "case")
            lines.append(
                f"repro: {named} {said} got weights or images here, and will not be "
                "measured"
            )
    if len(plans) > 1:
        number = sum(plan.work.cases for plan in plans)
        seconds = sum(plan.seconds for plan in plans)
        lines.append(
            f"repro: {counted(number, 'case')} in all, about {shown_time(seconds)}"
        )
    return lines + list(_downloads(config, groups))


def _is_here(
    config: pytest.Config,
    settings: Settings,
    case: Case,
    found: Callable[[DatasetSpec, Path], Found | None],
) -> bool:
    """Whether a case can be measured, as far as that is seen without reading files."""
    if not engine_of(config, settings).computes_here:
        return True
    data = settings.data or case.release.own_data
    try:
        if data is None or found(case.dataset, data) is None:
            return False
        return settings.download or bool(find_weights(case, settings.checkpoints))
    except NotAvailableError:
        return False
    except ReproError:
        return True  # It is here, and wrong: the case says so.


def _plan(config: pytest.Config, settings: Settings, cases: Sequence[Case]) -> Plan:
    engine = engine_of(config, settings)
    # What is on this machine says nothing of others.
    here = settings if engine.computes_here else Settings()
    return make_plan(
        cases,
        costs_of(config, settings, cases),
        engine.machine,
        checkpoints=here.checkpoints,
        data=here.data,
        cache=here.cache,
        limit=settings.limit,
        allowance=None
        if settings.no_diagnose
        else Allowance(settings.diagnose_share, settings.diagnose_time),
    )


def _downloads(
    config: pytest.Config, groups: Mapping[Settings, Sequence[Case]]
) -> Iterable[str]:
    """Say beforehand what is downloaded: workers have no terminal to show it on."""
    missing: dict[str, int] = {}
    for settings, cases in groups.items():
        is_here = engine_of(config, settings).computes_here
        for case in cases if settings.download and is_here else ():
            try:
                find_weights(case, settings.checkpoints)
            except NotAvailableError:
                missing[case.family.id] = missing.get(case.family.id, 0) + 1
    if missing:
        listed = ", ".join(
            f"{family} ({number:,})" for family, number in missing.items()
        )
        total = counted(sum(missing.values()), "case")
        yield f"repro: downloads the weights of {total} when they run: {listed}"
