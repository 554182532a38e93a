"""Build the classifier of a varied setup: its body, and its head."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from repro.diagnosis.setup import RGB, Activation, Pooling, Setup
from repro.errors import ReproError
from repro.evaluation.classifier import (
    Classifier,
    column_picker,
    image_embedder,
    text_comparison,
)
from repro.evaluation.precision import arithmetic, in_type_of, input_type
from repro.models.building import load_checkpoint
from repro.models.libraries import read_own_files
from repro.models.zeroshot import (
    CLASSES_PER_PART,
    build_tokenizer,
    count_classes,
    zeroshot_classifier,
)
from repro.published import ModelSpec, TextSpec

#: Names of classes by which the encoding of many is timed.
FEW_CLASSES = ("dog", "sports car", "golden retriever", "grand piano")


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


@dataclass
class Builder:
    """Builds the parts of classifiers of one checkpoint.

    `location` is the folder of the release, for files that the model names; `cache`
    that of text classifiers, or None; with `run_code` code that a release brings may be
    run.
    """

    location: Path
    weights: Path
    device: torch.device
    cache: Path | None
    run_code: bool = False
    _plain: tuple[ModelSpec, torch.dtype, nn.Module] | None = None
    _last: tuple[Setup, nn.Module] | None = None
    _texts: list[tuple[tuple[object, ...], TextSpec, Tensor]] = field(
        default_factory=list
    )

    def body(self, body: Setup, *, is_clip: bool) -> Callable[[Tensor], Tensor]:
        """Give the function from uint8 pixels `[B, 3, H, W]` to features `[B, D]`.

        Where an image has several views, from `[B, V, 3, H, W]`. These are unit vectors
        of images for a CLIP model, else logits of all outputs.

        Raises:
            NotApplicableError: the model has nothing to vary there.
            ReproError: it cannot be evaluated that way.
        """
        model = self._model(body)
        forward = image_embedder(model) if is_clip else model
        features: Callable[[Tensor], Tensor] = Classifier(
            forward,
            body.protocol.mean,
            body.protocol.std,
            self.device,
            body.precision,
            channels=body.protocol.geometry_steps.channels,
        )
        if body.channels != RGB:
            features = _of_channels(features, list(body.channels))
        return _of_views(features) if body.passes > 1 else features

    def head(
        self, setup: Setup, allow: Callable[[float], None]
    ) -> Callable[[Tensor], Tensor]:
        """Give the function from features `[B, D]` to logits `[B, C]`.

        Args:
            setup: whose.
            allow: raises where encoding prompts for so many seconds is too long.

        Raises:
            NotApplicableError: the model has nothing to vary there.
            ReproError: it cannot be evaluated that way.
        """
        compare: Callable[[Tensor], Tensor] | None = None
        if setup.protocol.text is not None:
            model = self._model(setup.body)
            text = self._text(setup, setup.protocol.text, model, allow)
            compare = text_comparison(model, text, setup.protocol, setup.precision)
        pick = column_picker(setup.columns, self.device)

        def logits(features: Tensor) -> Tensor:
            found = features
            if compare is not None:
                with arithmetic(setup.precision, self.device):
                    found = compare(features).float()
            # The output that stands so many places further, around the end.
            return pick(found.roll(-setup.offset, dims=-1))

        return logits

    def _model(self, body: Setup) -> nn.Module:
        """Load a model; the plain one and the last changed one are kept."""
        if not body.changes_model:
            wanted = body.model, input_type(body.precision)
            if self._plain is None or self._plain[:2] != wanted:
                self._plain = None
                self._plain = *wanted, self._load(body)
            return self._plain[2]
        if self._last is None or self._last[0] != body:
            self._last = None
            model = self._load(body)
            change_model(model, body)
            self._last = body, model
        return self._last[1]

    def _load(self, body: Setup) -> nn.Module:
        place = self.location, self.weights, self.device
        # What is diagnosed may have been measured by another run, and allowed there.
        loaded = load_checkpoint(body.model, *place, run_code=self.run_code)
        return in_type_of(body.precision, loaded.model)

    def _text(
        self,
        setup: Setup,
        text: TextSpec,
        model: nn.Module,
        allow: Callable[[float], None],
    ) -> Tensor:
        """Encode the classes, once for all setups that have the same text tower."""
        changed = setup.activation, setup.pooling, setup.epsilon
        key = setup.model, setup.precision, *changed
        for known, of_text, found in self._texts:
            if (known, of_text) == (key, text):
                return found
        tokenizer = build_tokenizer(
            setup.model, read_own_files(setup.model, self.location)
        )
        with arithmetic(setup.precision, self.device):
            encode = partial(zeroshot_classifier, model, tokenizer, device=self.device)
            classes = count_classes(text)
            if classes > CLASSES_PER_PART:
                few = msgspec.structs.replace(text, classnames=FEW_CLASSES)
                start = time.perf_counter()
                encode(few)
                seconds = time.perf_counter() - start
                allow(seconds / len(FEW_CLASSES) * classes)
            encoded = encode(text, cache=self.cache, note=setup.precision)
        self._texts.append((key, text, encoded))
        return encoded


def _of_channels(
    features: Callable[[Tensor], Tensor], channels: list[int]
) -> Callable[[Tensor], Tensor]:
    return lambda pixels: features(pixels[:, channels])


def _of_views(features: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Average over the views of each image: from pixels `[B, V, 3, H, W]`."""

    def compute(pixels: Tensor) -> Tensor:
        # Logits of images are a linear function of these.
        each = features(pixels.flatten(0, 1))
        return each.view(*pixels.shape[:2], -1).mean(dim=1)

    return compute


def change_model(model: nn.Module, body: Setup) -> None:
    """Change activations, pooling or epsilons of a model, in place.

    Raises:
        NotApplicableError: it has none of that, or has it like that already.
    """
    changed = False
    if body.activation:
        changed |= _change_activation(model, body.activation)
    if body.pooling:
        changed |= _change_pooling(model, body.pooling)
    if body.epsilon:
        changed |= _change_epsilon(model, body.epsilon)
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
