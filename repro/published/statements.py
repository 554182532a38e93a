"""What a paper says about many checkpoints at once: `[[claim]]` (docs/claims.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Annotated, ClassVar

import msgspec

from repro.published.files import Located, convert, shown
from repro.published.metrics import METRICS
from repro.published.vocabulary import (
    Expectation,
    Name,
    NamedTable,
    Text,
    stated,
    training_images,
)

#: Families of which a source measured one, without saying which; usually just one.
FamilyChoice = tuple[str, ...]
Named = str | tuple[str, ...]


class Range(msgspec.Struct, frozen=True):
    """The checkpoints of a fit: `1M..4M` with all between them, or just `1M,4M`.

    `names` are in the order of their training images, and all are needed.
    """

    names: tuple[str, ...]
    is_open: bool

    def __str__(self) -> str:
        return (".." if self.is_open else ",").join(self.names)

    def __contains__(self, checkpoint: str) -> bool:
        if not self.is_open:
            return checkpoint in self.names
        images = training_images(checkpoint)
        low, high = (training_images(name) or 0 for name in self.names)
        return images is not None and low <= images <= high


class _Statement(NamedTable, frozen=True, kw_only=True):
    """What every claim has: it is about one dataset, with one protocol.

    `expected` is what is known to come out; anything but `holds` needs a `note`.
    """

    text: Text
    source: Name
    dataset: Name
    protocol: Name
    metric: str = "loss"
    expected: Expectation = "holds"
    note: str = ""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse a fit of anything but the loss, and a surprise without a reason."""
        super().__post_init__()
        if self.metric not in METRICS:
            raise ValueError(
                f"metric is {self.metric!r}; it must be one of {', '.join(METRICS)}"
            )
        if self.metric != "loss" and not isinstance(self, OrderingClaim):
            raise ValueError(
                f"metric is {self.metric!r}; a power law is fitted to loss"
            )
        if self.expected != "holds" and not self.note:
            raise ValueError(f"expected is {self.expected!r}; say why in a note")


class _OfOneFamily(_Statement, frozen=True, kw_only=True):
    """A claim about the checkpoints of one family."""

    family: Named

    def __post_init__(self) -> None:
        """Refuse a choice among no families."""
        super().__post_init__()
        _check_place(self.family)

    @property
    def place(self) -> FamilyChoice:
        """The family."""
        return _place(self.family)

    def places(self) -> Iterator[FamilyChoice]:
        """Yield the family, or the choice of families, that it speaks of."""
        yield self.place


class _OfSeveralFamilies(_Statement, frozen=True, kw_only=True):
    """A claim that ranks families."""

    order: Annotated[tuple[Named, ...], stated(minItems=2)]

    def __post_init__(self) -> None:
        """Refuse an order of one, and a choice among no families."""
        super().__post_init__()
        if len(self.order) < 2:
            raise ValueError("order ranks two families or more")
        for family in self.order:
            _check_place(family)

    def places(self) -> Iterator[FamilyChoice]:
        """Yield every family, or choice of families, that it speaks of."""
        yield from map(_place, self.order)


class ExponentClaim(_OfOneFamily, frozen=True, kw_only=True):
    """The loss of a family falls as N^-k with a published k.

    `exponent` and `uncertainty` (how exactly it could be read) keep their digits.
    Without `over` it is not known what the source fitted.
    """

    kind: ClassVar[str] = "exponent"
    exponent: str
    over: str = ""
    uncertainty: str = "0"

    def __post_init__(self) -> None:
        """Refuse numbers and ranges that are none."""
        super().__post_init__()
        _check_number("exponent", self.exponent)
        _check_number("uncertainty", self.uncertainty)
        if self.over:
            parse_range("over", self.over)

    @property
    def range(self) -> Range | None:
        """What the power law is fitted over; None if the source does not say."""
        return parse_range("over", self.over) if self.over else None


class SlopesClaim(_OfSeveralFamilies, frozen=True, kw_only=True):
    """The loss of one family falls more steeply than that of the next.

    `order` has the steepest first; `over` is a range for all or one for each.
    """

    kind: ClassVar[str] = "slopes"
    over: Named

    def __post_init__(self) -> None:
        """Refuse ranges that are none or do not belong to the order."""
        super().__post_init__()
        ranges = (self.over,) if isinstance(self.over, str) else self.over
        for text in ranges:
            parse_range("over", text)
        if not isinstance(self.over, str) and len(ranges) != len(self.order):
            raise ValueError(
                f"over has {len(ranges)} ranges for {len(self.order)} families; give "
                "one for all or one for each"
            )

    def ranked(self) -> list[tuple[FamilyChoice, Range]]:
        """List the families with what each is fitted over, the steepest first."""
        over = (
            [self.over] * len(self.order) if isinstance(self.over, str) else self.over
        )
        return [
            (_place(family), parse_range("over", text))
            for family, text in zip(self.order, over, strict=True)
        ]


