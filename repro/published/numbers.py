"""Numbers as they are printed, and what stands beside them in `[[reference]]`.

Every metric of the table is a key of a reference and of a tolerance, so the tables that
are read are made of it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

import msgspec

from repro.published.files import Located, convert, shown
from repro.published.metrics import METRICS, Metric
from repro.published.release import OwnTolerance, Reference, Source
from repro.published.vocabulary import (
    Gflops,
    Name,
    Printed,
    Shares,
    Spread,
    Table,
    Text,
    anchored,
    check_gflops,
    check_name,
    printed,
    split_weights_name,
    stated,
)

_LINK = re.compile(r"\W*\w.*https?://\w")
_NUMBER = r"[0-9]{1,4}(?:\.[0-9]{1,20})?"
PRINTED = re.compile(rf"({_NUMBER})(?: ± ({_NUMBER}))?")
_Digits = Annotated[str, stated(pattern=anchored(PRINTED))]


class ToleranceRow(Table, frozen=True):
    """The table `tolerance`; `row_types` adds a key for each metric."""

    reason: Text

    def __post_init__(self) -> None:
        """Refuse a tolerance of nothing and one that no measurement can exceed."""
        given = _given(self)
        if not given:
            raise ValueError(f"give one or more of {', '.join(METRICS)}")
        for metric, value in given.items():
            limit = METRICS[metric].unit.limit
            if not value.is_finite() or not 0 <= value < limit:
                raise ValueError(f"{metric} must be 0 or more and below {limit}")


class ReferenceRow(Table, frozen=True):
    """One `[[reference]]`; `row_types` adds a key for each metric, and `tolerance`."""

    family: str | tuple[str, ...]
    checkpoint: Name
    dataset: Name
    protocol: Name
    source: Name
    note: str = ""
    unit: Shares | None = None
    runs: Annotated[int, stated(minimum=2, maximum=10_000)] | None = None
    spread: Spread | None = None
    gflops: Gflops | None = None
    xfail: Text | None = None

    def __post_init__(self) -> None:
        """Refuse a checkpoint that is no file's name and what belongs to nothing."""
        check_name(self.checkpoint, "checkpoint")
        stem, suffix = split_weights_name(self.checkpoint)
        if suffix:
            raise ValueError(
                f"checkpoint is {self.checkpoint!r}; leave the suffix out: {stem!r}"
            )
        check_gflops(self.gflops)
        if self.xfail is not None and not _LINK.match(self.xfail):
            raise ValueError(
                f"xfail is {self.xfail!r}; say why the number is not met and where to "
                "read about it: 'reason, https://...'"
            )
        numbers = _given(self)
        if not numbers:
            raise ValueError(f"has no number; give one or more of {', '.join(METRICS)}")
        for metric in _given(getattr(self, "tolerance", None)):
            if metric not in numbers:
                raise ValueError(f"tolerance names {metric}, but there is no {metric}")
        if self.unit and not any(METRICS[name].unit.whole for name in numbers):
            raise ValueError(
                f"unit is {self.unit!r}, but {', '.join(numbers)} is no share of the "
                "images; remove it"
            )
        self._check_runs(numbers.values())

    def _check_runs(self, numbers: Iterable[str]) -> None:
        """Refuse a spread of no runs, and runs of which not every number has one."""
        for key, value in (("runs", self.runs), ("spread", self.spread)):
            if value is not None and not all("±" in text for text in numbers):
                raise ValueError(
                    f"{key} is {value!r}, so each number needs its spread, such as "
                    "'91.60 ± 0.12'; put a number of one run into a reference of its "
                    "own"
                )
        if any("±" in text for text in numbers) and self.runs is None:
            raise ValueError(
                "a number has a spread (±), but runs is missing; say of how many runs "
                "it is the mean"
            )
        if self.runs is not None and not 2 <= self.runs <= 10_000:
            raise ValueError(f"runs is {self.runs}; it must be between 2 and 10,000")


class RowTypes(NamedTuple):
    """The tables that have a key for each metric."""

    source: type[Source]
    reference: type[ReferenceRow]


def row_types() -> RowTypes:
    """Give the tables as the metrics are that there are now."""
    return _row_types(tuple(METRICS))


# By their names: a metric of another package, once it is loaded, is a key more.
@functools.lru_cache
def _row_types(metrics: tuple[str, ...]) -> RowTypes:
    tolerance = _extended(
        ToleranceRow, [(name, Decimal | None, None) for name in metrics]
    )
    own = ("tolerance", tolerance | None, None)
    return RowTypes(
        source=_extended(Source, [own]),
        reference=_extended(
            ReferenceRow, [*((name, _Digits | None, None) for name in metrics), own]
        ),
    )


