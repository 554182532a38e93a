"""Build a model and give it the tensors of a file, without initialising it first."""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, equal, nn

from repro.errors import OptionError, WeightsError
from repro.models.libraries import Loaded, Loader, OwnFiles, find_loader, read_own_files
from repro.models.names import (
    UNUSED,
    Faults,
    find_faults,
    most_common_prefix,
    whole_parts,
)
from repro.models.skeleton import (
    fitting_model,
    no_larger_than,
    options_text,
    uninitialised,
)
from repro.models.state import Contents, Reading, StateDict, read_contents
from repro.published import ModelSpec
from repro.words import reason

Places = dict[int, list[tuple[nn.Module, str]]]
_NORMALISES = r"(\b|(?<!running)_)(mean|std)$"
#: What the last layer of a classifier is called.
_HEAD = r"(fc|heads?|classifier|linear|last_linear)\b"


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
    if contents.container.graph is not None or contents.has_arrays:
        loaded = _load_whole(loader, spec, contents, device)
    elif (converted := _convert(loader, spec, contents)) is not None:
        loaded = converted
    else:
        own = files or read_own_files(spec, location)
        built = uninitialised(lambda: _built(loader, spec, own, contents))
        loaded = Loaded(built, fit(built, spec, contents).done)
    model = loaded.model.requires_grad_(False).to(device).eval()
    return Loaded(model, loaded.done)


def _load_whole(
    loader: Loader, spec: ModelSpec, contents: Contents, device: torch.device
) -> Loaded:
    """Have a library read what has no entries: a model of ONNX, or NumPy's arrays."""
    path, is_graph = contents.path, contents.container.graph is not None
    if spec.weights_key:
        raise WeightsError(
            f"{path} holds {'graphs of ONNX' if is_graph else 'arrays'}, which have no "
            f"entry {spec.weights_key!r}; leave weights_key of the model {spec.id!r} "
            "out"
        )
    if is_graph:
        with _named(path):
            loaded = loader.load_file(spec, path, device)
        refused = (
            f"is an ONNX model, which loader {spec.loader} does not read; write "
            f'loader = "onnx" for the model {spec.id!r}'
        )
    else:
        # Refuses arrays of Python objects, which would be unpickled.
        contents.check_readable(contents.only("").tensors)
        with _named(path), no_larger_than(contents, spec):
            model = loader.load_arrays(spec, path)
        loaded = None if model is None else Loaded(model, ())
        refused = (
            f"holds arrays, which loader {spec.loader} does not read for "
            f"{spec.architecture!r}; give a file of torch or safetensors"
        )
    if loaded is None:
        raise WeightsError(f"{path} {refused}")
    return loaded


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
            with _named(contents.path), no_larger_than(contents, spec):
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


def _built(
    loader: Loader, spec: ModelSpec, files: OwnFiles, contents: Contents
) -> nn.Module:
    # Code of a release does what it likes, once it may.
    if loader.runs_code:
        return loader.build_as_read(spec, files)
    with no_larger_than(contents, spec):
        return loader.build_as_read(spec, files)


