"""What a loader is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from repro.published import ModelSpec


class Loader(Protocol):
    """Builds the models of one library.

    A class that names this one as its base has to define `build` only. Loaders are
    made without arguments, once a process. Their modules import the library inside
    the methods, so that listing cases stays quick, and nothing here uses the network.
    """

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Build an architecture; its parameters need no values yet.

        Args:
            spec: the architecture and the library's own keyword arguments.
            location: folder of the TOML file, for files that the spec names.

        Raises:
            ExpectedError: the library does not have it or refuses the arguments.
        """
        ...

    def load(self, spec: ModelSpec, weights: Path) -> nn.Module | None:
        """Build a checkpoint that the library publishes and read its file as it does.

        None, the default, has the tensors of the file put into what `build` gives;
        they have to fit by name and shape. The file has to be read without unpickling
        code.

        Raises:
            WeightsError: the file holds something else.
        """
        return None

    def cached(self, spec: ModelSpec) -> Path | None:
        """Find the file of a published checkpoint in the library's own cache.

        None, the default, means that there is none.
        """
        return None
