"""Options that can have no effect beside others: the stronger place counts, or none.

Where the place that counts more says otherwise, an option simply does not apply, as a
project's default does not in a run that wants something else. Where the same place asks
for both, or the command line for what nothing in force can do, somebody is mistaken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from repro.errors import OptionError
from repro.options.option import DEFAULT, MARKER, Given


class _Rule(NamedTuple):
    """An option that has no effect where another one has such a value.

    `is_meant` tells of which values of the option that is so.
    """

    option: str
    other: str
    is_idle: Callable[[Any], bool]
    reason: str
    advice: str
    is_meant: Callable[[Any], bool] = bool


def _knows_no_ray_address(engine: str) -> bool:
    from repro.engine.protocol import find_engine

    return "ray_address" not in find_engine(engine).options


def _is_none(value: object) -> bool:
    return value is None


_UNRECORDED = "ledger", _is_none
_NAME_LEDGER = "name one with --repro-ledger"
_UNCACHED = (
    *("cache", _is_none),
    *("nothing is kept on disk", "name a folder with --repro-cache"),
)
_UNDIAGNOSED = (
    *("no_diagnose", bool),
    *("nothing is diagnosed", "leave --repro-no-diagnose out"),
)

_RULES = (
    _Rule(
        "ray_address",
        "engine",
        _knows_no_ray_address,
        "cases are measured in these processes",
        "add --repro-engine=ray",
    ),
    _Rule(
        "resume",
        *_UNRECORDED,
        "there is no ledger to take cases over from",
        _NAME_LEDGER,
    ),
    _Rule(
        "baseline", *_UNRECORDED, "there is no ledger with earlier runs", _NAME_LEDGER
    ),
    _Rule("cache_limit", *_UNCACHED),
    _Rule("batch_size", *_UNCACHED, lambda size: size == "remembered"),
    _Rule("diagnose_share", *_UNDIAGNOSED),
    _Rule("diagnose_time", *_UNDIAGNOSED),
    _Rule(
        "no_early_stop",
        "limit",
        lambda limit: limit is not None,
        "a part of the images is never stopped early",
        "leave --repro-limit out to evaluate all",
    ),
)


def settle(values: Mapping[str, Any], places: Mapping[str, Given]) -> dict[str, Any]:
    """Give the values in force, of two that exclude each other the stronger one.

    Args:
        values: of every option by its name.
        places: where each that was given comes from.

    Raises:
        OptionError: an option was asked for that can have no effect.
    """
    settled = _settle_diagnosis(dict(values), places)
    for rule in _RULES:
        mine = places.get(rule.option)
        if mine is None or not rule.is_meant(settled[rule.option]):
            continue
        if not rule.is_idle(settled[rule.other]):
            continue
        theirs = places.get(rule.other, Given(DEFAULT, ""))
        # A marker speaks of one test, the command line of all others too.
        is_asked = mine.rank <= MARKER < theirs.rank
        if is_asked or mine.rank == theirs.rank:
            cause = f" ({theirs.name})" if theirs.name else ""
            raise OptionError(
                f"{mine.name} has no effect, since {rule.reason}{cause}; "
                f"{rule.advice}, or leave {mine.name} out"
            )
    return settled


def _settle_diagnosis(
    values: dict[str, Any], places: Mapping[str, Given]
) -> dict[str, Any]:
    """Let the stronger one of `diagnose` and `no_diagnose` count."""
    if not (values["diagnose"] and values["no_diagnose"]):
        return values
    wanted, unwanted = places["diagnose"], places["no_diagnose"]
    if wanted.rank == unwanted.rank:
        raise OptionError(
            f"{wanted.name} and {unwanted.name} exclude each other; leave one out"
        )
    weaker = "diagnose" if wanted.rank > unwanted.rank else "no_diagnose"
    return {**values, weaker: False}
