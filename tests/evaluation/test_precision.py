"""Arithmetic that is asked for, and a process that is left as it was found."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from repro.errors import EvaluationError, WeightsError
from repro.evaluation.classifier import (
    Classifier,
    clip_forward,
    image_embedder,
    text_comparison,
)
from repro.evaluation.precision import (
    arithmetic,
    in_type_of,
    input_type,
    multiplying_float32,
    torch_as_it_begins,
)
from repro.published import PRECISIONS, Precision, Protocol
from repro.published.release import TextSpec

from .made_choices import BACKENDS, CHOICES, SETTINGS, check_setting, chosen

HALF = (0.5, 0.5, 0.5)
CPU = torch.device("cpu")
PROTOCOL = Protocol(
    id="p",
    geometry="rgb|center_crop(16)",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    source="paper",
    text=TextSpec(classnames=("cat",), templates=("a {}",)),
    logit_scale=37.5,
)


@pytest.fixture
def choices_put_back() -> Iterator[None]:
    before = chosen()
    yield
    for one, value in reversed([*zip(CHOICES, before, strict=False)]):
        one.fp32_precision = "none"
        if one.fp32_precision != value:
            one.fp32_precision = value
    torch.set_float32_matmul_precision(before[-1])
    BACKENDS.cudnn.allow_tf32 = before[-2]
    for one, value in zip(CHOICES, before, strict=False):
        if one.fp32_precision != value:
            one.fp32_precision = value
    assert chosen() == before


@pytest.mark.usefixtures("choices_put_back")
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_whatever_a_process_chose_is_overruled_and_put_back(setting: str) -> None:
    check_setting(setting)


@pytest.mark.usefixtures("choices_put_back")
def test_what_followed_from_a_wider_choice_goes_on_following_from_it() -> None:
    for choice, other in (("ieee", "tf32"), ("tf32", "ieee")):
        BACKENDS.fp32_precision = choice
        with multiplying_float32(as_tf32=other == "tf32"):
            assert BACKENDS.cuda.matmul.fp32_precision == other
        assert BACKENDS.cuda.matmul.fp32_precision == choice
        BACKENDS.fp32_precision = other
        assert BACKENDS.cuda.matmul.fp32_precision == other


@pytest.mark.usefixtures("choices_put_back")
def test_a_processor_rounds_nothing_to_tf32() -> None:
    torch.set_float32_matmul_precision("high")
    with arithmetic("tf32", CPU):
        assert torch.get_float32_matmul_precision() == "highest"
        assert "tf32" not in (choice.fp32_precision for choice in CHOICES[2:4])
    assert torch.get_float32_matmul_precision() == "high"


def shortcuts() -> list[bool]:
    """Read what makes CUDA faster and its bits others."""
    matmul = BACKENDS.cuda.matmul
    names = [
        f"allow_{kind}_reduced_precision_reduction{part}"
        for kind in ("fp16", "bf16")
        for part in ("", "_split_k")
    ]
    said = [getattr(matmul, name) for name in (*names, "allow_fp16_accumulation")]
    return [*said, BACKENDS.cudnn.benchmark]


def choose_shortcuts(*, reduced: object, others: bool) -> None:
    matmul = BACKENDS.cuda.matmul
    matmul.allow_fp16_reduced_precision_reduction = reduced
    matmul.allow_bf16_reduced_precision_reduction = reduced
    matmul.allow_fp16_accumulation = BACKENDS.cudnn.benchmark = others


@pytest.mark.parametrize("reduced", [True, False, (False, False)])
def test_what_a_process_chose_of_cuda_counts_for_nothing(reduced: object) -> None:
    begun = shortcuts()
    assert begun == [True] * 4 + [False] * 2
    choose_shortcuts(reduced=reduced, others=True)
    try:
        before = shortcuts()
        with arithmetic("fp32", torch.device("cuda")):
            assert shortcuts() == begun
        assert shortcuts() == before != begun
    finally:
        choose_shortcuts(reduced=True, others=False)


#: A process for each, since what torch begins with cannot quite be had back.
PROGRAM = """
import os
from tests.evaluation.made_choices import SETTINGS, check_setting

