"""How far an honest re-measurement may be from a published number."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from repro.published import Reference

#: Share of the images that may be decided otherwise. The same weights on the same
#: images differ by rounding in arithmetic and decoding only, so it is counted in
#: images and not in sampling error: 25 of 50,000 is the largest shift among the 1,439
#: models that timm measured again on newer software between 2024-08 and 2025-10 with
#: the same preprocessing (results tables of huggingface/pytorch-image-models).
IMAGES = Fraction(25, 50_000)

#: Relative tolerance of a mean cross-entropy (docs/tolerances.md has the reasoning).
LOSS = Fraction(1, 1000)


class Tolerance(msgspec.Struct, frozen=True):
    """How far off is still met, in the metric's unit (points or nats), and why."""

    value: Fraction
    origin: str

    def images(self, total: int) -> float:
        """The same as a number of images, for a metric in percent."""
        return float(self.value * total / 100)


def tolerance_of(reference: Reference) -> Tolerance:
    """Give the tolerance of a reference: its own or the default, plus its rounding.

    Half a unit of the last printed digit is always added, since the source rounded.
    """
    rounding = Fraction(reference.half_unit)
    if reference.tolerance is not None:
        own = Fraction(reference.tolerance)
        return Tolerance(own + rounding, f"its own: {reference.tolerance_reason}")
    if reference.metric == "loss":
        relative = LOSS * Fraction(reference.published)
        return Tolerance(relative + rounding, "0.1 % plus half a printed digit")
    return Tolerance(
        IMAGES * 100 + rounding, "25 of 50,000 images plus half a printed digit"
    )
