from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from scipy import special
from torch import Tensor, nn

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.data.pixels import PixelStore, stream
from repro.errors import EvaluationError
from repro.evaluation.batching import BatchSize
from repro.evaluation.classifier import Classifier, Outputs
from repro.evaluation.evaluate import Part, evaluate, most_likely, read_logits
from repro.evaluation.predictions import (
    Predictions,
    calibration_error,
    load_predictions,
    save_predictions,
)
from repro.files import kept
from repro.published import parse_geometry
from tests.stand_ins import photograph_dataset

CPU = torch.device("cpu")
GEOMETRY = parse_geometry("rgb|resize(36,bilinear)|center_crop(32)")
MEAN = STD = (0.5, 0.5, 0.5)
CLASSES = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")

Logits = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return photograph_dataset(
        tmp_path_factory.mktemp("data"), CLASSES, per_class=12, size=(48, 40)
    )


@pytest.fixture(scope="module")
def strata(photographs: Dataset) -> list[tuple[int, Pixels]]:
    return list(stream(photographs, GEOMETRY, range(len(photographs.strata))))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A small network with random weights that gives every image its own logits."""
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32,
        patch_size=8,
        embed_dim=24,
        depth=2,
        num_heads=2,
        num_classes=len(CLASSES),
    )
    torch.nn.init.normal_(model.get_parameter("head.weight"))
    return model.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def classifier(network: nn.Module) -> Classifier:
    return Classifier(network, MEAN, STD, CPU)


def run(
    classifier: Logits,
    dataset: Dataset,
    strata: Sequence[Part],
    batch_size: int | None = 7,
) -> Predictions:
    return evaluate(
        classifier,
        dataset,
        strata,
        batch_size=BatchSize("cpu", batch_size),
        device=CPU,
    )


def same_decisions(one: Predictions, other: Predictions) -> bool:
    """Whether two runs say the same of each image, but for rounding of the loss."""
    return (
        np.array_equal(one.indices, other.indices)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.classes, other.classes)
        and np.allclose(one.losses, other.losses, rtol=1e-5, atol=1e-6)
    )


class Oracle:
    """Knows every photograph by its pixels."""

    def __init__(
        self, dataset: Dataset, strata: Sequence[tuple[int, Pixels]], shift: int = 0
    ) -> None:
        self.classes = len(dataset.classes)
        self.labels = {
            image.tobytes(): int(dataset.labels[index] + shift) % self.classes
            for number, pixels in strata
            for index, image in zip(dataset.strata[number], pixels, strict=True)
        }
        assert len(self.labels) == len(dataset)

    def __call__(self, pixels: Tensor) -> Tensor:
        wanted = [self.labels[image.numpy().tobytes()] for image in pixels]
        return 50.0 * torch.eye(self.classes)[wanted]


def test_an_oracle_scores_exactly_one_hundred_percent(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    metrics = run(Oracle(photographs, strata), photographs, strata).metrics()
    assert (metrics.images, metrics.top1, metrics.top5) == (120, 120, 120)
    assert metrics.percent("top1") == metrics.percent("top5") == 100
    assert metrics.loss < 1e-15


def test_labels_in_another_order_score_nothing(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    oracle = Oracle(photographs, strata, shift=1)
    metrics = run(oracle, photographs, strata).metrics()
    assert metrics.top1 == 0
    assert metrics.loss == pytest.approx(50)


def test_shuffled_labels_score_chance(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    oracle = Oracle(photographs, strata)
    shuffled = np.random.default_rng(0).permutation(photographs.labels).tolist()
    oracle.labels = dict(zip(oracle.labels, shuffled, strict=True))
    metrics = run(oracle, photographs, strata).metrics()
    # Of 120 images 12 are right by chance; this is three standard deviations.
    assert 2 <= metrics.top1 <= 22


def test_metrics_are_those_of_a_plain_loop(
    classifier: Classifier,
    network: nn.Module,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    predictions = run(classifier, photographs, strata)
    hits = hits5 = 0
    loss = 0.0
    for number, pixels in strata:
        labels = torch.from_numpy(photographs.labels[photographs.strata[number]])
        images = (torch.from_numpy(np.array(pixels)) / 255 - 0.5) / 0.5
        with torch.no_grad():
            logits = network(images)
        hits += int((logits.argmax(1) == labels).sum())
        hits5 += int((logits.topk(5).indices == labels[:, None]).sum())
        loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    metrics = predictions.metrics()
    assert (metrics.top1, metrics.top5) == (hits, hits5)
    assert metrics.loss_sum == pytest.approx(loss, rel=1e-5)
    assert predictions.is_complete


@pytest.mark.parametrize("classes", [5, 10, 1000])
def test_of_equal_logits_that_of_the_lower_class_is_first(classes: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(300, classes).mul(4).round().div(4)
    special_ones = (0.0, -0.0, torch.inf, -torch.inf, 1e-40, -1e-40)
    logits[0, : len(special_ones)] = torch.tensor(special_ones)[:classes]
    logits[1] = -1.0
    found = most_likely(logits, 5).numpy()
    wanted = np.argsort(-logits.numpy(), axis=1, kind="stable")[:, :5]
    assert np.array_equal(found, wanted)
    assert (logits.sort(dim=1).values.diff(dim=1) == 0).any()


@pytest.mark.parametrize("batch_size", [1, 3, 12, 64, None])
def test_predictions_do_not_depend_on_the_batch_size(
    batch_size: int | None,
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    expected = run(classifier, photographs, strata)
    found = run(classifier, photographs, strata, batch_size)
    assert same_decisions(found, expected)


def test_predictions_do_not_depend_on_the_order_of_strata(
    classifier: Classifier, photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    expected = run(classifier, photographs, strata)
    found = run(classifier, photographs, strata[::-1])
    assert np.array_equal(found.losses, expected.losses)
    assert same_decisions(found, expected)


def test_predictions_do_not_depend_on_threads_or_on_a_cold_store(
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
    tmp_path: Path,
) -> None:
    expected = run(classifier, photographs, strata)
    numbers = range(len(strata))
    for threads in (1, 3):
        for _ in ("cold", "warm"):
            store = PixelStore(
                photographs, GEOMETRY, tmp_path / str(threads), threads=threads
            )
            found = run(classifier, photographs, list(store.iterate(numbers)))
            assert np.array_equal(found.losses, expected.losses)
            assert same_decisions(found, expected)


def test_some_strata_give_the_predictions_of_their_images_in_the_whole(
    classifier: Classifier, photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    whole = run(classifier, photographs, strata, 12)
    part = run(classifier, photographs, strata[2:4], 12)
    assert not part.is_complete
    assert (part.total, part.metrics().images) == (120, len(part.indices))
    assert np.array_equal(part.losses, whole.losses[part.indices])
    assert np.array_equal(part.labels, photographs.labels[part.indices])


def test_progress_counts_every_image_once(
    classifier: Classifier, photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    seen: list[int] = []
    evaluate(
        classifier,
        photographs,
        strata,
        batch_size=BatchSize("cpu", 5),
        device=CPU,
        progress=seen.append,
    )
    assert sum(seen) == 120


def test_columns_restrict_the_logits_to_the_classes_of_the_dataset(
    network: nn.Module, photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    columns = [7, 0, 3]
    pixels = torch.from_numpy(np.array(strata[0][1]))
    whole = Classifier(network, MEAN, STD, CPU)(pixels)
    restricted = Classifier(network, MEAN, STD, CPU, columns=columns)(pixels)
    assert torch.equal(restricted, whole[:, columns])


def test_a_model_with_another_number_of_outputs_than_named_is_an_error(
    network: nn.Module, strata: list[tuple[int, Pixels]]
) -> None:
    pixels = torch.from_numpy(np.array(strata[0][1]))
    outputs = Outputs("photographs", 11, "outputs")
    restricted = Classifier(network, MEAN, STD, CPU, columns=[0, 1], outputs=outputs)
    with pytest.raises(EvaluationError, match=r"has 10 outputs, .* names 11 in outp"):
        restricted(pixels)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((7, 1000), "gives 1,000 logits, but photographs has 10 classes"),
        ((7,), r"gives \[7\] for a batch of 7; expected logits \[7, 10\]"),
        ((6, 10), r"gives \[6, 10\] for a batch of 7; expected logits \[7, 10\]"),
        ((7, 10, 1), r"gives \[7, 10, 1\] for a batch of 7"),
        ((8, 10), r"gives \[8, 10\] for a batch of 7; expected logits \[7, 10\]"),
        ((7, 5), "gives 5 logits, but photographs has 10 classes"),
    ],
)
def test_outputs_that_are_no_logits_of_the_classes_are_an_error(
    shape: tuple[int, ...],
    told: str,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    with pytest.raises(EvaluationError, match=told):
        run(lambda pixels: torch.zeros(shape), photographs, strata)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_an_error(
    value: float,
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    last = torch.from_numpy(np.array(strata[-1][1][-1]))

    def spoilt(pixels: Tensor) -> Tensor:
        logits = classifier(pixels).clone()
        logits[(pixels == last).all(dim=(1, 2, 3)), 4] = value
        return logits

    with pytest.raises(EvaluationError, match="logits that are not finite"):
        run(spoilt, photographs, strata)


class SmallMemory:
    """A classifier that runs out of memory above some number of images."""

    def __init__(self, classifier: Logits, room: int) -> None:
        self.classifier = classifier
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, pixels: Tensor) -> Tensor:
        self.sizes.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("out of memory")
        return self.classifier(pixels)


@pytest.mark.parametrize("fixed", [12, None])
def test_batches_are_halved_until_they_fit_into_memory(
    fixed: int | None,
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    small = SmallMemory(classifier, room=3)
    found = run(small, photographs, strata, fixed)
    assert same_decisions(found, run(classifier, photographs, strata))
    failed = [size for size in small.sizes if size > 3]
    assert len(failed) <= 3
    assert sum(small.sizes) - sum(failed) == 120


class ScoredInSmallMemory(Tensor):
    """Logits of which not more than three images can be scored at a time."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.topk and len(args[0]) > 3:
            torch.empty(2**56, dtype=torch.uint8)
        plain: Any = super()
        return plain.__torch_function__(func, types, args, kwargs or {})


