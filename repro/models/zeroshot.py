"""Zero-shot text classifiers: each class as the mean of its prompts' embeddings.

The prompts are lists of a release, or of a library.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from repro.errors import ExpectedError, WeightsError
from repro.files import file_shipped_with, keep, kept
from repro.models.libraries import OwnFiles
from repro.models.libraries.common import building, offline, split_tag
from repro.models.prefixes import TemplateEncoder, text_tower
from repro.published import ModelSpec, TextSpec

Tokenizer = Callable[[Sequence[str]], Tensor]
#: Bytes, and tokens; those of CLIP are three million, and 77.
_LONGEST_MERGES, _LONGEST_CONTEXT = 2**26, 2**16
PROMPTS_PER_BATCH = 64
#: What one process encodes before it looks what others have done.
CLASSES_PER_PART = 100
POLL_SECONDS = 0.05
_BENCHMARK = re.compile(r"clip_benchmark==(?P<version>[^:]+):(?P<name>\w+)")
_FILES = {
    "classnames": "datasets/en_classnames.json",
    "templates": "datasets/en_zeroshot_classification_templates.json",
}
Kind = Literal["classnames", "templates"]


class RememberingTokenizer:
    """Tokenizes prompts once that are asked for again and again.

    The 80,000 prompts of ImageNet take seconds, and every checkpoint has the same.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._prompts: list[str] = []
        self._tokens = torch.empty(0)

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Give int64 `[P, context]`, which nobody may change."""
        if self._prompts != prompts:
            self._tokens = self._tokenizer(prompts)
            self._prompts = list(prompts)
        return self._tokens


def build_tokenizer(spec: ModelSpec, files: OwnFiles) -> Tokenizer:
    """Build the tokenizer of a model: a list of P prompts to int64 `[P, context]`.

    Raises:
        ExpectedError: a file that the spec names has changed since it was read, or the
            tokenizer needs files or packages that are not on this machine.
    """
    import open_clip

    with building(open_clip, spec, "the tokenizer of model"):
        if not spec.tokenizer:
            name = spec.architecture if spec.config else split_tag(spec)[0]
            with offline():
                found: Tokenizer = open_clip.get_tokenizer(name)
                return found
        context = open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH
        if spec.config:
            config = json.loads(files.contents["config"])
            context = config["text_cfg"].get("context_length", context)
            if context not in range(1, _LONGEST_CONTEXT):
                raise ValueError(f"its context_length is {context!r}")
        merges = str(files.path("tokenizer"))
        with gzip.open(merges) as stream:
            if len(stream.read(_LONGEST_MERGES + 1)) > _LONGEST_MERGES:
                raise ValueError("its merges are larger than any tokenizer's")
        tokenizer: Tokenizer = open_clip.SimpleTokenizer(merges, context_length=context)
    files.check_same()
    return tokenizer


def zeroshot_classifier(
    model: nn.Module,
    tokenizer: Tokenizer,
    text: TextSpec,
    device: torch.device,
    cache: Path | None = None,
    note: str = "",
) -> Tensor:
    """Encode the classes as text: float32 `[C, D]`, each row of length 1.

    Each prompt's embedding is normalised; a class is their mean, normalised again. With
    a `cache` folder a class is encoded once for each text tower, set of prompts and
    `note` (what else the embeddings depend on, such as the precision), by each version
    of torch and kind of GPU: processes that need the same classes at the same time
    share the work.

    Raises:
        WeightsError: the embeddings are not finite.
        ExpectedError: the text names lists that do not exist.
    """
    prompts, per_class = prompts_of(text)
    encoder = _ClassEncoder(model, tokenizer(prompts), per_class, device)
    if cache is None:
        parts = [encoder.encode(part) for part in encoder.parts]
    else:
        note = f"{note} {torch.__version__} {_name(device)}"
        key = _key(model, encoder.tokens, per_class, note)
        files = [
            cache / "text" / f"{key}-{number:02d}.npy"
            for number in range(len(encoder.parts))
        ]
        encode = [partial(encoder.encode, part) for part in encoder.parts]
        parts = _encode_together(files, encode, device)
    # Parts have classes of similar length: back into the order of the labels.
    return torch.cat(parts)[torch.cat(encoder.parts).argsort().to(device)]


def _name(device: torch.device) -> str:
    """Name what computes; processors round alike but for the last digits."""
    name = getattr(getattr(torch, device.type, None), "get_device_name", None)
    return str(name(device)) if name else device.type


def _check_known(model: nn.Module, tokens: Tensor) -> None:
    """Refuse tokens that a text tower does not have, before a device meets them."""
    # Where models keep it: CoCa has it at the tower alone.
    owners = model, getattr(model, "text", None)
    known = next((n for o in owners if (n := getattr(o, "vocab_size", None))), None)
    if isinstance(known, int) and int(tokens.max()) >= known:
        raise ExpectedError(
            f"the tokenizer gives the token {int(tokens.max()):,}, and the text tower "
            f"knows {known:,}; name the tokenizer that the model was trained with"
        )


class _ClassEncoder:
    """Encodes classes in parts, always the same ones, whoever does it.

    Args:
        model: whose text tower encodes.
        tokens: of all prompts, class by class: int64 `[C * per_class, context]`.
        per_class: number of prompts of a class.
        device: where the model is.
    """

    def __init__(
        self, model: nn.Module, tokens: Tensor, per_class: int, device: torch.device
    ) -> None:
        _check_known(model, tokens)
        self.tokens = tokens
        self._model = model
        self._per_class = per_class
        self._device = device
        tower = text_tower(model)
        self._templates = tower and TemplateEncoder(tower, tokens, per_class, device)
        # Classes of similar length together: there is less to pad.
        lengths = tokens.argmax(dim=1).view(-1, per_class).amax(dim=1)
        order = torch.argsort(lengths, stable=True)
        #: Numbers of the classes of each part.
        self.parts: tuple[Tensor, ...] = torch.split(order, CLASSES_PER_PART)

    @torch.inference_mode()
    def encode(self, classes: Tensor) -> Tensor:
        """Encode some classes: float32 `[classes, D]`.

        Raises:
            WeightsError: the embeddings are not finite.
        """
        encoded = (
            self._templates.encode(classes)
            if self._templates
            else self._encode_padded(classes)
        )
        place = torch.empty(len(self.tokens), dtype=torch.int64)
        rows = classes[:, None] * self._per_class + torch.arange(self._per_class)
        place[rows.flatten()] = torch.arange(rows.numel())
        embeddings: Tensor | None = None
        for found, batch in encoded:
            if embeddings is None:
                embeddings = torch.empty(
                    rows.numel(), batch.shape[1], device=self._device
                )
            # Back into their order: the mean of a class is taken in one order, however
            # its prompts were put together, so that its last bits are the same in every
            # process.
            embeddings[place[found].to(self._device)] = batch.float()
        assert embeddings is not None
        means = embeddings.view(*rows.shape, -1).mean(dim=1)
        classifier: Tensor = means / means.norm(dim=-1, keepdim=True)
        if not bool(classifier.isfinite().all()):
            raise WeightsError("the text tower gives embeddings that are not finite")
        return classifier

    def _encode_padded(self, classes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Embed prompts as they are: rows and their normalised embeddings."""
        rows = classes[:, None] * self._per_class + torch.arange(self._per_class)
        for batch in torch.split(rows.flatten(), PROMPTS_PER_BATCH):
            output = self._model(None, self.tokens[batch].to(self._device))
            is_named = isinstance(output, dict)
            yield batch, output["text_features"] if is_named else output[1]


