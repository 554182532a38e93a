"""Evaluate cases in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor, nn

from repro.cases import Case
from repro.data.dataset import Dataset, first_strata
from repro.diagnosis.findings import Diagnosis, Known
from repro.engine.device import BatchSizes, Classifiers, choose_device, computing
from repro.engine.guarding import Guarding, Images
from repro.engine.settings import EngineSettings
from repro.engine.sources import Source, Sources, Stores, own_files
from repro.evaluation.batching import BatchSize, within_memory
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import Progress, Settled, evaluate
from repro.evaluation.predictions import Predictions, calibration_error
from repro.judgement.guarded import Guarded
from repro.judgement.intervals import Interval, interval_of
from repro.judgement.verdict import is_hopeless
from repro.machine import available_cores
from repro.models.libraries import OwnFiles
from repro.models.weights import verify_weights
from repro.published import METRICS, is_same_arithmetic
from repro.records.identity import (
    Environment,
    MeasurementKey,
    describe_environment,
    measurement_key,
)
from repro.records.predictions import ImageNames
from repro.records.result import Measurement

if TYPE_CHECKING:
    from repro.fetching import Progress as TransferProgress

#: torch's own choice: it respects OMP_NUM_THREADS and the physical cores.
_TORCH_THREADS = torch.get_num_threads()


class Evaluator:
    """Evaluates cases one after the other and keeps what they share.

    Args:
        settings: where things lie and how to compute.
        planned: all cases that this process may get, so that one decode of a photograph
            serves every geometry that they want.
        downloading: is told of downloads, where missing weights are fetched.

    Raises:
        OptionError: the device does not exist.
    """

    def __init__(
        self,
        settings: EngineSettings,
        planned: Iterable[Case] = (),
        downloading: TransferProgress | None = None,
    ) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self._threads = max(1, available_cores() // settings.workers)
        if self.device.type == "cpu":
            torch.set_num_threads(max(1, _TORCH_THREADS // settings.workers))
        cases = list(planned)
        self._sources = Sources(settings, cases, downloading)
        self._stores = Stores(settings, cases, self._threads)
        self._batch_sizes = BatchSizes(settings, self.device)
        self._guarding = Guarding(settings, self.device, self._batch_sizes)
        self._classifiers = Classifiers(settings, self.device)

    def dataset(self, case: Case) -> Dataset:
        """Index the dataset of a case; it is done once.

        Raises:
            NotAvailableError: its images are not here.
            DatasetError: it is incomplete.
        """
        return self._sources.dataset(case)

    def images(self, case: Case) -> int:
        """Count the images of a case's dataset that are evaluated, with the limit.

        Raises:
            NotAvailableError, DatasetError: see `dataset`.
        """
        dataset = self.dataset(case)
        strata = first_strata(dataset, self.settings.limit)
        return sum(len(dataset.strata[stratum]) for stratum in strata)

    @computing
    def model(
        self, case: Case, weights: Path | None = None, files: OwnFiles | None = None
    ) -> nn.Module:
        """Load the checkpoint of a case: see `Classifiers.model`.

        Args:
            case: what is evaluated.
            weights: file to take in place of the case's own.
            files: of the model, where they were read already.

        Raises:
            NotAvailableError: its weights are not here.
            WeightsError: they are damaged or hold another architecture.
        """
        weights = weights or self._sources.weights(case).path
        return self._classifiers.model(case, weights, files)

    @computing
    def text_classifier(self, case: Case, model: nn.Module) -> Tensor:
        """Encode the classes of a zero-shot case as text: float32 `[C, D]`."""
        return self._classifiers.text(case, model)

    @computing
    def classifier(
        self,
        case: Case,
        weights: Path | None = None,
        dataset: Dataset | None = None,
        files: OwnFiles | None = None,
    ) -> Classifier:
        """Load all that turns pixels into logits for the classes of the dataset.

        Args:
            case: what is evaluated.
            weights: file to take in place of the case's own.
            dataset: images to take in place of the case's own.
            files: of the model, where they were read already.

        Raises:
            NotAvailableError: the weights are not here.
            WeightsError: they are damaged or hold another architecture.
            EvaluationError: their outputs are not as many as the dataset names.
        """
        model = self.model(case, weights, files)
        geometry = case.protocol.geometry_steps
        # Only where images are used as they are, they are needed for their size.
        images = (dataset or self.dataset(case)) if not geometry.steps else None
        size = images.size_in(geometry) if images else geometry.output_size
        return self._classifiers.classifier(case, model, size, files)

    def evaluate(
        self,
        classifier: Callable[[Tensor], Tensor],
        case: Case,
        progress: Progress = lambda images: None,
        dataset: Dataset | None = None,
        is_settled: Settled = lambda predictions: False,
    ) -> Predictions:
        """Predict the images of a case's dataset, or of its first strata with a limit.

        Args:
            classifier: from uint8 `[B, 3, H, W]` to logits for the dataset's classes.
            case: whose dataset and geometry count.
            progress: called with the number of images after each batch.
            dataset: images to take in place of the case's own.
            is_settled: tells after each stratum whether the rest can be left out.

        Raises:
            DatasetError: the images are incomplete or damaged.
            EvaluationError: the logits are no measurement.
        """
        dataset = dataset or self.dataset(case)
        strata = first_strata(dataset, self.settings.limit)
        return evaluate(
            classifier,
            dataset,
            self._stores.pixels(dataset, case, strata),
            batch_size=self.batch_size(case),
            device=self.device,
            progress=progress,
            is_settled=is_settled,
        )

    @computing
    def measure(
        self,
        case: Case,
        progress: Progress = lambda images: None,
        weights: Path | None = None,
        dataset: Dataset | None = None,
    ) -> tuple[Measurement, Predictions]:
        """Evaluate a case from its files.

        Args:
            case: what to evaluate.
            progress: called with the number of images after each batch.
            weights: file to take in place of the case's own.
            dataset: images to take in place of the case's own.

        Raises:
            NotAvailableError: weights or images are not here.
            ReproError: something about them is wrong.
        """
        start = time.perf_counter()
        source = self._source(case, weights, dataset)
        classifier = self.classifier(
            case, source.weights.path, source.dataset, source.files
        )
        loading = time.perf_counter() - start
        # Only now: before, it would have taken the disk from the weights that are
        # needed first.
        self._sources.read_next(case)
        how = progress, source.dataset, self._stops(case, source)
        predictions, guarded = self._evaluate_guarded(classifier, case, *how)
        if predictions is None:
            predictions = self.evaluate(classifier, case, *how)
        source.weights.check_same()
        seconds = time.perf_counter() - start
        written = self._measurement(case, source, predictions, seconds, guarded)
        # It is known only now, which of them were found not to change a logit.
        used = msgspec.structs.replace(
            written, loading=loading, accelerations=classifier.accelerations
        )
        return used, predictions

    def _evaluate_guarded(
        self,
        classifier: Classifier,
        case: Case,
        progress: Progress,
        dataset: Dataset,
        is_settled: Settled,
    ) -> tuple[Predictions | None, Guarded | None]:
        """Evaluate with guarded precision, where that is asked for and pays."""
        if not self.settings.is_guarded(case):
            return None, None
        images = Images(
            dataset,
            first_strata(dataset, self.settings.limit),
            partial(self._stores.pixels, dataset, case),
        )
        return self._guarding.evaluate(classifier, case, images, progress, is_settled)

    def _source(
        self, case: Case, weights: Path | None, dataset: Dataset | None
    ) -> Source:
        """Give the files of a case, some of them others than its own."""
        if weights is None and dataset is None:
            return self._sources.take(case)
        return Source(
            verify_weights(weights, self.settings.cache)
            if weights
            else self._sources.weights(case),
            dataset or self._sources.dataset(case),
            own_files(case),
        )

    def _measurement(
        self,
        case: Case,
        source: Source,
        predictions: Predictions,
        seconds: float,
        guarded: Guarded | None,
    ) -> Measurement:
        """Write down what was measured, with all that it depends on."""
        # A measurement of all images is right whatever could have ended it, so its key
        # is that of one that nothing can end; others find it by that.
        is_whole = predictions.is_complete or not self.settings.may_end_early
        key = self._key(case, source)
        # Where guarded precision did not pay, every image was computed in float32: the
        # key is that of such a measurement, which any run can take over.
        if predictions.recomputed is None:
            key = key.unguarded
        return Measurement(
            metrics=predictions.metrics(),
            total=len(source.dataset),
            seconds=seconds,
            device=str(self.device),
            precision=self.settings.precision_of(case),
            weights=str(source.weights.path),
            weights_sha256=source.weights.sha256,
            dataset_fingerprint=source.dataset.fingerprint,
            environment=key.environment,
            key=(key.whole if is_whole else key).digest,
            conditions=key.conditions,
            intervals=_intervals(predictions, source.dataset, guarded),
            stopped_early=self.settings.limit is None and not predictions.is_complete,
            workers=self.settings.workers,
            calibration_error=calibration_error(predictions)
            if predictions.confidences is not None
            else None,
            weights_read=self._classifiers.weights_read.get(source.weights.path, ()),
            images_assumed=source.dataset.assumed,
            guarded=guarded,
        )

    @computing
    def diagnose(
        self,
        case: Case,
        predictions: Predictions,
        known: Known | None = None,
        progress: Callable[[int, int], None] = lambda images, most: None,
    ) -> Diagnosis:
        """Find what would explain that a case does not meet its numbers: see `Engine`.

        Raises:
            ReproError: images or weights are not what they were.
        """
        from repro.diagnosis.investigation import Investigation
        from repro.diagnosis.laboratory import Resources

        settings = self.settings
        resources = Resources(
            device=self.device,
            threads=self._threads,
            precision=settings.precision_of(case),
            cache=settings.cache,
            batch_size=self._batch_sizes.fixed,
            share=settings.diagnose_share,
            seconds=settings.diagnose_time,
            only_evaluated=settings.limit is not None,
            run_code=settings.run_code,
        )
        found = self._sources.take(case)
        with within_memory(self.device, f"the diagnosis of {case.id}"):
            return Investigation(
                case, found.weights.path, found.dataset, predictions, resources
            ).diagnose(known, progress)

    def _environment(self) -> Environment:
        found = describe_environment(str(self.device))
        code = self.settings.code
        if code is None:
            return found
        return msgspec.structs.replace(
            found, commit=code.commit or None, dirty=bool(code.changes)
        )

    @computing
    def key(self, case: Case) -> MeasurementKey:
        """Give all that a measurement of a case depends on, made or to be made.

        Raises:
            NotAvailableError: weights or images are not here.
            ReproError: something about them is wrong.
        """
        return self._key(case, self._sources.check(case))

    def _key(self, case: Case, source: Source) -> MeasurementKey:
        return measurement_key(
            case,
            self.settings.counted(case),
            model_files=source.files.digests,
            weights_sha256=source.weights.sha256,
            dataset_fingerprint=source.dataset.fingerprint,
            environment=self._environment(),
            may_end_early=self.settings.may_end_early,
            code=self.settings.code,
        )

    def image_names(self, case: Case) -> ImageNames:
        """Name the images and classes of the case's dataset; errors as of `dataset`."""
        dataset = self.dataset(case)
        return ImageNames(dataset.files, dataset.classes, dataset.digests)

    def _stops(self, case: Case, source: Source) -> Settled:
        """Make what ends a full evaluation that is hopeless for its numbers."""
        settings = self.settings
        precision, published = settings.precision_of(case), case.protocol.precision
        comparable = is_same_arithmetic(precision, published, self.device.type)
        if not settings.early_stop or settings.limit or not comparable:
            return lambda predictions: False
        dataset = source.dataset
        return lambda predictions: is_hopeless(
            case.references, predictions, dataset.class_sizes, len(dataset.strata)
        )

    def batch_size(self, case: Case) -> BatchSize:
        """Give the batch size for a case; what was found for one counts for others."""
        return self._batch_sizes.of(case, self.settings.precision_of(case))


def _intervals(
    predictions: Predictions, dataset: Dataset, guarded: Guarded | None
) -> dict[str, Interval]:
    """Bound every metric on the whole dataset where it is not known exactly."""
    if predictions.is_complete:
        return {}
    sizes, strata = dataset.class_sizes, len(dataset.strata)
    bounds = {m: interval_of(predictions, m, sizes, strata) for m in METRICS}
    if guarded is not None:
        bounds = guarded.widen(bounds, predictions)
    return {metric: bound for metric, bound in bounds.items() if bound is not None}
