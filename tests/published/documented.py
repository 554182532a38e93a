"""The examples of docs/expected-format.md."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = (Path(__file__).parents[2] / "docs/expected-format.md").read_text("utf-8")
EXAMPLE, *ADDITIONS = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
EVERYTHING = "\n".join([EXAMPLE, *ADDITIONS])
