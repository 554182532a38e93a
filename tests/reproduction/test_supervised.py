"""Do the supervised checkpoints still score what was published?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from repro.api import Case


@pytest.mark.repro(kind="supervised")
def test_supervised(case: Case, reproduce: Callable[[Case], object]) -> None:
    reproduce(case)
