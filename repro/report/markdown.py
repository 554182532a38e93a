"""The report as Markdown that fits a job's summary page or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult
from repro.report import claims_report
from repro.report.changes import (
    baseline_groups,
    baseline_title,
    environment_text,
    named_once,
    since_groups,
)
from repro.report.comparison import answer
from repro.report.report import Report, again, guarded_lines, verdict_sentence
from repro.report.rows import (
    Row,
    cases_with_rows,
    lacking_groups,
    rows_of,
    shift_lines,
    totals_text,
)
from repro.report.texts import causes, reasons
from repro.words import briefly, counted, listed

#: GitHub refuses the summary of a step that is longer.
BYTES = 1024 * 1024
#: Kept free for the sentence that says what is missing, and what closes the table.
_REST = 400
#: Differences that are listed, each with its cases.
PARTS_SHOWN = 200
FLIPS_SHOWN = 10
COMMANDS_SHOWN = 10
#: Rows of what is not reproduced, above the folded ones.
ROWS_SHOWN = 60

_COLUMNS = {
    "name": "case",
    "metric_name": "metric",
    "published": "published",
    "measured": "measured",
    "interval": "on all images",
    "difference": "difference",
    "images": "images",
    "tolerance": "tolerance",
    "verdict": "verdict",
}
_NUMBERS = set(_COLUMNS.values()) - {"case", "metric", "verdict"}
_FINE = {Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE, Verdict.UNREFERENCED}


def markdown(report: Report) -> str:
    """Write the answer, then what somebody has to look at, then all rows, folded.

    It is never longer than a job's summary may be: rows that have no room are counted.
    """
    header, rule, *rows = _rows(rows_of(report.results))
    said = "\n".join(_lines(report))
    size = len(said.encode()) + len(header) + len(rule) + _REST
    shown = 0
    for line in rows:
        size += len(line.encode()) + 1
        if size > BYTES:
            break
        shown += 1
    folded = ["", "<details>", f"<summary>All {len(rows):,} rows</summary>", ""]
    if shown:
        folded += [header, rule, *rows[:shown], ""]
    if left := len(rows) - shown:
        more = "more rows" if shown else "rows"
        folded.append(
            f"{left:,} {more} have no room in the 1 MiB that GitHub shows of a "
            "summary; they are in the other reports (`repro report -o run.html`)."
        )
    return "\n".join([_cut(said), *folded, "</details>", ""])


def _cut(text: str) -> str:
    """End a text that alone is too long with a sentence, at the end of a line."""
    room = BYTES - 2 * _REST
    if len(text.encode()) <= room:
        return text
    kept = text.encode()[:room].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nThe rest has no room in the 1 MiB that GitHub shows."


def _lines(report: Report) -> Iterator[str]:
    results = report.results
    yield "# Published and measured"
    yield ""
    yield _escaped(verdict_sentence(report))
    yield ""
    yield totals_text(results)
    for said in guarded_lines(results):
        yield from ("", said)
    for said, is_warning in shift_lines(results):
        yield from ("", f"**{_escaped(said)}**" if is_warning else said)
    yield from _since(report)
    rows = rows_of(results)
    measured = [row for row in rows if row.verdict.is_contradiction]
    if measured:
        yield from ("", "## Not reproduced", "")
        yield from _narrow(measured[:ROWS_SHOWN], rows)
    if more := len(measured[ROWS_SHOWN:]):
        yield from ("", f"{counted(more, 'more row')} below.")
    yield from _again(report)
    yield from _reasons(results)
    yield from _causes(results)
    yield from _claims(report)
    yield from _baseline(report)
    for environment in report.environments:
        yield from ("", f"Measured with {_escaped(environment.summary())}.")
    if report.run is not None:
        yield from ("", f"Run {report.run} of the ledger.")


def _narrow(rows: Sequence[Row], every: Sequence[Row]) -> Iterator[str]:
    """Yield a table that has room on a phone; what else there is stands below."""
    names = [row.name for row in every]
    brief = dict(zip(names, briefly(names), strict=True))
    cells = [
        [
            f"`{brief[row.name]}` {_escaped(row.metric_name)}",
            f"{row.measured} ({row.interval or row.difference}), "
            f"published {row.published}: {row.verdict}",
        ]
        for row in rows
    ]
    yield from _table(["case", "measured"], cells, set())


def _rows(rows: Sequence[Row]) -> Iterator[str]:
    columns = {
        column: title
        for column, title in _COLUMNS.items()
        if column != "interval" or any(row.interval for row in rows)
    }
    cells = [
        [_cell(column, str(getattr(row, column))) for column in columns] for row in rows
    ]
    yield from _table(list(columns.values()), cells, _NUMBERS)


def _again(report: Report) -> Iterator[str]:
    """Yield what runs the red cases again, to be copied."""
    commands = [again(report, r) for r in report.results if r.is_failure]
    if commands := [command for command in commands if command]:
        yield from ("", "```sh", *commands[:COMMANDS_SHOWN])
        if more := len(commands[COMMANDS_SHOWN:]):
            yield f"# and {counted(more, 'more case')}"
        yield "```"


def _cell(column: str, text: str) -> str:
    return f"`{text}`" if column == "name" else _escaped(text)


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[str]
) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join('---:' if name in numbers else '---' for name in header)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _reasons(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield why cases are not reproduced, each reason once with its cases."""
    gone = [r for r in results if r.lacking and not r.is_failure]
    every = lacking_groups(cases_with_rows(gone))
    # Of one case its reason says more than a count.
    lacking = [group for group in every if len(group.cases) > 1]
    counted_there = {c.result.place for group in lacking for c in group.cases}
    told = [r for r in results if r.place not in counted_there]
    grouped = reasons(told, [v for v in Verdict if v not in _FINE])
    if grouped or lacking:
        yield from ("", "## Why", "")
    for group in lacking:
        number = counted(len(group.cases), "case")
        of = ", ".join(f"`{name}` {n:,}" for name, n in group.families.items())
        remedy = f". `{group.remedy}`" if group.remedy else ""
        yield f"- {_escaped(group.what)}: {number} not run ({of}){remedy}"
    for (verdict, reason), cases in grouped.items():
        named = listed([f"`{case}`" for case in cases], 1)
        yield f"- {named}: {verdict}. {_escaped(reason)}"


