"""Ways to compute the same forward pass faster, each checked before it is used.

What an accelerator gives is compared with the plain forward on a batch of the case. It
is used only if no logit moves by more than a limit; else, or if it fails, the plain
forward goes on and the reason is kept. So it changes rounding, never a result silently.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from repro.evaluation.acceleration import AUTO, Acceleration
from repro.published import Precision

Forward = Callable[[Tensor], Tensor]

#: How far all accelerators together may move a logit, as a part of the logits' spread.
#: What is reduced anyway may move by some ten of its own rounding errors.
LIMITS: dict[Precision, float] = {
    "fp32": 1e-4,
    "tf32": 5e-3,
    "amp-fp16": 5e-3,
    "fp16": 5e-3,
    "amp-bf16": 4e-2,
    "bf16": 4e-2,
}
#: So often a size of batches has to come before it is taken to be the one that stays:
#: while the best one is searched, each is tried twice.
SETTLED_AFTER = 3
#: Runs before a graph is captured, in which libraries choose and allocate.
WARM_UPS = 3


class Accelerator(NamedTuple):
    """A way to make a forward pass faster.

    `wrap` makes a faster forward of a model's, with a batch to try; `obstacle` says why
    a model on a device cannot have it, empty if it can; `pays` tells whether it was
    measured to be faster there (docs/performance.md); `undo` puts the model back as it
    was; with `one_size` it is for batches of one size only.
    """

    name: str
    wrap: Callable[[nn.Module, Forward, Tensor], Forward]
    obstacle: Callable[[nn.Module, torch.device], str] = lambda model, device: ""
    pays: Callable[[nn.Module, torch.device], bool] = lambda model, device: False
    undo: Callable[[nn.Module], object] = lambda model: None
    one_size: bool = False


class Accelerated:
    """A forward pass that becomes faster once it has shown to stay the same.

    Args:
        model: whose forward pass it is; its memory layout may change.
        forward: from normalised images to logits.
        device: where it computes.
        wanted: names of accelerators; `auto` stands for those that pay.
        precision: of the arithmetic, which sets the limit.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        device: torch.device,
        wanted: Sequence[str],
        precision: Precision = "fp32",
    ) -> None:
        self._model = model
        self._any_size = forward
        self._one_size: dict[int, Forward] = {}
        self._seen: Counter[int] = Counter()
        self._allowance = LIMITS[precision]
        self._limit = self._allowance
        self._tried: dict[str, Acceleration] = {}
        self._waiting: list[Accelerator] = []
        for accelerator in ACCELERATORS:
            by_itself = AUTO in wanted and accelerator.pays(model, device)
            if accelerator.name not in wanted and not by_itself:
                continue
            if why := accelerator.obstacle(model, device):
                self._note(accelerator.name, why)
            else:
                self._waiting.append(accelerator)

    @property
    def accelerations(self) -> tuple[Acceleration, ...]:
        """What became of each accelerator that was wanted."""
        why = f"no size of batches came {SETTLED_AFTER} times"
        waiting = [
            Acceleration(name=a.name, used=False, reason=why) for a in self._waiting
        ]
        return (*self._tried.values(), *waiting)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute logits of normalised images."""
        size = len(images)
        self._seen[size] += 1
        while self._waiting and self._is_due(self._waiting[0], size):
            self._try(self._waiting[0], images)
            self._waiting.pop(0)
        return self._forward(size)(images)

    def _is_due(self, accelerator: Accelerator, size: int) -> bool:
        return not accelerator.one_size or self._seen[size] >= SETTLED_AFTER

    def _forward(self, size: int) -> Forward:
        return self._one_size.get(size, self._any_size)

    def _try(self, accelerator: Accelerator, images: Tensor) -> None:
        """Compute a batch both ways, and go on with the faster one if it may be used.

        Raises:
            OutOfMemoryError: the batch is too large for the plain forward already.
        """
        current = self._forward(len(images))
        expected = current(images).float()
        try:
            faster = accelerator.wrap(self._model, current, images)
            moved = difference(faster(images).float(), expected)
        # Compilers and drivers raise what they like, out of memory among it.
        except Exception as error:
            accelerator.undo(self._model)
            self._note(accelerator.name, _first_line(error))
            return
        # Several ones may add up. What is not a number is not below either.
        if not moved <= self._allowance:
            accelerator.undo(self._model)
            why = f"it moves a logit by {moved:.1e} of their spread"
            if self._allowance < self._limit:
                why += " on top of the others"
            self._note(accelerator.name, f"{why}; {self._limit:.0e} are allowed", moved)
            return
        self._allowance -= moved
        self._tried[accelerator.name] = Acceleration(
            name=accelerator.name, used=True, difference=moved
        )
        if accelerator.one_size:
            self._one_size = {len(images): faster}
        else:
            self._any_size = faster

    def _note(self, name: str, why: str, moved: float | None = None) -> None:
        self._tried[name] = Acceleration(
            name=name, used=False, difference=moved, reason=why
        )


def difference(found: Tensor, expected: Tensor) -> float:
    """Compare logits `[B, C]`: the largest difference, as a part of their spread.

    The spread is how far a logit is at most from the mean of its image: what all logits
    of an image have in common changes no prediction.
    """
    largest = (found - expected).abs().amax().item()
    spread = (expected - expected.mean(dim=1, keepdim=True)).abs().amax().item()
    if not spread:
        return float("inf") if largest else 0.0
    return largest / spread


def _first_line(error: Exception) -> str:
    lines = f"{error}".strip().splitlines()
    return f"it failed: {lines[0] if lines else type(error).__name__}"


def _convolutions(model: nn.Module) -> int:
    image_tower = getattr(model, "visual", model)
    return sum(isinstance(module, nn.Conv2d) for module in image_tower.modules())


def _no_convolution(model: nn.Module, device: torch.device) -> str:
    return "" if _convolutions(model) else "the model has no convolution"


def _is_convolutional_on_cpu(model: nn.Module, device: torch.device) -> bool:
    """A single convolution makes patches; with it alone nothing was gained."""
    return device.type == "cpu" and _convolutions(model) > 1


def _channels_last(model: nn.Module, forward: Forward, images: Tensor) -> Forward:
    """Keep the channels of a pixel beside each other, as convolutions read them."""
    model.to(memory_format=torch.channels_last)
    return lambda batch: forward(batch.to(memory_format=torch.channels_last))


def _channels_first(model: nn.Module) -> None:
    model.to(memory_format=torch.contiguous_format)


def _compile(model: nn.Module, forward: Forward, images: Tensor) -> Forward:
    """Compile for one size of batches, which gives faster code than for any."""
    # Code of the case before would count towards the limit of recompilations.
    torch.compiler.reset()
    compiled: Forward = torch.compile(forward, dynamic=False)

    def quietly(batch: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compiled(batch)

    quietly(images)
    return compiled


def _no_cuda(model: nn.Module, device: torch.device) -> str:
    return "" if device.type == "cuda" else "it needs a CUDA device"


def _capture(model: nn.Module, forward: Forward, images: Tensor) -> Forward:
    """Capture a forward pass as a CUDA graph, which is launched as one."""
    # autocast keeps casts only of parameters with a gradient, and ours have none: what
    # is cast inside of the graph is cast again by each replay.
    with torch.cuda.device(images.device):
        # Not the images: what the graph does not compute anew would look right then.
        inputs = torch.zeros_like(images)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                forward(inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile. Torch's own stream is one of the GPU
        # that a graph was first captured on.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            outputs = forward(inputs)

    def replay(batch: Tensor) -> Tensor:
        inputs.copy_(batch)
        graph.replay()
        # The next batch writes to the same memory.
        return outputs.clone()

    return replay


#: In the order in which they go into each other.
ACCELERATORS = (
    Accelerator(
        "channels-last",
        _channels_last,
        _no_convolution,
        _is_convolutional_on_cpu,
        _channels_first,
    ),
    Accelerator("compile", _compile, one_size=True),
    Accelerator("cuda-graphs", _capture, _no_cuda, one_size=True),
)