def _encode_together(
    files: Sequence[Path], encode: Sequence[Callable[[], Tensor]], device: torch.device
) -> list[Tensor]:
    """Give all parts: read what is there, encode what nobody else encodes now."""
    found: dict[int, Tensor] = {}
    # A process that dies in the middle frees its lock, so every round tries all parts.
    while len(found) < len(files):
        before = len(found)
        for part, file in enumerate(files):
            if part in found:
                continue
            if (classes := _part(file, encode[part])) is not None:
                found[part] = classes.to(device)
        if len(found) == before:
            time.sleep(POLL_SECONDS)
    return [found[part] for part in range(len(files))]


def _part(file: Path, encode: Callable[[], Tensor]) -> Tensor | None:
    """Read or encode a part; None while another process encodes it."""
    if (kept := _read(file)) is not None:
        return torch.from_numpy(kept)
    with _try_lock(file) as is_mine:
        if not is_mine:
            return None
        # Somebody may have been faster.
        if (kept := _read(file)) is not None:
            return torch.from_numpy(kept)
        classes = encode()
        stream = io.BytesIO()
        np.save(stream, classes.cpu().numpy())
        keep(file, stream.getvalue())
        return classes


@contextlib.contextmanager
def _try_lock(file: Path) -> Iterator[bool]:
    """Try to be the only one who encodes; where none can lock, everybody may."""
    lock = FileLock(file.with_suffix(".lock"), blocking=False)
    is_mine = True
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        is_mine = False
    except (OSError, NotImplementedError):
        pass
    try:
        yield is_mine
    finally:
        lock.release()


