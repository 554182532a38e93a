"""What was published, read from TOML and validated; needs no torch."""

from repro.published.allowed import check_name
from repro.published.claims import (
    Claim,
    ExponentClaim,
    OrderingClaim,
    Place,
    Range,
    SaturationClaim,
    SlopesClaim,
)
from repro.published.files import EMBEDDED
from repro.published.geometry import (
    CenterCrop,
    Contain,
    Cover,
    Filter,
    Geometry,
    Resize,
    parse_geometry,
)
from repro.published.loaders import find_entry_point, loader_names
from repro.published.reading import read_releases
from repro.published.release import (
    METRICS,
    WEIGHTS_SUFFIXES,
    DatasetSpec,
    Family,
    Kind,
    Metric,
    ModelSpec,
    Precision,
    Protocol,
    Reference,
    Release,
    Source,
    TextSpec,
    training_images,
)

__all__ = [
    "EMBEDDED",
    "METRICS",
    "WEIGHTS_SUFFIXES",
    "CenterCrop",
    "Claim",
    "Contain",
    "Cover",
    "DatasetSpec",
    "ExponentClaim",
    "Family",
    "Filter",
    "Geometry",
    "Kind",
    "Metric",
    "ModelSpec",
    "OrderingClaim",
    "Place",
    "Precision",
    "Protocol",
    "Range",
    "Reference",
    "Release",
    "Resize",
    "SaturationClaim",
    "SlopesClaim",
    "Source",
    "TextSpec",
    "check_name",
    "find_entry_point",
    "loader_names",
    "parse_geometry",
    "read_releases",
    "training_images",
]
