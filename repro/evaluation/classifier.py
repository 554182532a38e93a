"""A loaded model as a function from uint8 pixels to logits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from repro.errors import EvaluationError, WeightsError
from repro.evaluation.acceleration import Acceleration
from repro.evaluation.accelerators import Accelerated
from repro.evaluation.batching import is_failure, is_out_of_memory, send
from repro.evaluation.precision import (
    CastOnce,
    arithmetic,
    input_type,
    multiplying_float32,
)
from repro.published import DatasetSpec, Precision, Protocol

#: Characters of what a library says of a failure: torch writes what to do at the end,
#: such as the variable that cuBLAS needs where algorithms have to be deterministic.
_TOLD = 400


class Outputs(msgspec.Struct, frozen=True):
    """The outputs that a dataset names, in `outputs` or else in `classes`.

    A model must have as many: with one more than there are names every output would
    stand for the class beside its own, and an accuracy come out that looks like a bad
    model's.
    """

    dataset: str
    names: int
    key: str

    def check(self, found: int, whose: str = "the model has {} outputs") -> None:
        """Refuse a model, or a text classifier, of another number of outputs.

        Args:
            found: how many there are.
            whose: what has them, with a gap for the number.

        Raises:
            EvaluationError: they are not as many as the names.
        """
        if found == self.names:
            return
        advice = (
            "weights and dataset do not belong together, or the dataset has to name "
            "all of them in outputs"
        )
        if found == self.names + 1:
            advice = (
                "one more is mostly a background class; name it in outputs where the "
                "model has it, which is first in models of TensorFlow"
            )
        raise EvaluationError(
            f"{whose.format(f'{found:,}')}, but the dataset {self.dataset!r} names "
            f"{self.names:,} in {self.key}: {advice}"
        )


def outputs_of(dataset: DatasetSpec) -> Outputs:
    """Say how many outputs the models of a dataset have."""
    if dataset.outputs:
        return Outputs(dataset.id, len(dataset.outputs), "outputs")
    return Outputs(dataset.id, len(dataset.classes), "classes")


class Classifier:
    """Turns a batch of uint8 pixels `[B, 3, H, W]` into float32 logits `[B, C]`.

    Args:
        forward: from normalised images to logits.
        mean: of each channel, on pixels scaled to 0..1.
        std: of each channel.
        device: where it computes.
        precision: of the arithmetic of `forward`, whose images have its type.
        columns: which logits to keep, for datasets with a part of the classes.
        outputs: how many logits `forward` must give; None for any number.
        channels: how many of the three it gets, with their mean and std.
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        precision: Precision = "fp32",
        columns: Sequence[int] | None = None,
        outputs: Outputs | None = None,
        channels: int = 3,
    ) -> None:
        self.forward = self._plain = forward
        self.device = device
        self.precision: Precision = precision
        self._channels = channels
        self._normalise = normaliser(mean[:channels], std[:channels], device)
        self._pick = column_picker(columns, device)
        self._outputs = outputs
        self._accelerated: Accelerated | None = None

    def accelerate(self, model: nn.Module, wanted: Sequence[str]) -> None:
        """Compute faster from now on, where that changes nothing but rounding.

        Args:
            model: that `forward` computes.
            wanted: names of accelerators, `auto` for those that pay.
        """
        self._asked = model, wanted
        self._accelerated = Accelerated(
            model, self.forward, self.device, wanted, self.precision
        )
        self.forward = self._accelerated

    def computed_in(self, precision: Precision) -> Classifier:
        """Give one of the same model in mixed precision, accelerated alike.

        Args:
            precision: that parameters of float32 can be computed in.
        """
        other = copy.copy(self)
        other.precision, other.forward = precision, self._plain
        if self._accelerated:
            other.accelerate(*self._asked)
            other.forward = CastOnce(self._asked[0], other.forward, precision)
        return other

    @property
    def accelerations(self) -> tuple[Acceleration, ...]:
        """What became of each accelerator that was wanted, so far."""
        return self._accelerated.accelerations if self._accelerated else ()

    def normalise(self, pixels: Tensor) -> Tensor:
        """Scale and normalise on the device, bit-equal to ToTensor and Normalize."""
        # All channels are copied: what lies apart would be gathered first.
        return self._normalise(send(pixels, self.device)[:, : self._channels])

    def __call__(self, pixels: Tensor) -> Tensor:
        """Compute the logits of a batch.

        Raises:
            EvaluationError: the model has another number of outputs than it must have.
        """
        with torch.inference_mode(), arithmetic(self.precision, self.device):
            images = self.normalise(pixels).to(input_type(self.precision))
            logits = self.forward(images).float()
        if self._outputs is not None:
            self._outputs.check(logits.shape[-1])
        return self._pick(logits)

    def check(self, size: tuple[int, int]) -> None:
        """Compute a black image, so that what is no classifier of it costs no decoding.

        Raises:
            EvaluationError: the model refuses images of that size, or has another
                number of outputs than it must have.
        """
        blank = torch.zeros(1, 3, *size, dtype=torch.uint8)
        try:
            logits = self(blank)
        except EvaluationError:
            raise
        # What a model raises is its library's, or its release's own, choice.
        except Exception as error:
            if is_out_of_memory(error) or is_failure(error):
                raise
            said = " ".join(str(error).split())[:_TOLD] or type(error).__name__
            raise EvaluationError(
                f"the model refuses images of {size[0]} x {size[1]} pixels, which the "
                f"geometry gives: {said}"
            ) from error
        if logits.ndim != 2:
            raise EvaluationError(
                f"the model gives {list(logits.shape)} for one image; expected logits "
                "[1, outputs]"
            )


