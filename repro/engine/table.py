"""Which engines there are: the built-in ones and those of other packages.

Another package adds one as an entry point of the group `repro.engines`: its name there
is what `--repro-engine` takes, its value a class as `engine/protocol.py` has it
(docs/extending.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.errors import OptionError
from repro.extensions import Extensions

if TYPE_CHECKING:
    from repro.engine.protocol import Engine

ENGINES = Extensions(
    "repro.engines",
    "engine",
    OptionError,
    {
        "local": "repro.engine.local:LocalEngine",
        "ray": "repro.engine.ray:RayEngine",
    },
)


def find_engine(name: str) -> type[Engine]:
    """Import the engine of a name.

    Raises:
        OptionError: there is none, or its package cannot be imported.
    """
    found: type[Engine] = ENGINES.load(name)
    return found
