"""Small pictures of images, written into the page itself."""

from __future__ import annotations

import base64
import io
from pathlib import Path

#: Pixels of the longer side: enough to see what is on a photograph, in about 2 kB.
SIDE = 96


def thumbnail(folder: Path, name: str) -> str:
    """Give the address of a small copy of an image, which holds it (`data:`).

    Args:
        folder: that the image is in; nothing outside of it is read.
        name: of the image, relative to the folder.

    Returns:
        The address; empty where the folder has no such image, or one that Pillow
        cannot read.
    """
    from PIL import Image

    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        return ""
    written = io.BytesIO()
    try:
        with Image.open(file) as image:
            # Decodes a large JPEG at an eighth of its size.
            image.draft("RGB", (SIDE, SIDE))
            small = image.convert("RGB")
            small.thumbnail((SIDE, SIDE))
            small.save(written, "JPEG", quality=70)
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
