"""Images that flipped are shown where that is asked for, and no others."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from repro.report.html import html
from repro.report.html_parts import SIDE, thumbnail
from repro.report.report import CaseFlips, Report


def flips_of(report: Report) -> CaseFlips:
    (flips,) = report.flips
    return flips


@pytest.fixture
def photographs(report: Report, tmp_path: Path) -> Path:
    """A folder with all images of the report but the first flipped one."""
    flips = flips_of(report)
    assert flips.names is not None
    missing = flips.named(flips.flips[0])[0]
    for name in flips.names.files:
        file = tmp_path / "val" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name != missing:
            Image.new("RGB", (400, 200), "teal").save(file)
    return tmp_path / "val"


def test_the_first_flipped_images_are_shown_small_only_on_request(
    report: Report, photographs: Path
) -> None:
    assert "<img" not in html(report)
    shown = html(msgspec.structs.replace(report, photographs=photographs))
    found = re.findall(
        r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)">', shown
    )
    flips = flips_of(report)
    assert [name for _, name in found] == [flips.named(f)[0] for f in flips.flips[1:12]]
    with Image.open(io.BytesIO(base64.b64decode(found[0][0]))) as image:
        assert image.size == (SIDE, SIDE // 2)


@pytest.mark.parametrize("name", ["../secret.jpg", "text.jpg", "absent.jpg", "."])
def test_what_is_no_image_of_the_folder_is_not_shown(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "val"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    (folder / "text.jpg").write_text("no image")
    assert thumbnail(folder, name) == ""
    assert thumbnail(tmp_path, "secret.jpg")
