"""CLIP models and their tokenizers, built by open_clip."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from repro.errors import ExpectedError
from repro.published import ModelSpec

Tokenizer = Callable[[Sequence[str]], Tensor]


def build_open_clip(spec: ModelSpec, location: Path) -> nn.Module:
    """Build an open_clip model; the options are those of `open_clip.create_model`.

    Raises:
        ExpectedError: open_clip does not have the architecture or refuses the options.
    """
    import open_clip

    if spec.config:
        open_clip.add_model_config(_existing(spec, location / spec.config))
    level = logging.getLogger().level
    # It warns that there are no pretrained weights: they come from the checkpoint.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        # No device: parameters that have no memory yet cannot be moved.
        model: nn.Module = open_clip.create_model(
            spec.architecture, load_weights=False, device=None, **spec.options
        )
    except (RuntimeError, TypeError, ValueError) as error:
        raise ExpectedError(
            f"open_clip {open_clip.__version__} cannot build model {spec.id!r} "
            f"({spec.architecture}, {spec.options}): {error}"
        ) from error
    finally:
        logging.getLogger().setLevel(level)
    return model


def build_tokenizer(spec: ModelSpec, location: Path) -> Tokenizer:
    """Build the tokenizer of a model: a list of P prompts to int64 `[P, context]`.

    Raises:
        ExpectedError: a file that the spec names does not exist.
    """
    import open_clip

    tokenizer: Tokenizer
    if not spec.tokenizer:
        tokenizer = open_clip.get_tokenizer(spec.architecture)
        return tokenizer
    context = open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH
    if spec.config:
        config = json.loads(_existing(spec, location / spec.config).read_text())
        context = config["text_cfg"].get("context_length", context)
    merges = _existing(spec, location / spec.tokenizer)
    tokenizer = open_clip.SimpleTokenizer(str(merges), context_length=context)
    return tokenizer


def _existing(spec: ModelSpec, file: Path) -> Path:
    if not file.is_file():
        raise ExpectedError(f"model {spec.id!r} names {file}, which does not exist")
    return file
