"""What names and paths in a file of published numbers may be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

#: What weights files are called; what they are is found out by their content. One that
#: ends with another stands before it.
WEIGHTS_SUFFIXES = (
    ".pth.tar",
    ".safetensors.index.json",
    ".pt",
    ".pth",
    ".safetensors",
    ".bin",
    ".th",
    ".ckpt",
    ".npz",
    ".jit",
    ".onnx",
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")

_PART = r"\w[\w.+-]{0,99}"
NAME = re.compile(_PART, re.ASCII)
PATH_NAME = re.compile(rf"{_PART}(/{_PART})*", re.ASCII)

SHA256 = re.compile(r"[0-9a-f]{64}")


def anchored(pattern: re.Pattern[str]) -> str:
    """Write a pattern that all of a text has to match as JSON Schema has them.

    Their letters, digits and _ are those of ASCII without a flag.
    """
    return f"^(?:{pattern.pattern})$"


def check_name(name: str, key: str = "the name") -> None:
    """Refuse a name that a case id, a file name or `pytest -k` cannot hold.

    Raises:
        ValueError: the message begins with `key` and says what a name is.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{key} {name!r} must begin with a letter (a-z, A-Z), a digit or _, "
            "followed by those and . + - only; at most 100 characters"
        )


def check_path_name(name: str) -> None:
    """Refuse what is not one or more names joined by `/`.

    Raises:
        ValueError: the message says what such a name is.
    """
    if not PATH_NAME.fullmatch(name):
        raise ValueError(
            f"the name {name!r} must be names joined by /, since it is a folder; each "
            "begins with a letter (a-z, A-Z), a digit or _, followed by those and "
            ". + - only, at most 100 characters"
        )


def check_weights_name(key: str, name: str) -> None:
    """Refuse a file name that is no checkpoint's name with a suffix of weights.

    Raises:
        ValueError: the message begins with `key`.
    """
    stem, suffix = split_weights_name(name)
    if not suffix:
        raise ValueError(
            f"{key} holds {name!r}; a weights file ends with one of "
            f"{', '.join(WEIGHTS_SUFFIXES)}"
        )
    check_name(stem, f"{key} holds {name!r}, whose stem")


def is_weights_name(name: str) -> bool:
    """Whether a file can be a checkpoint of a release."""
    try:
        check_weights_name("the folder", name)
    except ValueError:
        return False
    return True


@lru_cache(4096)
def split_weights_name(name: str) -> tuple[str, str]:
    """Split the name of a weights file; the suffix of another file is empty."""
    suffix = next((s for s in WEIGHTS_SUFFIXES if name.endswith(s)), "")
    return name.removesuffix(suffix), suffix


def weights_suffixes(loader: str) -> tuple[str, ...]:
    """Give the suffixes of what a loader reads.

    Of a model that was exported too, both files may lie in one folder.
    """
    return tuple(s for s in WEIGHTS_SUFFIXES if (s == ".onnx") == (loader == "onnx"))


def list_weights(folder: Path, *, shards: bool = False) -> list[Path]:
    """List the weights files of a folder by name, hidden ones left out.

    Args:
        folder: where.
        shards: whether the files that an index is of count too.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(
        file
        for file in folder.iterdir()
        if (named := split_weights_name(file.name))[1]
        and not file.name.startswith(".")
        and (shards or not _SHARD.search(named[0]))
        and not file.is_dir()
    )


def check_below(key: str, path: str) -> None:
    """Refuse a path that leaves the folder it is relative to; empty means none.

    Raises:
        ValueError: the path is absolute, holds `..` or a character of no file name.
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or not path.isprintable():
        raise ValueError(f"{key} is {path!r}; it must be a relative path, without '..'")


def check_class_folders(key: str, names: Iterable[str]) -> None:
    """Refuse class names that are no folder's name or occur twice.

    Raises:
        ValueError: the message quotes the first such name.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{key} holds {name!r} {count} times; each is named once")
        if name in {"", ".", ".."} or "/" in name or not name.isprintable():
            raise ValueError(f"{key} holds {name!r}, which cannot be a folder's name")
