"""What differs between two measurements of a case, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from repro.judgement.compare import (
    CaseDifference,
    Change,
    Flips,
    ImageChanges,
    ImageGroup,
    Since,
)
from repro.judgement.verdict import Verdict
from repro.records.comparison import RunComparison
from repro.records.past import Past, red_since
from repro.records.result import CaseResult
from repro.report.texts import told_apart
from repro.words import counted, listed

#: What is a digest, and how many digits of it people are shown.
_DIGITS = {"weights": 8, "commit": 10}
#: Of a label; where cases have more of them, each has its own.
_TEXTS = 4
#: Verbs of one and of several.
_HAVE, _ARE, _WERE = ("has", "have"), ("is", "are"), ("was", "were")
_NOTHING = "nothing else that is recorded differs, so nothing recorded explains this"


def heading(since: Since) -> str:
    """Say since when something has changed."""
    which = "which evaluated all images"
    if since.verdict is Verdict.REPRODUCED:
        which = "where it was met"
    elif since.verdict is Verdict.EXPECTED_DIVERGENCE:
        which = "where it diverged as expected"
    return f"Since run {since.run}, {which}"


def change_parts(found: CaseDifference) -> Iterator[tuple[str, str]]:
    """Yield what differs, each with a label: first what may be the cause, then more.

    What is unknown is said as such and never as 0.
    """
    for change in found.published:
        yield "published", f"{change_text(change)} (edited since)"
    if found.weights:
        yield "weights", _values(found.weights)
    if found.images:
        yield from _images(found.images)
    for change in found.others:
        yield change.name, _values(change)
    if found.is_of_a_part:
        numbers = (f"{m.images:,}" for m in (found.before, found.after))
        yield "images evaluated", " → ".join(numbers)
    if found.environment:
        yield "environment", environment_text(found.environment)
    if found.is_unexplained and not found.unknown:
        yield "unexplained", _NOTHING
    yield "measured", measured_text(found)
    if found.flips:
        label = "the others" if found.images else "verdicts"
        yield label, flips_text(found.flips)
    for text in found.unknown:
        yield "unknown", text


def grouped_changes(
    differences: Iterable[CaseDifference],
) -> dict[tuple[str, str], list[str]]:
    """Give what differs in several cases, each part once with its cases.

    Of what is said otherwise of each of many cases the first is said for all.
    """
    found: dict[str, dict[str, list[str]]] = {"published": {}}
    for difference in differences:
        for label, text in change_parts(difference):
            said = found.setdefault(label, {}).setdefault(text, [])
            said.append(difference.case)
    return {
        (label, text): cases
        for label, texts in found.items()
        for text, cases in _first_of_many(texts).items()
    }


def _first_of_many(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    if len(texts) <= _TEXTS:
        return texts
    every = [case for cases in texts.values() for case in cases]
    (text, cases), *_ = texts.items()
    more = counted(len(every) - len(cases), "other")
    return {f"{text} in {listed(cases, 1)}, otherwise in {more}": every}


def baseline_groups(
    found: RunComparison, told: Sequence[str] = ()
) -> dict[tuple[str, str], list[str]]:
    """Give what differs between two runs, the environment aside, as `grouped_changes`.

    Cases of which something is unknown come after those that changed; what only those
    have is left out of which it is `told` elsewhere.
    """
    changed = [case for case in found.differences if not case.is_same]
    unknown = [case for case in found.differences if case.unknown and case.is_same]
    return {
        part: cases
        for part, cases in grouped_changes([*changed, *unknown]).items()
        if part[0] != "environment" and cases != list(told)
    }


def baseline_title(results: Iterable[CaseResult], run: int) -> str:
    """Say since when something has changed, and of red cases what that run found."""
    red = [r.since for r in results if r.since and r.verdict.is_failure]
    titles = {heading(since) for since in red if since.run == run}
    return titles.pop() if len(titles) == 1 else f"Since run {run}"


def since_groups(
    results: Iterable[CaseResult], least: int = 1, told: int | None = None
) -> Iterator[tuple[str, dict[tuple[str, str], list[str]]]]:
    """Yield what has changed since each run in which failing cases were as expected.

    Each part has the cases that it is said of; none where the title names them. What
    fewer than `least` cases have is left out, and what differs from the run `told`, of
    which more is said elsewhere.
    """
    found: dict[str, list[CaseDifference]] = {}
    for result in results:
        if not result.since or result.since.run == told:
            continue
        if result.verdict.is_failure:
            differences = found.setdefault(heading(result.since), [])
            differences.append(result.since.difference)
    for title, differences in found.items():
        every = grouped_changes(differences)
        parts = {part: named for part, named in every.items() if len(named) >= least}
        if parts:
            yield named_once(title, parts)


def named_once(
    title: str, parts: dict[tuple[str, str], list[str]]
) -> tuple[str, dict[tuple[str, str], list[str]]]:
    """Name the cases in the title where they are the same in each part."""
    cases, *others = parts.values()
    if any(set(named) != set(cases) for named in others):
        return title, parts
    return f"{title}: {listed(cases)}", {part: [] for part in parts}


def since_sentence(since: Since) -> str:
    """Say in one line what has changed on a part of the images."""
    top1 = since.difference.before.percent("top1")
    return f"{decided_text(since)}, which measured {top1:.3f} % on all images"


def decided_text(since: Since) -> str:
    """Say how images are decided beside an earlier run, in words that cases share."""
    found, when = since.difference, f"run {since.run}"
    if found.flips is None:
        said = f"which images were decided otherwise in {when} is unknown"
    else:
        said = flips_text(found.flips, when)
    if found.images:
        said += " where they are the same as then"
    if found.weights:
        said += f", with other weights ({_values(found.weights)})"
    return said


def change_text(change: Change) -> str:
    """Write a change as `name before → after`."""
    return f"{change.name} {_values(change)}"


def environment_text(changes: Sequence[Change]) -> str:
    """Write what differs between two environments."""
    return ", ".join(map(change_text, changes))


def measured_text(found: CaseDifference) -> str:
    """Write what was measured before and after."""
    if found.is_of_a_part:
        parts = (
            f"{one.percent('top1'):.3f} on {counted(one.images, 'image')}"
            for one in (found.before, found.after)
        )
        return f"top1 {' → '.join(parts)}"
    if found.measured_same:
        return f"the same as then: top1 {found.after.percent('top1'):.3f}"
    pairs = [
        (name, found.before.percent(name), found.after.percent(name), 3)
        for name in ("top1", "top5")
    ]
    texts = [
        f"{metric} {' → '.join(told_apart(before, after, digits))}"
        for metric, before, after, digits in (
            *pairs,
            ("loss", found.before.loss, found.after.loss, 6),
        )
        if before != after
    ]
    return ", ".join(texts) or "the same numbers by other images"


def flips_text(flips: Flips, when: str = "") -> str:
    """Write how many of some images became right and wrong, since then or a run."""
    if not flips.images:
        return f"no image was also evaluated {f'in {when}' if when else 'then'}"
    images = counted(flips.images, "image")
    if not flips.any:
        which = "the image is" if flips.images == 1 else f"all {images} are"
        return f"{which} decided as {f'in {when}' if when else 'then'}"
    return (
        f"of {images}, {flips.gained:,} became right and {flips.lost:,} wrong"
        f"{f' since {when}' if when else ''} (McNemar p = {flips.p:.2g})"
    )


def _images(found: ImageChanges) -> Iterator[tuple[str, str]]:
    total = f"of {counted(found.before, 'image')}"
    if found.before != found.after:
        total = f"of {counted(found.before, 'image')} then and {found.after:,} now"
    for group, label, verbs, said in (
        (found.changed, "replaced", _HAVE, "other bytes under the same name"),
        (found.relabelled, "relabelled", _HAVE, "another label"),
        (found.missing, "missing", _ARE, "missing"),
        (found.new, "new", _ARE, "new"),
    ):
        if group.images:
            which = f"{group.images:,} {total} {_verb(group.images, verbs)}"
            yield "images", f"{which} {said}: {_names(group)}"
            yield label, _verdicts(group)


def _verb(number: int, verbs: tuple[str, str]) -> str:
    return verbs[number != 1]


def _names(group: ImageGroup) -> str:
    more = group.images - len(group.names)
    return ", ".join(group.names) + (f" and {more:,} more" if more else "")


def _verdicts(group: ImageGroup) -> str:
    """Say how images that differ were decided."""
    if group.evaluated is None:
        return "how many were right is unknown"
    if not group.evaluated:
        return "none was evaluated"
    said = [
        f"{right:,} {_verb(right, verbs)} right {when}"
        for right, verbs, when in (
            (group.right_before, _WERE, "then"),
            (group.right_after, _ARE, "now"),
        )
        if right is not None
    ]
    moved = ""
    if group.gained is not None and group.lost is not None:
        moved = f": {group.gained:,} became right and {group.lost:,} wrong"
    return f"of {group.evaluated:,} evaluated, {', '.join(said)}{moved}"


def _values(change: Change) -> str:
    digits = _DIGITS.get(change.name)
    before, after = (
        "none" if value is None else value[:digits]
        for value in (change.before, change.after)
    )
    return f"{before} → {after}"


def red_since_text(past: Sequence[Past]) -> str:
    """Say since when a case is red, of those runs that are known; empty if it is not.

    It is empty too where there is only one run, which says nothing of others.
    """
    first = red_since(past)
    if first is None or len(past) == 1:
        return ""
    if first is past[0]:
        return f"in all {len(past):,} runs"
    return f"since run {first.run}, {first.started.astimezone():%Y-%m-%d}"


def causes_then(since: Since | None) -> list[tuple[str, str]]:
    """List what differed in another run, without what was measured then."""
    if since is None:
        return []
    said = ("measured", "the others", "verdicts", "unexplained")
    return [part for part in change_parts(since.difference) if part[0] not in said]
