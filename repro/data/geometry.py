"""Apply a geometry with Pillow: bit for bit what libraries do to PIL images."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from repro.data.listing import ImageLocation, read_image
from repro.errors import DatasetError
from repro.files import STAND_INS
from repro.published import CenterCrop, Contain, Cover, Filter, Geometry, Resize

Pixels = npt.NDArray[np.uint8]

#: One thread at a time changes what is warned of, which all threads share.
_UNWARNED = threading.Lock()
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


#: What begins so is in the place of an image: what it is, and what to do.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    *STAND_INS,
    (
        rb".{4}ftyp(heic|heix|hevc|mif1|msf1)",
        "HEIC, which Pillow does not read; convert it without loss",
    ),
)


def decode(path: ImageLocation, digest: str | None = None) -> Image.Image:
    """Read a photograph as RGB.

    Args:
        path: an image file, or a part of an archive.
        digest: what its bytes have to be, where that is known.

    Raises:
        DatasetError: the file is missing, truncated, no image or has changed.
    """
    content = read_image(path, digest)
    try:
        return open_rgb(content)
    # Damaged files make Pillow raise what it likes: struct.error, IndexError, ...
    except Exception as error:
        raise DatasetError(
            f"{path} cannot be decoded: {decoding_fault(error, content)}"
        ) from error


def open_rgb(content: bytes) -> Image.Image:
    """Decode bytes as RGB, whatever Pillow warns of meanwhile."""
    try:
        return _open_rgb(content)
    except Warning:
        # Warnings are errors here (-W error); pixels do not depend on that.
        with _UNWARNED, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _open_rgb(content)


def _open_rgb(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        if image.mode == "RGB":
            # Loaded in place: converting would only copy.
            image.load()
            return image
        return image.convert("RGB")


def decoder_identity(geometry: Geometry | None = None) -> str:
    """Name the versions that decoded pixels depend on, those of a geometry if given."""
    from PIL import __version__, features

    turbo = features.version_feature("libjpeg_turbo")
    jpeg = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"
    truncated = "; truncated images allowed" * ImageFile.LOAD_TRUNCATED_IMAGES
    sampled = geometry is not None and any(
        isinstance(step, Resize) and not step.antialias for step in geometry.steps
    )
    torch = f"; torch {version('torch')}" if sampled else ""
    return f"Pillow {__version__}; {jpeg}{truncated}{torch}"


def transform(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Apply the steps of a geometry to a decoded RGB image."""
    if geometry.is_grey:
        image = image.convert("L").convert("RGB")
    for step in geometry.steps:
        if isinstance(step, CenterCrop):
            image = _crop(image, step)
        elif isinstance(step, Resize):
            image = _resize(image, step)
        else:
            image = _resize_to(image, _proportional(image, step), step.filter)
    return image


def planar_pixels(
    path: ImageLocation,
    geometries: Sequence[Geometry],
    outputs: Sequence[Pixels],
    digest: str | None = None,
) -> None:
    """Decode a photograph once and write it in several geometries.

    Args:
        path: an image file, or a part of an archive.
        geometries: what to make of it.
        outputs: for each geometry an array uint8 `[3, H, W]` that gets the pixels.
        digest: what the bytes have to be, where that is known.

    Raises:
        DatasetError: the file is missing, truncated, no image or has changed, or is to
            be used as it is and has another size.
    """
    image = decode(path, digest)
    for geometry, output in zip(geometries, outputs, strict=True):
        if not geometry.steps and image.size != output.shape[:0:-1]:
            raise DatasetError(
                f"{path} has {image.width} x {image.height} pixels, other images "
                f"{output.shape[2]} x {output.shape[1]}, and the geometry {geometry} "
                "uses them as they are; write which resize or crop the numbers were "
                "measured with"
            )
        _write_planes(transform(image, geometry), output)


def _write_planes(image: Image.Image, output: Pixels) -> None:
    """Write the bands of an RGB image: Pillow takes them apart faster than numpy."""
    for band, plane in zip("RGB", output, strict=True):
        content = np.frombuffer(image.tobytes("raw", band), dtype=np.uint8)
        plane[:] = content.reshape(plane.shape)


def decoding_fault(error: Exception, content: bytes) -> str:
    """Say why bytes cannot be decoded, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        return (
            "it has more pixels than Pillow takes from anybody. If it is to be "
            "trusted, set PIL.Image.MAX_IMAGE_PIXELS in conftest.py, or leave it out"
        )
    # Pillow of different years writes it in capitals, and says more.
    if "decompressed data too large" in str(error).lower():
        return (
            "it holds a colour profile or text that is larger than Pillow takes from "
            "anybody. If it is to be trusted, set PIL.PngImagePlugin.MAX_TEXT_CHUNK in "
            "conftest.py, or leave it out"
        )
    if isinstance(error, UnidentifiedImageError):
        for pattern, what in _OTHERS:
            if re.match(pattern, content[:100], re.DOTALL):
                return f"it is {what}"
    return f"{_reason(error, len(content))}. Replace it with the original file"


def _reason(error: Exception, size: int) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"its {size:,} bytes are no image" if size else "it is empty"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error}" or type(error).__name__


def _resize(image: Image.Image, step: Resize) -> Image.Image:
    width, height = image.size
    if step.width is not None:
        size = step.width, step.height
    elif width <= height:
        # Cut off and not rounded, as torchvision does.
        size = step.height, int(step.height * height / width)
    else:
        size = int(step.height * width / height), step.height
    if step.antialias:
        return _resize_to(image, size, step.filter)
    return _sample(image, size, step.filter)


def _sample(image: Image.Image, size: tuple[int, int], filter_: Filter) -> Image.Image:
    """Resize as torchvision does a uint8 tensor without antialias, bit for bit.

    Pillow has nothing like it: its filters grow with the scale.
    """
    import torch

    planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    aligned = {} if filter_ == "nearest" else {"align_corners": False}
    sampled = torch.nn.functional.interpolate(
        planes, size=size[::-1], mode=filter_, **aligned
    )
    # Bicubic goes beyond the levels that it is given.
    rounded = sampled.squeeze(0).clamp_(0, 255).round_().to(torch.uint8)
    return Image.fromarray(rounded.permute(1, 2, 0).contiguous().numpy())


def _proportional(image: Image.Image, step: Contain | Cover) -> tuple[int, int]:
    """Compute the width and height that timm's `ResizeKeepRatio` arrives at."""
    width, height = image.size
    ratios = height / step.height, width / step.width
    ratio = max(ratios) if isinstance(step, Contain) else min(ratios)
    # A photograph a hundred times as long as wide keeps one pixel.
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _resize_to(
    image: Image.Image, size: tuple[int, int], filter_: Filter
) -> Image.Image:
    return image if size == image.size else image.resize(size, _FILTERS[filter_])


def _crop(image: Image.Image, step: CenterCrop) -> Image.Image:
    width, height = image.size
    if width < step.width or height < step.height:
        # Of an odd number the smaller half stands first here, and below a half is
        # rounded to the even number: both as torchvision has it.
        left = max(0, (step.width - width) // 2)
        top = max(0, (step.height - height) // 2)
        size = max(width, step.width), max(height, step.height)
        padded = Image.new("RGB", size, step.fill)
        padded.paste(image, (left, top))
        image, (width, height) = padded, size
    top = round((height - step.height) / 2.0)
    left = round((width - step.width) / 2.0)
    return image.crop((left, top, left + step.width, top + step.height))
