"""What was published, read from TOML and validated; needs no torch."""

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
from repro.published.known_files import (
    CHECKSUMS_FILE,
    Checksum,
    FileList,
    checksums_text,
    make_list,
    read_checksums,
    shipped_list,
    shipped_names,
)
from repro.published.metrics import METRICS, Metric, Outcomes, main_metrics
from repro.published.reading import (
    place_beside,
    place_of_user,
    place_to_record,
    read_releases,
)
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
    GUARDED,
    LOADERS,
    MEASURED,
    PRECISIONS,
    WEIGHTS_SUFFIXES,
    AskedPrecision,
    Digits,
    Kind,
    Precision,
    Printed,
    Shares,
    check_name,
    check_weights_name,
    is_same_arithmetic,
    is_weights_name,
    list_weights,
    printed,
    split_weights_name,
    training_images,
    weights_suffixes,
)
