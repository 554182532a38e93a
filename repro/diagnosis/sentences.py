"""What a diagnosis says to people."""

from __future__ import annotations

from collections.abc import Sequence

from repro.diagnosis.accounts import Account
from repro.diagnosis.findings import EXPLAINED, Diagnosis, Outcome, Restored, Trial
from repro.diagnosis.kinds import Kind
from repro.diagnosis.suspects import topic_named
from repro.diagnosis.trials import SINGLED_OUT, coincidences, shares_of
from repro.published import METRICS

#: Log likelihoods that differ by less do not tell two explanations apart.
CLOSE = 3.0

#: Suspects that are named with what they give; the JSON report has all of them.
SHOWN = 5

#: Fewer coincidences than so many are not spoken of.
WORTH_SAYING = 0.001

#: Standard error of what is called closer, as a share of the gap.
MOST_ERROR = 0.5

#: How an outcome is announced.
CALLED: dict[Outcome, str] = {
    "clerical": "likely cause",
    "restored": "likely cause",
    "likely": "likely cause",
    "unsettled": "cause not settled",
    "unexplained": "no cause found",
    "not needed": "diagnosis",
}

#: What to do about a slip, by what is probably another case's.
_OF_SLIPS = {
    "number": (
        "Compare it with the source. If it was copied wrongly from there, correct the "
        "reference; if the source has it so, declare it with xfail beside the reference"
    ),
    "weights": (
        "Put this checkpoint's own weights file there (repro verify compares files "
        "with their recorded sums)"
    ),
    "either": (
        "Compare the weights file with that of the source (repro verify): if it is "
        "another checkpoint's, put the right one there. Else compare the numbers with "
        "the source, and correct the reference"
    ),
}


def of_kind(kind: Kind, trials: Sequence[Trial]) -> str:
    """Say of which kind a cause is that none of the trials is known to be."""
    named = kind.name
    if len(kind.shares) > 1:
        each = kind.shares.items()
        named = " or ".join(f"{name} ({100 * share:.0f} %)" for name, share in each)
    return (
        f"None of the {len(trials):,} variations that were tried is known to explain "
        f"it, but it is probably a matter of {named}: {kind.because}."
    )


def sentence(outcome: Outcome, trials: Sequence[Trial]) -> str:
    """Say in one sentence what explains a divergence, or that nothing does.

    Args:
        outcome: of the diagnosis.
        trials: what was tried, the best explanation first.
    """
    best = trials[0] if trials else None
    if outcome == "not needed":
        return (
            "Measured as the protocol says, it agrees with the published numbers: "
            "there is nothing to explain."
        )
    if best is None:
        return "Nothing could be tried that would explain it."
    tried = f"the {len(trials):,} variations that were tried"
    if outcome == "unexplained":
        none = f"None of {tried} explains it"
        alone = (trial for trial in trials if not trial.is_pair)
        closer = next((trial for trial in alone if _is_closer(trial)), None)
        if closer is None:
            return f"{none}, and none comes closer to it than the protocol itself."
        return f"{none}; closest is {closer.suspect}, with which {_scores(closer)}."
    if outcome == "unsettled":
        return _unsettled(trials, tried)
    return _explained(outcome, best, trials[1:])


def advice(outcome: Outcome, best: Trial | None, *, is_limited: bool = False) -> str:
    """Say what to do about it; `is_limited` tells that `--repro-limit` is set."""
    if outcome == "not needed":
        return ""
    if outcome == "unsettled" and best and best.outcome == "restored":
        return (
            "Ask the source whether it was measured like that, and for more digits or "
            "the loss: these would tell"
        )
    if outcome == "unsettled":
        more = " and without --repro-limit" if is_limited else ""
        return (
            "Look at more images, with a larger --repro-diagnose-share, or "
            f"--repro-diagnose-time where these are few{more}"
        )
    if outcome not in EXPLAINED or best is None:
        return (
            "Compare weights and images with those of the source (repro verify, repro "
            "dataset check), and ask it how the number was measured. A known "
            "divergence is declared with xfail beside the reference"
        )
    return (
        "Ask the source whether it was measured like that. If so, correct "
        f"{topic_named(best.topic).place}; if the protocol is right, the published "
        "number is wrong: declare it with xfail beside the reference"
    )


def clerical(account: Account, images: int) -> Diagnosis:
    """Say what was written down wrongly, of a dataset of that many images."""
    return Diagnosis(
        outcome="clerical",
        sentence=f"It is probably a slip, {account.name}: {account.premise}.",
        advice=_OF_SLIPS[account.wrong],
        cause=account.name,
        topic="bookkeeping",
        evidence=(
            f"of all such slips that were looked at, {account.fit:.1g} would fit by "
            "chance; no image was evaluated again"
        ),
        total=images,
    )


def rounding(images: int, hints: tuple[str, ...]) -> Diagnosis:
    """Say that another machine may have decided a few of that many images otherwise."""
    return Diagnosis(
        outcome="unexplained",
        sentence=(
            "The loss is met to its last digit, and the few images between two classes "
            "that are all but equally likely would give the other numbers: another "
            "machine may have rounded otherwise, so no image was evaluated again."
        ),
        advice=(
            "Ask the source on what it was measured; what its rounding may do is "
            "allowed with a tolerance and its reason beside the reference"
        ),
        hints=hints,
        total=images,
    )


