"""Images of two datasets, or of two states of one, told apart by what they show."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt


class ImageSet(msgspec.Struct, frozen=True):
    """Names, digests and labels of all images of a dataset, in its order."""

    files: tuple[str, ...]
    digests: tuple[str, ...]
    labels: tuple[int, ...]


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Which image of one dataset is which of the other.

    All are positions. `same` int64 `[S, 2]` have the same digest and label; `changed`
    int64 `[C, 2]` have the same name and other bytes; `relabelled` int64 `[R, 2]` the
    same bytes and another label. `missing` int64 `[M]` are only in the one before,
    `new` int64 `[N]` only in the one after.
    """

    same: npt.NDArray[np.int64]
    changed: npt.NDArray[np.int64]
    relabelled: npt.NDArray[np.int64]
    missing: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]


def align(before: ImageSet, after: ImageSet) -> Alignment:
    """Find each image again, by its digest and label, else its name, else its digest.

    Images that cannot be told apart are paired in order. A file of the same name whose
    bytes are the same is never `changed`.
    """
    old: Sequence[int] = range(len(before.files))
    new: Sequence[int] = range(len(after.files))
    same, old, new = _paired(old, new, _contents(before), _contents(after))
    names = _named_contents(before), _named_contents(after)
    stayed, old, new = _paired(old, new, *names)
    changed, old, new = _paired(old, new, before.files, after.files)
    moved, missing, added = _paired(old, new, before.digests, after.digests)
    return Alignment(
        same=_pairs(same),
        changed=_pairs(changed),
        relabelled=_pairs([*stayed, *moved]),
        missing=np.array(missing, dtype=np.int64),
        new=np.array(added, dtype=np.int64),
    )


def _contents(images: ImageSet) -> list[tuple[int, str]]:
    return list(zip(images.labels, images.digests, strict=True))


def _named_contents(images: ImageSet) -> list[tuple[str, str]]:
    return list(zip(images.files, images.digests, strict=True))


_Pairs = list[tuple[int, int]]


def _paired(
    before: Iterable[int],
    after: Iterable[int],
    old_keys: Sequence[Hashable],
    new_keys: Sequence[Hashable],
) -> tuple[_Pairs, list[int], list[int]]:
    """Pair positions whose keys are equal; give the pairs and what is left of both."""
    waiting: dict[Hashable, list[int]] = {}
    for place in sorted(before, reverse=True):
        waiting.setdefault(old_keys[place], []).append(place)
    pairs: _Pairs = []
    alone: list[int] = []
    for place in after:
        found = waiting.get(new_keys[place])
        if found:
            pairs.append((found.pop(), place))
        else:
            alone.append(place)
    return pairs, sorted(p for left in waiting.values() for p in left), alone


def _pairs(found: _Pairs) -> npt.NDArray[np.int64]:
    """Make an array `[N, 2]` of pairs, in the order of the dataset after."""
    ordered = sorted(found, key=lambda pair: pair[1])
    return np.array(ordered, dtype=np.int64).reshape(-1, 2)
