"""What other packages may add, found by entry points (docs/extending.md).

| group | value | what it adds |
|---|---|---|
| `repro.loaders` | a class, a `Loader` | `loader` of a `[model.NAME]` |
| `repro.metrics` | a `Metric` of that name | a key of `[[reference]]`, of tolerances |
| `repro.datasets` | a class, a `Reader` | a way in which images can lie |
| `repro.suspects` | a function that gives `Topic`s | what a diagnosis tries |
| `repro.engines` | a class, an `Engine` | a value of `--repro-engine` |
| `repro.reports` | a function of a `Report` | a suffix of `--repro-report` |

Whatever is named here keeps its name; where it is written may change.
"""

from repro.data.listing import Image, ImagePlace, Listing, Reader
from repro.diagnosis.setup import Facts, Setup, Variation
from repro.diagnosis.suspects import Suspect, Topic
from repro.engine.local import LocalEngine
from repro.engine.protocol import Engine, Run
from repro.errors import DatasetError, ExpectedError, OptionError, WeightsError
from repro.files import Stamp, stamp_of
from repro.models.libraries import Loader
from repro.published import DatasetSpec, Metric, ModelSpec, Outcomes
from repro.published.metrics import (
    LOSS_METRIC,
    MEAN_PER_CLASS,
    NATS,
    PERCENT,
    TOP1,
    TOP5,
    Allowance,
    Unit,
    complement,
    hits_within,
    variant,
)
from repro.records.result import CaseResult
from repro.report.report import Report, ReportedCase
from repro.report.rows import Row, rows_of

__all__ = [
    "LOSS_METRIC",
    "MEAN_PER_CLASS",
    "NATS",
    "PERCENT",
    "TOP1",
    "TOP5",
    "Allowance",
    "CaseResult",
    "DatasetError",
    "DatasetSpec",
    "Engine",
    "ExpectedError",
    "Facts",
    "Image",
    "ImagePlace",
    "Listing",
    "Loader",
    "LocalEngine",
    "Metric",
    "ModelSpec",
    "OptionError",
    "Outcomes",
    "Reader",
    "Report",
    "ReportedCase",
    "Row",
    "Run",
    "Setup",
    "Stamp",
    "Suspect",
    "Topic",
    "Unit",
    "Variation",
    "WeightsError",
    "complement",
    "hits_within",
    "rows_of",
    "stamp_of",
    "variant",
]
