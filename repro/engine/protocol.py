"""What can measure cases: this process, or the machines of a cluster."""

from __future__ import annotations

from typing import Protocol

from repro.cases import Case
from repro.diagnosis.findings import Diagnosis
from repro.evaluation.predictions import Predictions
from repro.records.compact import ImageNames
from repro.records.identity import MeasurementKey
from repro.records.result import Measurement


class Engine(Protocol):
    """Measures cases; each of its methods may take as long as a measurement."""

    def measure(self, case: Case) -> tuple[Measurement, Predictions]:
        """Evaluate a case from its files.

        Raises:
            NotAvailableError: weights or images are not where it is measured.
            ReproError: something about them is wrong.
        """

    def diagnose(self, case: Case, predictions: Predictions) -> Diagnosis:
        """Find what would explain that a case does not meet its published numbers.

        Raises:
            ReproError: weights or images are not what `measure` found.
        """

    def key(self, case: Case) -> MeasurementKey:
        """Give all that a measurement of a case depends on, made or to be made.

        Raises:
            NotAvailableError: weights or images are not where it is measured.
            ReproError: something about them is wrong.
        """

    def image_names(self, case: Case) -> ImageNames:
        """Name the images and classes of the case's dataset.

        Raises:
            NotAvailableError: the images are not where it is measured.
            DatasetError: they are incomplete.
        """
