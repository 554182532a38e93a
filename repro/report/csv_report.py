"""The report as CSV (RFC 4180): one line for each published number."""

from __future__ import annotations

import csv
import io

from repro.report.report import Report
from repro.report.rows import Row, rows_of


def csv_text(report: Report) -> str:
    """Write the rows of the table with a header; numbers as they are printed."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    fields = [name for name in Row.__struct_fields__ if name != "is_one_of_several"]
    writer.writerow(fields)
    for row in rows_of(report.results):
        writer.writerow(getattr(row, field) for field in fields)
    return stream.getvalue()
