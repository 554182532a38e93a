"""Made curves: power laws with a known exponent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from repro.claims.estimates import Point

SIZES = (125_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000)


def noisy_points(
    exponent: float,
    noise: float,
    generator: np.random.Generator,
    sizes: tuple[int, ...] = SIZES,
) -> list[Point]:
    """Points of 30 * N^-exponent, each off by a factor of about 1 + noise."""
    factors = np.exp(generator.normal(0, noise, len(sizes)))
    return [
        Point(size, 30 * size**-exponent * factor)
        for size, factor in zip(sizes, factors, strict=True)
    ]


def image_losses(
    exponent: float, images: int, generator: np.random.Generator, sizes: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Losses `[S, images]` whose means over all images there are follow a power law.

    Some images are harder than others for every checkpoint alike.
    """
    hardness = generator.gamma(0.5, 2.0, images)
    luck = generator.gamma(4.0, 0.25, (len(sizes), images))
    scale = np.array([30 * size**-exponent for size in sizes])
    found: npt.NDArray[np.float64] = scale[:, None] * hardness * luck
    return found
