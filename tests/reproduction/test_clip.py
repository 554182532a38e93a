"""Do the CLIP checkpoints still score what was published, zero-shot?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from repro.api import Case


@pytest.mark.repro(kind="clip")
def test_clip(case: Case, reproduce: Callable[[Case], object]) -> None:
    reproduce(case)