@contextlib.contextmanager
def _named(weights: Path) -> Iterator[None]:
    """Name the file in what a loader says of its tensors."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{weights} {error}") from error


def fit(model: nn.Module, spec: ModelSpec, contents: Contents) -> Reading:
    """Give a model the tensors of the only reading of a file that fits it.

    Names and shapes decide, and where none is right as it is, the rules that modules
    have for files of earlier versions.

    Raises:
        WeightsError: none fits, or several do.
    """
    skeleton = _Skeleton(model)
    nearest: list[tuple[Faults, Reading]] = []
    for state in contents.chosen(spec.weights_key):
        found = [
            (skeleton.faults(reading), reading)
            for reading in contents.readings(state, spec.weights_key)
        ]
        nearest.append(min(found, key=lambda pair: pair[0].number))
    nearest.sort(key=lambda pair: pair[0].number)
    fitting = [reading for faults, reading in nearest if not faults.number]
    if len(fitting) > 1:
        raise contents.several([reading.entry for reading in fitting])
    refused = ""
    for reading in fitting or [reading for _, reading in nearest]:
        if not (refused := skeleton.fill(contents, reading)):
            return reading
    advice = _of_parts(contents, nearest[0][1], skeleton.names)
    raise _misfit(spec, contents, *nearest[0], refused, advice)


class _Skeleton:
    """A model that was built without initialising it, and what it has."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._wanted: Mapping[str, Tensor] = model.state_dict()
        self._shapes = {name: tuple(t.shape) for name, t in self._wanted.items()}
        self._computed = dict(model.named_buffers())
        self._versions: Any = getattr(self._wanted, "_metadata", None)

    @property
    def names(self) -> list[str]:
        """The names that no file may lack."""
        return [name for name in self._shapes if not name.endswith(UNUSED)]

    def faults(self, reading: Reading) -> Faults:
        """Compare a reading with what the model has."""
        return find_faults(reading.shapes, self._shapes, self._beside(reading))

    def _beside(self, reading: Reading) -> set[str]:
        """Name the tensors that equal a buffer which the architecture computes."""
        return {
            name
            for name, stored in reading.tensors.items()
            if name not in self._wanted and not stored.kind
            if (own := self._computed.get(name)) is not None and not own.is_meta
            if stored.shape == tuple(own.shape)
            if equal(stored.read().to(own.dtype), own.cpu())
        }

    def fill(self, contents: Contents, reading: Reading) -> str:
        """Give the model tensors in its own types, as copying them would.

        Returns:
            why its modules do not accept them, empty if they do.
        """
        beside = self._beside(reading)
        weights = {n: t for n, t in reading.tensors.items() if n not in beside}
        read = contents.read(weights)
        for name, tensor in read.items():
            own = self._wanted.get(name)
            if own is not None and tensor.is_complex() and not own.is_complex():
                return f"{name:.90} has complex numbers, which are no weights there"
        state = {name: self._as_wanted(name, tensor) for name, tensor in read.items()}
        # Now: what is assigned gives each place a parameter of its own.
        tied = self._places()
        refused = self._load(state, reading.metadata)
        if refused and self._versions:
            # safetensors do not keep the versions of modules, which some ask for.
            refused = self._load(state, self._versions)
        if refused:
            return refused
        for name, tensor in self._model.state_dict(keep_vars=True).items():
            if name in self._wanted:
                tensor.data = tensor.data.to(self._wanted[name].dtype)
        for places in tied.values():
            # The entry that is copied last is the one that counts.
            module, name = places[-1]
            for other, other_name in places[:-1]:
                setattr(other, other_name, getattr(module, name))
        return ""

    def _load(self, state: StateDict, versions: Any) -> str:
        """Have the modules take tensors by their own rules; say what they refuse."""
        ordered = OrderedDict(state)
        ordered.__dict__["_metadata"] = versions
        try:
            found = self._model.load_state_dict(ordered, strict=False, assign=True)
        # They raise what they like where a file is of another version.
        except Exception as error:
            return reason(error, 200)
        missing = [name for name in found.missing_keys if not name.endswith(UNUSED)]
        return ", ".join([*missing, *found.unexpected_keys])

    def _as_wanted(self, name: str, tensor: Tensor) -> Tensor:
        wanted = self._wanted.get(name)
        if wanted is None:
            return tensor
        if tensor.numel() == wanted.numel() == 1:
            tensor = tensor.reshape(wanted.shape)
        if tensor.shape != wanted.shape:
            return tensor
        # Copied, it would lie as the model's own: order of memory moves last digits.
        return tensor.to(wanted.dtype).contiguous()

    def _places(self) -> Places:
        """Say where each parameter is used."""
        tied: Places = {}
        for module in self._model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    tied.setdefault(id(parameter), []).append((module, name))
        return tied


