"""What turns pixels into logits for a case: its model, and its classes as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor, nn

from repro.cases import Case
from repro.engine.settings import EngineSettings
from repro.engine.sources import own_files
from repro.errors import OptionError
from repro.evaluation.batching import within_memory
from repro.evaluation.classifier import Classifier, clip_forward, outputs_of
from repro.evaluation.precision import arithmetic, in_type_of
from repro.models.building import load_checkpoint
from repro.models.prompts import count_classes
from repro.models.zeroshot import zeroshot_classifier

if TYPE_CHECKING:
    from repro.models.own_files import OwnFiles
    from repro.models.zeroshot import RememberingTokenizer


class Classifiers:
    """Loads the classifiers of cases, and keeps what they share.

    Args:
        settings: how to compute.
        device: where.
    """

    def __init__(self, settings: EngineSettings, device: torch.device) -> None:
        self._settings = settings
        self._device = device
        #: What was done to the names of tensors, by the file that they are in.
        self.weights_read: dict[Path, tuple[str, ...]] = {}
        self._tokenizers: dict[tuple[tuple[str, ...], bytes], RememberingTokenizer] = {}

    def model(
        self, case: Case, weights: Path, files: OwnFiles | None = None
    ) -> nn.Module:
        """Load a checkpoint for inference, on the device.

        Its parameters are float32, or of the type that all of the case is computed in.
        """
        with within_memory(self._device, f"the checkpoint {weights}"):
            loaded = load_checkpoint(
                case.model,
                case.release.location,
                weights,
                self._device,
                run_code=self._settings.run_code,
                files=files,
            )
            model = in_type_of(self._settings.precision_of(case), loaded.model)
        self.weights_read[weights] = loaded.done
        return model

    def text(
        self, case: Case, model: nn.Module, files: OwnFiles | None = None
    ) -> Tensor:
        """Encode the classes of a zero-shot case as text: float32 `[C, D]`."""
        if case.protocol.text is None:
            raise OptionError(f"{case.id} is supervised; it has no text classifier")
        # Before minutes are spent on encoding them.
        outputs_of(case.dataset).check(
            count_classes(case.protocol.text),
            f"the protocol {case.protocol.id!r} has {{}} class names",
        )
        tokenizer = self._tokenizer(case, files or own_files(case))
        precision = self._settings.precision_of(case)
        with (
            within_memory(self._device, f"encoding the classes of {case.id}"),
            arithmetic(precision, self._device),
        ):
            return zeroshot_classifier(
                model,
                tokenizer,
                case.protocol.text,
                self._device,
                self._settings.cache,
                f"{precision} {self._device.type}",
            )

    def classifier(
        self,
        case: Case,
        model: nn.Module,
        size: tuple[int, int],
        files: OwnFiles | None = None,
    ) -> Classifier:
        """Make the classifier of a model, and try it on a black image.

        Args:
            case: what is evaluated.
            model: with the weights of its checkpoint.
            size: height and width of the images in pixels.
            files: of the model, where they were read already.
        """
        protocol, precision = case.protocol, self._settings.precision_of(case)
        forward: Callable[[Tensor], Tensor] = model
        if protocol.text is not None:
            text = self.text(case, model, files)
            forward = clip_forward(model, text, protocol, precision)
        classifier = Classifier(
            forward,
            protocol.mean,
            protocol.std,
            self._device,
            precision,
            case.dataset.columns,
            outputs_of(case.dataset),
            protocol.geometry_steps.channels,
        )
        with within_memory(self._device, f"one image of {case.id}"):
            # Before the images are decoded: what is wrong with a model is known in a
            # second.
            classifier.check(size)
        classifier.accelerate(model, self._settings.accelerate)
        return classifier

    def _tokenizer(self, case: Case, files: OwnFiles) -> RememberingTokenizer:
        """Build the tokenizer of a model once."""
        from repro.models.zeroshot import RememberingTokenizer, build_tokenizer

        key = files.digests, msgspec.json.encode(case.model)
        if key not in self._tokenizers:
            built = build_tokenizer(case.model, files)
            self._tokenizers[key] = RememberingTokenizer(built)
        return self._tokenizers[key]
