"""The device that models compute on, their classifiers there, and sizes of batches."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import msgspec
import torch
from torch import Tensor, nn

from repro.cases import Case
from repro.engine.settings import EngineSettings
from repro.engine.sources import own_files
from repro.errors import OptionError
from repro.evaluation.batching import BatchSize, telling_failures, within_memory
from repro.evaluation.classifier import Classifier, clip_forward, outputs_of
from repro.evaluation.precision import arithmetic, in_type_of, torch_as_it_begins
from repro.models.building import load_checkpoint
from repro.models.libraries import OwnFiles
from repro.models.zeroshot import (
    RememberingTokenizer,
    build_tokenizer,
    count_classes,
    zeroshot_classifier,
)
from repro.published import Precision
from repro.records.identity import describe_environment, digest_of


def choose_device(name: str) -> torch.device:
    """Find the device that `--repro-device` names; `auto` is a GPU where there is one.

    That is one of CUDA or ROCm, which torch calls `cuda` too. Other kinds (`xpu`,
    `mps`) have to be named, since they are tried less.

    Raises:
        OptionError: there is no such device.
    """
    with warnings.catch_warnings():
        # Torch warns of a driver that is too old, and need not be used: whoever has
        # warnings raised is to have a case measured too.
        warnings.simplefilter("default")
        return _choose(name)


def _choose(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(
            f"--repro-device is {name!r}; it must be auto, cpu, cuda, cuda:N, or "
            "another kind of device that torch computes on here"
        ) from error
    if device.type == "cpu":
        return device
    # What torch was built for need not be here.
    found = torch.accelerator.current_accelerator(check_available=True)
    kind = found.type if found else "none"
    if device.type != kind:
        raise OptionError(
            f"--repro-device is {name!r}, but torch finds no {_called(device.type)} "
            f"device here; use auto or cpu{f', or {kind}' if found else ''}"
            f"{_why_no_cuda() if device.type == 'cuda' else ''}"
        )
    number = torch.accelerator.device_count()
    if (device.index or 0) >= number:
        raise OptionError(
            f"--repro-device is {name!r}, but torch finds {number} "
            f"{_called(kind)} devices, numbered from 0{_chosen()}"
        )
    return device


def _why_no_cuda() -> str:
    """Give what torch says of it: no driver, one that is too old, or no GPU."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    # The last is raised by a build without CUDA.
    except (RuntimeError, AssertionError) as error:
        said = " ".join(str(error).split())
        return f" (torch {torch.__version__}: {said:.250})"
    return ""


def _called(kind: str) -> str:
    return {"cuda": "CUDA", "mps": "MPS", "xpu": "XPU"}.get(kind, kind)


def _chosen() -> str:
    """Say what hides devices, where something does."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return ""
    return (
        f" (CUDA_VISIBLE_DEVICES is {visible!r}; workers of xdist that choose for "
        "themselves see one each: name the device for all of them, not in a marker)"
    )


class _OnDevice(Protocol):
    @property
    def device(self) -> torch.device:
        """Where it computes."""


S = TypeVar("S", bound=_OnDevice)
P = ParamSpec("P")
T = TypeVar("T")


def computing(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let a method compute with torch, and say in a sentence that its device failed."""

    @functools.wraps(method)
    def there(self: S, /, *arguments: P.args, **named: P.kwargs) -> T:
        with torch_as_it_begins(), telling_failures(self.device):
            return method(self, *arguments, **named)

    return there


class BatchSizes:
    """Gives the batch size for a case; what was found for one counts for others.

    Args:
        settings: whether it is given, and where it is kept.
        device: that computes.
    """

    def __init__(self, settings: EngineSettings, device: torch.device) -> None:
        self._settings = settings
        self._device = device
        self._known: dict[str, BatchSize] = {}

    @property
    def fixed(self) -> int | None:
        """The size that was asked for; None to find it."""
        size = self._settings.batch_size
        return None if size == "remembered" else size

    def of(self, case: Case, precision: Precision) -> BatchSize:
        """Give the size for a case that is computed in some precision."""
        # What decides about memory: the model, its pixels, the classes, the arithmetic.
        needs = digest_of((case.model, case.protocol, case.dataset, precision))
        if needs not in self._known:
            is_kept = self._settings.batch_size == "remembered"
            self._known[needs] = BatchSize(
                self._device.type, self.fixed, self._file(needs) if is_kept else None
            )
        return self._known[needs]

    def _file(self, needs: str) -> Path | None:
        """Name the file of a size that is the fastest with all that is as it is now."""
        settings, found = self._settings, describe_environment(str(self._device))
        share = torch.get_num_threads(), settings.accelerate
        here = digest_of((needs, found.device, found.packages.get("torch"), share))
        return settings.cache and settings.cache / "batch-sizes" / f"{here}.size"


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
                precision,
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
        key = files.digests, msgspec.json.encode(case.model)
        if key not in self._tokenizers:
            built = build_tokenizer(case.model, files)
            self._tokenizers[key] = RememberingTokenizer(built)
        return self._tokenizers[key]
