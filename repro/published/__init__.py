"""What was published, read from TOML and validated; needs no torch."""

from repro.published.geometry import CenterCrop, Geometry, Resize, parse_geometry
from repro.published.reading import EMBEDDED, read_releases
from repro.published.release import (
    DatasetSpec,
    Family,
    Kind,
    Metric,
    ModelSpec,
    Protocol,
    Reference,
    Release,
    Source,
    TextSpec,
    training_images,
)

__all__ = [
    "EMBEDDED",
    "CenterCrop",
    "DatasetSpec",
    "Family",
    "Geometry",
    "Kind",
    "Metric",
    "ModelSpec",
    "Protocol",
    "Reference",
    "Release",
    "Resize",
    "Source",
    "TextSpec",
    "parse_geometry",
    "read_releases",
    "training_images",
]
