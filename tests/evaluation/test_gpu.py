"""What is written for a GPU of CUDA, run on one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.data.pixels import stream
from repro.errors import EvaluationError
from repro.evaluation.batching import BatchSize, is_out_of_memory, within_memory
from repro.evaluation.classifier import Classifier, text_comparison
from repro.evaluation.evaluate import evaluate, most_likely
from repro.evaluation.precision import arithmetic
from repro.evaluation.predictions import Predictions
from repro.published import Precision, Protocol, TextSpec, parse_geometry
from tests.stand_ins import photograph_dataset

pytestmark = pytest.mark.gpu

CPU, GPU = torch.device("cpu"), torch.device("cuda")
CLASSES = tuple("abcdefghij")
HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return photograph_dataset(folder, CLASSES, per_class=12, size=(48, 40))


@pytest.fixture(scope="module")
def strata(photographs: Dataset) -> list[tuple[int, Pixels]]:
    geometry = parse_geometry("rgb|resize(36,bilinear)|center_crop(32)")
    return list(stream(photographs, geometry, range(len(photographs.strata))))


def network(device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm.create_model("resnet18", num_classes=len(CLASSES))
    return model.eval().requires_grad_(requires_grad=False).to(device)


def predicted(
    device: torch.device,
    photographs: Dataset,
    strata: list[tuple[int, Pixels]],
    precision: Precision = "fp32",
    accelerate: tuple[str, ...] = (),
) -> Predictions:
    model = network(device)
    classifier = Classifier(model, HALF, HALF, device, precision)
    classifier.accelerate(model, accelerate)
    found = evaluate(
        classifier,
        photographs,
        strata,
        batch_size=BatchSize(device.type, 10),
        device=device,
    )
    assert all(acceleration.used for acceleration in classifier.accelerations)
    return found


def test_float32_decides_as_a_processor_does(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    found = predicted(GPU, photographs, strata)
    wanted = predicted(CPU, photographs, strata)
    assert np.array_equal(found.classes[:, 0], wanted.classes[:, 0])
    assert np.allclose(found.losses, wanted.losses, atol=1e-4)


def test_a_captured_forward_pass_gives_the_same(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    plain = predicted(GPU, photographs, strata)
    found = predicted(GPU, photographs, strata, accelerate=("cuda-graphs",))
    assert np.array_equal(found.classes[:, 0], plain.classes[:, 0])


def test_a_forward_pass_is_captured_on_the_gpu_of_its_images(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    plain = predicted(GPU, photographs, strata)
    for number in range(torch.cuda.device_count()):
        device = torch.device("cuda", number)
        found = predicted(device, photographs, strata, accelerate=("cuda-graphs",))
        assert np.array_equal(found.classes[:, 0], plain.classes[:, 0])


@pytest.mark.parametrize("images", [1, 64, 512])
@pytest.mark.parametrize("classes", [10, 1000, 21_841])
def test_of_equal_logits_the_same_class_is_first_as_on_a_processor(
    images: int, classes: int
) -> None:
    torch.manual_seed(0)
    # In bf16 and close together, so that many are equal.
    logits = torch.randn(images, classes).bfloat16().float()
    found = most_likely(logits.to(GPU), 5).cpu()
    assert torch.equal(found, most_likely(logits, 5))


def test_pixels_that_are_copied_ahead_stay_until_they_are_computed(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    plain = predicted(GPU, photographs, strata)
    classifier = Classifier(network(GPU), HALF, HALF, GPU)

    def behind(pixels: Tensor) -> Tensor:
        # So long that the next copies would be done first.
        torch.cuda._sleep(20_000_000)  # type: ignore[no-untyped-call]
        return classifier(pixels)

    found = evaluate(
        behind, photographs, strata, batch_size=BatchSize("cuda", 10), device=GPU
    )
    assert np.array_equal(found.losses, plain.losses)


def test_a_device_named_by_its_number_leaves_the_current_one_as_it_was(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    last = torch.device("cuda", torch.cuda.device_count() - 1)
    before = torch.cuda.current_device()
    predicted(last, photographs, strata)
    assert torch.cuda.current_device() == before


def test_memory_that_runs_out_is_had_again_by_a_smaller_batch(
    photographs: Dataset, strata: list[tuple[int, Pixels]]
) -> None:
    plain = predicted(GPU, photographs, strata)
    model = network(GPU)
    classifier = Classifier(model, HALF, HALF, GPU)
    share = torch.cuda.get_device_properties(GPU).total_memory // 8

    def hungry(pixels: Tensor) -> Tensor:
        activations = torch.empty(len(pixels) * share, dtype=torch.uint8, device=GPU)
        logits = classifier(pixels)
        del activations
        return logits

    found = evaluate(
        hungry, photographs, strata, batch_size=BatchSize("cuda", 16), device=GPU
    )
    assert np.array_equal(found.classes[:, 0], plain.classes[:, 0])


def test_what_does_not_fit_is_one_sentence() -> None:
    everything = torch.cuda.get_device_properties(GPU).total_memory * 2
    with pytest.raises(RuntimeError) as raised:
        torch.empty(everything, dtype=torch.uint8, device=GPU)
    assert is_out_of_memory(raised.value)
    with (
        pytest.raises(EvaluationError, match="the checkpoint does not fit"),
        within_memory(GPU, "the checkpoint"),
    ):
        torch.empty(everything, dtype=torch.uint8, device=GPU)


def test_cosines_are_products_in_float32_where_the_model_is_in_tf32() -> None:
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(300, 512), dim=1)
    protocol = Protocol(
        id="zero",
        geometry="rgb|resize(36,bilinear)|center_crop(32)",
        mean=HALF,
        std=HALF,
        source="made",
        text=TextSpec(classnames=("a",), templates=("{}",)),
        logit_scale=100.0,
    )
    compare = text_comparison(nn.Identity(), rows.to(GPU), protocol, "tf32")
    with arithmetic("tf32", GPU):
        found = compare(rows.to(GPU)).cpu()
    assert torch.allclose(found, 100 * rows @ rows.T, atol=1e-4)


#: A conftest may ask for a GPU before a case is collected.
ASKS_FIRST = """
import torch
from pathlib import Path

assert torch.cuda.is_available()

def pytest_collection_finish(session):
    Path(__file__).with_name(f"{torch.cuda.device_count()}.seen").touch()
"""


@pytest.mark.slow
def test_each_worker_has_one_gpu_whatever_a_conftest_asks(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(ASKS_FIRST)
    (tmp_path / "test_release.py").write_text(
        "import pytest\n\n"
        '@pytest.mark.repro(expected="embedded")\n'
        "def test_checkpoint(case, reproduce):\n"
        "    reproduce(case)\n"
    )
    options = ["-q", "-n2", "-k", "80", "-p", "no:cacheprovider", "--repro-ledger=none"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    number = torch.cuda.device_count()
    seen = {file.stem for file in tmp_path.glob("*.seen")}
    # The controller collects nothing; a worker sees its own GPU.
    assert seen == {"1"}, (seen, number)
