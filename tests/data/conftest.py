"""A release of small datasets, and a healthy copy of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..releases import FAMILY, PLAIN, release_toml, write_release
from .small_imagenet import SETS, validation, write


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a healthy copy in class folders."""
    write(tmp_path / "data" / "val", validation())
    return tmp_path / "data"


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release with all the sets."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    sets = {
        name: {
            "title": title,
            "folder": folder,
            "classes": list(classes),
            "images": images,
        }
        for name, (title, folder, classes, images) in SETS.items()
    }
    geometry = "rgb|resize(16,bilinear)|center_crop(16)"
    content = release_toml(
        dataset=sets,
        protocol={"plain": {**PLAIN, "geometry": geometry}},
        family={"real": FAMILY},
    )
    return write_release(tmp_path / "release", content, "release.toml").parent