def _extended(base: Any, fields: list[tuple[str, Any, None]]) -> Any:
    return msgspec.defstruct(
        base.__name__,
        fields,
        bases=(base,),
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


def _given(row: object) -> dict[str, Any]:
    """Give what a table says for each metric that it names."""
    found = {name: getattr(row, name, None) for name in METRICS}
    return {name: value for name, value in found.items() if value is not None}


def read_source(located: Located, name: str) -> Source:
    """Read a `[source.NAME]`.

    Raises:
        ExpectedError: a key is unknown, missing or of a wrong type.
    """
    if isinstance(located.value, dict):
        _load_metrics(located.value.get("tolerance"))
    row = convert(located, row_types().source, id=name)
    fields = {field: getattr(row, field) for field in Source.__struct_fields__}
    return Source(**fields | {"tolerance": _own_tolerance(row.tolerance)})


def _own_tolerance(row: Any) -> OwnTolerance | None:
    if row is None:
        return None
    values = {metric: Fraction(value) for metric, value in _given(row).items()}
    return OwnTolerance(reason=row.reason, values=values)


def read_references(
    located: Located, sources: Mapping[str, Source]
) -> Iterator[Reference]:
    """Yield one reference for each metric of a `[[reference]]`.

    Raises:
        ExpectedError: a key is unknown, missing, of a wrong type or out of range.
    """
    _load_metrics(located.value)
    for metric in METRICS:
        value = located.value.get(metric) if isinstance(located.value, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise located.error(
                f"{metric} = {shown(value)} must be a string with all its printed "
                'digits, such as "58.140": they say how precise it is'
            )
    row = convert(located, row_types().reference)
    source = sources.get(row.source)
    own = _own_tolerance(getattr(row, "tolerance", None))
    unit = row.unit or (source.unit if source else "percent")
    for name, text in _given(row).items():
        published, spread = _printed_number(located, METRICS[name], text, unit)
        tolerance, reason = _tolerance(name, own, source)
        yield Reference(
            metric=name,
            published=published,
            families=(row.family,) if isinstance(row.family, str) else row.family,
            checkpoint=row.checkpoint,
            dataset=row.dataset,
            protocol=row.protocol,
            source=row.source,
            note=row.note,
            tolerance=tolerance,
            tolerance_reason=reason,
            runs=row.runs or 1,
            spread=spread,
            spread_is=row.spread or "standard deviation",
            gflops=row.gflops,
            xfail=row.xfail or "",
            defined_in=located.definition,
        )


def _load_metrics(table: object) -> None:
    """Load the metrics of other packages that a table names, for them to be its keys.

    A key that is no metric is refused like any other that is unknown.
    """
    if isinstance(table, dict):
        known = (*row_types().reference.__struct_fields__, "reason")
        METRICS.load(key for key in table if key not in known)


def _tolerance(
    metric: str, own: OwnTolerance | None, source: Source | None
) -> tuple[Fraction | None, str]:
    """Choose the reference's tolerance of a metric before that of its source."""
    for tolerance in (own, source.tolerance if source else None):
        if tolerance and metric in tolerance.values:
            return tolerance.values[metric], tolerance.reason
    return None, ""


def _printed_number(
    located: Located, metric: Metric, text: str, unit: Shares
) -> tuple[Printed, Printed | None]:
    """Read a number and its spread, in the metric's unit; digits stay as printed."""
    match = PRINTED.fullmatch(text)
    if not match:
        raise located.error(
            f"{metric.name} = {shown(text)} is no number as it is printed, such as "
            "'58.140' or, as a mean of runs, '91.60 ± 0.12': digits, a point and at "
            "most 20 more digits"
        )
    number, spread = (in_unit(part, metric, unit) for part in match.groups("0"))
    if number.value > metric.unit.limit:
        limit, name = f"{metric.unit.limit}", metric.unit.name
        if is_fraction(metric, unit):
            limit, name = "1", "as a fraction"
        raise located.error(
            f"{metric.name} = {text!r} is out of range; it must be between 0 and "
            f"{limit} {name}"
        )
    return number, spread if match[2] else None


def is_fraction(metric: Metric, unit: Shares) -> bool:
    """Tell whether a metric is printed as a fraction of its whole."""
    return metric.unit.whole is not None and unit == "fraction"


def in_unit(digits: str, metric: Metric, unit: Shares) -> Printed:
    """Read a printed number in the metric's unit, every digit kept.

    The point of a fraction is moved: `0.6831` is 68.31 percent.
    """
    return printed(digits, 2 if is_fraction(metric, unit) else 0)
