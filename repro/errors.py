"""What the user can mend: one family of exceptions."""

from __future__ import annotations

from repro.words import brief, visible


class ReproError(Exception):
    """Something that the user can mend.

    The message is one or two sentences: which file or option, what was found, what
    was expected, what to do. Wherever it surfaces it is shown without a traceback.
    What it quotes may be of anybody: it is one line, not too long, and nothing in it
    reaches a terminal but as text.
    """

    def __init__(self, message: str) -> None:
        super().__init__(brief(visible(" ".join(map(str.strip, message.splitlines())))))


class ExpectedError(ReproError):
    """A file of published numbers that cannot be read as such."""


class OptionError(ReproError):
    """An option, marker or environment variable with a value that it cannot have."""


class DatasetError(ReproError):
    """Images that are damaged, incomplete or not those that were named."""


class WeightsError(ReproError):
    """A weights file that is damaged or holds another model."""


class EvaluationError(ReproError):
    """A model whose output is no measurement."""


class NotAvailableError(ReproError):
    """Weights or images that are not on this machine, and how to get them.

    Args:
        message: says all of it, for one case.
        lacking: what is not there, in words that cases which lack the same share.
        remedy: what brings it, for all of these cases; `{}` stands for their families.
    """

    def __init__(self, message: str, lacking: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.lacking, self.remedy = lacking, remedy


class LedgerError(ReproError):
    """A ledger that cannot be read or written, or does not hold what was asked for."""


class FetchError(ReproError):
    """A download that cannot be had, or that brought other things than weights."""
