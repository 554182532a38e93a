"""What was not run, grouped by what is missing."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from repro.report.rows import CaseRows


class Lacking(NamedTuple):
    """Cases that were not run for one reason; `families` counts them."""

    what: str
    remedy: str
    cases: list[CaseRows]

    @property
    def families(self) -> dict[str, int]:
        """Count the cases of each family."""
        return dict(Counter(case.result.family for case in self.cases))


def lacking_groups(cases: Iterable[CaseRows]) -> list[Lacking]:
    """Group cases that were not run by what is missing, with what brings all of it."""
    found: dict[tuple[str, str], list[CaseRows]] = {}
    for case in cases:
        result = case.result
        what = f"no {result.lacking}" if result.lacking else result.reason
        key = what.partition("\n")[0], result.remedy
        found.setdefault(key, []).append(case)
    return [
        Lacking(what, remedy.replace("{}", _families(members)), members)
        for (what, remedy), members in found.items()
    ]


def _families(cases: Iterable[CaseRows]) -> str:
    return shlex.join(dict.fromkeys(case.result.family for case in cases))
