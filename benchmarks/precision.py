"""How far reduced precision moves predictions, on stand-ins that decide clearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.evaluating import Warm
from benchmarks.row import Row
from benchmarks.setting import Setting
from benchmarks.timing import seconds, spread
from repro.evaluation.precision import arithmetic
from repro.published import Precision


def precision_shift(setting: Setting) -> list[Row]:
    """Compare the predictions of reduced precision with those of float32.

    The last layer is fitted to the photographs, every fourth of which has a wrong
    label, so that decisions are about as clear as those of a trained model.
    """
    (case,) = setting.stand_ins.cases("supervised/vit-ti16", "some")
    with setting.empty_cache() as cache:
        warm = Warm(setting, setting.engine(cache), case, 2 if setting.is_quick else 6)
    dataset = warm.dataset
    members = np.concatenate([dataset.strata[number] for number in warm.numbers])
    labels = torch.from_numpy(dataset.labels[members]).to(setting.device)
    fit_head(warm.model, torch.split(warm.images, 32), labels)
    exact, expected = _logits(warm, "fp32")
    found: list[Row] = []
    modes: tuple[Precision, ...] = ("tf32", "amp-bf16", "amp-fp16")
    for mode in modes:
        what = f"first class differs in {mode} from fp32, ViT-Ti/16"
        if mode == "tf32" and setting.device.type != "cuda":
            note = "needs a GPU"
            found.append(
                Row(id=f"precision-{mode}", what=what, unit="points", note=note)
            )
            continue
        shifted, taken = _logits(warm, mode)
        loss = [functional.cross_entropy(x, labels).item() for x in (shifted, exact)]
        right = [int((x.argmax(1) == labels).sum()) for x in (shifted, exact)]
        changed = (shifted.argmax(1) != exact.argmax(1)).float().mean().item()
        found.append(
            Row(
                id=f"precision-{mode}",
                what=what,
                unit="points",
                value=spread([100 * changed]),
                parts={
                    "images": len(labels),
                    "shift of top-1, points": 100 * (right[0] - right[1]) / len(labels),
                    "top-1 in fp32, percent": 100 * right[1] / len(labels),
                    "shift of the mean loss": loss[0] - loss[1],
                    "largest shift of a logit": (shifted - exact).abs().max().item(),
                    "times faster": expected / taken,
                },
            )
        )
    return found


def fit_head(model: nn.Module, images: Iterable[Tensor], labels: Tensor) -> None:
    """Fit the last linear layer of a model by ridge regression.

    Args:
        model: any whose last linear layer gives its logits.
        images: batches of normalised ones.
        labels: of all images, each below the number of logits.
    """
    head = head_of(model)
    wrong = torch.arange(len(labels), device=labels.device) % 4 == 0
    classes = int(labels.max()) + 1
    taught = torch.where(wrong, (labels + 1) % classes, labels)
    with torch.inference_mode():
        features = _features(model, head, images)
        centre = features.mean(dim=0)
        x = (features - centre).double()
        kernel = x @ x.T
        ridge = 1e-3 * kernel.diagonal().mean() * torch.eye(len(x), device=x.device)
        wanted = 10 * functional.one_hot(taught, classes).double()
        weight = (x.T @ torch.linalg.solve(kernel + ridge, wanted)).T.float()
    head.weight.data[:classes] = weight
    head.bias.data[:classes] = -weight @ centre


def head_of(model: nn.Module) -> nn.Linear:
    """Give the last linear layer, whatever a library calls it."""
    *_, head = (part for part in model.modules() if isinstance(part, nn.Linear))
    return head


def _features(model: nn.Module, head: nn.Linear, images: Iterable[Tensor]) -> Tensor:
    """Give what the last layer is given: `[N, D]`."""
    found: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    for part in images:
        model(part)
    handle.remove()
    return torch.cat(found)


@torch.inference_mode()
def _logits(warm: Warm, precision: Precision) -> tuple[Tensor, float]:
    """Compute all logits, and the seconds that it takes."""
    found: list[Tensor] = []

    def compute() -> None:
        with arithmetic(precision, warm.device):
            found[:] = [
                warm.model(part).float() for part in torch.split(warm.images, 16)
            ]
        if warm.device.type == "cuda":
            torch.cuda.synchronize(warm.device)

    taken = min(seconds(compute) for _ in range(2))
    return torch.cat(found), taken


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [precision_shift]