def normaliser(
    mean: Sequence[float], std: Sequence[float], device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Give the function from pixels on a device to images of mean 0 and deviation 1.

    CUDA multiplies by 1/255 where it is told to divide by 255, which rounds 126 of the
    256 levels otherwise, and Metal does not round divisions exactly. So a processor
    computes what each level of each channel becomes, and others look it up. Looking up
    takes a processor twice as long as computing.
    """
    means, deviations = (torch.tensor(part).view(-1, 1, 1) for part in (mean, std))

    def compute(pixels: Tensor) -> Tensor:
        return pixels.to(torch.float32).div_(255).sub_(means).div_(deviations)

    return compute if device.type == "cpu" else table_of(compute, len(mean), device)


def table_of(
    compute: Callable[[Tensor], Tensor], channels: int, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Give the function that looks up on a device what a processor computes of pixels.

    Args:
        compute: from uint8 `[B, channels, H, W]` to float32, each pixel by itself.
        channels: how many.
        device: where the pixels will be.
    """
    levels = torch.arange(256, dtype=torch.uint8).expand(channels, 1, 256)[None]
    table = compute(levels).flatten().to(device)
    starts = 256 * torch.arange(channels, dtype=torch.int32, device=device)

    def look_up(pixels: Tensor) -> Tensor:
        places = pixels.to(torch.int32).add_(starts.view(-1, 1, 1))
        return table.index_select(0, places.flatten()).view(places.shape)

    return look_up


def column_picker(
    columns: Sequence[int] | None, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Give the function that keeps some of the logits `[B, outputs]`, None for all."""
    if columns is None:
        return lambda logits: logits
    kept = torch.tensor(columns).to(device)
    return lambda logits: logits[:, kept]


def clip_forward(
    model: nn.Module,
    text: Tensor,
    protocol: Protocol,
    precision: Precision,
) -> Callable[[Tensor], Tensor]:
    """Give the function from normalised images to logits of a zero-shot text `[C, D]`.

    Logits are cosines times the protocol's logit scale.

    Raises:
        WeightsError: the protocol wants the checkpoint's scale and it has none.
    """
    embed = image_embedder(model)
    compare = text_comparison(model, text, protocol, precision)
    return lambda images: compare(embed(images))


def image_embedder(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Give the function from normalised images to unit vectors float32 `[B, D]`."""

    def embed(images: Tensor) -> Tensor:
        features: Tensor = model.encode_image(images)  # type: ignore[operator]
        # Autocast leaves what is neither a product nor a convolution in float32.
        return functional.normalize(features.float(), dim=1)

    return embed


def text_comparison(
    model: nn.Module, text: Tensor, protocol: Protocol, precision: Precision
) -> Callable[[Tensor], Tensor]:
    """Give the function from unit vectors of images `[B, D]` to logits `[B, C]`.

    It compares them with a zero-shot text classifier `[C, D]`. Autocast counts there:
    evaluation scripts have the product inside of it too
    (github.com/mlfoundations/open_clip, src/open_clip_train/zero_shot.py). TF32 does
    not, nor what guards float32: beside the model this product costs nothing, and every
    logit comes of it.

    Raises:
        WeightsError: the protocol wants the checkpoint's scale and it has none.
    """
    scale = protocol.logit_scale
    if scale == "checkpoint":
        own = getattr(model, "logit_scale", None)
        if own is None:
            raise WeightsError("the checkpoint holds no logit_scale")
        scale = float(own.float().exp())
    assert scale is not None
    directions = text.T.to(input_type(precision))

    def compare(features: Tensor) -> Tensor:
        # They scale the images, which rounds otherwise than scaling the product.
        logits: Tensor = scale * features.to(directions.dtype) @ directions
        return logits

    if precision not in ("fp32", "tf32"):
        return compare

    def compare_exactly(features: Tensor) -> Tensor:
        off = torch.autocast(features.device.type, enabled=False)
        with multiplying_float32(as_tf32=False), off:
            return compare(features)

    return compare_exactly
