"""Files of a release are written by templates: their comments stand beside the keys."""

from __future__ import annotations

import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import tomlkit

_TEMPLATES = Path(__file__).parent / "templates"
_COLUMNS = 88


def write_toml(template: str, /, **values: Any) -> str:
    """Fill in a template of this package.

    Args:
        template: its name, without the suffixes.
        values: what it speaks of.
    """
    text = _environment().get_template(f"{template}.toml.jinja").render(values)
    # Parts that are left out leave their empty lines.
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {"toml": _value, "key": _key, "comment": _comment}
    environment.globals["pairs"] = _pairs
    return environment


def _value(value: Any) -> str:
    """Write a value of TOML, a table in one line."""
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table.as_string()
    if isinstance(value, tuple):
        value = list(value)
    return str(tomlkit.item(value).as_string())


def _key(name: str) -> str:
    """Write a key, in quotes if it cannot stand without."""
    return tomlkit.items.SingleKey(name).as_string()


def _pairs(**values: Any) -> str:
    """Write the lines of a table; what is empty is left out."""
    return "".join(
        f"{_key(key)} = {_value(value)}\n"
        for key, value in values.items()
        if value not in (None, "", {})
    )


def _comment(text: str) -> str:
    """Write a comment, which breaks at words only."""
    return "".join(
        f"# {line}\n"
        for line in textwrap.wrap(
            text, _COLUMNS - 2, break_long_words=False, break_on_hyphens=False
        )
    )
