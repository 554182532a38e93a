"""Zero-shot text classifiers: every class as the mean of its prompts' embeddings."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from torch import Tensor, nn

from repro.errors import ExpectedError, WeightsError
from repro.files import replacing
from repro.models.clip import Tokenizer
from repro.models.prefixes import encode_by_template, text_tower
from repro.published import TextSpec

PROMPTS_PER_BATCH = 64


def prompts_of(text: TextSpec) -> tuple[list[str], int]:
    """List the prompts, class by class, and say how many each class has.

    Raises:
        ExpectedError: open_clip has no list of that name.
    """
    fillers = [
        template.format if isinstance(template, str) else template
        for template in _texts(text.templates)
    ]
    prompts = [fill(name) for name in _texts(text.classnames) for fill in fillers]
    return prompts, len(fillers)


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
    a `cache` folder a classifier is encoded once for each text tower, set of prompts
    and `note` (what else the embeddings depend on, such as the precision).

    Raises:
        WeightsError: the embeddings are not finite.
        ExpectedError: the text names lists that do not exist.
    """
    prompts, per_class = prompts_of(text)
    tokens = tokenizer(prompts)
    if cache is None:
        return _encode_classes(model, tokens, per_class, device)
    key = _key(model, tokens, per_class, note)
    file = cache / "text" / f"{key}.npy"
    with _locked(file):
        if (kept := _read(file)) is not None:
            return torch.from_numpy(kept).to(device)
        classifier = _encode_classes(model, tokens, per_class, device)
        # Without the file, it is only encoded again.
        with contextlib.suppress(OSError), replacing(file) as stream:
            np.save(stream, classifier.cpu().numpy())
    return classifier


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process encode while others wait; nobody waits where none can write."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, NotImplementedError):
            file.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(file.with_suffix(".lock")))
        yield


def _read(file: Path) -> npt.NDArray[np.float32] | None:
    """Read a classifier, unless it is not there or damaged."""
    try:
        content: npt.NDArray[np.float32] = np.load(file)
    except (OSError, ValueError, EOFError):
        return None
    return content


def _texts(named: Sequence[str] | str) -> Sequence[Any]:
    """Give a list; what open_clip ships are strings or functions of a class name."""
    if not isinstance(named, str):
        return named
    import open_clip

    name = named.removeprefix("open_clip:")
    if not hasattr(open_clip, name):
        raise ExpectedError(
            f"open_clip {open_clip.__version__} has no list {name}; "
            "OPENAI_IMAGENET_TEMPLATES and IMAGENET_CLASSNAMES are two that it has"
        )
    texts: Sequence[Any] = getattr(open_clip, name)
    return texts


@torch.inference_mode()
def _encode_classes(
    model: nn.Module, tokens: Tensor, per_class: int, device: torch.device
) -> Tensor:
    tower = text_tower(model)
    encoded = (
        _encode_padded(model, tokens, device)
        if tower is None
        else encode_by_template(tower, tokens, per_class, device)
    )
    embeddings: Tensor | None = None
    for rows, batch in encoded:
        if embeddings is None:
            embeddings = torch.empty(len(tokens), batch.shape[1], device=device)
        embeddings[rows.to(device)] = batch.float()
    assert embeddings is not None
    means = embeddings.view(-1, per_class, embeddings.shape[1]).mean(dim=1)
    classifier: Tensor = means / means.norm(dim=-1, keepdim=True)
    if not bool(classifier.isfinite().all()):
        raise WeightsError("the text tower gives embeddings that are not finite")
    return classifier


def _encode_padded(
    model: nn.Module, tokens: Tensor, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Embed prompts as they are: rows and their normalised embeddings `[rows, D]`."""
    for start in range(0, len(tokens), PROMPTS_PER_BATCH):
        rows = torch.arange(start, min(start + PROMPTS_PER_BATCH, len(tokens)))
        output = model(None, tokens[rows].to(device))
        yield rows, output["text_features"] if isinstance(output, dict) else output[1]


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
    others = heads, pooling, list(tokens.shape), per_class, note, open_clip.__version__
    digest.update(repr(others).encode())
    return digest.hexdigest()[:32]
