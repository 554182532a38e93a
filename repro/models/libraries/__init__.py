"""Loaders: how each library builds an architecture and reads its own weights."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from repro.published import LOADERS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from repro.models.own_files import OwnFiles
    from repro.models.state import StateDict
    from repro.published import ModelSpec


class Loaded(msgspec.Struct, frozen=True):
    """A model, and what was done to the tensors of its file to get there, in words."""

    model: nn.Module
    done: tuple[str, ...]


class Loader(Protocol):
    """Builds the models of one library.

    A class that names this one as its base has to define `build` only. Loaders are
    made without arguments, once a process. Their modules import the library inside
    the methods, so that listing cases stays quick, and nothing here uses the network.
    """

    #: Whether it runs code that a release brings, which has to be allowed.
    runs_code: ClassVar[bool] = False

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Build an architecture; its parameters need no values yet.

        Args:
            spec: the architecture and the library's own keyword arguments.
            location: folder of the TOML file, for files that the spec names.

        Raises:
            ExpectedError: the library does not have it or refuses the arguments.
        """
        ...

    def build_as_read(self, spec: ModelSpec, files: OwnFiles) -> nn.Module:
        """Build an architecture of files that were read, and have digests.

        The default insists that they are the same on disk after `build`; a loader that
        takes their bytes from here needs no such thing.

        Raises:
            ExpectedError: as for `build`, or they were changed meanwhile.
        """
        model = self.build(spec, files.location)
        files.check_same()
        return model

    def load(self, spec: ModelSpec, state: StateDict) -> nn.Module | None:
        """Build a checkpoint that the library publishes and convert its tensors.

        None, the default, has the tensors put into what `build` gives; they have to
        fit by name and shape.

        Args:
            spec: the architecture and the library's own keyword arguments.
            state: the tensors of the weights file, or of the entry that was named.

        Raises:
            WeightsError: they are of something else; the message goes on a sentence
                that begins with the file.
        """
        return None

    def load_arrays(self, spec: ModelSpec, file: Path) -> nn.Module | None:
        """Build a published checkpoint that is an archive of NumPy arrays.

        None, the default, means that the library reads none. It has to be read without
        unpickling code.

        Raises:
            WeightsError: as for `load`.
        """
        return None

    def load_file(
        self, spec: ModelSpec, file: Path, device: torch.device
    ) -> Loaded | None:
        """Build what brings its architecture in its file, as models of ONNX do.

        None, the default, means that the library reads none.

        Raises:
            WeightsError: as for `load`.
            NotAvailableError: what computes it is not installed.
        """
        return None

    def cached(self, spec: ModelSpec) -> Path | None:
        """Find the file of a published checkpoint in the library's own cache.

        None, the default, means that there is none.
        """
        return None


__all__ = ["Loaded", "Loader", "find_loader"]


@lru_cache
def find_loader(name: str) -> Loader:
    """Make the loader of a name, once a process.

    Raises:
        ExpectedError: there is none, or its package cannot be imported.
    """
    loader: Loader = LOADERS.load(name)()
    return loader
