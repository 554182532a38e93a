"""Loaders: how each library builds an architecture, or the code of a release does."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from repro.errors import ExpectedError
from repro.published import LOADERS, ModelSpec
from repro.words import reason

if TYPE_CHECKING:
    import torch
    from torch import nn

    from repro.models.state import StateDict


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


@lru_cache
def find_loader(name: str) -> Loader:
    """Make the loader of a name, once a process.

    Raises:
        ExpectedError: there is none, or its package cannot be imported.
    """
    loader: Loader = LOADERS.load(name)()
    return loader


class OwnFiles(msgspec.Struct, frozen=True):
    """Files beside a TOML file as they were read: their bytes by the model's keys.

    `location` is the folder of the TOML file.
    """

    location: Path
    contents: dict[str, bytes]
    names: dict[str, str]

    @property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each."""
        return tuple(
            hashlib.sha256(content).hexdigest() for content in self.contents.values()
        )

    def path(self, key: str) -> Path:
        """Say where a file was."""
        return self.location / self.names[key]

    def check_same(self) -> None:
        """Insist that what somebody else has read meanwhile are the same bytes.

        Raises:
            ExpectedError: a file holds others now.
        """
        for key, content in self.contents.items():
            if _bytes_of(self.path(key)) != content:
                raise ExpectedError(
                    f"{self.path(key)} was changed while a model was made with it. "
                    "Leave the files of a release alone while it is evaluated, and "
                    "run again"
                )


def read_own_files(spec: ModelSpec, location: Path) -> OwnFiles:
    """Read what describes a model besides the TOML file, which lies in `location`.

    Raises:
        ExpectedError: a file is not there, cannot be read, or is not the code that the
            release names.
    """
    for name in spec.files.values():
        if not (location / name).is_file():
            raise ExpectedError(
                f"model {spec.id!r} names {location / name}, which does not exist"
            )
    contents = {key: _bytes_of(location / name) for key, name in spec.files.items()}
    if spec.code_sha256:
        _check_code(spec, location, contents["code"])
    return OwnFiles(location, contents, spec.files)


def _check_code(spec: ModelSpec, location: Path, code: bytes) -> None:
    # Of the very bytes that are going to be run: the file may be another one by then.
    found = hashlib.sha256(code).hexdigest()
    if found != spec.code_sha256:
        again = f" with {spec.code_command(location)!r}" if spec.code_url else ""
        raise ExpectedError(
            f"{location / spec.code} has the SHA-256 {found[:16]}…, the release names "
            f"{spec.code_sha256[:16]}…; get it again{again}, or write the other one as "
            "code_sha256 if it is right"
        )


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ExpectedError(f"{file} cannot be read: {error.strerror}") from error


class PythonLoader(Loader):
    """`architecture` names a function or a class in the file `code`.

    The options are its keyword arguments. It gives a `torch.nn.Module`.
    """

    runs_code = True

    def build(self, spec: ModelSpec, location: Path) -> nn.Module:
        """Read the file, run it, and call what the spec names."""
        return self.build_as_read(spec, read_own_files(spec, location))

    def build_as_read(self, spec: ModelSpec, files: OwnFiles) -> nn.Module:
        """Run what was read, whatever the file holds by now."""
        from torch import nn

        file = files.path("code")
        module = _run_as_module(file.resolve(), files.contents["code"])
        make = getattr(module, spec.architecture, None)
        if not callable(make):
            raise ExpectedError(
                f"{file} has no function or class {spec.architecture!r} for model "
                f"{spec.id!r}; it has {', '.join(_made_in(module)) or 'none'}"
            )
        try:
            model = make(**spec.options)
        # It is somebody's own code, which raises what it likes.
        except (Exception, SystemExit) as error:
            raise ExpectedError(
                f"{file}: {spec.architecture} of model {spec.id!r} ended in "
                f"{type(error).__name__}: {reason(error)}"
            ) from error
        if not isinstance(model, nn.Module):
            raise ExpectedError(
                f"{file}: {spec.architecture} of model {spec.id!r} gave "
                f"{type(model).__name__}; it must give a torch.nn.Module"
            )
        return model


def makers(file: Path) -> dict[str, Callable[..., Any]]:
    """Find what may make models: the functions and classes that a file defines.

    Raises:
        ExpectedError: the file cannot be run.
    """
    return _made_in(_run_as_module(file.resolve(), _bytes_of(file)))


def _made_in(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        name: made
        for name, made in vars(module).items()
        if not name.startswith("_")
        and getattr(made, "__module__", None) == module.__name__
        and (inspect.isfunction(made) or _is_model(made))
    }


def parameters_of(make: Callable[..., Any]) -> dict[str, bool]:
    """Name the arguments of something, each with whether it has to be given."""
    try:
        parameters = inspect.signature(make).parameters
    except ValueError:  # Nothing tells.
        return {}
    many = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        name: parameter.default is parameter.empty
        for name, parameter in parameters.items()
        if parameter.kind not in many
    }


def _is_model(made: object) -> bool:
    from torch import nn

    return isinstance(made, type) and issubclass(made, nn.Module)


@lru_cache(maxsize=64)
def _run_as_module(file: Path, source: bytes) -> ModuleType:
    name = f"repro_code_{re.sub(r'[^A-Za-z0-9]', '_', file.stem)}_{abs(hash(file)):x}"
    spec = spec_from_file_location(name, file)
    assert spec is not None, "the file of a release ends in .py"
    module = module_from_spec(spec)
    # Dataclasses and pickles of its own look their module up.
    sys.modules[name] = module
    try:
        # These bytes, which are those that a measurement's key has the digest of; no
        # bytecode is written beside them.
        exec(compile(source, str(file), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = "; install that package, or put what is needed into this one file"
        raise ExpectedError(
            f"{file} ended in {type(error).__name__}: {reason(error)}{hint}"
        ) from error
    return module
