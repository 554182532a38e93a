"""What a diagnosis says to people."""

from __future__ import annotations

from collections.abc import Sequence

from repro.judgement.diagnosis import EXPLAINED, Outcome, Restored, Trial
from repro.published import METRICS

#: Log likelihoods that differ by less do not tell two explanations apart.
CLOSE = 3.0

#: What a published number was measured with, and what to do then, by topic.
_CAUSES = {
    "normalisation": ("another normalisation", "mean and std of the protocol"),
    "interpolation": ("another interpolation", "the filter in the protocol's geometry"),
    "resize and crop": ("another resize or crop", "the protocol's geometry"),
    "colour channels": ("another order of the colour channels", "the model"),
    "activation": ("another activation", "the options of the model"),
    "prompts": ("other prompts", "the templates of the protocol"),
    "logit scale": ("another logit scale", "logit_scale of the protocol"),
    "class order": ("another order of the classes", "classes of the dataset"),
    "head": ("the classes at other outputs of the head", "outputs of the dataset"),
    "pooling": ("another pooling", "the options of the model"),
    "epsilon": ("another epsilon of LayerNorm", "the options of the model"),
    "precision": ("another precision", "precision of the protocol"),
    "weights": ("other weights of the same file", "weights_key of the model"),
}


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
    shown = headline(best)
    value, published = value_text(shown), shown.published
    instead = f" instead of {best.instead}" if best.instead else ""
    scores = f"{METRICS[shown.metric].phrase} {value} (published {published})"
    if outcome == "unexplained":
        others = f"None of the {len(trials):,} variations that were tried explains it; "
        return f"{others}closest is {best.suspect}, with which {scores}."
    if outcome == "unsettled":
        rival = max(trials[1:], key=lambda trial: trial.fit)
        return (
            f"Which of the {len(trials):,} variations explains it is not settled by "
            f"the images that were tried: with {best.suspect} {scores}, and "
            f"{rival.suspect} may do as well."
        )
    cause = _CAUSES[best.topic][0]
    rivals = [t.suspect for t in trials[1:] if is_rival(best, t)][:2]
    probably = ""
    if outcome == "likely":
        scores += f", {100 * (shown.share or 0):.0f} % of the gap"
        probably = "probably "
        if rivals:
            cause += f"; as likely {' or '.join(rivals)}"
    return (
        f"Evaluated with {best.suspect}{instead}, {scores}: the published number was "
        f"{probably}measured with {cause}."
    )


def is_rival(best: Trial, other: Trial) -> bool:
    """Tell whether another trial explains a divergence about as well as the best."""
    return other.outcome in EXPLAINED and best.fit - other.fit < CLOSE


def advice(outcome: Outcome, best: Trial | None) -> str:
    """Say what to do about it."""
    if outcome == "not needed":
        return ""
    if outcome == "unsettled":
        return (
            "Look at more images, with a larger --repro-diagnose-share and without "
            "--repro-limit"
        )
    if outcome not in EXPLAINED or best is None:
        return (
            "Compare weights and images with those of the source (repro verify, repro "
            "dataset check), and ask it how the number was measured. A known "
            "divergence is declared with xfail beside the reference"
        )
    place = _CAUSES[best.topic][1]
    return (
        f"Ask the source whether it was measured like that. If so, correct {place}; if "
        "the protocol is right, the published number is wrong: declare it with xfail "
        "beside the reference"
    )


def evidence(best: Trial) -> str:
    """Say how much of the gap a trial explains, and how sure that is."""
    parts = [
        f"{_percent(r.share)} of the gap in {r.metric}"
        + (f" (± {_percent(_share_error(r))})" if r.error else "")
        for r in best.restored
        if r.share is not None
    ]
    flips = (
        f"{best.gained:,} of {best.compared:,} images become right and {best.lost:,} "
        f"wrong (McNemar p = {best.p:.2g})"
    )
    return f"explains {', '.join(parts)}; {flips}" if parts else flips


def headline(trial: Trial) -> Restored:
    """Choose the number that a sentence speaks of: the first one with a gap."""
    with_gap = [r for r in trial.restored if r.share is not None]
    return (with_gap or list(trial.restored))[0]


def value_text(restored: Restored) -> str:
    """Write a value with the digits of the published one, and its error if it has."""
    digits = max(2, len(restored.published.partition(".")[2]))
    text = f"{restored.value:.{digits}f}"
    return f"{text} ± {restored.error:.2g}" if restored.error else text


def _share_error(restored: Restored) -> float:
    """Give the standard error of a share, where the gap itself is known."""
    gap = float(restored.published) - restored.measured
    return restored.error / abs(gap) if gap else 0.0


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0):.0f} %"