def test_scores_that_do_not_fit_into_memory_make_batches_smaller_too(
    classifier: Classifier, photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    found = run(
        lambda pixels: classifier(pixels).as_subclass(ScoredInSmallMemory),
        photographs,
        strata,
    )
    assert same_decisions(found, run(classifier, photographs, strata))


def test_a_size_that_is_remembered_is_that_of_every_batch_of_every_run(
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
    tmp_path: Path,
) -> None:
    file = tmp_path / "sizes" / "size.txt"
    seen: list[list[int]] = []
    found: list[Predictions] = []
    for _ in range(2):
        counting = SmallMemory(classifier, room=1000)
        batches = BatchSize("cpu", file=file)
        found.append(
            evaluate(counting, photographs, strata, batch_size=batches, device=CPU)
        )
        seen.append(counting.sizes)
    size = int(kept(file) or 0)
    wanted = []
    for _, pixels in strata:
        whole, rest = divmod(len(pixels), size)
        wanted += [size] * whole + [rest] * bool(rest)
    assert seen[1] == wanted
    # The first run tried others, and then computed all of it again in this one.
    assert len(seen[0]) > len(wanted)
    assert seen[0][-len(wanted) :] == wanted
    assert np.array_equal(found[0].losses, found[1].losses)


def test_one_image_that_does_not_fit_into_memory_is_an_error(
    classifier: Classifier, photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    with pytest.raises(EvaluationError, match="one image alone does not fit"):
        run(SmallMemory(classifier, room=0), photographs, strata)


def test_nothing_to_evaluate_is_an_error(
    classifier: Classifier, photographs: Dataset
) -> None:
    with pytest.raises(EvaluationError, match="no image of photographs was evaluated"):
        run(classifier, photographs, [])


def test_the_fastest_batch_size_is_found_by_measuring(
    photographs: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    batch_size = BatchSize("cpu")
    cost = {8: 3.0, 16: 1.0, 32: 2.0, 64: 4.0}
    while batch_size.is_searching:
        images = batch_size.current
        with batch_size.timed(images):
            clock[0] += images * cost[images]
    assert batch_size.current == 16


def test_sizes_that_no_stratum_fills_are_not_waited_for(
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    batch_size = BatchSize("cpu")
    images = max(len(pixels) for _, pixels in strata)
    assert images < 32
    for _ in range(2):
        evaluate(
            classifier,
            photographs,
            strata,
            batch_size=batch_size,
            device=torch.device("cpu"),
        )
    assert not batch_size.is_searching
    assert batch_size.current <= 16


@pytest.mark.parametrize("wanted", [1, 2, 9])
@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_no_part_is_computed_once_enough_is_known(
    wanted: int,
    device: str,
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
) -> None:
    taken: list[int] = []

    def parts() -> Iterator[tuple[int, Pixels]]:
        for number, pixels in strata:
            taken.append(number)
            yield number, pixels

    def is_settled(found: Predictions) -> bool:
        assert len(found.indices) == sum(len(strata[n][1]) for n in taken)
        return len(taken) == wanted

    found = evaluate(
        classifier,
        photographs,
        parts(),
        batch_size=BatchSize("cpu", 7),
        device=torch.device(device),
        is_settled=is_settled,
    )
    assert len(taken) == wanted
    members = np.concatenate([photographs.strata[number] for number in taken])
    assert found.indices.tolist() == sorted(members.tolist())


@pytest.mark.parametrize(("images", "size"), [(600, 300), (300, 600), (257, 1)])
def test_many_images_are_computed_once_each_and_in_order(
    images: int, size: int
) -> None:
    labels = np.arange(images) % 2
    dataset = Dataset(
        name="many",
        root=Path("nowhere"),
        classes=("even", "odd"),
        files=tuple(map(str, range(images))),
        digests=tuple(map(str, range(images))),
        sizes=(1,) * images,
        labels=labels,
    )
    pixels = np.stack([labels.astype(np.uint8)] * 3, axis=1)[..., None, None]
    asked: list[int] = []

    def classifier(batch: Tensor) -> Tensor:
        asked.append(len(batch))
        return 50.0 * torch.eye(2)[batch[:, 0, 0, 0].long()]

    found = run(classifier, dataset, [(np.arange(images), pixels)], size)
    assert asked == [size] * (images // size) + [images % size] * bool(images % size)
    assert found.metrics().top1 == images
    assert found.is_complete
    parts = [(np.arange(images), pixels)]
    with pytest.raises(EvaluationError, match="gives 3 logits, but many has 2 classes"):
        run(lambda batch: torch.zeros(len(batch), 3), dataset, parts, images)


def test_logits_that_are_read_are_finite_unless_margins_are_wanted(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    members = np.arange(len(photographs), dtype=np.int64)
    logits = torch.full((len(members), 10), torch.nan)
    with pytest.raises(EvaluationError, match="logits that are not finite"):
        read_logits(logits, photographs, members)
    assert read_logits(torch.zeros_like(logits), photographs, members).margins is None
    found = evaluate(
        lambda pixels: logits[: len(pixels)],
        photographs,
        strata,
        batch_size=BatchSize("cpu", 7),
        device=CPU,
        with_margins=True,
    )
    assert np.isnan(found.losses).all()


def test_few_classes_have_as_many_top_classes(tmp_path: Path) -> None:
    dataset = photograph_dataset(tmp_path, ("a", "b"), per_class=3, size=(40, 40))
    strata = list(stream(dataset, GEOMETRY, range(len(dataset.strata))))
    metrics = run(lambda p: torch.rand(len(p), 2), dataset, strata).metrics()
    assert metrics.top5 == 6


def test_predictions_are_read_back_as_they_were_written(
    classifier: Classifier,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
    tmp_path: Path,
) -> None:
    written = run(classifier, photographs, strata[:5])
    save_predictions(written, tmp_path / "case.npz")
    read = load_predictions(tmp_path / "case.npz")
    assert same_decisions(read, written)
    assert np.array_equal(read.losses, written.losses)
    assert read.total == written.total
    assert [path.name for path in tmp_path.iterdir()] == ["case.npz"]


def test_the_confidence_of_an_image_is_the_probability_of_its_first_class(
    classifier: Classifier,
    photographs: Dataset,
    strata: Sequence[tuple[int, Pixels]],
) -> None:
    found = run(classifier, photographs, strata)
    assert found.confidences is not None
    for number, pixels in strata:
        probabilities = classifier(torch.from_numpy(np.array(pixels))).softmax(dim=1)
        members = photographs.strata[number]
        first = torch.from_numpy(found.classes[members, 0]).long()
        wanted = probabilities[torch.arange(len(first)), first].numpy()
        assert found.confidences[members] == pytest.approx(wanted, abs=1e-6)
        assert found.confidences[members] == pytest.approx(
            probabilities.amax(dim=1).numpy(), abs=1e-6
        )


def test_an_oracle_is_certain_and_right(
    photographs: Dataset, strata: Sequence[tuple[int, Pixels]]
) -> None:
    certain = run(Oracle(photographs, strata), photographs, strata)
    assert calibration_error(certain) == pytest.approx(0)
    wrong = run(Oracle(photographs, strata, shift=1), photographs, strata)
    assert calibration_error(wrong) == pytest.approx(1)


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_the_loss_is_exact_to_a_few_bits_of_float64(
    photographs: Dataset, size: float
) -> None:
    members = np.arange(len(photographs), dtype=np.int64)
    generator = torch.Generator().manual_seed(0)
    logits = size * torch.randn(len(members), len(CLASSES), generator=generator)
    found = read_logits(logits, photographs, members)
    exact = special.log_softmax(logits.numpy().astype(np.float64), axis=1)
    expected = -exact[members, photographs.labels]
    assert found.losses.dtype == np.float64
    np.testing.assert_allclose(found.losses, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("best", [8, 16, 32, 64])
def test_the_quickest_of_two_batches_counts_since_the_first_one_allocates(
    monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    batch_size = BatchSize("cpu")
    seen: list[int] = []
    while batch_size.is_searching:
        images = batch_size.current
        # What is best takes longest the first time, and in all.
        first = (100.0 if images == best else 5.0) * (images not in seen)
        with batch_size.timed(images):
            clock[0] += images * (1.0 if images == best else 2.0) + images * first
        seen.append(images)
    assert seen == [8, 8, 16, 16, 32, 32, 64, 64]
    assert batch_size.current == best
    assert batch_size.halve()
    assert batch_size.current == best // 2


def margins_by_hand(logits: list[float], label: int) -> list[float]:
    others = sorted(logits[:label] + logits[label + 1 :], reverse=True)
    others += [-np.inf] * 5
    return [logits[label] - others[0], logits[label] - others[4]]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6, 7, 10])
def test_margins_are_to_the_best_other_class_and_to_the_fifth(
    count: int, tmp_path: Path
) -> None:
    dataset = photograph_dataset(tmp_path, CLASSES[:count], per_class=3)
    logits = torch.randn(len(dataset), count, generator=torch.manual_seed(count))
    parts = stream(dataset, GEOMETRY, range(len(dataset.strata)))
    place = iter(np.concatenate(dataset.strata))

    def classifier(batch: Tensor) -> Tensor:
        return logits[[next(place) for _ in batch]]

    how: dict[str, Any] = {"batch_size": BatchSize("cpu", 4), "device": CPU}
    found = evaluate(classifier, dataset, parts, with_margins=True, **how).margins
    assert found is not None
    labels = dataset.labels.tolist()
    wanted = [
        margins_by_hand(*each) for each in zip(logits.tolist(), labels, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