def _of_parts(contents: Contents, reading: Reading, wanted: Sequence[str]) -> str:
    """Say below which names of a file the whole model lies; empty if below none."""
    (state,) = (s for s in contents.states if s.entry == reading.entry)
    parts = whole_parts(state.tensors, wanted)
    if not parts:
        return ""
    key = f"{reading.entry}.{parts[0]}".removeprefix(".")
    normalised = _any(_NORMALISES, list(state.tensors))
    return (
        f"Every name is there below {' and below '.join(map(repr, parts[:3]))}: to "
        f"take these alone, name weights_key = {key!r}"
        f"{', or likewise' * (len(parts) > 1)}"
        f"{', and write its mean and std into the protocol' * normalised}"
    )


def _misfit(
    spec: ModelSpec,
    contents: Contents,
    faults: Faults,
    reading: Reading,
    refused: str,
    advice: str,
) -> WeightsError:
    """Say why a file does not fit, and what would."""
    contents.check_readable(reading.tensors)
    read = f" ({', '.join(reading.done)})" if reading.done else ""
    why = str(faults) or f"its modules refuse it: {refused}"
    fitting = None if advice else fitting_model(reading.shapes)
    if fitting is not None:
        advice = (
            f"Every name and shape fits {fitting.loader} {fitting.architecture}"
            f"{options_text(fitting)}: name that as the model {spec.id!r}"
        )
    elif not advice:
        advice = (
            "It holds another architecture, or the model "
            f"{spec.id!r} is described wrongly{_kind(faults)}"
        )
    return WeightsError(
        f"{contents.path}{read:.120} does not fit {spec.loader} {spec.architecture}: "
        f"{why}. {advice}"
    )


#: What names or shapes of a difference tell of its kind.
_KINDS: tuple[tuple[str, str], ...] = (
    (
        _NORMALISES,
        "its model normalises images itself: build it by a loader of your own",
    ),
    (
        r"parametrizations\.|weight_[gv]$",
        "weights are normalised: remove parametrizations before saving",
    ),
    (
        r"\blora_(A|B|up|down|embedding_A)\b",
        "adapters of LoRA: merge them into the weights, as merge_and_unload() does",
    ),
    (
        r"\.(SCB|weight_format|absmax|quant_map)$",
        "quantised by bitsandbytes: ask for float32",
    ),
    (r"\bflat_param\b", "it is a part of FSDP: save the full state dict"),
    (
        r"\blayer\.\d+\.attention\.(attention|self)\.(query|key|value)\.",
        "names of transformers: convert them to those of the architecture",
    ),
    (r"dist_token|head_dist", "these are weights of a distilled DeiT"),
    (
        r"pos_embed|positional_embedding",
        "position embeddings of another image size: give that as an option",
    ),
    (r"\[2184[13]\b", "a head of ImageNet-21k: give num_classes as an option"),
)


def _kind(faults: Faults) -> str:
    """Say what is known for a difference of its kind."""
    lines = [*faults.unknown, *(f"{n} {how}" for n, how in faults.reshaped.items())]
    found = (what for pattern, what in _KINDS if _any(pattern, lines))
    if what := next(found, ""):
        return f" ({what})"
    has_head = any(re.match(_HEAD, name) for name in faults.unknown)
    lacks_head = all(re.match(_HEAD, name) for name in faults.missing)
    if faults.missing and lacks_head and not has_head:
        return (
            " (it is a body without this head, as of pretraining: a number needs the "
            "head that was trained on it, in one file)"
        )
    prefix = most_common_prefix(faults.unknown)
    if not prefix or not faults.missing:
        return ""
    own = sum(name.startswith(prefix) for name in faults.unknown)
    return (
        f" ({own:,} of {len(faults.unknown):,} names begin with {prefix!r:.40}: save "
        "them by the names of the architecture, and leave others out)"
    )


def _any(pattern: str, lines: Sequence[str]) -> bool:
    return any(re.search(pattern, line, re.MULTILINE) for line in lines)
