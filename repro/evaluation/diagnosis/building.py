"""Build the classifier of a varied setup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from repro.errors import ReproError
from repro.evaluation.classifier import clip_classifier, supervised_classifier
from repro.evaluation.diagnosis.setup import RGB, Activation, Pooling, Setup
from repro.evaluation.precision import arithmetic
from repro.models.clip import build_tokenizer
from repro.models.loading import load_model
from repro.models.zeroshot import zeroshot_classifier
from repro.published import ModelSpec


class NotApplicableError(ReproError):
    """A variation is none for this model."""


class QuickGELU(nn.Module):
    """The approximation of GELU in OpenAI's CLIP models (github.com/openai/CLIP)."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute it."""
        return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "quick_gelu": QuickGELU,
}
#: Attribute that says how patches become one vector -> what a pooling is called there.
_POOLINGS: dict[str, dict[Pooling, str]] = {
    "global_pool": {"token": "token", "avg": "avg"},
    "pool_type": {"token": "tok", "avg": "avg"},
}


class Builder:
    """Builds classifiers of one checkpoint.

    Args:
        location: folder of the release, for files that the model names.
        weights: the checkpoint.
        device: where to compute.
        cache: folder of text classifiers, or None.
    """

    def __init__(
        self, location: Path, weights: Path, device: torch.device, cache: Path | None
    ) -> None:
        self._location = location
        self._weights = weights
        self._device = device
        self._cache = cache
        self._plain: tuple[ModelSpec, nn.Module] | None = None

    def build(self, setup: Setup) -> Callable[[Tensor], Tensor]:
        """Load a model and give a function from uint8 pixels to logits.

        Raises:
            NotApplicableError: the model has nothing to vary there.
            ReproError: it cannot be evaluated that way.
        """
        model = self._model(setup)
        protocol = setup.protocol
        columns = setup.columns
        if protocol.text is None:
            classifier = supervised_classifier(
                model, protocol, self._device, setup.precision, columns
            )
        else:
            text = self._text(setup, model)
            classifier = clip_classifier(
                model, text, protocol, self._device, setup.precision, columns
            )
        if setup.offset:
            classifier.forward = _shifted(classifier.forward, setup.offset)
        if setup.channels == RGB:
            return classifier
        channels = list(setup.channels)
        return lambda pixels: classifier(pixels[:, channels])

    def _model(self, setup: Setup) -> nn.Module:
        """Load a model; one that nothing is changed in serves several setups."""
        if not setup.changes_model and self._plain and self._plain[0] == setup.model:
            return self._plain[1]
        model = load_model(setup.model, self._location, self._weights, self._device)
        if setup.changes_model:
            change_model(model, setup)
        else:
            self._plain = setup.model, model
        return model

    def _text(self, setup: Setup, model: nn.Module) -> Tensor:
        assert setup.protocol.text is not None
        tokenizer = build_tokenizer(setup.model, self._location)
        with arithmetic(setup.precision, self._device):
            return zeroshot_classifier(
                model,
                tokenizer,
                setup.protocol.text,
                self._device,
                self._cache,
                f"{setup.precision} {self._device.type}",
            )


def change_model(model: nn.Module, setup: Setup) -> None:
    """Change activations, pooling or epsilons of a model, in place.

    Raises:
        NotApplicableError: it has none of that, or has it like that already.
    """
    changed = False
    if setup.activation:
        changed |= _change_activation(model, setup.activation)
    if setup.pooling:
        changed |= _change_pooling(model, setup.pooling)
    if setup.epsilon:
        changed |= _change_epsilon(model, setup.epsilon)
    if not changed:
        raise NotApplicableError("the model has nothing else there")


def _change_activation(model: nn.Module, activation: Activation) -> bool:
    changed = False
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            found = _activation_of(child)
            if found is not None and found != activation:
                setattr(parent, name, _ACTIVATIONS[activation]())
                changed = True
    return changed


def _activation_of(module: nn.Module) -> Activation | None:
    # Several libraries have a class of this name.
    if type(module).__name__ == "QuickGELU":
        return "quick_gelu"
    if isinstance(module, nn.GELU):
        return "gelu_tanh" if module.approximate == "tanh" else "gelu"
    return None


def _change_pooling(model: nn.Module, pooling: Pooling) -> bool:
    image_tower = getattr(model, "visual", model)
    for attribute, names in _POOLINGS.items():
        found = getattr(image_tower, attribute, None)
        if found in names.values() and found != names[pooling]:
            if pooling == "token" and not _has_class_token(image_tower):
                return False
            setattr(image_tower, attribute, names[pooling])
            return True
    return False


def _has_class_token(model: nn.Module) -> bool:
    names = ("cls_token", "class_embedding")
    return any(getattr(model, name, None) is not None for name in names)


def _change_epsilon(model: nn.Module, epsilon: float) -> bool:
    changed = False
    for module in model.modules():
        if isinstance(module, nn.LayerNorm) and module.eps != epsilon:
            module.eps = epsilon
            changed = True
    return changed


def _shifted(
    forward: Callable[[Tensor], Tensor], offset: int
) -> Callable[[Tensor], Tensor]:
    """Take the output that stands `offset` places further, around the end."""
    return lambda images: forward(images).roll(-offset, dims=-1)