for setting in SETTINGS.values():
    child = os.fork()
    if not child:
        try:
            check_setting(setting)
        except Exception as error:
            print(setting, repr(error), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_whatever_a_process_begins_with_is_put_back() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.fixture
def autocast_off() -> Iterator[None]:
    assert not torch.is_autocast_enabled("cpu")
    yield
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.usefixtures("autocast_off")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_computes_in_the_type_that_was_asked_for(precision: Precision) -> None:
    seen: list[tuple[torch.dtype, torch.dtype]] = []
    layer = in_type_of(precision, nn.Linear(12, 3))
    layer.register_forward_hook(
        lambda _, inputs, y: seen.append((inputs[0].dtype, y.dtype))
    )
    network = nn.Sequential(nn.Flatten(), layer)
    classifier = Classifier(
        network, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), CPU, precision=precision
    )
    logits = classifier(torch.zeros(2, 3, 2, 2, dtype=torch.uint8))
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision[-4:])
    assert seen == [(input_type(precision), half or torch.float32)]
    assert logits.dtype == torch.float32
    whole = precision in ("fp16", "bf16")
    assert input_type(precision) == (half if whole else torch.float32)


@pytest.mark.parametrize("place", ["cpu", "meta"])
def test_types_and_devices_of_a_project_count_for_its_own_tensors_alone(
    place: str,
) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device(place)
    try:
        with torch_as_it_begins():
            made = torch.ones(1)
        theirs = torch.ones(1)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert (made.dtype, made.device.type) == (torch.float32, "cpu")
    assert (theirs.dtype, theirs.device.type) == (torch.float64, place)


def test_what_torch_cannot_compute_is_one_sentence() -> None:
    message = (
        r"torch \S+ cannot compute this model in fp16 on cpu; use another "
        r"--repro-device.*settles no number.*not implemented for 'Half'"
    )
    with pytest.raises(EvaluationError, match=message), arithmetic("fp16", CPU):
        torch.linalg.svd(torch.zeros(2, 2, dtype=torch.float16))


def test_another_error_of_torch_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), arithmetic("bf16", CPU):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_autocast_that_torch_would_leave_out_with_a_warning_is_an_error() -> None:
    meta = torch.device("meta")
    with pytest.raises((EvaluationError, RuntimeError)), arithmetic("amp-fp16", meta):
        pass


def _multiplication() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fails", [False, True])
def test_tf32_is_on_for_the_case_that_asks_for_it_and_off_for_the_next(
    precision: Precision, fails: bool
) -> None:
    before = _multiplication()
    as_tf32 = precision == "tf32"
    device = torch.device("cuda") if as_tf32 else CPU
    with contextlib.suppress(KeyError), arithmetic(precision, device):
        assert _multiplication() == ("high" if as_tf32 else "highest", as_tf32)
        if fails:
            raise KeyError
    assert _multiplication() == before