def _read(file: Path) -> npt.NDArray[np.float32] | None:
    """Read a part, unless it is not there or damaged."""
    content = kept(file)
    return None if content is None else np.load(io.BytesIO(content))


def _key(model: nn.Module, tokens: Tensor, per_class: int, note: str) -> str:
    """Hash all that the classifier depends on."""
    import open_clip

    digest = hashlib.sha256()
    text = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(("visual.", "logit_"))
    }
    for name, tensor in sorted(text.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().data)
    # The printed modules tell activations and epsilons, which no tensor holds.
    digest.update(
        repr([m for n, m in model.named_children() if n != "visual"]).encode()
    )
    heads = [getattr(module, "num_heads", None) for module in model.modules()]
    pooling = getattr(model, "text_pool_type", None)
    digest.update(tokens.contiguous().numpy().data)
    # Parts of another size would be other classes in files of the same names.
    layout = list(tokens.shape), per_class, CLASSES_PER_PART
    others = heads, pooling, layout, note, open_clip.__version__
    digest.update(repr(others).encode())
    return digest.hexdigest()[:32]


def prompts_of(text: TextSpec) -> tuple[list[str], int]:
    """List the prompts, class by class, and say how many each class has.

    Raises:
        ExpectedError: no library here has a list of that name.
    """
    fillers: list[Callable[[str], str]] = [
        template.format if isinstance(template, str) else template
        for template in _texts(text.templates, "templates")
    ]
    names = _texts(text.classnames, "classnames")
    return [fill(name) for name in names for fill in fillers], len(fillers)


def spelt_out(text: TextSpec) -> TextSpec:
    """Give the same prompts with lists of our own, whoever ships the protocol's.

    Raises:
        ExpectedError: no library here has a list of that name.
    """
    templates = _texts(text.templates, "templates")
    return TextSpec(
        classnames=tuple(_texts(text.classnames, "classnames")),
        templates=tuple(t if isinstance(t, str) else t("{}") for t in templates),
    )


def count_classes(text: TextSpec) -> int:
    """Count the classes that prompts are made for.

    Raises:
        ExpectedError: no library here has a list of that name.
    """
    return len(_texts(text.classnames, "classnames"))


def _texts(named: Sequence[str] | str, kind: Kind) -> Sequence[Any]:
    """Give a list; what open_clip ships are strings or functions of a class name."""
    if not isinstance(named, str):
        return named
    if match := _BENCHMARK.fullmatch(named):
        return _of_benchmark(match["version"], match["name"], kind)
    import open_clip

    name = named.removeprefix("open_clip:")
    if not hasattr(open_clip, name):
        raise ExpectedError(
            f"open_clip {open_clip.__version__} has no list {name}; "
            "OPENAI_IMAGENET_TEMPLATES and IMAGENET_CLASSNAMES are two that it has"
        )
    texts: Sequence[Any] = getattr(open_clip, name)
    return texts


@cache
def _of_benchmark(version: str, name: str, kind: Kind) -> tuple[str, ...]:
    """Read a list of CLIP_benchmark, whose package is not imported.

    Its templates have `{c}` for the class name.
    """
    try:
        found = metadata.version("clip-benchmark")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != version:
        raise ExpectedError(
            f"{kind} are those of clip-benchmark {version}, and {found} is installed; "
            f"pip install --no-deps clip-benchmark=={version}, of which only lists of "
            "text are read"
        )
    file = file_shipped_with("clip_benchmark", _FILES[kind])
    content = file.read_bytes() if file else b"{}"
    lists = msgspec.json.decode(content, type=dict[str, tuple[str, ...]])
    if name not in lists:
        raise ExpectedError(
            f"clip-benchmark {version} has no {kind} {name}; it has those of "
            f"{', '.join(lists)}"
        )
    return tuple(text.replace("{c}", "{}") for text in lists[name])
