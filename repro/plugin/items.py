"""Marked tests: what is in force for them, what they are about, what comes of it.

Controllers of xdist import it in every project: what is heavy is imported later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from repro.errors import ReproError
from repro.plugin import MARKER

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.claims.evidence import Stated
    from repro.claims.result import ClaimResult
    from repro.options.table import Settings
    from repro.records.result import CaseResult

#: What is in force for a test that has a case or a claim.
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()

_IS_MARKED: pytest.StashKey[bool] = pytest.StashKey()


def case_of(item: pytest.Item) -> Case | None:
    """Give the case of a test, if it has one."""
    from repro.cases import Case

    found = _parameter(item, "case")
    return found if isinstance(found, Case) else None


def claim_of(item: pytest.Item) -> Stated | None:
    """Give the claim of a test, if it has one."""
    from repro.claims.evidence import Stated

    found = _parameter(item, "claim")
    return found if isinstance(found, Stated) else None


def with_cases(items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, Case]]:
    """Go through those tests that have a case."""
    for item in items:
        case = case_of(item)
        if case is not None:
            yield item, case


def remember_settings(items: Iterable[pytest.Item]) -> None:
    """Find out what is in force for tests and keep it with them."""
    from repro.plugin.settings import read_settings

    # A marked test may run for thousands of cases; all of them are set up alike.
    known: dict[tuple[int, pytest.Item | pytest.Collector | None], Settings] = {}
    for item in items:
        marker = item.get_closest_marker(MARKER)
        key = id(marker), item.parent
        if key not in known:
            keywords = marker.kwargs if marker else {}
            known[key] = read_settings(item.config, keywords, item.path.parent)
        item.stash[SETTINGS] = known[key]


def _parameter(item: pytest.Item, name: str) -> Any:
    """Give a parameter of a marked test; pytest's placeholder where there was none."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get(name) if callspec else None
    if found is None:
        return None
    # It is asked for each of thousands of tests again and again.
    if _IS_MARKED not in item.stash:
        item.stash[_IS_MARKED] = item.get_closest_marker(MARKER) is not None
    return found if item.stash[_IS_MARKED] else None


#: What a test has found out, until a report takes it along.
RESULT: pytest.StashKey[CaseResult | ClaimResult] = pytest.StashKey()
#: The run that the measurement of a test's own case was taken over from.
TAKEN_FROM = pytest.StashKey[int]()


def attach_result(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let the result of a test travel with its next report, as plain data.

    A test has a report of its setup, its call and its teardown, and a result may come
    of any of them: a fixture that finds no weights ends the setup. Only the first
    report after it takes it along, so that nothing is recorded twice.
    """
    # Plain already here, not at xdist's border: pytest-forked and others write what a
    # report holds in their own way, and ask no hook for it.
    result = item.stash.get(RESULT, None)
    if result is None:
        return
    import msgspec

    from repro.records.result import CaseResult

    del item.stash[RESULT]
    name = "repro" if isinstance(result, CaseResult) else "repro_claim"
    setattr(report, name, msgspec.to_builtins(result))
    if TAKEN_FROM in item.stash:
        setattr(report, "repro_taken_from", item.stash[TAKEN_FROM])  # noqa: B010
        del item.stash[TAKEN_FROM]


def result_on(report: pytest.TestReport) -> CaseResult | ClaimResult | None:
    """Give the result that a report has brought along."""
    import msgspec

    from repro.claims.result import ClaimResult
    from repro.records.result import CaseResult

    content: Any = getattr(report, "repro", None)
    if content is not None:
        return msgspec.convert(content, CaseResult)
    content = getattr(report, "repro_claim", None)
    return None if content is None else msgspec.convert(content, ClaimResult)


def taken_from(report: pytest.TestReport) -> int | None:
    """Give the run that a result was taken over from."""
    return getattr(report, "repro_taken_from", None)


def reason_of(report: pytest.TestReport) -> str:
    """Say in a line why a test failed, or was skipped."""
    if report.skipped:
        known = getattr(report, "wasxfail", "")
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else known
        return reason.removeprefix("Skipped: ") or "the test was skipped"
    if crash := getattr(report.longrepr, "reprcrash", None):
        return str(crash.message).partition("\n")[0]
    lines = [line for line in report.longreprtext.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "the test failed"


def keep_headline(call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Keep the first line only for the short summary, and for JUnit's message.

    pytest would repeat the whole text there where the variable CI is set.
    """
    error = call.excinfo.value if call.excinfo else None
    crash = getattr(report.longrepr, "reprcrash", None)
    if isinstance(error, pytest.fail.Exception) and not error.pytrace and crash:
        # Lines are cut at the width of the terminal: what was measured comes first.
        crash.message = crash.message.partition("\n")[0].removeprefix("Failed: ")


def settle_cause(call: pytest.CallInfo[None]) -> None:
    """Show an error that is worded for users once, without what it was made of."""
    error = call.excinfo.value if call.excinfo else None
    is_worded = isinstance(error, ReproError) or not getattr(error, "pytrace", True)
    if error is not None and is_worded and isinstance(error.__context__, ReproError):
        error.__cause__ = None
        error.__suppress_context__ = True
