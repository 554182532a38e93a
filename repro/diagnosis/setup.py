"""How a case is evaluated, all of it as data, and what can be varied; no torch."""

from __future__ import annotations

from typing import Literal

import msgspec

from repro.published import (
    Filter,
    Geometry,
    ModelSpec,
    Precision,
    Protocol,
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


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What of a setup decides on the features of an image, before they are compared.

    Setups of one body differ in text, logit scale or outputs only, and share the
    forward pass over the images. Fields as in `Setup`.
    """

    view: View
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    model: ModelSpec
    precision: Precision
    channels: Channels
    is_mirrored: bool
    activation: Activation | None
    pooling: Pooling | None
    epsilon: float | None

    @property
    def passes(self) -> int:
        """How many forward passes an image takes."""
        return self.view.crops * (2 if self.is_mirrored else 1)

    @property
    def changes_model(self) -> bool:
        """Whether the model is changed after it was built."""
        return any((self.activation, self.pooling, self.epsilon))


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
    def body(self) -> Body:
        """What decides on the features of an image."""
        return Body(
            view=View(
                self.protocol.geometry_steps,
                self.crop_first,
                self.by_area,
                self.draft,
                crops={"five crops": 5, "ten crops": 10}.get(self.views or "", 1),
            ),
            mean=self.protocol.mean,
            std=self.protocol.std,
            model=self.model,
            precision=self.precision,
            channels=self.channels,
            is_mirrored=self.views == "mirrored",
            activation=self.activation,
            pooling=self.pooling,
            epsilon=self.epsilon,
        )


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
