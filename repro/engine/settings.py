"""What an engine has to know: where things lie and how to compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from repro.cases import Case
from repro.evaluation.acceleration import AUTO
from repro.published import GUARDED, AskedPrecision, Precision
from repro.records.identity import GitState

#: Fields that cannot change what is measured, and why. A field that is not here counts.
WITHOUT_INFLUENCE = {
    "cache": "what is kept there is what would be made again",
    "cache_limit": "what was dropped is made again",
    "batch_size": "it moves logits by rounding only",
    "engine": "who measures a case does not matter",
    "ray_address": "nor does where that is",
    "workers": "nor do others that measure other cases",
    "download": "weights are the same wherever they come from",
    "run_code": "without it nothing is measured",
    "diagnose_share": "a diagnosis follows the measurement",
    "diagnose_time": "a diagnosis follows the measurement",
}
#: Fields that lead to something else that counts in their place, and to what.
STANDING_FOR = {
    "data": "the images that are found there",
    "checkpoints": "the weights that are found there",
    "device": "the device that is found, which is part of the environment",
    "early_stop": "the published numbers that end an evaluation",
    "code": "the code, which is there even when it is not given",
}


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of an engine, and which one it is.

    `ray_address` is that of its cluster; `data` and `checkpoints` are None where a
    release ships its own; `cache` is None to keep nothing on disk, and the pixel stores
    that are needed least are dropped when all of them would have more than
    `cache_limit` bytes; `precision` is None for that of the published numbers,
    which guarded precision is too;
    `batch_size` is None to find it, `remembered` to do so once for all runs; `limit` is
    how many images of each dataset to evaluate at least, in whole strata; `workers` is
    how many processes share this machine; with `early_stop` a full evaluation ends once
    it is beyond doubt that the published numbers are not met; with `download` missing
    weights are fetched, with `run_code` models are built by code of their release.
    `accelerate` names accelerators, `auto` for those that pay. `diagnose_share` is the
    share of a full evaluation that each suspect of a diagnosis may cost on average,
    `diagnose_time` how many seconds all of them may take, None where that follows.
    `code` is that which the run was started with, where it is started on another
    machine.
    """

    engine: str = "local"
    ray_address: str | None = None
    data: Path | None = None
    checkpoints: Path | None = None
    cache: Path | None = None
    cache_limit: int | None = None
    device: str = "auto"
    precision: AskedPrecision | None = None
    batch_size: int | Literal["remembered"] | None = None
    limit: int | None = None
    workers: int = 1
    early_stop: bool = True
    download: bool = False
    run_code: bool = False
    diagnose_share: float = 0.1
    diagnose_time: float | None = None
    accelerate: tuple[str, ...] = (AUTO,)
    code: GitState | None = None

    def asked(self) -> dict[str, Any]:
        """Give all fields that may change what is measured, as plain data."""
        return self._but(WITHOUT_INFLUENCE)

    def counted(self, case: Case) -> dict[str, Any]:
        """Give the fields that count by themselves in the key of a measurement."""
        counted = self._but({**WITHOUT_INFLUENCE, **STANDING_FOR})
        # Asked for or published so: it is the same arithmetic.
        precision = GUARDED if self.is_guarded(case) else self.precision_of(case)
        return {**counted, "precision": precision}

    def chosen(self) -> dict[str, Any]:
        """Give what `asked` gives where it is not as it is by default."""
        default = type(self)().asked()
        return {n: value for n, value in self.asked().items() if value != default[n]}

    @property
    def may_end_early(self) -> bool:
        """Whether published numbers can end an evaluation."""
        return self.early_stop and self.limit is None

    def _but(self, left_out: Mapping[str, str]) -> dict[str, Any]:
        names = [name for name in self.__struct_fields__ if name not in left_out]
        return {n: msgspec.to_builtins(getattr(self, n), enc_hook=str) for n in names}

    def precision_of(self, case: Case) -> Precision:
        """Give the arithmetic of a case: as published unless asked otherwise."""
        if self.precision is None or self.precision == GUARDED:
            return case.protocol.precision
        return self.precision

    def is_guarded(self, case: Case) -> bool:
        """Whether decisions of float32 may come from cheaper arithmetic."""
        return self.precision == GUARDED and case.protocol.precision == "fp32"
