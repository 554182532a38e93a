"""Files in the caches that the libraries download into; nothing is downloaded here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from unittest import mock
from urllib.parse import urlsplit


def hub_file(repository: str, names: Sequence[str]) -> Path | None:
    """Find the first of some files of a Hugging Face repository in its cache."""
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        found = try_to_load_from_cache(repository, name)
        # It answers a marker for a file that is known not to exist.
        if isinstance(found, str):
            return Path(found)
    return None


def torch_hub_file(url: str) -> Path | None:
    """Find what torch.hub downloaded from a URL."""
    import torch

    name = PurePosixPath(urlsplit(url).path).name
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    return file if file.is_file() else None


@contextmanager
def offline() -> Iterator[None]:
    """Keep Hugging Face's libraries from asking the network for what is not here."""
    from huggingface_hub import constants

    with mock.patch.object(constants, "HF_HUB_OFFLINE", new=True):
        yield
