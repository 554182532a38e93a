"""Encode class names with a small CLIP model in a process of its own.

    python encoding.py FOLDER [OWN]

The result is kept below FOLDER/cache. With OWN, a folder in FOLDER, it begins once two
processes are ready, and writes what it found and which prompts it encoded to OWN/found.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor

from repro.models import zeroshot
from repro.models.zeroshot import zeroshot_classifier
from repro.published import TextSpec
from tests.stand_ins import small_clip

CPU = torch.device("cpu")
TEXT = TextSpec(
    classnames=("tench", "great white shark", "hot pot, or whatever else is in it"),
    templates=(
        "{}",
        "a photo of a {}.",
        "a bad photo of the {}.",
        "a photograph of many {} that were seen from very far away, in the evening",
    ),
)


MANY = TextSpec(
    classnames=tuple(open_clip.IMAGENET_CLASSNAMES[:12]), templates=TEXT.templates
)


def note_encoded(
    monkeypatch: pytest.MonkeyPatch, who: Callable[[], object]
) -> list[tuple[object, tuple[int, ...]]]:
    """List who encodes which prompts from now on, slowly, in parts of two classes."""
    noted: list[tuple[object, tuple[int, ...]]] = []
    encode = zeroshot._ClassEncoder.encode

    def encode_and_note(encoder: zeroshot._ClassEncoder, classes: Tensor) -> Tensor:
        prompts = encoder.tokens.view(-1, len(MANY.templates), 77)[classes].flatten(
            0, 1
        )
        noted.extend((who(), tuple(prompt)) for prompt in prompts.tolist())
        # As long as a part of a real text tower, so that both have something to do.
        time.sleep(0.05)
        return encode(encoder, classes)

    monkeypatch.setattr(zeroshot, "CLASSES_PER_PART", 2)
    monkeypatch.setattr(zeroshot._ClassEncoder, "encode", encode_and_note)
    return noted


def encode_alone(folder: Path) -> None:
    """Encode, and keep the result."""
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    zeroshot_classifier(small_clip(folder), tokenizer, TEXT, CPU, folder / "cache")


def encode_together(folder: Path, own: Path) -> None:
    """Encode at the same time as another process, and write down what was done."""
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    model = small_clip(own)
    with pytest.MonkeyPatch.context() as monkeypatch:
        noted = note_encoded(monkeypatch, os.getpid)
        (own / "ready").touch()
        while len(list(folder.glob("*/ready"))) < 2:
            time.sleep(0.005)
        found = zeroshot_classifier(model, tokenizer, MANY, CPU, folder / "cache")
    torch.save((found, [prompt for _, prompt in noted]), own / "found")


if __name__ == "__main__":
    (encode_together if sys.argv[2:] else encode_alone)(*map(Path, sys.argv[1:]))
