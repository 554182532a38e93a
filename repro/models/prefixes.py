"""Encode prompts that begin alike without computing the beginning again.

All prompts of one template begin with the same tokens, whatever the class. Attention is
causal, so what a text tower computes for them does not depend on what follows: their
keys and values are computed once and every prompt goes on from there. Together with
leaving out the padding behind a prompt this changes nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from open_clip.transformer import ResidualAttentionBlock

#: On a CPU larger batches leave its caches.
TOKENS_PER_BATCH = {"cpu": 512, "cuda": 16384}


class Beginning(NamedTuple):
    """Keys and values of the common tokens of some prompts: `[1, heads, P, width]`."""

    length: int
    layers: list[tuple[Tensor, Tensor]]


class TextTower(NamedTuple):
    """The parts of an open_clip text tower of the original kind."""

    blocks: list[ResidualAttentionBlock]
    embedding: nn.Module
    position: Tensor
    mask: Tensor
    norm: nn.Module
    projection: Tensor


def text_tower(model: nn.Module) -> TextTower | None:
    """Take a CLIP model's text tower apart; None where it is of another kind."""
    from open_clip.model import CLIP
    from open_clip.transformer import ResidualAttentionBlock

    # Not `isinstance`: what a subclass does otherwise would be left out here.
    if type(model) is not CLIP:
        return None
    parts: Any = model
    mask, projection = parts.attn_mask, parts.text_projection
    blocks = list(parts.transformer.resblocks)
    is_usual = (
        parts.text_pool_type == "argmax"
        and isinstance(mask, Tensor)
        and bool((mask.isneginf() == torch.ones_like(mask).triu(1).bool()).all())
        and isinstance(projection, Tensor)
        and all(type(block) is ResidualAttentionBlock for block in blocks)
        and all(_is_usual(block.attn) for block in blocks)
    )
    if not is_usual:
        return None
    return TextTower(
        blocks,
        parts.token_embedding,
        parts.positional_embedding,
        mask,
        parts.ln_final,
        projection,
    )


class TemplateEncoder:
    """Embeds prompts that come class by class, in the same templates for each class.

    Args:
        tower: of the model.
        tokens: int64 `[classes * per_class, context]`, padded behind the last token.
        per_class: number of templates.
        device: where the model is.
    """

    def __init__(
        self, tower: TextTower, tokens: Tensor, per_class: int, device: torch.device
    ) -> None:
        self._tower = tower
        self._tokens = tokens
        self._per_class = per_class
        self._device = device
        self._lengths = tokens.argmax(dim=1) + 1

    @cached_property
    def _beginnings(self) -> list[Beginning]:
        """Of each template, what is common to all classes."""
        step = self._per_class
        shared = [
            _common_length(self._tokens[template::step], self._lengths[template::step])
            for template in range(step)
        ]
        return list(_beginnings(self._tower, self._tokens[:step], shared, self._device))

    def encode(self, classes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield rows of `tokens` and their normalised embeddings `[rows, D]`.

        Args:
            classes: which ones, int64 `[C]`; of similar length is fastest.
        """
        per_batch = TOKENS_PER_BATCH.get(self._device.type, TOKENS_PER_BATCH["cuda"])
        for template, beginning in enumerate(self._beginnings):
            rows = classes * self._per_class + template
            remaining = self._lengths[rows] - beginning.length
            for batch in _of_similar_length(rows, remaining, per_batch):
                longest = int(self._lengths[batch].max())
                ends = self._tokens[batch, beginning.length : longest]
                last = self._lengths[batch] - beginning.length - 1
                yield (
                    batch,
                    _encode(
                        self._tower,
                        ends.to(self._device),
                        last.to(self._device),
                        beginning,
                    ),
                )


def _is_usual(attention: nn.MultiheadAttention) -> bool:
    return (
        attention._qkv_same_embed_dim
        and attention.bias_k is None
        and not attention.add_zero_attn
        and attention.batch_first
    )


def _common_length(tokens: Tensor, lengths: Tensor) -> int:
    """Count the tokens that all prompts begin with; one at least is left to each."""
    differs = (tokens != tokens[0]).any(dim=0)
    common = int(differs.int().argmax()) if bool(differs.any()) else tokens.shape[1]
    # Each prompt keeps its last token, which its embedding is read at.
    return min(common, int(lengths.min()) - 1)


def _beginnings(
    tower: TextTower, tokens: Tensor, lengths: list[int], device: torch.device
) -> Iterator[Beginning]:
    """Compute the common beginnings of all templates in one batch."""
    x = _embed(tower, tokens[:, : max(lengths)].to(device), 0)
    layers: list[tuple[Tensor, Tensor]] = []
    for block in tower.blocks:
        normed = block.ln_1(x)
        query, key, value = _project(block.attn, normed)
        layers.append((key, value))
        x = _finish(block, x, _attend(tower, query, key, value))
    for row, length in enumerate(lengths):
        yield Beginning(
            length,
            [
                (k[row : row + 1, :, :length], v[row : row + 1, :, :length])
                for k, v in layers
            ],
        )


def _of_similar_length(rows: Tensor, lengths: Tensor, tokens: int) -> Iterator[Tensor]:
    """Split rows into batches of prompts of similar length, about `tokens` each."""
    # Stable, so that every process makes the same batches, and the same last bits.
    order = torch.argsort(lengths, stable=True)
    start = 0
    while start < len(order):
        size = max(1, tokens // int(lengths[order[start]]))
        yield rows[order[start : start + size]]
        start += size


def _encode(
    tower: TextTower, tokens: Tensor, last: Tensor, beginning: Beginning
) -> Tensor:
    """Embed what follows a beginning: int64 `[B, L]`, read at `last` `[B]`."""
    every = torch.arange(len(tokens), device=tokens.device)
    size = len(tokens), -1, -1, -1
    x = _embed(tower, tokens, beginning.length)
    for block, (key, value) in zip(tower.blocks, beginning.layers, strict=True):
        query, own_key, own_value = _project(block.attn, block.ln_1(x))
        keys = torch.cat([key.expand(size), own_key], dim=2)
        values = torch.cat([value.expand(size), own_value], dim=2)
        attended = _attend(tower, query, keys, values)
        if block is tower.blocks[-1]:
            # Nothing but the last token of each prompt is read from here on.
            x, attended = x[every, last], attended[every, last]
        x = _finish(block, x, attended)
    return functional.normalize(tower.norm(x) @ tower.projection, dim=-1)


def _embed(tower: TextTower, tokens: Tensor, start: int) -> Tensor:
    position = tower.position[start : start + tokens.shape[1]]
    embedded: Tensor = tower.embedding(tokens) + position
    return embedded


def _project(attention: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute queries, keys and values: each `[B, heads, L, width]`."""
    projected = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    batch, length, _ = x.shape
    split = projected.view(batch, length, 3, attention.num_heads, attention.head_dim)
    query, key, value = split.permute(2, 0, 3, 1, 4)
    return query, key, value


def _attend(tower: TextTower, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend causally, the queries being the last of the keys: `[B, L, width]`."""
    seen, asked = key.shape[2], query.shape[2]
    mask = tower.mask[seen - asked : seen, :seen].to(query.dtype)
    attended = functional.scaled_dot_product_attention(query, key, value, mask)
    return attended.transpose(1, 2).flatten(2)


def _finish(block: Any, x: Tensor, attended: Tensor) -> Tensor:
    x = x + block.ls_1(block.attn.out_proj(attended))
    finished: Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
    return finished
