"""Claims on the release that is shipped, and tests for them."""

from __future__ import annotations

CLAIMS_SUITE = """
import pytest

@pytest.mark.repro
def test_a_claim(claim, uphold):
    uphold(claim)
"""


COMMON = """
[[claim]]
id = "{id}"
kind = "{kind}"
text = "The claim {id}."
source = "make"
dataset = "digits-val"
protocol = "digits-supervised"
"""


EXPONENT = 'family = "supervised/real"\nover = "80..160"\nexponent = "{k}"\n'


ORDERING = """metric = "top1"
order = ["supervised/real", "supervised/real"]
checkpoints = [["{better}", "{worse}"]]
"""


#: ln(1.120817 / 0.537018) / ln(2), the published losses.
STEEP = "1.0615"


def exponent(name: str, k: str) -> str:
    return COMMON.format(id=name, kind="exponent") + EXPONENT.format(k=k)


def ordering(name: str, better: str, worse: str) -> str:
    head = COMMON.format(id=name, kind="ordering")
    return head + ORDERING.format(better=better, worse=worse)
