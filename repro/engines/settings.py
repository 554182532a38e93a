"""What an engine has to know: where things lie and how to compute."""

from __future__ import annotations

from pathlib import Path

import msgspec

from repro.cases import Case
from repro.evaluation.acceleration import AUTO
from repro.published import Precision
from repro.records.git import GitState


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of an engine.

    `data` and `checkpoints` are None where a release ships its own; `cache` is None to
    keep nothing on disk, and the pixel stores that are needed least are dropped when
    all of them would have more than `cache_limit` bytes; `precision` is
    None for that of the published numbers; `batch_size` is None to
    find it; `limit` is how many images of each dataset to evaluate at least, in whole
    strata; `workers` is how many processes share this machine; with `early_stop` a full
    evaluation ends once it is beyond doubt that the published numbers are not met; with
    `download` missing weights are fetched. `accelerate` names accelerators, `auto` for
    those that pay. `diagnose_share` is the share of a full evaluation that each suspect
    of a diagnosis may cost on average. `code` is that which the run was started with,
    where it is started on another machine.
    """

    data: Path | None = None
    checkpoints: Path | None = None
    cache: Path | None = None
    cache_limit: int | None = None
    device: str = "auto"
    precision: Precision | None = None
    batch_size: int | None = None
    limit: int | None = None
    workers: int = 1
    early_stop: bool = True
    download: bool = False
    diagnose_share: float = 0.1
    accelerate: tuple[str, ...] = (AUTO,)
    code: GitState | None = None

    def precision_of(self, case: Case) -> Precision:
        """Give the arithmetic of a case: as published unless asked otherwise."""
        return self.precision or case.protocol.precision
