"""What the headings and the names of a table mean to a release.

A label names a checkpoint, family, dataset, protocol or metric; or it is a heading
that says what the names below it are. What is not known has to be said by whoever
imports the table: nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from repro.errors import ExpectedError, OptionError
from repro.published import METRICS, Release, split_weights_name

Dimension = Literal["checkpoint", "family", "dataset", "protocol", "metric"]
DIMENSIONS: tuple[Dimension, ...] = (
    "checkpoint",
    "family",
    "dataset",
    "protocol",
    "metric",
)
#: How metrics are headed, as `simplified` spells it, beside their own names.
_METRICS = {
    "top1": "top1acc top1accuracy acc acc1 accuracy prec1 precision1 testacc "
    "testaccuracy valacc valaccuracy validationaccuracy classificationaccuracy",
    "top5": "top5acc top5accuracy acc5 accuracy5 prec5 precision5",
    "error": "err err1 error1 top1err testerr testerror valerror validationerror "
    "errorrate testerrorrate top1errorrate",
    "error5": "err5 top5err top5errorrate",
    "loss": "valloss testloss validationloss crossentropy crossentropyloss nll",
    "mean_per_class_recall": "meanperclass meanperclassacc meanperclassaccuracy "
    "meanclassaccuracy balancedaccuracy mpca",
}
#: What stands between the parts of a heading of several metrics: `Top-1 (Top-5) error`.
_BETWEEN = re.compile(r"[/|()]|(?<=\d)\s+(?=[A-Za-z])")
#: Marks of footnotes and citations behind a name: `^a`, `^1,2`, `[12]`, `[^a]`, `†`.
#: What is raised and longer, such as `^22k`, is a part of it.
_SIGN = r"(?:[a-z]|[0-9]{1,2}|[*†‡§¶\u204e\u2217⋆★]{1,3})"
# Bounded: what is read may be long, and all marks.
_MARKS = re.compile(
    rf"(?: ?(?:\^ ?\(?{_SIGN}(?:, ?{_SIGN}){{0,4}}\)?(?!\w)|\[\^\w{{1,20}}\]|\[[a-z]\]"
    r"|\[[0-9]{1,3}(?: ?[,;\u2013-] ?[0-9]{1,3}){0,9}\]"
    r"|[*†‡§¶\u204e\u2217⋆★¹²³⁰⁴-⁹ᵃ-ᶻ])){1,5}$"
)
#: Headings of columns that hold names.
_HEADINGS = {
    "checkpoint": "checkpoint checkpoints model models name network weights",
    "family": "family families",
    "dataset": "dataset datasets testset",
    "protocol": "protocol protocols",
}
#: Headings of what no case is about.
_LEFT_OUT = (
    "layers depth "  # of a network
    "params param parameters #params paramsm flops flopsg gflops macs gmacs madds "
    "maddsm mmadds"
)


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What a label says: values, what the names below it are, or that it is left out.

    `names` is the dimension that the cells of its column name; `metrics` are those of a
    column whose cells hold several numbers, in their order.
    """

    values: Mapping[Dimension, str] = {}
    names: Dimension | None = None
    is_left_out: bool = False
    metrics: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.metrics:
            return " and ".join(self.metrics)
        if self.is_left_out:
            return "left out"
        if self.names:
            return f"names the {self.names}"
        return ", ".join(
            value if dimension == "metric" else f"{dimension} {value}"
            for dimension, value in self.values.items()
        )


class Labels:
    """The meanings of labels: those that were said, and those that a release knows."""

    def __init__(self, release: Release, said: Iterable[str]) -> None:
        self._said = dict(map(_read_meaning, said))
        self._unused = set(self._said)
        self._known: dict[str, list[Meaning]] = {}
        for text, meaning in _known_meanings(release):
            found = self._known.setdefault(simplified(text), [])
            if meaning not in found:
                found.append(meaning)

    def meaning(self, *texts: str, of: Dimension | None = None) -> Meaning | None:
        """Look a label up; None where nobody said what it means.

        Args:
            texts: the label, and other ways to name its place, such as `column 3`.
            of: the only dimension that it can be of.

        Raises:
            ExpectedError: it means several things.
        """
        bare = unmarked(texts[0])
        for text in (*texts, bare):
            if text in self._said:
                self._unused.discard(text)
                return self._said[text]
        # What looks like a footnote may be a part of the name.
        known: list[Meaning] = []
        for spelling in (simplified(texts[0]), simplified(bare)):
            for meaning in self._known.get(spelling, []):
                is_right = of is None or set(meaning.values) == {of}
                if is_right and meaning not in known:
                    known.append(meaning)
        if len(known) > 1:
            raise ExpectedError(
                f"{texts[0][:60]!r} could be {' or '.join(map(str, known[:4]))}; say "
                f"which with --as '{texts[0][:60]}={_spelt(known[0])}'"
            )
        if not known and of is None and (metrics := several_metrics(bare)):
            return Meaning(metrics=metrics)
        return known[0] if known else None

    def says(self, dimension: Dimension, value: str) -> bool:
        """Whether somebody said of a label that it is of this value."""
        return any(m.values.get(dimension) == value for m in self._said.values())

    def refuse_unused(self, labels: Iterable[str]) -> None:
        """Refuse meanings of labels that the table does not have.

        Raises:
            OptionError: there is one.
        """
        for text in sorted(self._unused):
            there = ", ".join(dict.fromkeys(label for label in labels if label))
            raise OptionError(
                f"--as {text[:60]!r}: the table has no such label; it has {there[:300]}"
            )


