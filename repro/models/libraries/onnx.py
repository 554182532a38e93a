"""ONNX: models that bring their architecture in their own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.errors import EvaluationError, ExpectedError, NotAvailableError, WeightsError
from repro.models.libraries import Loaded, Loader
from repro.stored.onnx import EXTRA, Graph, Port, read_graph
from repro.words import listed, reason

if TYPE_CHECKING:
    import torch
    from torch import nn

    from repro.models.state import StateDict
    from repro.published import ModelSpec


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
        # Their algorithms would be chosen by a clock, and others in the next run.
        cuda = {
            "device_id": device.index or 0,
            "use_tf32": 0,
            "cudnn_conv_algo_search": "HEURISTIC",
        }
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


_OPTIONS = {"input", "output", "layout"}
_CHANNELS = (1, 3)
_ONLY = (
    "holds tensors without their architecture, which loader onnx does not read; name "
    "the loader of the library that builds it"
)


class OnnxLoader(Loader):
    """The file is the architecture; `architecture` is a name for reports.

    Of the options `input` and `output` name one of several, and `layout` is `NCHW` or
    `NHWC` where the file does not tell. It runs in onnxruntime, and no Python with it.
    """

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Refuse: without its file there is no architecture."""
        raise ExpectedError(f"model {spec.id!r} of loader onnx is built by its file")

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Refuse tensors alone."""
        raise WeightsError(_ONLY)

    def load_arrays(self, spec: ModelSpec, file: Path) -> nn.Module | None:
        """Refuse arrays alone."""
        raise WeightsError(_ONLY)

    def load_file(
        self, spec: ModelSpec, file: Path, device: torch.device
    ) -> Loaded | None:
        """Make a session of onnxruntime."""
        if unknown := spec.options.keys() - _OPTIONS:
            raise ExpectedError(
                f"options of model {spec.id!r} has {listed(sorted(unknown))}; loader "
                f"onnx takes {', '.join(sorted(_OPTIONS))}"
            )

        graph = read_graph(file)
        taken = _port_of(spec, "input", graph.inputs)
        given = _port_of(spec, "output", graph.outputs)
        if taken.dtype not in TYPES:
            raise WeightsError(
                f"is given {taken}; expected images of float32 or float16, since "
                "normalisation is the protocol's: export the model without it"
            )
        is_last = _has_channels_last(spec, taken)
        session = open_session(file, device)
        model = OnnxModel(
            session,
            taken,
            given.name,
            channels_last=is_last,
            probabilities=given.name in graph.probabilities,
        )
        return Loaded(model, tuple(_done(session, graph, given.name, last=is_last)))


def _done(session: Any, graph: Graph, output: str, *, last: bool) -> list[str]:
    """Say what is done to compute it."""
    import onnxruntime

    provider = session.get_providers()[0].removesuffix("ExecutionProvider")
    done = [f"computed by onnxruntime {onnxruntime.__version__} ({provider})"]
    done += ["images given as N, H, W, C"] * last
    probable = output in graph.probabilities
    return done + ["logarithm taken of the probabilities that it gives"] * probable


def _port_of(spec: ModelSpec, which: str, ports: tuple[Port, ...]) -> Port:
    """Choose the input or output that is meant.

    Raises:
        WeightsError: there are several, or none of the name that the options say.
    """
    named = spec.options.get(which)
    found = [port for port in ports if named in (None, port.name)]
    if len(found) == 1:
        return found[0]
    listing = "; ".join(str(port)[:80] for port in ports[:4]) or "none"
    raise WeightsError(
        f"has the {which}s {listing}; name the one that is meant: options = "
        f'{{ {which} = "{ports[-1].name if ports else "..."}" }}'
    )


def _has_channels_last(spec: ModelSpec, taken: Port) -> bool:
    """Whether images are given as N, H, W, C.

    Raises:
        ExpectedError: the options say another layout than these two.
        WeightsError: it is not given images, or does not tell how.
    """
    layout = spec.options.get("layout")
    if layout not in (None, "NCHW", "NHWC"):
        raise ExpectedError(
            f"options of model {spec.id!r} says layout {layout!r}; it is 'NCHW' or "
            "'NHWC'"
        )
    if len(taken.shape) != 4:
        raise WeightsError(f"is given {taken}; expected images of four dimensions")
    if layout:
        return bool(layout == "NHWC")
    first, last = (taken.shape[place] in _CHANNELS for place in (1, 3))
    if first == last:
        raise WeightsError(
            f"is given {taken}, which does not tell where the channels are; say "
            'options = { layout = "NCHW" } or "NHWC"'
        )
    return last
