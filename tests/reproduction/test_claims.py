"""Do the paper's claims hold for what the checkpoints score?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from repro.api import Stated


@pytest.mark.repro
def test_claim(claim: Stated, uphold: Callable[[Stated], object]) -> None:
    uphold(claim)
