"""Code of example.toml: what no field of the plain pipeline does."""

from __future__ import annotations

from PIL import Image, ImageFilter


def image(photograph: Image.Image) -> Image.Image:
    """Blur a photograph."""
    return photograph.filter(ImageFilter.GaussianBlur(1.5))
