"""How a case is evaluated, all of it as data, and what can be varied; no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from repro.published import (
    CenterCrop,
    Contain,
    Cover,
    Filter,
    Geometry,
    ModelSpec,
    Precision,
    Protocol,
    Resize,
    TextSpec,
)

Channels = tuple[int, int, int]
RGB: Channels = (0, 1, 2)

Activation = Literal["gelu", "gelu_tanh", "quick_gelu"]
Pooling = Literal["token", "avg"]
Wording = Literal[
    "underscores",
    "lower case",
    "no full stop",
    "folder names",
    "first of WordNet",
    "all of WordNet",
]
#: Five crops are those of corners and middle, ten also those of the mirrored image.
Views = Literal["mirrored", "five crops", "ten crops"]


class Variation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done otherwise; what is None stays as the protocol says.

    `mean` and `std` are on pixels scaled to 0..1; `crop_share` is the side of the crop
    as a share of the short side of the resized image, and `squash` resizes the whole
    image to the crop's size; `templates` and `logit_scale` are those of a zero-shot
    protocol, and `first_template` keeps the first of its own only; `order` takes the
    outputs of the model to be those of the sorted class names, or renamed as the
    confusion matrix tells; `offset` takes the output that stands so many places
    further; `outputs` are all or those of the classes alone; `epsilon` is that of every
    LayerNorm; `weights_key` is the entry of the weights file. `normalised` is done to
    the pixels with the protocol's own mean and std; `crop_first` is the share of both
    sides that is cut out and then resized to the crop's size; `by_area` resizes by the
    areas that pixels cover; `draft` lets the JPEG decoder make photographs smaller;
    `views` averages the logits of several of an image; `wording` changes names or
    templates; `smoothing` is the share of each label that the loss spreads over all
    classes.
    """

    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    filter: Filter | None = None
    antialias: bool | None = None
    crop_share: float | None = None
    squash: bool = False
    channels: Channels | None = None
    activation: Activation | None = None
    templates: tuple[str, ...] | str | None = None
    first_template: bool = False
    logit_scale: float | Literal["checkpoint"] | None = None
    order: Literal["sorted", "by number", "renamed"] | None = None
    offset: int = 0
    outputs: Literal["all", "of its classes"] | None = None
    pooling: Pooling | None = None
    epsilon: float | None = None
    precision: Precision | None = None
    weights_key: str | None = None
    normalised: Literal["twice", "unscaled"] | None = None
    crop_first: float | None = None
    by_area: bool | None = None
    draft: bool | None = None
    views: Views | None = None
    wording: Wording | None = None
    smoothing: float | None = None


