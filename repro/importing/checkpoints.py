"""One checkpoint: what its library, or a repository of the Hub, says of it.

A checkpoint of a library becomes a case, with the library's own protocol and numbers; a
model card gets its model from the configuration beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from repro.cases import Case, list_cases, named_case
from repro.errors import ExpectedError, OptionError
from repro.importing.open_clip import (
    PREPROCESSING,
    open_clip_checkpoint,
    open_clip_table,
)
from repro.importing.preprocessing import (
    Preprocessing,
    open_clip_preprocessing,
    timm_preprocessing,
)
from repro.importing.supervised import (
    timm_checkpoint,
    timm_configuration,
    timm_table,
    torchvision_checkpoint,
)
from repro.importing.tables import Table, unknown_checkpoint
from repro.importing.writing import as_release
from repro.published import Kind, Protocol, Release

LIBRARIES = ("timm", "torchvision", "open_clip")
#: Those whose numbers are in a table that is no part of the package.
_TABLES = {"timm": timm_table, "open_clip": open_clip_table}


class LibraryCase(msgspec.Struct, frozen=True):
    """A case of a library, and where its number would be if there is none."""

    case: Case
    hint: str = ""


def library_case(
    library: str,
    name: str,
    *,
    has_file: bool,
    table: Path | None,
    releases: Iterable[Release],
) -> LibraryCase:
    """Make the case of a checkpoint as its library evaluates it.

    Args:
        library: one of `LIBRARIES`.
        name: the library's name of a checkpoint, or of an architecture for its default.
        has_file: whether the weights come from a file that the user names.
        table: the library's own table of numbers, saved by the user.
        releases: where its numbers may have been imported.

    Raises:
        ExpectedError: the library does not have it, or the table is none of it.
    """
    found = _own(library, name, has_file=has_file)
    release = as_release(found)
    (family,), (protocol,) = release.families, release.protocols
    names = family, found.rows[0].checkpoint, protocol, release.default_dataset
    own = named_case(release, *names)
    if found.rows[0].numbers:
        return LibraryCase(_with_numbers(own, [release]) or own)
    searched = [as_release(_TABLES[library](table))] if table else list(releases)
    if published := _with_numbers(own, searched):
        return LibraryCase(published)
    where = table or f"{found.url}; save that table and name it with --table"
    return LibraryCase(
        own, f"no number of {own.checkpoint} with this protocol: {where}"
    )


def _own(library: str, name: str, *, has_file: bool) -> Table:
    if library == "timm":
        return timm_checkpoint(name)
    if library == "torchvision":
        return torchvision_checkpoint(name)
    if library == "open_clip":
        return open_clip_checkpoint(name, has_file=has_file)
    raise ExpectedError(
        f"{library!r} is no library whose checkpoints are known; use LIBRARY:NAME with "
        f"one of {', '.join(LIBRARIES)}"
    )


def check_table(library: str, table: Path | None) -> None:
    """Refuse a table where the library says its numbers itself.

    Raises:
        OptionError: there is one.
    """
    if table is not None and library not in _TABLES:
        raise OptionError(
            f"--table has no effect with {library}, whose package has its numbers; "
            "leave it out"
        )


def _with_numbers(own: Case, releases: Iterable[Release]) -> Case | None:
    """Find the case of the same checkpoint and pixels that somebody published."""
    for case in list_cases(releases):
        if (
            case.references
            and case.checkpoint == own.checkpoint
            and case.model.loader == own.model.loader
            # ImageNet-Sketch has the same classes, and another number of images.
            and case.dataset.classes == own.dataset.classes
            and case.dataset.images == own.dataset.images
            and _pixels(case.protocol) == _pixels(own.protocol)
        ):
            return case
    return None


def _pixels(protocol: Protocol) -> tuple[object, ...]:
    """What a model gets, and what its classes are called."""
    return protocol.geometry, protocol.mean, protocol.std, protocol.text


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
