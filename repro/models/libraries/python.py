"""Python: the code that a release brings for its own models, in one file beside it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from repro.errors import ExpectedError
from repro.models.libraries import Loader, OwnFiles, bytes_of, read_own_files
from repro.models.libraries.common import reason

if TYPE_CHECKING:
    from torch import nn

    from repro.published import ModelSpec


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
        module = _run(file.resolve(), files.contents["code"])
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
    return _made_in(run_file(file))


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


def run_file(file: Path) -> ModuleType:
    """Run a file of Python as a module, once for what it holds now.

    Raises:
        ExpectedError: it cannot be read, or what it raises.
    """
    return _run(file.resolve(), bytes_of(file))


@lru_cache(maxsize=64)
def _run(file: Path, source: bytes) -> ModuleType:
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