class View(msgspec.Struct, frozen=True):
    """How a photograph becomes pixels: a geometry, and what no geometry can say."""

    geometry: Geometry
    crop_first: float | None = None
    by_area: bool = False
    draft: bool = False
    crops: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether the geometry says all."""
        return self == View(self.geometry)


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How a case is evaluated.

    `columns` are the outputs of the model in the order of the labels; None means all of
    them in order. Fields that are None leave what the model is built with.
    """

    protocol: Protocol
    model: ModelSpec
    precision: Precision
    columns: tuple[int, ...] | None = None
    offset: int = 0
    channels: Channels = RGB
    activation: Activation | None = None
    pooling: Pooling | None = None
    epsilon: float | None = None
    crop_first: float | None = None
    by_area: bool = False
    draft: bool = False
    views: Views | None = None
    smoothing: float = 0.0

    @property
    def view(self) -> View:
        """How a photograph becomes pixels."""
        crops = {"five crops": 5, "ten crops": 10}.get(self.views or "", 1)
        special = self.crop_first, self.by_area, self.draft
        return View(self.protocol.geometry_steps, *special, crops)

    @property
    def body(self) -> Setup:
        """What decides on the features of an image, before they are compared.

        Setups of one body differ in text, logit scale or outputs only, and share the
        forward pass over the images.
        """
        protocol = msgspec.structs.replace(self.protocol, text=None, logit_scale=None)
        return msgspec.structs.replace(
            self, protocol=protocol, columns=None, offset=0, smoothing=0.0
        )

    @property
    def passes(self) -> int:
        """How many forward passes an image takes."""
        return self.view.crops * (2 if self.views == "mirrored" else 1)

    @property
    def changes_model(self) -> bool:
        """Whether the model is changed after it was built."""
        return any((self.activation, self.pooling, self.epsilon))


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a case before anything is tried.

    `classes` are names in label order, `others` the outputs that are of none; `wordnet`
    is what WordNet calls each class, with commas between, empty where they are none of
    its ids; `text` has the prompts as lists;
    `is_jpeg` tells that some images are JPEG files; `entries` are those of the weights
    file that hold tensors by name; `renaming` gives for each predicted class the label
    that it stands for, where the predictions tell that classes were renamed.
    """

    classes: tuple[str, ...]
    others: tuple[int, ...] = ()
    wordnet: tuple[str, ...] = ()
    text: TextSpec | None = None
    is_jpeg: bool = False
    entries: tuple[str, ...] = ()
    renaming: tuple[int, ...] | None = None


#: What stands alike in a variation and in a setup.
_PLAIN = (
    *("channels", "activation", "pooling", "epsilon", "precision"),
    *("crop_first", "by_area", "draft", "views", "smoothing"),
)


def vary(setup: Setup, variation: Variation, facts: Facts) -> Setup | None:
    """Give the way a case is evaluated with something done otherwise.

    Args:
        setup: as the protocol says.
        variation: what is done otherwise.
        facts: about the case.

    Returns:
        None where the variation does not apply, is what is done anyway, or would be a
        protocol that there cannot be: a mean above 1, a resize to 11,000 pixels.
    """
    if not _fits(setup, variation, facts):
        return None
    try:
        protocol = _vary_protocol(setup, variation, facts)
    except ValueError:
        return None
    columns = _vary_columns(setup, variation, facts)
    model = setup.model
    key = variation.weights_key
    if key is not None and key in facts.entries:
        model = msgspec.structs.replace(model, weights_key=key)
    varied = msgspec.structs.replace(
        setup,
        protocol=protocol,
        model=model,
        columns=columns,
        offset=setup.offset + variation.offset,
        **_given(variation, _PLAIN),
    )
    return None if varied == setup else varied


def vary_geometry(geometry: Geometry, variation: Variation) -> Geometry:
    """Give a geometry with another filter, or another resize before the same crop.

    A variation that cannot be applied leaves it as it is.
    """
    steps = geometry.steps
    if variation.crop_share is not None or variation.squash:
        steps = _resized(geometry, variation)
    if variation.filter is not None:
        steps = tuple(_filtered(step, variation) for step in steps)
    return Geometry(steps, geometry.is_grey)


def _given(variation: Variation, names: Iterable[str]) -> dict[str, Any]:
    """Give those of some fields that are done otherwise."""
    found = {name: getattr(variation, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _fits(setup: Setup, variation: Variation, facts: Facts) -> bool:
    """Tell whether the images, and how they are resized, let that be done otherwise."""
    steps = setup.protocol.geometry_steps.steps
    is_resized = any(isinstance(s, Resize) and s.antialias for s in steps[:1])
    is_cropped = len(steps) > 1 and all(isinstance(s, CenterCrop) for s in steps[1:])
    if variation.draft:
        return facts.is_jpeg and is_resized
    if variation.views in ("five crops", "ten crops"):
        return is_resized and is_cropped
    if variation.crop_first is not None or variation.by_area:
        return is_resized and (is_cropped or len(steps) == 1)
    return True


def _vary_protocol(setup: Setup, variation: Variation, facts: Facts) -> Any:
    protocol = setup.protocol
    changes = _given(variation, ("mean", "std"))
    if variation.normalised == "twice":
        # Of what has become (x - mean) / std, the same again.
        both = list(zip(protocol.mean, protocol.std, strict=True))
        changes["mean"] = tuple(mean * (1 + std) for mean, std in both)
        changes["std"] = tuple(std * std for _, std in both)
    if variation.normalised == "unscaled":
        changes["mean"] = tuple(mean / 255 for mean in protocol.mean)
        changes["std"] = tuple(std / 255 for std in protocol.std)
    geometry = vary_geometry(protocol.geometry_steps, variation)
    if geometry != protocol.geometry_steps:
        changes["geometry"] = str(geometry)
    text = protocol.text
    if text is not None:
        if variation.templates is not None:
            text = msgspec.structs.replace(text, templates=variation.templates)
        elif variation.first_template and not isinstance(text.templates, str):
            text = msgspec.structs.replace(text, templates=text.templates[:1])
        elif variation.wording is not None:
            text = _worded(text, variation.wording, facts)
        if variation.logit_scale is not None:
            changes["logit_scale"] = variation.logit_scale
        changes["text"] = text
    return msgspec.structs.replace(protocol, **changes)


def _worded(text: TextSpec, wording: Wording, facts: Facts) -> TextSpec:
    """Give prompts with other class names or templates."""
    spelt = facts.text or text
    names, templates = spelt.classnames, spelt.templates
    if isinstance(names, str) or isinstance(templates, str):
        return text
    others = {
        "folder names": facts.classes,
        "first of WordNet": tuple(w.partition(",")[0] for w in facts.wordnet),
        "all of WordNet": facts.wordnet,
    }.get(wording, ())
    if len(others) == len(names):
        names = others
    elif wording == "underscores":
        names = tuple(name.replace(" ", "_") for name in names)
    elif wording == "lower case":
        names = tuple(name.lower() for name in names)
        templates = tuple(template.lower() for template in templates)
    elif wording == "no full stop":
        templates = tuple(template.removesuffix(".") for template in templates)
    worded = TextSpec(classnames=names, templates=templates)
    return text if worded == spelt else worded


def _vary_columns(
    setup: Setup, variation: Variation, facts: Facts
) -> tuple[int, ...] | None:
    """Give the outputs that count in the order of the labels, and then the others."""
    count = len(facts.classes)
    if variation.outputs and facts.others and setup.columns:
        others = facts.others if variation.outputs == "all" else ()
        return setup.columns[:count] + others
    order: Sequence[int] | None = None
    if variation.order == "sorted":
        order = _inverse(sorted(range(count), key=facts.classes.__getitem__))
    elif variation.order == "by number":
        order = _inverse(sorted(range(count), key=lambda n: _number(facts.classes[n])))
    elif variation.order == "renamed" and facts.renaming is not None:
        # From label to the output that stands for it.
        order = _inverse(facts.renaming)
    if order is None or list(order) == list(range(count)):
        return setup.columns
    columns = setup.columns or tuple(range(count))
    return tuple(columns[place] for place in order) + columns[len(order) :]


def _inverse(permutation: Sequence[int]) -> list[int]:
    return sorted(range(len(permutation)), key=permutation.__getitem__)


def _number(name: str) -> tuple[int, str]:
    """Sort by the first number in a name; names without one come last."""
    match = re.search(r"\d+", name)
    return (int(match[0]) if match else 10**9), name


def _resized(geometry: Geometry, variation: Variation) -> tuple[Any, ...]:
    """Put another resize before a crop of the same size."""
    resize = next((s for s in geometry.steps if not isinstance(s, CenterCrop)), None)
    if resize is None:
        return geometry.steps
    height, width = geometry.output_size
    antialias = resize.antialias if isinstance(resize, Resize) else True
    if variation.squash:
        return (Resize(height, width, resize.filter, antialias),)
    assert variation.crop_share is not None
    side = int(height / variation.crop_share)
    crop = next((s for s in geometry.steps if isinstance(s, CenterCrop)), None)
    if crop and side in (_short_side(resize), resize.height):
        return geometry.steps
    resized = Resize(side, None, resize.filter, antialias)
    return resized, crop or CenterCrop(height, width)


def _short_side(step: Resize | Contain | Cover) -> int:
    return step.height if step.width is None else min(step.height, step.width)


def _filtered(step: Any, variation: Variation) -> Any:
    if isinstance(step, CenterCrop):
        return step
    assert variation.filter is not None
    changes: dict[str, Any] = {"filter": variation.filter}
    if isinstance(step, Resize):
        if variation.antialias is not None:
            changes["antialias"] = variation.antialias
    elif variation.antialias is False:
        # Only this step can do without; sides are rounded down in place of to even.
        return Resize(_short_side(step), None, variation.filter, antialias=False)
    return msgspec.structs.replace(step, **changes)