class Watched(torch.overrides.TorchFunctionMode):
    """Notes how matrices are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func.__name__ in ("matmul", "__matmul__"):
            self.seen.append(_multiplication())
        return func(*args, **(kwargs or {}))


def test_the_scale_of_a_checkpoint_is_kept_as_its_logarithm() -> None:
    protocol = msgspec.structs.replace(PROTOCOL, logit_scale="checkpoint")
    model = nn.Module()
    with pytest.raises(WeightsError, match="the checkpoint holds no logit_scale"):
        text_comparison(model, torch.eye(4), protocol, "fp32")
    model.logit_scale = nn.Parameter(torch.tensor(37.5).log(), requires_grad=False)
    compare = text_comparison(model, torch.eye(4), protocol, "fp32")
    torch.testing.assert_close(compare(torch.eye(4)), 37.5 * torch.eye(4))


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_cosines_are_products_in_float32_whatever_the_model_is_in(
    precision: Precision,
) -> None:
    compare = text_comparison(nn.Identity(), torch.eye(4), PROTOCOL, precision)
    with arithmetic("tf32", CPU), Watched() as watched:
        assert compare(torch.eye(4)).equal(37.5 * torch.eye(4))
    assert watched.seen == [("highest", False)]


def test_unit_vectors_are_float32_and_their_product_is_as_the_arithmetic() -> None:
    torch.manual_seed(0)
    tower = nn.Linear(12, 8)
    model = nn.Module()
    model.encode_image = tower
    images, text = torch.randn(64, 12), torch.randn(5, 8)
    types: dict[Precision, torch.dtype] = {
        "fp32": torch.float32,
        "amp-bf16": torch.bfloat16,
    }
    for precision, type_ in types.items():
        embed = image_embedder(model)
        compare = text_comparison(model, text, PROTOCOL, precision)
        with torch.inference_mode(), arithmetic(precision, CPU):
            features, logits = embed(images), compare(embed(images))
            plain = tower(images).float()
        assert features.dtype == torch.float32
        assert torch.equal(features, functional.normalize(plain, dim=-1))
        # As evaluation scripts do: the images are scaled, then multiplied.
        scaled, directions = (37.5 * features).to(type_), text.T.to(type_)
        assert logits.dtype == type_
        assert torch.equal(logits, scaled @ directions)


def test_the_product_of_vectors_stays_float32_where_float32_is_guarded() -> None:
    torch.manual_seed(0)
    images, text = functional.normalize(torch.randn(64, 12)), torch.randn(5, 8)
    model = nn.Module()
    model.encode_image = nn.Linear(12, 8)
    forward = clip_forward(model, text, PROTOCOL, "fp32")
    embed = image_embedder(model)
    with torch.inference_mode(), arithmetic("amp-bf16", CPU):
        features, logits = embed(images), forward(images)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, 37.5 * features @ text.T)


def _normed() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.utils.parametrizations.weight_norm(nn.Linear(3 * 160 * 160, 8)),
        nn.GELU(),
        nn.Linear(8, 8),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    name: partial(timm.create_model, name, num_classes=8)
    for name in ("test_vit", "test_resnet", "test_nfnet", "test_convnext")
} | {
    "weight norm": _normed,
    "attention of torch": partial(nn.TransformerEncoderLayer, 160, 4, batch_first=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_weights_that_are_cast_once_give_the_bits_of_autocast(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval().requires_grad_(requires_grad=False)
    before = {key: part.clone() for key, part in model.state_dict().items()}
    exact = Classifier(_flat(model), HALF, HALF, CPU)
    exact.accelerate(model, ())
    pixels = torch.randint(0, 256, (2, 3, 160, 160), dtype=torch.uint8)
    plain = Classifier(_flat(model), HALF, HALF, CPU, "amp-bf16")(pixels)
    assert torch.equal(exact.computed_in("amp-bf16")(pixels), plain)
    assert not torch.equal(exact(pixels), plain)
    after = model.state_dict()
    assert all(torch.equal(after[key], part) for key, part in before.items())


def _flat(model: nn.Module) -> Callable[[Tensor], Tensor]:
    if isinstance(model, nn.TransformerEncoderLayer):
        return lambda images: model(images[:, 0]).flatten(1)
    return model


def test_weights_are_cast_before_autocast_would_do_it_for_each_batch() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    model[1].register_forward_pre_hook(lambda layer, _: seen.append(layer.weight.dtype))
    seen: list[torch.dtype] = []
    exact = Classifier(model, HALF, HALF, CPU)
    exact.accelerate(model, ())
    for precision in ("amp-bf16", "amp-fp16"):
        exact.computed_in(precision)(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    assert seen == [torch.bfloat16, torch.float16]


def test_weights_are_float32_again_after_a_batch_that_failed() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    exact = Classifier(model, HALF, HALF, CPU)
    exact.accelerate(model, ())
    cheap = exact.computed_in("amp-bf16")
    with pytest.raises(RuntimeError):
        cheap(torch.zeros(1, 3, 5, 5, dtype=torch.uint8))
    assert model[1].weight.dtype == torch.float32
