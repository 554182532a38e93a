"""Build a model and give it the tensors of a file, without initialising it first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from repro.errors import OptionError, WeightsError
from repro.models.fitting import fit
from repro.models.libraries import Loaded, Loader, OwnFiles, find_loader, read_own_files
from repro.models.skeleton import uninitialised
from repro.models.state import Contents, read_contents
from repro.published import ModelSpec


def load_checkpoint(
    spec: ModelSpec,
    location: Path,
    weights: Path,
    device: torch.device,
    *,
    run_code: bool = False,
    files: OwnFiles | None = None,
) -> Loaded:
    """Load a checkpoint into its architecture: float32, for inference, strictly.

    Args:
        spec: the architecture.
        location: folder of the TOML file, for files that the spec names.
        weights: the checkpoint.
        device: where the model goes.
        run_code: whether code that a release brings may be run.
        files: those that the spec names, where they were read already.

    Raises:
        WeightsError: the file is damaged or holds another architecture.
        ExpectedError: the spec names a loader or an architecture that does not exist.
        OptionError: the model needs code to be run, and that is not allowed.
    """
    loader = find_loader(spec.loader)
    if loader.runs_code and not run_code:
        raise OptionError(
            f"model {spec.id!r} is built by running {location / spec.code}; code of a "
            "release is run only where that is allowed: read it, then add "
            "--repro-run-code"
        )
    # Read here for every loader, so that none can take another entry.
    contents = read_contents(weights)
    if contents.container.graph is not None:
        loaded = _load_file(loader, spec, contents, device)
    elif contents.has_arrays:
        loaded = Loaded(_load_arrays(loader, spec, contents), ())
    else:
        loaded = _convert(loader, spec, contents) or _fill(
            loader, spec, files or read_own_files(spec, location), contents
        )
    model = loaded.model.requires_grad_(False).to(device).eval()
    return Loaded(model, loaded.done)


def _load_file(
    loader: Loader, spec: ModelSpec, contents: Contents, device: torch.device
) -> Loaded:
    """Have a loader build a model that brings its architecture in its file."""
    path = contents.path
    _refuse_key(spec, contents, "graphs of ONNX")
    with _named(path):
        loaded = loader.load_file(spec, path, device)
    if loaded is None:
        raise WeightsError(
            f"{path} is an ONNX model, which loader {spec.loader} does not read; write "
            f'loader = "onnx" for the model {spec.id!r}'
        )
    return loaded


def _refuse_key(spec: ModelSpec, contents: Contents, held: str) -> None:
    if spec.weights_key:
        raise WeightsError(
            f"{contents.path} holds {held}, which have no entry {spec.weights_key!r}; "
            f"leave weights_key of the model {spec.id!r} out"
        )


def _load_arrays(loader: Loader, spec: ModelSpec, contents: Contents) -> nn.Module:
    """Have a library read an archive of NumPy arrays, which has no entries."""
    path = contents.path
    _refuse_key(spec, contents, "arrays")
    # Refuses arrays of Python objects, which would be unpickled.
    contents.check_readable(contents.only("").tensors)
    with _named(path):
        model = loader.load_arrays(spec, path)
    if model is None:
        raise WeightsError(
            f"{path} holds arrays, which loader {spec.loader} does not read for "
            f"{spec.architecture!r}; give a file of torch or safetensors"
        )
    return model


def _convert(loader: Loader, spec: ModelSpec, contents: Contents) -> Loaded | None:
    """Have a library convert the tensors of a checkpoint that it publishes.

    What stands before all names is removed only where the library refuses it, since
    some of what is published has such names; but no model is published as `module.`.
    """
    states = contents.chosen(spec.weights_key)
    readings = list(contents.readings(states[0], spec.weights_key))
    barer = [reading.prefix for reading in readings[1:]] + [""]
    refused: WeightsError | None = None
    for reading, next_prefix in zip(readings, barer, strict=True):
        if next_prefix == f"{reading.prefix}module.":
            continue
        try:
            state = contents.read(reading.tensors)
            with _named(contents.path):
                model = loader.load(spec, state)
        except WeightsError as error:
            refused = refused or error
            continue
        # It converts nothing by itself: the tensors go into what it builds, by name.
        if model is None:
            return None
        if len(states) == 1:
            return Loaded(model, reading.done)
        break
    if len(states) > 1:
        raise contents.several([state.entry for state in states])
    assert refused is not None, "a state has a reading"
    raise refused


@contextlib.contextmanager
def _named(weights: Path) -> Iterator[None]:
    """Name the file in what a loader says of its tensors."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{weights} {error}") from error


def _fill(
    loader: Loader, spec: ModelSpec, files: OwnFiles, contents: Contents
) -> Loaded:
    """Build an architecture without initialising it and give it the tensors."""
    model = uninitialised(lambda: loader.build_as_read(spec, files))
    reading = fit(model, spec, contents)
    return Loaded(model, reading.done)
