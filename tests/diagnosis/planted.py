"""Cases of the embedded release that are published with other values."""

from __future__ import annotations

import msgspec

from repro.cases import Case, list_cases
from repro.published import EMBEDDED, printed, read_releases


def as_published(name: str) -> Case:
    """Take a case of the embedded release."""
    listed = list_cases(read_releases([EMBEDDED]))
    (case,) = (case for case in listed if case.id.startswith(f"{name}@"))
    return case


def planted(name: str, **values: str) -> Case:
    """Take a case of the embedded release and publish other values for it."""
    case = as_published(name)
    references = tuple(
        msgspec.structs.replace(r, published=printed(values[r.metric]))
        for r in case.references
    )
    return msgspec.structs.replace(case, references=references)