def simplified(text: str) -> str:
    """Spell a label so that case, blanks, signs and units do not matter."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = re.sub(r"\([^()]*[%↑↓][^()]*\)|\((?:in )?percent\)", "", plain)
    return re.sub(r"[^\w+.]|_|(?<!\d)\.|\.(?!\d)", "", plain)


def unmarked(text: str) -> str:
    """Take the marks of footnotes and citations off a label."""
    return _MARKS.sub("", text) or text


def metric_named(text: str) -> str | None:
    """Find the metric that a heading names; None where none is known by it."""
    wanted = simplified(text)
    found = (name for word, name in _metric_words() if simplified(word) == wanted)
    return next(found, None)


def several_metrics(text: str) -> tuple[str, ...]:
    """Find the metrics of a heading such as `Top-1 / Top-5`; none of any other.

    What is written once counts for all: `Error (top-1/top-5)`, `Acc@1/5`.
    """
    plain = re.sub(r"\([^()\w]*%[^()\w]*\)|[%↑↓]", "", text)
    parts = [part.strip() for part in _BETWEEN.split(plain) if part.strip()]
    first = re.sub(r"\d+$", "", "".join(parts[:1]))
    parts = [f"{first}{part}" if part.isdigit() else part for part in parts]
    # The last part or the first may be said of all others. That is tried before each
    # by itself: `Top-1 / Top-5 error` has two numbers, and both are errors.
    for own, shared in ((parts[:-1], parts[-1:]), (parts[1:], parts[:1]), (parts, [])):
        found = [metric_named(" ".join([part, *shared])) for part in own]
        known = tuple(dict.fromkeys(metric for metric in found if metric))
        if len(known) == len(found) > 1:
            return known
    return ()


def _metric_words() -> Iterator[tuple[str, str]]:
    for metric in METRICS.values():
        words = (metric.name, metric.label, metric.title)
        for word in (*words, *_METRICS.get(metric.name, "").split()):
            yield word, metric.name


def _known_meanings(release: Release) -> Iterator[tuple[str, Meaning]]:
    for dimension, headings in _HEADINGS.items():
        for heading in headings.split():
            yield heading, msgspec.convert({"names": dimension}, Meaning)
    for heading in _LEFT_OUT.split():
        yield heading, Meaning(is_left_out=True)
    for word, metric in _metric_words():
        yield word, Meaning(values={"metric": metric})
    for name, dataset in release.datasets.items():
        for word in (name, dataset.title, dataset.title.partition("(")[0]):
            yield word, Meaning(values={"dataset": name})
    for name in release.families:
        for word in (name, name.rpartition("/")[2]):
            yield word, Meaning(values={"family": name})
    for name in release.protocols:
        yield name, Meaning(values={"protocol": name})
    checkpoints = [reference.checkpoint for reference in release.references]
    for family in release.families.values():
        checkpoints += [
            *family.models,
            *(split_weights_name(file)[0] for file in family.files),
        ]
    for name in dict.fromkeys(checkpoints):
        yield name, Meaning(values={"checkpoint": name})


def _read_meaning(said: str) -> tuple[str, Meaning]:
    """Read `LABEL=WHAT`: a dimension, a metric, `skip`, or values `DIMENSION:VALUE`."""
    label, sign, what = said.rpartition("=")
    label, what = " ".join(label.split()), what.strip()
    if not sign or not label or not what:
        raise OptionError(
            f"--as {said[:60]!r} must be LABEL=WHAT, such as 'Model=checkpoint', "
            "'IN-A=dataset:imagenet-a', 'Acc.=top1', 'Acc.=top1/top5' or 'Year=skip'"
        )
    if what == "skip":
        return label, Meaning(is_left_out=True)
    if what in DIMENSIONS and what != "metric":
        return label, msgspec.convert({"names": what}, Meaning)
    metrics = tuple(part.strip() for part in what.split("/"))
    if len(metrics) > 1 and all(metric in METRICS for metric in metrics):
        return label, Meaning(metrics=metrics)
    values: dict[Dimension, str] = {}
    for part in what.split(","):
        values |= _read_value(said, part.strip())
    return label, Meaning(values=values)


def _read_value(said: str, part: str) -> dict[Dimension, str]:
    if part in METRICS:
        return {"metric": part}
    name, sign, value = part.partition(":")
    for dimension in DIMENSIONS:
        if dimension == name and sign and value:
            return {dimension: value}
    raise OptionError(
        f"--as {said[:60]!r}: {part[:60]!r} is neither 'skip' nor a metric "
        f"({', '.join(METRICS)}) nor one of {', '.join(DIMENSIONS[:-1])}, alone or "
        "with ':' and a name"
    )


def _spelt(meaning: Meaning) -> str:
    if meaning.is_left_out:
        return "skip"
    if meaning.names:
        return meaning.names
    pairs: Sequence[tuple[str, str]] = list(meaning.values.items())
    return ",".join(
        value if name == "metric" else f"{name}:{value}" for name, value in pairs
    )