def diagnosis_parts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Give labels with texts: the cause, how sure it is, what was tried, what to do."""
    parts = [(CALLED[diagnosis.outcome], diagnosis.sentence)]
    if diagnosis.evidence:
        parts.append(("how sure", diagnosis.evidence))
    parts += [("at first sight", hint) for hint in diagnosis.hints]
    if diagnosis.trials and diagnosis.is_needed:
        parts.append(("tried", _tried(diagnosis)))
    if diagnosis.untried:
        failed = (f"{name} ({why})" for name, why in diagnosis.untried.items())
        parts.append(("not tried", "; ".join(failed)))
    if diagnosis.advice:
        parts.append(("what to do", diagnosis.advice))
    return parts


def diagnosis_lines(diagnosis: Diagnosis, indent: str = "") -> list[str]:
    """Write the parts below each other, a line each."""
    parts = diagnosis_parts(diagnosis)
    width = 2 + max(len(label) for label, _ in parts)
    return [f"{indent}{label:<{width}}{text}" for label, text in parts]


def _explained(outcome: Outcome, best: Trial, others: Sequence[Trial]) -> str:
    topic, scores = topic_named(best.topic), _scores(best)
    instead = f" instead of {best.instead}" if best.instead else ""
    probably = rivals = ""
    if outcome == "likely":
        scores += f", {_percent(_headline(best).explained)} of the gap"
        probably = "probably "
        alike = [trial.suspect for trial in others if _is_rival(best, trial)][:2]
        rivals = f"; as likely {' or '.join(alike)}" if alike else ""
    return (
        f"Evaluated with {best.suspect}{instead}, {scores}: the published number was "
        f"{probably}measured with {topic.cause}{rivals}."
        + " Neither alone explains it."
        * best.is_pair
    )


def _unsettled(trials: Sequence[Trial], tried: str) -> str:
    """Say what may explain it, of trials of which at least one may."""
    best = trials[0]
    if best.outcome == "restored":
        return (
            f"Evaluated with {best.suspect}, {_scores(best)} on all images, but that "
            f"may be chance: {_coincidence(trials)}."
        )
    shares = list(shares_of(trials))
    possible = sum(trial.outcome != "unexplained" for trial in trials)
    likeliest = max(range(len(trials)), key=shares.__getitem__)
    share = shares[likeliest]
    # What is less likely than not would read like a cause.
    named = f", {trials[likeliest].suspect}," if share > 1 / 2 else ""
    probable = max(1, round(100 * share))
    return (
        f"None of {tried} is singled out by the images seen: {possible:,} of them are "
        f"not ruled out, nor is something else. The likeliest{named} is {probable} % "
        f"probable, where {_percent(SINGLED_OUT)} are asked."
    )


def _coincidence(trials: Sequence[Trial]) -> str:
    """Say how many trials would come as near as the best one, by chance."""
    chance = coincidences(trials)
    return (
        f"{chance:.2g} of {len(trials):,} variations would come as near to what was "
        "published if none of them had to do with it"
    )


def _is_closer(trial: Trial) -> bool:
    """Tell whether a trial closes a third of the gaps, on average, and opens none.

    One whose numbers may be anything on the rest of the images is not closer.
    """
    if any(_share_error(r) > MOST_ERROR for r in trial.restored if r.share is not None):
        return False
    left = [abs(1 - r.share) for r in trial.restored if r.share is not None]
    if any(r.is_met is False for r in trial.restored if r.share is None):
        return False
    return bool(left) and sum(left) <= len(left) * 2 / 3


def _is_rival(best: Trial, other: Trial) -> bool:
    """Tell whether another trial explains a divergence about as well as the best."""
    return other.outcome in EXPLAINED and best.fit - other.fit < CLOSE


def evidence(trials: Sequence[Trial]) -> str:
    """Say how much of the gap the best trial explains, and how sure that is."""
    best = trials[0]
    parts = [
        f"{_percent(r.explained)} of the gap in {r.metric}"
        + (f" (± {_percent(_share_error(r))})" if r.error else "")
        for r in best.restored
        if r.share is not None
    ]
    flips = (
        f"{best.gained:,} of {best.compared:,} images become right and {best.lost:,} "
        f"wrong (McNemar p = {best.p:.2g})"
    )
    said = [f"explains {', '.join(parts)}", flips] if parts else [flips]
    if best.outcome == "restored" and coincidences(trials) >= WORTH_SAYING:
        said.append(_coincidence(trials))
    return "; ".join(said)


def _tried(diagnosis: Diagnosis) -> str:
    """Say what was tried, at what cost, and what the best ones give."""
    number = len(diagnosis.trials)
    share = diagnosis.images / diagnosis.total / number
    shown = ", ".join(
        f"{trial.suspect} {_value(_headline(trial))}"
        for trial in diagnosis.trials[:SHOWN]
    )
    more = f", and {number - SHOWN:,} more" if number > SHOWN else ""
    return (
        f"{number:,} variations, {100 * share:.1f} % of a full evaluation each: "
        f"{shown}{more}"
    )


def _scores(trial: Trial) -> str:
    shown = _headline(trial)
    phrase = METRICS[shown.metric].phrase
    return f"{phrase} {_value(shown)} (published {shown.published})"


def _headline(trial: Trial) -> Restored:
    """Choose the number that a sentence speaks of: the first one with a gap."""
    with_gap = [r for r in trial.restored if r.share is not None]
    return (with_gap or list(trial.restored))[0]


def _value(restored: Restored) -> str:
    """Write a value with the digits of the published one, and its error if it has."""
    digits = max(2, restored.number.decimals)
    text = f"{restored.value:.{digits}f}"
    return f"{text} ± {restored.error:.2g}" if restored.error else text


def _share_error(restored: Restored) -> float:
    """Give the standard error of a share, where the gap itself is known."""
    return restored.error / abs(restored.gap) if restored.gap else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
