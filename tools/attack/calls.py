"""What is called that is no command: servers, caches, models that predict."""

from __future__ import annotations

import contextlib
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np

from repro.data.pixels import PixelStore
from repro.errors import ReproError
from repro.fetching import Silent
from repro.fetching.archive import unpack
from repro.fetching.family import fetch_family
from repro.fetching.transfer import Patience
from repro.files import DamageWarning
from repro.published import ModelSpec, parse_geometry, read_releases
from tests.stand_ins import photograph_dataset, small_clip

from .whole_runs import whole_run

#: What stands for the server's address in files.
SERVER = "http://127.0.0.1:1"
_HURRIED = Patience(2, wait=0.01, longest_wait=0.02, longest_asked=0.1, silence=1.0)


def unpacked(archive: str) -> str:
    """Unpack a zip; say where it wrote beside the folder, if it did."""
    unpack(Path(archive), Path("unpacked"), "https://example.org/x.zip", Silent())
    return _strays({"unpacked"}, {archive})


def downloaded(numbers: str, answers: str) -> str:
    """Fetch a family of a server that sends these bytes to whoever asks."""
    with _serving(Path(answers).read_bytes()) as address:
        text = Path(numbers).read_text("utf-8").replace(SERVER, address)
        Path(numbers).write_text(text, "utf-8")
        (release,) = read_releases([numbers])
        family = next(iter(release.families.values()))
        fetch_family(release, family, Path("weights"), Silent(), _HURRIED)
    return _strays({"weights"}, {numbers, answers, "checksums.toml"})


def decoded(cache_folder: str) -> str:
    """Read all pixels by a cache; say whether they are others than without it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        found = pixels_of(Path(cache_folder))
    return "" if np.array_equal(found, _pixels()) else "it reads other pixels"


def encoded(cache_folder: str) -> str:
    """Encode classes by a cache; say whether they are others than without it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        found = classifier_of(Path(cache_folder))
    return "" if found.equal(_classifier()) else "it gives another text classifier"


def predicted(file: str) -> str:
    """Load a model of ONNX, and let it predict for a blank image."""
    import torch

    from repro.evaluation.classifier import Classifier
    from repro.models.building import load_checkpoint

    spec = ModelSpec(id="m", loader="onnx", architecture="small")
    device = torch.device("cpu")
    model = load_checkpoint(spec, Path(), Path(file), device).model
    Classifier(model, (0.5,) * 3, (0.5,) * 3, device).check((8, 8))
    return ""


CALLS: dict[str, Callable[..., str]] = {
    "unpack": unpacked,
    "download": downloaded,
    "decode": decoded,
    "encode": encoded,
    "predict": predicted,
    "run": whole_run,
}


def pixels_of(cache_folder: Path) -> Any:
    """Give the pixels of some photographs: uint8 `[N, 3, 16, 16]`."""
    dataset = _dataset()
    store = PixelStore(dataset, parse_geometry("rgb|center_crop(16)"), cache_folder)
    # They come as they get ready.
    strata = dict(store.iterate(range(len(dataset.strata))))
    return np.concatenate([strata[number] for number in sorted(strata)])


@cache
def _dataset() -> Any:
    """Lay photographs down, once for all that are decoded."""
    return photograph_dataset(Path(mkdtemp()), per_class=2)


@cache
def _pixels() -> Any:
    with TemporaryDirectory() as folder:
        return pixels_of(Path(folder))


def classifier_of(cache_folder: Path) -> Any:
    """Give the text classifier of a small model: float32 `[C, D]`."""
    import torch

    from repro.models.zeroshot import zeroshot_classifier
    from tests.models.encoding import TEXT

    model, tokenizer = _clip()
    device = torch.device("cpu")
    return zeroshot_classifier(model, tokenizer, TEXT, device, cache_folder)


@cache
def _clip() -> tuple[Any, Any]:
    import open_clip

    with TemporaryDirectory() as folder:
        return small_clip(Path(folder)), open_clip.SimpleTokenizer(context_length=77)


@cache
def _classifier() -> Any:
    with TemporaryDirectory() as folder:
        return classifier_of(Path(folder))


def _strays(folders: set[str], files: set[str]) -> str:
    """Say what was written elsewhere than below these folders, if anything was."""
    here = Path().resolve()
    for found in sorted(here.rglob("*")):
        inside = found.relative_to(here)
        allowed = inside.parts[0] in folders or str(inside) in files
        if found.is_symlink() or (found.is_file() and not allowed):
            return f"it wrote {inside}"
    return ""


@contextlib.contextmanager
def _serving(answer: bytes) -> Iterator[str]:
    """Send the same bytes to everybody who asks, and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        filled = answer.replace(SERVER.encode(), address.encode())
        threading.Thread(target=_answer_all, args=(server, filled), daemon=True).start()
        try:
            yield address
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _answer_all(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), client:
            client.settimeout(2)
            client.recv(65536)
            client.sendall(answer)


def call(name: str, arguments: tuple[str, ...]) -> tuple[str, str]:
    """Call one of them: what it said, and what was not as it should be."""
    try:
        return "", CALLS[name](*arguments)
    except ReproError as error:
        return str(error), ""
    except Exception as error:
        return "", f"{type(error).__name__}: {error}"
