"""What every measurement is given."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import torch

from benchmarks.stand_ins import StandIns
from repro.cases import Case
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.machine import available_cores
from repro.published import Precision


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """The stand-ins, how often to repeat, and what to compute on."""

    stand_ins: StandIns
    repetitions: int
    is_quick: bool
    device: torch.device
    #: Of real photographs, where some are at hand.
    own_photographs: Path | None = None

    @property
    def photographs(self) -> Path:
        """Give the folder of photographs: drawn ones where there are no real ones."""
        return self.own_photographs or self.stand_ins.drawn[0].parent

    @property
    def cores(self) -> int:
        """How many cores decode."""
        return available_cores()

    def engine(
        self,
        cache: Path,
        planned: Sequence[Case] = (),
        *,
        limit: int | None = None,
        precision: Precision = "fp32",
    ) -> Evaluator:
        """Make an engine as the plugin does."""
        folder = self.stand_ins.folder
        settings = EngineSettings(
            data=folder,
            checkpoints=folder,
            cache=cache,
            device=str(self.device),
            limit=limit,
            precision=precision,
            early_stop=False,
        )
        return Evaluator(settings, planned)

    @contextlib.contextmanager
    def empty_cache(self) -> Iterator[Path]:
        """Give a folder for a cache, and delete it afterwards."""
        path = Path(tempfile.mkdtemp(dir=self.stand_ins.folder, prefix="cache-"))
        try:
            yield path
        finally:
            shutil.rmtree(path)
