"""Write which architectures of the installed timm and torchvision have which names.

python tools/make_catalogue.py
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import timm
import torch
import torchvision

from repro.errors import ExpectedError
from repro.models.inspection import TABLE, digest_of
from repro.models.libraries import find_loader
from repro.models.skeleton import skeleton
from repro.published import ModelSpec


def architectures() -> Iterator[tuple[str, str]]:
    """Yield library and name of all."""
    for name in torchvision.models.list_models(module=torchvision.models):
        yield "torchvision", name
    for name in timm.list_models():
        yield "timm", name


def names_of(library: str, architecture: str) -> list[str]:
    """Name the tensors of one, which need no values for that."""
    spec = ModelSpec(id="one", loader=library, architecture=architecture)
    loader = find_loader(library)
    # What computes with its parameters can often do it where nothing has values.
    for how in (skeleton(), torch.device("meta"), nullcontext()):
        with suppress(ExpectedError), how:
            return list(loader.build(spec, Path()).state_dict())
    raise LookupError(architecture)


def _rank(name: str) -> tuple[int, str, bool]:
    """Order by name: the shortest first, and of two libraries torchvision."""
    library, _, architecture = name.partition(":")
    return len(architecture), architecture, library != "torchvision"


def main() -> None:
    """Write the table."""
    lines: dict[str, list[str]] = defaultdict(list)
    for library, name in architectures():
        lines[digest_of(names_of(library, name))].append(f"{library}:{name}")
    text = "".join(
        f"{digest} {' '.join(sorted(names, key=_rank))}\n"
        for digest, names in sorted(lines.items())
    )
    TABLE.write_text(text)


if __name__ == "__main__":
    main()
