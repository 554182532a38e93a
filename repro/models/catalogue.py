"""Which architectures of libraries have tensors of some names."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from repro.models.faults import UNUSED

#: A line for each set of names: its digest, and `library:architecture` of all that
#: have it. `python tools/make_catalogue.py` writes it.
TABLE = Path(__file__).with_name("catalogue.txt")


def architectures_named(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """List library and architecture of what has tensors of these names, whatever size.

    The shortest names come first: longer ones are of variants.
    """
    return _table().get(digest_of(names), ())


def digest_of(names: Iterable[str]) -> str:
    """Give what tells sets of names apart: few enough are known for eight digits."""
    counted = sorted(name for name in names if not name.endswith(UNUSED))
    return sha256("\n".join(counted).encode()).hexdigest()[:8]


@cache
def _table() -> dict[str, tuple[tuple[str, str], ...]]:
    lines = (line.split() for line in TABLE.read_text().splitlines())
    return {
        digest: tuple((one[0], one[2]) for one in (n.partition(":") for n in names))
        for digest, *names in lines
    }
