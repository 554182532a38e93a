"""Tokenizers of CLIP models, built by open_clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from repro.errors import ExpectedError
from repro.models.libraries.common import offline, split_tag
from repro.models.own_files import OwnFiles
from repro.published import ModelSpec

Tokenizer = Callable[[Sequence[str]], Tensor]


class RememberingTokenizer:
    """Tokenizes prompts once that are asked for again and again.

    The 80,000 prompts of ImageNet take seconds, and every checkpoint has the same.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._prompts: list[str] = []
        self._tokens = torch.empty(0)

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Give int64 `[P, context]`, which nobody may change."""
        if self._prompts != prompts:
            self._tokens = self._tokenizer(prompts)
            self._prompts = list(prompts)
        return self._tokens


def build_tokenizer(spec: ModelSpec, files: OwnFiles) -> Tokenizer:
    """Build the tokenizer of a model: a list of P prompts to int64 `[P, context]`.

    Raises:
        ExpectedError: a file that the spec names has changed since it was read, or the
            tokenizer needs files or packages that are not on this machine.
    """
    import open_clip

    tokenizer: Tokenizer
    if not spec.tokenizer:
        name = spec.architecture if spec.config else split_tag(spec)[0]
        try:
            with offline():
                tokenizer = open_clip.get_tokenizer(name)
        except (OSError, ImportError, RuntimeError, ValueError, TypeError) as error:
            raise ExpectedError(
                f"open_clip {open_clip.__version__} cannot build the tokenizer of "
                f"{spec.architecture} with what is on this machine: {error}"
            ) from error
        return tokenizer
    context = open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH
    if spec.config:
        config = json.loads(files.contents["config"])
        context = config["text_cfg"].get("context_length", context)
    merges = str(files.path("tokenizer"))
    tokenizer = open_clip.SimpleTokenizer(merges, context_length=context)
    files.check_same()
    return tokenizer
