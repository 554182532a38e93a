"""What scripts and tests may import; what packages add is in `repro.extending`.

Whatever is named here keeps its name; where it is written may change. Importing it is
quick: torch is imported once something is computed.
"""

from repro.cases import Case, list_cases
from repro.claims.evidence import Stated
from repro.claims.result import ClaimResult
from repro.engine.local import LocalEngine
from repro.engine.settings import EngineSettings
from repro.errors import (
    DatasetError,
    EvaluationError,
    ExpectedError,
    FetchError,
    LedgerError,
    NotAvailableError,
    OptionError,
    ReproError,
    WeightsError,
)
from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.published import (
    EMBEDDED,
    DatasetSpec,
    Family,
    ModelSpec,
    Protocol,
    Reference,
    Release,
    Source,
    read_releases,
)
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, Measurement, Run, judge_case

__all__ = [
    "EMBEDDED",
    "Case",
    "CaseResult",
    "ClaimResult",
    "DatasetError",
    "DatasetSpec",
    "EngineSettings",
    "EvaluationError",
    "ExpectedError",
    "Family",
    "FetchError",
    "Ledger",
    "LedgerError",
    "LocalEngine",
    "Measurement",
    "Metrics",
    "ModelSpec",
    "NotAvailableError",
    "OptionError",
    "Predictions",
    "Protocol",
    "Reference",
    "ReferenceCheck",
    "Release",
    "ReproError",
    "Run",
    "Source",
    "Stated",
    "Verdict",
    "WeightsError",
    "judge_case",
    "list_cases",
    "read_releases",
]
