"""The suspects: lines of suspects.toml, and what other packages add to them.

Another package adds some as an entry point of the group `repro.suspects`: a function
that gives topics, as ours does (docs/extending.md). Two suspects at once are one more,
where neither alone explains what was measured; no torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Literal, get_args

import msgspec

from repro.diagnosis.findings import AND, Trial
from repro.diagnosis.setup import Facts, Setup, Variation, vary
from repro.errors import ReproError
from repro.extensions import Extensions
from repro.words import counted, joined_numbers

SUSPECTS = Extensions(
    "repro.suspects",
    "group of suspects",
    ReproError,
    {"repro": "repro.diagnosis.suspects:own_topics"},
)


#: Of which kind a cause can be.
KindName = Literal["pixels", "text", "labels", "weights", "arithmetic", "bookkeeping"]
KINDS: tuple[KindName, ...] = get_args(KindName)


class Suspect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that may have been done otherwise when a number was published.

    `name` completes "evaluated with ..."; `source` says where its values come from.
    What no variation can say, `change` makes of how a case is evaluated; it gives None
    where that does not apply.
    """

    name: str
    variation: Variation = Variation()
    source: str = ""
    change: Callable[[Setup, Facts], Setup | None] | None = None

    def of_setup(self, setup: Setup, facts: Facts) -> Setup | None:
        """Say how a case is evaluated by it; None where it is what is done anyway."""
        if self.change is None:
            return vary(setup, self.variation, facts)
        changed = self.change(setup, facts)
        return None if changed == setup else changed


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Suspects of one kind, and what is said where one of them is the cause.

    A published number was measured with the `cause`, which is corrected in the `place`;
    `instead` says how a setup has it, empty where only a model can tell; `kind` is of
    which kind such a cause is.
    """

    name: str
    cause: str
    place: str
    suspects: tuple[Suspect, ...]
    instead: str = ""
    kind: KindName | Literal[""] = ""

    def of_setup(self, setup: Setup) -> str:
        """Say how a setup has it."""
        protocol, text = setup.protocol, setup.protocol.text
        return self.instead.format(
            mean=joined_numbers(protocol.mean),
            std=joined_numbers(protocol.std),
            geometry=protocol.geometry,
            templates=_counted(text.templates) if text else "",
            logit_scale=protocol.logit_scale,
            weights_key=setup.model.weights_key,
            precision=setup.precision,
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topic: tuple[Topic, ...]


def own_topics() -> tuple[Topic, ...]:
    """Read the topics of suspects.toml."""
    text = Path(__file__).with_suffix(".toml").read_bytes()
    return msgspec.toml.decode(text, type=_File).topic


@cache
def read_topics() -> dict[str, Topic]:
    """Give all topics with their suspects, by name.

    Suspects of a topic that is there already stand behind its own, in its words.

    Raises:
        ReproError: those of another package cannot be imported.
    """
    topics: dict[str, Topic] = {}
    for name in SUSPECTS.names():
        read: Callable[[], Iterable[Topic]] = SUSPECTS.load(name)
        for topic in read():
            known = topics.setdefault(topic.name, topic)
            if known is not topic:
                suspects = known.suspects + topic.suspects
                topics[topic.name] = msgspec.structs.replace(known, suspects=suspects)
    return topics


def ways_of(
    setup: Setup, facts: Facts, topics: Iterable[Topic] = ()
) -> list[tuple[Topic, Suspect, Setup]]:
    """List what applies to a case, each way of evaluating it once.

    Args:
        setup: how it is evaluated.
        facts: what is known of it.
        topics: the suspects; all of them where none are given.
    """
    found: list[tuple[Topic, Suspect, Setup]] = []
    seen: list[Setup] = []
    for topic in topics or read_topics().values():
        for suspect in topic.suspects:
            changed = suspect.of_setup(setup, facts)
            if changed is not None and changed not in seen:
                seen.append(changed)
                found.append((topic, suspect, changed))
    return found


def joined(first: Topic, second: Topic) -> Topic:
    """Give the topic of two things done otherwise at once."""
    return Topic(
        name=f"{first.name}{AND}{second.name}",
        cause=f"{first.cause} and {second.cause}",
        place=f"{first.place}, and {second.place}",
        suspects=(),
        instead=" and ".join(filter(None, (first.instead, second.instead))),
    )


def topic_named(name: str) -> Topic:
    """Give a topic by its name, or that of two at once."""
    topics = read_topics()
    if name in topics:
        return topics[name]
    return reduce(joined, (topics[part] for part in name.split(AND)))


def _counted(templates: tuple[str, ...] | str) -> str:
    if isinstance(templates, str):
        return templates
    return counted(len(templates), "template")


#: So many pairs are tried, of those that would come nearest if effects added up.
PAIRS = 24

#: What moves every number by less of its gap is not needed beside anything.
NEEDED = 0.02

#: How far two effects together may be from their sum, as a share of their geometric
#: mean.
INTERACTION = 0.3

Way = tuple[Topic, Suspect, Setup]


def likely_pairs(trials: Sequence[Trial], ways: Iterable[Way]) -> list[tuple[Way, Way]]:
    """List the pairs of suspects that would come nearest to what was published.

    Args:
        trials: of suspects that were tried alone.
        ways: how a case is evaluated by each of these.
    """
    tried = {trial.suspect: trial for trial in trials if _may_be_needed(trial)}
    known = [way for way in ways if way[1].name in tried]
    pairs = [
        (first, second)
        for first, second in itertools.combinations(known, 2)
        if first[0].name != second[0].name
    ]
    pairs.sort(key=lambda p: -_log_density(*(tried[way[1].name] for way in p)))
    return pairs[:PAIRS]


def both(first: Way, second: Way, facts: Facts) -> Way | None:
    """Do two things otherwise at once; None where one of them rules out the other."""
    topic, suspect, setup = first
    other_topic, other, alone = second
    together = other.of_setup(setup, facts)
    if together is None or together in (setup, alone):
        return None
    name = f"{suspect.name} and {other.name}"
    return (
        joined(topic, other_topic),
        msgspec.structs.replace(suspect, name=name),
        together,
    )


def _may_be_needed(trial: Trial) -> bool:
    """Tell whether a trial moves one of the numbers by a part of its gap."""
    return any(
        abs(number.move) > max(NEEDED * abs(number.gap), number.half_unit)
        for number in trial.restored
    )


def _log_density(one: Trial, other: Trial) -> float:
    """Give the log density of the published numbers around the sum of two effects."""
    density = 0.0
    for first, second in zip(one.restored, other.restored, strict=True):
        together = INTERACTION * math.sqrt(abs(first.move * second.move))
        spread = math.hypot(first.error, second.error, together, first.half_unit)
        left = first.gap - (first.move + second.move)
        density -= (left / spread) ** 2 / 2 + math.log(spread)
    return density
