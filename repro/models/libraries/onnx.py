"""ONNX: models that bring their architecture in their own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import ExpectedError, WeightsError
from repro.models.libraries.protocol import Loaded, Loader
from repro.stored.onnx import Graph, Port, read_graph
from repro.words import listed

if TYPE_CHECKING:
    import torch
    from torch import nn

    from repro.models.state import StateDict
    from repro.published import ModelSpec

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
        from repro.models.libraries.onnx_session import TYPES, OnnxModel, open_session

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