def _causes(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield what was found to explain cases, what was tried, and what to do."""
    found = causes(results)
    if found:
        yield from ("", "## Likely causes", "")
    for ((_, sentence), *more), cases in found.items():
        named = listed([f"`{case}`" for case in cases])
        yield f"- {named}: {_escaped(sentence)}"
        for label, text in more:
            yield f"    - {label}: {_escaped(text)}"


def _claims(report: Report) -> Iterator[str]:
    if not report.claims:
        return
    yield from ("", "## Claims", "", claims_report.totals_text(report.claims), "")
    for result in report.claims:
        mark = " (unexpected)" if result.is_surprise else ""
        yield f"- {result.verdict}{mark}: {_escaped(result.text)}"
        if result.is_surprise:
            for line in claims_report.detail_lines(result):
                yield f"    - {_escaped(line)}"


def _since(report: Report) -> Iterator[str]:
    """Yield what has changed since failing cases were as expected."""
    for title, parts in since_groups(report.results, told=report.baseline):
        yield from ("", f"## {_escaped(title)}", "")
        yield from _parts(parts)


def _baseline(report: Report) -> Iterator[str]:
    """Yield what has changed since the baseline, then the images that flipped."""
    compared = report.compared
    if compared is None:
        return
    title = baseline_title(report.results, compared.before)
    if parts := baseline_groups(compared):
        title, parts = named_once(title, parts)
    yield from ("", f"## {_escaped(title)}", "", _escaped(answer(compared)))
    yield ""
    if compared.environment:
        yield f"- environment: {_escaped(environment_text(compared.environment))}"
    yield from _parts(parts)
    for case in report.flips:
        yield f"- `{case.case}`: {case.text}"
        for flip in case.flips[:FLIPS_SHOWN]:
            image, label, before, after = map(_escaped, case.named(flip))
            yield f"    - {image} ({label}): {before} → {after}"
        if len(case.flips) > FLIPS_SHOWN:
            yield f"    - {len(case.flips) - FLIPS_SHOWN:,} more"


def _parts(parts: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    for (label, text), cases in list(parts.items())[:PARTS_SHOWN]:
        named = f" ({_escaped(listed(cases))})" if cases else ""
        yield f"- {label}: {_escaped(text)}{named}"
    if len(parts) > PARTS_SHOWN:
        yield f"- {len(parts) - PARTS_SHOWN:,} more are in the other reports"


def _escaped(text: str) -> str:
    """Keep text from being taken for Markdown or HTML."""
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text
