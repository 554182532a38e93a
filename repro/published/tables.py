"""What every table of the TOML format has in common."""

from __future__ import annotations

from typing import Annotated

import msgspec

from repro.published.allowed import check_name

Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the TOML format; a key that it does not know is an error."""


class NamedTable(Table, frozen=True, kw_only=True):
    """A table with a name, which other tables, case ids and the command line use."""

    id: str

    def __post_init__(self) -> None:
        """Refuse a name that a case id or a file name cannot hold."""
        check_name(self.id)
