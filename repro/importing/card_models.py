"""Which model a repository of the Hub holds: what its configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import ExpectedError
from repro.importing.open_clip import PREPROCESSING
from repro.importing.preprocessing import (
    Preprocessing,
    open_clip_preprocessing,
    timm_preprocessing,
)
from repro.importing.supervised import timm_configuration
from repro.importing.tables import unknown_checkpoint
from repro.published import Kind

_TIMM, _OPEN_CLIP = "config.json", "open_clip_config.json"
_CLASSES = 1000
_LARGEST = 1 << 22


class CardModel(msgspec.Struct, frozen=True, kw_only=True):
    """How the model of a repository is built, and what its images go through."""

    library: str
    version: str
    kind: Kind
    architecture: str
    preprocessing: Preprocessing
    protocol_note: str
    weights: str
    options: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}


class _Timm(msgspec.Struct, frozen=True):
    """`config.json` as timm writes it; old ones have no table in it."""

    architecture: str
    num_classes: int = _CLASSES
    pretrained_cfg: dict[str, Any] = {}
    model_args: dict[str, Any] = {}


class _OpenClip(msgspec.Struct, frozen=True):
    model_cfg: dict[str, Any]
    preprocess_cfg: dict[str, Any] = {}


def model_of(card: Path, library: str, repository: str) -> CardModel:
    """Read the configuration beside a card.

    Args:
        card: the card.
        library: the one that the card names, which counts where there are two.
        repository: its name on the Hub, as far as that is known.

    Raises:
        ExpectedError: there is none, or it is of no library that can be measured.
    """
    files = [card.parent / name for name in (_OPEN_CLIP, _TIMM)]
    there = [file for file in files if file.is_file()]
    if library == "timm":
        there.reverse()
    if not there:
        raise ExpectedError(
            f"{card}: neither {_TIMM} of timm nor {_OPEN_CLIP} is beside it, so "
            "nothing says which architecture the numbers are of; save it there"
        )
    file = there[0]
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST:,} bytes")
        content = file.read_bytes()
        if file.name == _OPEN_CLIP:
            return _open_clip_model(msgspec.json.decode(content, type=_OpenClip))
        own = msgspec.json.decode(content, type=dict[str, Any])
        return _timm_model(file, own, repository)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExpectedError(
            f"{file}: says no architecture and preprocessing of timm or open_clip: "
            f"{reason}"
        ) from error


def _timm_model(file: Path, content: dict[str, Any], repository: str) -> CardModel:
    import timm
    from timm.data import resolve_data_config

    said = msgspec.convert(content, _Timm)
    owner = f"timm {timm.__version__}"
    if not timm.is_model(said.architecture):
        raise unknown_checkpoint(owner, said.architecture, timm.list_models())
    if said.num_classes != _CLASSES:
        raise ExpectedError(
            f"{file}: has {said.num_classes:,} classes, and ImageNet-1k has "
            f"{_CLASSES:,}"
        )
    own = said.pretrained_cfg or content
    named = f"{said.architecture}.{own.get('tag', '')}"
    options = {"num_classes": _CLASSES} | said.model_args
    published = timm_configuration(named).get("hf_hub_id")
    is_known = bool(repository) and published == repository
    return CardModel(
        library="timm",
        version=timm.__version__,
        kind="supervised",
        architecture=named if is_known else said.architecture,
        preprocessing=timm_preprocessing(
            resolve_data_config(pretrained_cfg=own, use_test_size=True)
        ),
        protocol_note=f"timm's own: test size, crop, mean and std of {file.name}, as "
        f"{owner} reads it",
        weights=str(own.get("hf_hub_filename") or "model.safetensors"),
        options={} if is_known else options,
    )


def _open_clip_model(said: _OpenClip) -> CardModel:
    import open_clip

    size = said.model_cfg["vision_cfg"]["image_size"]
    for key in ("embed_dim", "text_cfg"):
        if key not in said.model_cfg:
            raise ValueError(f"model_cfg has no {key}")
    asked = PREPROCESSING | {"size": size} | said.preprocess_cfg
    return CardModel(
        library="open_clip",
        version=open_clip.__version__,
        kind="clip",
        architecture="",
        preprocessing=open_clip_preprocessing(asked),
        protocol_note=f"that of {_OPEN_CLIP}, with the class names and templates of "
        f"open_clip {open_clip.__version__}",
        weights="open_clip_model.safetensors",
        config=said.model_cfg,
    )
