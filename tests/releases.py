"""The smallest release, with what a test changes in it, as a file of TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomlkit

from repro.errors import ExpectedError
from repro.published import Release, read_releases

#: A table by its name; `[[reference]]` and `[[claim]]` are lists of tables.
Tables = dict[str, Any]

PLAIN: Tables = {
    "geometry": "rgb|resize(256,bilinear)|center_crop(224)",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "source": "paper",
}
VALIDATION: Tables = {
    "title": "Validation",
    "folder": "val",
    "classes": ["cat", "dog"],
    "images": 4,
}
FAMILY: Tables = {
    "model": "vit",
    "training_data": "photographs",
    "protocols": ["plain"],
    "datasets": ["val"],
}
VIT: Tables = {"loader": "timm", "architecture": "vit_base_patch16_224"}
SMALLEST: Tables = {
    "release": {"id": "tiny", "title": "A tiny release"},
    "source": {
        "paper": {"title": "The paper, Table 1", "url": "https://example.org/paper"}
    },
    "dataset": {"val": VALIDATION},
    "protocol": {"plain": PLAIN},
    "model": {"vit": VIT},
    "family": {"supervised/real": FAMILY},
}


def release_toml(**tables: Any) -> str:
    """Write the smallest release, with these tables in place of its own or beside them.

    What is left out is as it is in `SMALLEST`; it has no `[[reference]]`.
    """
    return tomlkit.dumps({"schema": 1} | SMALLEST | tables)


#: A release of both kinds without numbers, to which tables are appended.
HEAD = release_toml(
    protocol={
        "plain": PLAIN,
        "text": {
            **PLAIN,
            "geometry": "rgb|resize(224,bicubic)|center_crop(224)",
            "logit_scale": 100.0,
            "text": {"classnames": ["cat", "dog"], "templates": ["a photo of a {}."]},
        },
    },
    model={"vit": VIT, "clip": {"loader": "open_clip", "architecture": "ViT-B-16"}},
    family={
        "supervised/real": FAMILY,
        "clip": {**FAMILY, "model": "clip", "protocols": ["text"]},
    },
)
REFERENCE = """
[[reference]]
family = "supervised/real"
checkpoint = "1M"
dataset = "val"
protocol = "plain"
source = "paper"
top1 = "50.580"
"""
TINY = HEAD + REFERENCE


def edited(old: str, new: str) -> str:
    """Write `TINY` with a piece of its text replaced where it first stands."""
    assert old in TINY
    return TINY.replace(old, new, 1)


def write_release(folder: Path, content: str, name: str = "tiny.toml") -> Path:
    """Write a file of published numbers into a folder that is made for it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


def read_release(folder: Path, content: str) -> Release:
    """Write a file of published numbers and read it."""
    (release,) = read_releases([write_release(folder, content)])
    return release


def fault(path: Path | str) -> str:
    """Read what cannot be read and return the one sentence that says so."""
    with pytest.raises(ExpectedError) as caught:
        read_releases([path])
    message = str(caught.value)
    assert "\n" not in message
    assert "msgspec" not in message
    assert "`" not in message
    return message


def fault_of(folder: Path, content: str) -> str:
    """Write what cannot be read and return what is wrong with it."""
    file = write_release(folder, content)
    message = fault(file)
    assert message.startswith(f"{file}: ")
    return message.removeprefix(f"{file}: ")
