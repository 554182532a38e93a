"""The suspects of suspects.toml, where a line is one of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from repro.diagnosis.setup import Setup, Variation
from repro.words import counted, joined_numbers


class Suspect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that may have been done otherwise when a number was published.

    `name` completes "evaluated with ..."; `source` says where its values come from.
    """

    name: str
    variation: Variation
    source: str = ""


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Suspects of one kind, and what is said where one of them is the cause.

    A published number was measured with the `cause`, which is corrected in the `place`;
    `instead` says how a setup has it, empty where only a model can tell.
    """

    name: str
    cause: str
    place: str
    suspects: tuple[Suspect, ...]
    instead: str = ""

    def of_setup(self, setup: Setup) -> str:
        """Say how a setup has it."""
        protocol, text = setup.protocol, setup.protocol.text
        return self.instead.format(
            mean=joined_numbers(protocol.mean),
            std=joined_numbers(protocol.std),
            geometry=protocol.geometry,
            templates=_counted(text.templates) if text else "",
            logit_scale=protocol.logit_scale,
            weights_key=setup.model.weights_key,
            precision=setup.precision,
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topic: tuple[Topic, ...]


@cache
def read_topics() -> dict[str, Topic]:
    """Read all topics with their suspects, by name."""
    text = Path(__file__).with_suffix(".toml").read_bytes()
    return {topic.name: topic for topic in msgspec.toml.decode(text, type=_File).topic}


def _counted(templates: tuple[str, ...] | str) -> str:
    if isinstance(templates, str):
        return templates
    return counted(len(templates), "template")
