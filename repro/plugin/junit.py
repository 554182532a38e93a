"""Measured numbers in the JUnit report that pytest writes with `--junitxml`."""

from __future__ import annotations

import pytest

from repro.report.report import Report
from repro.report.rows import rows_of, totals_text


def forget(config: pytest.Config, report: pytest.TestReport) -> None:
    """Leave a test that is run again out of the file until it has ended.

    pytest makes an element for each report, also for one of an outcome that it does
    not know, and such an element never gets a name.
    """
    from _pytest.junitxml import xml_key

    xml = config.stash.get(xml_key, None)
    if xml is not None:
        reporter = xml.node_reporter(report)
        xml.finalize(report)
        xml.node_reporters_ordered.remove(reporter)


def add_properties(config: pytest.Config, report: Report) -> None:
    """Write the numbers of a run as properties of the test suite.

    Not of each test case: there the schema of JUnit's XML has no place for properties.
    Their names are `case metric field`, such as
    `supervised/real/1M@plain top1 measured`. What tells apart two results of one case,
    or two sources of one metric, stands in brackets behind it. `claim ID` has what came
    of a claim.

    Args:
        config: of the run.
        report: of the run.
    """
    from _pytest.junitxml import xml_key

    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    xml.add_global_property("repro", totals_text(report.results))
    for row in rows_of(report.results):
        if not row.metric:
            xml.add_global_property(f"{row.name} verdict", row.verdict)
            continue
        for field in ("published", "measured", "difference", "tolerance", "verdict"):
            if text := getattr(row, field):
                name = f"{row.name} {row.metric_name} {field}"
                xml.add_global_property(name, str(text))
    for claim in report.claims:
        xml.add_global_property(f"claim {claim.id}", claim.verdict)
