"""Models that onnxruntime computes, as modules of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.errors import EvaluationError, NotAvailableError, WeightsError
from repro.models.libraries.common import reason
from repro.stored.onnx import EXTRA, Port

#: Types that images are given in.
TYPES = {"float32": torch.float32, "float16": torch.float16}


def open_session(file: Path, device: torch.device) -> Any:
    """Have onnxruntime load a model.

    Raises:
        NotAvailableError: it is not installed.
        WeightsError: it does not compute that; the message goes on a sentence that
            begins with the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise NotAvailableError(
            f"{file} is computed by onnxruntime, which is not installed; run {EXTRA}",
            "onnxruntime",
            EXTRA,
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # What matters is raised.
    providers: list[Any] = ["CPUExecutionProvider"]
    if (
        device.type == "cuda"
        and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    ):
        # Convolutions are float32 by themselves there, and TF32 has to be left out.
        cuda = {"device_id": device.index or 0, "use_tf32": 0}
        providers.insert(0, ("CUDAExecutionProvider", cuda))
    try:
        return onnxruntime.InferenceSession(
            str(file), sess_options=options, providers=providers
        )
    # Its exceptions have no base of their own.
    except Exception as error:
        raise WeightsError(
            f"cannot be computed by onnxruntime {onnxruntime.__version__}: "
            f"{reason(error)}"
        ) from error


class OnnxModel(nn.Module):
    """Turns images `[B, C, H, W]` into logits `[B, C]` by a session of onnxruntime.

    Args:
        session: that computes.
        taken: its input.
        output: the name of its output.
        channels_last: whether it is given `[B, H, W, C]`.
        probabilities: whether it gives probabilities, whose logarithms are logits.
    """

    def __init__(
        self,
        session: Any,
        taken: Port,
        output: str,
        *,
        channels_last: bool,
        probabilities: bool,
    ) -> None:
        super().__init__()
        self._session = session
        self._input = taken.name
        self._type = TYPES[taken.dtype]
        #: So many images at once, where the file has been made for a number.
        self._batch = taken.shape[0]
        self._output = output
        self._channels_last = channels_last
        self._probabilities = probabilities

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits.

        Raises:
            EvaluationError: another arithmetic is asked for than the file has.
        """
        if images.dtype not in (torch.float32, self._type) or (
            torch.is_autocast_enabled(images.device.type)
        ):
            raise EvaluationError(
                "an ONNX model computes in the types of its own file; leave "
                "--repro-precision and the protocol's precision out"
            )
        parts = torch.split(images, self._batch or len(images))
        given = [self._run(part) for part in parts]
        found = np.concatenate(given)[: len(images)]
        logits = torch.from_numpy(found).to(images.device)
        if not self._probabilities:
            return logits
        return logits.float().clamp_min(torch.finfo(torch.float32).tiny).log()

    def _run(self, images: Tensor) -> Any:
        if self._batch and len(images) < self._batch:
            blank = images.new_zeros(self._batch - len(images), *images.shape[1:])
            images = torch.cat([images, blank])
        if self._channels_last:
            images = images.permute(0, 2, 3, 1).contiguous()
        array = images.to("cpu", self._type).numpy()
        return self._session.run([self._output], {self._input: array})[0]
