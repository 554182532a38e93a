"""Apply a variation to the way a case is evaluated; no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from repro.diagnosis.setup import Facts, Setup, Variation, Wording
from repro.published import CenterCrop, Contain, Cover, Geometry, Resize, TextSpec

_PLAIN = (
    "channels",
    "activation",
    "pooling",
    "epsilon",
    "precision",
    "crop_first",
    "by_area",
    "draft",
    "views",
    "smoothing",
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
    plain = {
        name: getattr(variation, name)
        for name in _PLAIN
        if getattr(variation, name) is not None
    }
    varied = msgspec.structs.replace(
        setup,
        protocol=protocol,
        model=model,
        columns=columns,
        offset=setup.offset + variation.offset,
        **plain,
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
    changes: dict[str, Any] = {
        name: getattr(variation, name)
        for name in ("mean", "std")
        if getattr(variation, name) is not None
    }
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
    if wording == "underscores":
        names = tuple(name.replace(" ", "_") for name in names)
    elif wording == "folder names":
        names = _as_many(facts.classes, names)
    elif wording == "first of WordNet":
        firsts = tuple(words.partition(",")[0] for words in facts.wordnet)
        names = _as_many(firsts, names)
    elif wording == "all of WordNet":
        names = _as_many(facts.wordnet, names)
    elif wording == "lower case":
        names = tuple(name.lower() for name in names)
        templates = tuple(template.lower() for template in templates)
    elif wording == "no full stop":
        templates = tuple(template.removesuffix(".") for template in templates)
    worded = TextSpec(classnames=names, templates=templates)
    return text if worded == spelt else worded


def _as_many(names: tuple[str, ...], instead: tuple[str, ...]) -> tuple[str, ...]:
    return names if len(names) == len(instead) else instead


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
        order = _ranks(sorted(range(count), key=facts.classes.__getitem__))
    elif variation.order == "by number":
        order = _ranks(sorted(range(count), key=lambda n: _number(facts.classes[n])))
    elif variation.order == "renamed" and facts.renaming is not None:
        # From label to the output that stands for it.
        order = _ranks(facts.renaming)
    if order is None or list(order) == list(range(count)):
        return setup.columns
    columns = setup.columns or tuple(range(count))
    return tuple(columns[place] for place in order) + columns[len(order) :]


def _ranks(order: Sequence[int]) -> list[int]:
    """Invert a permutation."""
    ranks = [0] * len(order)
    for place, member in enumerate(order):
        ranks[member] = place
    return ranks


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
