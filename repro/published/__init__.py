"""What was published, read from TOML and validated; needs no torch."""

from repro.published.allowed import (
    WEIGHTS_SUFFIXES,
    check_name,
    check_weights_name,
    list_weights,
    split_weights_name,
)
from repro.published.checksums import (
    CHECKSUMS_FILE,
    Checksum,
    checksums_text,
    read_checksums,
)
from repro.published.file_lists import (
    FileList,
    make_list,
    shipped_list,
    shipped_names,
)
from repro.published.files import EMBEDDED, RELEASE_FILE
from repro.published.geometry import (
    CenterCrop,
    Contain,
    Cover,
    Filter,
    Geometry,
    Resize,
    parse_geometry,
)
from repro.published.loader_table import LOADERS
from repro.published.metrics import METRICS, Metric, Outcomes, main_metrics
from repro.published.reading import read_releases
from repro.published.record_paths import place_beside, place_of_user, place_to_record
from repro.published.release import (
    DatasetSpec,
    Family,
    ModelSpec,
    Protocol,
    Reference,
    Release,
    Source,
    TextSpec,
)
from repro.published.statements import (
    Claim,
    ExponentClaim,
    FamilyChoice,
    OrderingClaim,
    Range,
    SaturationClaim,
    SlopesClaim,
)
from repro.published.vocabulary import (
    MEASURED,
    PRECISIONS,
    Kind,
    Precision,
    Printed,
    Shares,
    is_same_arithmetic,
    printed,
    training_images,
)

__all__ = [
    "CHECKSUMS_FILE",
    "EMBEDDED",
    "LOADERS",
    "MEASURED",
    "METRICS",
    "PRECISIONS",
    "RELEASE_FILE",
    "WEIGHTS_SUFFIXES",
    "CenterCrop",
    "Claim",
    "Checksum",
    "Contain",
    "Cover",
    "DatasetSpec",
    "ExponentClaim",
    "Family",
    "FileList",
    "Filter",
    "Geometry",
    "Kind",
    "Metric",
    "ModelSpec",
    "OrderingClaim",
    "Outcomes",
    "FamilyChoice",
    "Precision",
    "Printed",
    "Protocol",
    "Range",
    "Reference",
    "Release",
    "Resize",
    "SaturationClaim",
    "Shares",
    "SlopesClaim",
    "Source",
    "TextSpec",
    "check_name",
    "is_same_arithmetic",
    "list_weights",
    "main_metrics",
    "make_list",
    "check_weights_name",
    "checksums_text",
    "parse_geometry",
    "printed",
    "place_beside",
    "place_of_user",
    "place_to_record",
    "read_checksums",
    "read_releases",
    "shipped_list",
    "shipped_names",
    "training_images",
    "split_weights_name",
]