class SaturationClaim(_OfOneFamily, frozen=True, kw_only=True):
    """The loss of a family falls less steeply over a later range than an earlier one.

    The exponent over `after` is less than `below` times that over `before`.
    """

    kind: ClassVar[str] = "saturation"
    before: str
    after: str
    below: Annotated[float, stated(exclusiveMinimum=0, maximum=1)] = 1.0

    def __post_init__(self) -> None:
        """Refuse ranges that are none and a factor that says nothing."""
        super().__post_init__()
        parse_range("before", self.before)
        parse_range("after", self.after)
        if not 0 < self.below <= 1:
            raise ValueError(f"below is {self.below}; it must be above 0, at most 1")

    @property
    def ranges(self) -> tuple[Range, Range]:
        """The earlier and the later range."""
        return parse_range("before", self.before), parse_range("after", self.after)


class OrderingClaim(_OfSeveralFamilies, frozen=True, kw_only=True):
    """Checkpoints are ranked: each is better than the next, by `metric`.

    `order` has the best family first. Each entry of `checkpoints` is one ranking: a
    name for all families, or one for each. With `ties`, as good as the next will do.
    """

    kind: ClassVar[str] = "ordering"
    metric: str
    checkpoints: Annotated[tuple[Named, ...], stated(minItems=1)]
    ties: bool = False

    def __post_init__(self) -> None:
        """Refuse rankings that do not belong to the order."""
        super().__post_init__()
        if not self.checkpoints:
            raise ValueError("checkpoints is empty; name at least one")
        for names in self.checkpoints:
            if not isinstance(names, str) and len(names) != len(self.order):
                raise ValueError(
                    f"checkpoints holds {list(names)} for {len(self.order)} families; "
                    "give one name for all or one for each"
                )

    def rankings(self) -> Iterator[list[tuple[FamilyChoice, str]]]:
        """Yield each ranking as families with the names of their checkpoints."""
        for names in self.checkpoints:
            each = [names] * len(self.order) if isinstance(names, str) else names
            yield list(zip(map(_place, self.order), each, strict=True))


#: A statement about several checkpoints, on one dataset with one protocol.
Claim = ExponentClaim | SlopesClaim | SaturationClaim | OrderingClaim

KINDS: Mapping[str, type[Claim]] = {
    kind.kind: kind
    for kind in (ExponentClaim, SlopesClaim, SaturationClaim, OrderingClaim)
}


def parse_range(key: str, text: str) -> Range:
    """Read a range such as `1M..4M`, or a list such as `1M,4M`.

    Raises:
        ValueError: it is neither; the message begins with `key`.
    """
    is_open = ".." in text
    names = tuple(text.split(".." if is_open else ","))
    sizes = [size for name in names if (size := training_images(name))]
    if len(sizes) < len(names) or len(names) < 2 or (is_open and len(names) > 2):
        raise ValueError(
            f"{key} is {text!r}; it must be checkpoints named by their training "
            "images, such as '1M..4M' or '1M,4M'"
        )
    if any(small >= large for small, large in pairwise(sizes)):
        raise ValueError(f"{key} is {text!r}; the smaller one comes first")
    return Range(names, is_open)


def convert_claim(located: Located) -> Claim:
    """Turn a `[[claim]]` into the struct of its kind.

    Raises:
        ExpectedError: its kind is unknown, or a key is unknown, missing or wrong.
    """
    if not isinstance(located.value, dict):
        raise located.error(f"must be a table, not {shown(located.value)}")
    table = dict(located.value)
    if "kind" not in table:
        raise located.error(f"the key 'kind' is missing; it is {_one_of(KINDS)}")
    kind = table.pop("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise located.error(f"kind is {shown(kind)}; it must be {_one_of(KINDS)}")
    return convert(located.holding(table), KINDS[kind])


def _check_place(named: Named) -> None:
    if not _place(named):
        raise ValueError("a list of families is empty; name at least one")


def _check_number(key: str, text: str) -> None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or number < 0:
        raise ValueError(f"{key} is {text!r}; it must be a number such as '0.196'")


def _place(named: Named) -> FamilyChoice:
    return (named,) if isinstance(named, str) else named


def _one_of(names: Mapping[str, object]) -> str:
    return ", ".join(map(repr, names))
