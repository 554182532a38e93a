"""What docs/expected-format.md says is what is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repro.cases import list_cases
from repro.errors import ExpectedError
from repro.published import training_images

from ..releases import read_release as read
from .documented import ADDITIONS, DOCUMENT, EVERYTHING, EXAMPLE


def documented_keys(heading: str) -> set[str]:
    section = DOCUMENT.split(f"\n### `{heading}`\n", maxsplit=1)[1].split("\n#")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_the_complete_example_is_read(tmp_path: Path) -> None:
    (case,) = list_cases([read(tmp_path, EXAMPLE)])
    assert f"`{case.id}`" in DOCUMENT
    assert [str(r.published) for r in case.references] == ["91.35", "0.2417"]


def test_every_further_example_can_be_added_to_it(tmp_path: Path) -> None:
    assert len(ADDITIONS) == 3
    for addition in ADDITIONS:
        read(tmp_path, f"{EXAMPLE}\n{addition}")


@pytest.mark.parametrize(
    ("heading", "start"),
    [
        ("[release]", "[release]\n"),
        ("[source.NAME]", "[source.paper]\n"),
        ("[dataset.NAME]", "[dataset.night-val]\n"),
        ("[protocol.NAME]", "[protocol.paper-supervised]\n"),
        ("[protocol.NAME.text]", "[protocol.paper-clip.text]\n"),
        ("[model.NAME]", "[model.vit-s16]\n"),
        ("[family.NAME]", '[family."supervised/real"]\n'),
        (
            '[checksum."FAMILY/FILE"]',
            '[checksum."supervised/real/4M.pt"]\n',
        ),
        ("[[reference]]", "[[reference]]\n"),
        ("tolerance", "tolerance = { "),
    ],
)
def test_every_key_of_a_table_is_documented(
    tmp_path: Path, heading: str, start: str
) -> None:
    assert start in EVERYTHING
    unknown = "colour = 1\n" if start.endswith("\n") else "colour = 1, "
    with pytest.raises(ExpectedError, match="unknown key 'colour'") as caught:
        read(tmp_path, EVERYTHING.replace(start, start + unknown, 1))
    allowed = str(caught.value).rpartition("allowed are ")[2].split(", ")
    assert documented_keys(heading) == set(allowed)


def test_a_number_of_training_images_is_read_as_documented() -> None:
    assert "`0.5M` is 500,000" in DOCUMENT
    names = ("0.5M", "371M", "250K", "2B", "1000", "best", "1M-ema", "16m", "")
    assert [training_images(name) for name in names] == [
        *(500_000, 371_000_000, 250_000, 2_000_000_000, 1000),
        *(None, None, None, None),
    ]
