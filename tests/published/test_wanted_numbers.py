"""The page about wanted numbers says of each family what there is."""

from __future__ import annotations

from pathlib import Path

from repro.published import read_releases

FOLDER = Path(__file__).parents[2] / "expected" / "synthetic-scaling"
PAPER = "https://arxiv.org/abs/2312.04567"


def test_the_page_names_each_checkpoint_that_has_a_number() -> None:
    release = read_releases([FOLDER])[0]
    rows = []
    for family in release.families:
        references = [r for r in release.references if family in r.families]
        names = dict.fromkeys(r.checkpoint for r in references)
        sizes = sorted(names, key=lambda name: int(name.removesuffix("M")))
        own = [r for r in references if release.sources[r.source].url == PAPER]
        from_paper = ", ".join(dict.fromkeys(r.checkpoint for r in own))
        rows.append(
            f"| {family} | {', '.join(sizes) or 'none'} | {from_paper or 'none yet'} |"
        )
    page = (FOLDER / "README.md").read_text()
    table = [line for line in page.splitlines() if line.startswith(("| sup", "| clip"))]
    assert table == rows
