"""The metrics that are published: what each is, and how it is counted and compared.

A metric is one entry of `METRICS`; other packages add theirs as entry points of the
group `repro.metrics` (docs/extending.md). Whatever else there is to know about one (the
keys of the format, tolerance, interval, verdict, how reports print it) is looked up
here; no other module asks for a metric by its name to treat it in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from repro.errors import ExpectedError
from repro.extensions import Extensions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Share of the images that may be decided otherwise. The same weights on the same
#: images differ by rounding in arithmetic and decoding only, so it is counted in
#: images and not in sampling error: 25 of 50,000 is the largest shift among the 1,439
#: models that timm measured again on newer software between 2024-08 and 2025-10 with
#: the same preprocessing (results tables of huggingface/pytorch-image-models).
IMAGES = Fraction(25, 50_000)

#: Relative tolerance of a mean cross-entropy (docs/tolerances.md has the reasoning).
LOSS = Fraction(1, 1000)

#: Metrics of other packages. Ours are structs in `METRICS`: all of them are counted.
_ADDED = Extensions("repro.metrics", "metric", ExpectedError)

#: What a metric is the mean over: all images, or the means of the classes.
Over = Literal["images", "classes"]

#: How a part of the images bounds the value on all of them, where it does: as a share
#: of images, as the mean of shares of classes, or as the mean of what has no bounds.
Bound = Literal["share", "mean of shares", "mean"]


class Outcomes(Protocol):
    """What a model said of N images, from which metrics are counted.

    `labels` int64 `[N]`; `classes` int32 `[N, 5]`, the most likely first; `losses`
    float64 `[N]` in nats. `repro.evaluation.predictions` has them.
    """

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The right class of each image."""

    @property
    def classes(self) -> npt.NDArray[np.int32]:
        """The most likely classes of each image, best first."""

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """The cross-entropy of each image."""


Each = Callable[[Outcomes], "npt.NDArray[Any]"]


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric is measured in.

    `sign` stands after a value and `difference` after a difference; `limit` is the
    largest value that can be published; `whole` is all of what a share is a share of,
    None where values are no shares. Where nothing was published, values have
    `decimals`.
    """

    name: str
    sign: str
    difference: str
    limit: Decimal
    whole: int | None
    decimals: int

    @property
    def scale(self) -> int:
        """The value of a mean of 1."""
        return self.whole or 1


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """How far off an honest re-measurement may be.

    `share` is of the published value where that `is_relative`, else of the whole.
    """

    share: Fraction
    origin: str
    is_relative: bool = False


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One way to sum up what a model said of images.

    `name` is the key in the format and the word in reports; `label` and `title` are
    for people, and `phrase` begins a sentence about a value. `each` says what an image
    adds: booleans and integers are counted exactly, floats in float64. The metric is
    their mean `over` the images or the classes, and `bound` is how a part of the images
    bounds it (None: not at all). `complement_of` names the metric that
    this one is the rest of. An accuracy with `is_main` is shown where nothing was
    published, and drawn over the number of training images. `is_guarded` tells that it
    hangs on nothing but whether the label is the first class, whether it is among the
    first five, and the mean loss: what guarded precision has of every image.
    """

    name: str
    label: str
    title: str
    phrase: str
    unit: Unit
    is_higher_better: bool
    each: Each
    over: Over = "images"
    bound: Bound | None
    allowance: Allowance
    complement_of: str = ""
    is_main: bool = False
    is_guarded: bool = False


PERCENT = Unit(
    name="percent",
    sign="%",
    difference="points",
    limit=Decimal(100),
    whole=100,
    decimals=3,
)
NATS = Unit(
    name="nats",
    sign="nats",
    difference="nats",
    limit=Decimal(1000),
    whole=None,
    decimals=6,
)


def hits_within(places: int) -> Each:
    """Say of each image whether its class is among that many most likely ones."""

    def hits(outcomes: Outcomes) -> npt.NDArray[np.bool_]:
        found = outcomes.classes[:, :places] == outcomes.labels[:, None]
        hit: npt.NDArray[np.bool_] = found.any(axis=1)
        return hit

    return hits


