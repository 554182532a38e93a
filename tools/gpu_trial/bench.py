"""What the steps work on: the embedded release, and models of full size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from benchmarks.timing import seconds
from repro.cases import Case, list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.batching import wait_for
from repro.evaluation.predictions import Predictions
from repro.published import EMBEDDED, Precision, read_releases

#: Convolutions, and attention.
ARCHITECTURES = "resnet50", "vit_base_patch16_224"
#: How far float32 may move a loss, in nats.
ROUNDING = 1e-4
#: Mean and deviation that the models get their pixels with.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Checkpoints of the embedded release that a dry run takes; a GPU takes all.
FEW = ("supervised/real/80@", "clip/real/80@")


class Bench:
    """A device, a folder, and how much is tried.

    Args:
        device: to try.
        folder: for the cache and whatever a step writes.
    """

    def __init__(self, device: torch.device, folder: Path) -> None:
        self.device = device
        self.folder = folder
        #: A processor shows that a step runs, and nothing else.
        self.is_dry = device.type == "cpu"
        cases = list_cases(read_releases([EMBEDDED]))
        self.cases: list[Case] = [
            case for case in cases if not self.is_dry or case.id.startswith(FEW)
        ]
        self._exact: dict[str, Predictions] = {}

    def engine(
        self, device: str | None = None, precision: Precision = "fp32"
    ) -> Evaluator:
        """Make an engine; accelerators are tried by themselves."""
        return Evaluator(
            EngineSettings(
                cache=self.folder / "cache",
                device=device or str(self.device),
                precision=precision,
                accelerate=(),
                batch_size=50,
                early_stop=False,
            )
        )

    def exact(self, case: Case) -> Predictions:
        """Give what a processor predicts in float32."""
        if case.id not in self._exact:
            self._exact[case.id] = self.engine("cpu").measure(case)[1]
        return self._exact[case.id]

    def model(self, architecture: str) -> nn.Module:
        """Build a model with random weights, a tiny one of its kind in a dry run."""
        torch.manual_seed(0)
        model: nn.Module
        if not self.is_dry:
            model = timm.create_model(architecture)
        elif architecture == ARCHITECTURES[1]:
            model = timm.create_model("test_vit", img_size=self.pixels)
        else:
            # So few operations that they are compiled in seconds.
            layers = nn.Conv2d(3, 16, 4, 4), nn.ReLU(), nn.Conv2d(16, 16, 3)
            model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(576, 1000))
        return model.eval().requires_grad_(requires_grad=False).to(self.device)

    @property
    def pixels(self) -> int:
        """The side of the images of these models."""
        return 32 if self.is_dry else 224

    def images(self, number: int) -> Tensor:
        """Draw uint8 images `[N, 3, H, W]` on the processor."""
        torch.manual_seed(1)
        size = number, 3, self.pixels, self.pixels
        return torch.randint(0, 256, size, dtype=torch.uint8)

    def seconds(self, work: Callable[[], object], times: int = 3) -> float:
        """Time the quickest of some calls, up to what the device has computed."""

        def whole() -> None:
            work()
            wait_for(self.device)

        whole()
        return min(seconds(whole) for _ in range(times))