def variant(
    metric: Metric,
    *,
    name: str,
    title: str,
    phrase: str,
    label: str = "",
    **others: Any,
) -> Metric:
    """Make another metric of one; what is not said stays, but it is no main one."""
    words = {"name": name, "title": title, "phrase": phrase, "label": label or title}
    others = {"is_guarded": False, **others}
    return msgspec.structs.replace(metric, **words, is_main=False, **others)


def complement(metric: Metric, *, name: str, title: str, phrase: str) -> Metric:
    """Make the metric that is the rest of a share of images, such as an error."""
    return variant(
        metric,
        name=name,
        title=title,
        phrase=phrase,
        is_higher_better=not metric.is_higher_better,
        each=lambda outcomes: ~metric.each(outcomes),
        complement_of=metric.name,
        is_guarded=metric.is_guarded,
    )


TOP1 = Metric(
    name="top1",
    label="top-1",
    title="top-1 accuracy",
    phrase="it scores",
    unit=PERCENT,
    is_higher_better=True,
    each=hits_within(1),
    bound="share",
    allowance=Allowance(share=IMAGES, origin="25 of 50,000 images"),
    is_main=True,
    is_guarded=True,
)
TOP5 = variant(
    TOP1,
    name="top5",
    label="top-5",
    title="top-5 accuracy",
    phrase="its top-5 is",
    each=hits_within(5),
    is_guarded=True,
)
LOSS_METRIC = Metric(
    name="loss",
    label="loss",
    title="loss",
    phrase="its loss is",
    unit=NATS,
    is_higher_better=False,
    each=lambda outcomes: outcomes.losses,
    bound="mean",
    allowance=Allowance(share=LOSS, origin="0.1 %", is_relative=True),
    is_main=True,
    is_guarded=True,
)
#: open_clip's CLIP_benchmark calls it so (sklearn's `balanced_accuracy_score`): the
#: accuracy of each class, and of these the mean, whatever the sizes of the classes.
MEAN_PER_CLASS = variant(
    TOP1,
    name="mean_per_class_recall",
    title="mean per-class recall",
    phrase="its mean per-class recall is",
    over="classes",
    bound="mean of shares",
    allowance=Allowance(share=IMAGES, origin="25 of 50,000 images of each class"),
    is_guarded=True,
)

ERROR = complement(TOP1, name="error", title="top-1 error", phrase="its top-1 error is")
ERROR5 = complement(
    TOP5, name="error5", title="top-5 error", phrase="its top-5 error is"
)


class MetricTable(dict[str, Metric]):
    """Metrics by name: the built-in ones, and of other packages those asked for.

    What is installed is looked for when a name that is not built in is asked for, so
    that nothing of it is imported until a file of published numbers has the key.
    """

    def __missing__(self, name: str) -> Metric:
        """Load the metric of another package.

        Raises:
            KeyError: none is installed.
            ExpectedError: it cannot be imported, or is something else.
        """
        if _ADDED.find(name) is None:
            raise KeyError(name)
        found: Metric = _ADDED.load(name, Metric)
        if found.name != name:
            raise ExpectedError(
                f"the metric {name!r} of another package has the name {found.name!r}; "
                "mend its package"
            )
        self[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or _ADDED.find(str(name)) is not None

    def load(self, names: Iterable[str] | None = None) -> None:
        """Load those of other packages among some names, or all, so as to list them."""
        for name in _ADDED.names() if names is None else names:
            if name not in self.keys() and _ADDED.find(name) is not None:
                self.__missing__(name)


METRICS = MetricTable(
    (metric.name, metric)
    for metric in (TOP1, TOP5, LOSS_METRIC, ERROR, ERROR5, MEAN_PER_CLASS)
)


def main_metrics() -> list[Metric]:
    """List the metrics that are shown where nothing was published."""
    return [metric for metric in METRICS.values() if metric.is_main]
