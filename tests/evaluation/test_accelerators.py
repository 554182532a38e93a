from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from repro.evaluation import accelerators
from repro.evaluation.acceleration import (
    AUTO,
    NAMES,
    Acceleration,
    in_words,
    read_names,
)
from repro.evaluation.accelerators import (
    ACCELERATORS,
    SETTLED_AFTER,
    Accelerated,
    Accelerator,
    Forward,
    difference,
)
from repro.evaluation.classifier import Classifier

CPU = torch.device("cpu")


@pytest.fixture
def convolutional() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm.create_model("resnet10t", num_classes=7)
    return model.eval()


@pytest.fixture
def vit() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, embed_dim=24, depth=2, num_heads=2
    )
    return model.eval()


def images(number: int = 4, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(number, 3, size, size, generator=generator)


def accelerated(model: nn.Module, wanted: Sequence[str] = ("auto",)) -> Accelerated:
    return Accelerated(model, model, CPU, wanted)


def layouts(model: nn.Module) -> set[bool]:
    """Tell whether weights that can be are kept with the channels last."""
    return {
        parameter.is_contiguous(memory_format=torch.channels_last)
        for parameter in model.parameters()
        if parameter.ndim == 4 and min(parameter.shape[1:]) > 1
    }


def test_the_names_are_those_of_the_table() -> None:
    assert tuple(accelerator.name for accelerator in ACCELERATORS) == NAMES


@torch.inference_mode()
def test_a_convolutional_model_keeps_its_channels_last_on_a_cpu(
    convolutional: nn.Module,
) -> None:
    expected = convolutional(images())
    layout: list[bool] = []
    convolutional.get_submodule("layer2.0.conv1").register_forward_pre_hook(
        lambda module, inputs: layout.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    forward = accelerated(convolutional)
    found = forward(images())
    assert difference(found, expected) <= 1e-4
    assert layouts(convolutional) == {True}
    (tried,) = forward.accelerations
    assert tried.name == "channels-last"
    assert tried.used
    assert tried.difference is not None
    layout.clear()
    forward(images(3))
    assert layout == [True]


@torch.inference_mode()
def test_a_vision_transformer_is_computed_plainly_by_default(vit: nn.Module) -> None:
    expected = vit(images())
    forward = accelerated(vit)
    assert torch.equal(forward(images()), expected)
    assert forward.accelerations == ()


@torch.inference_mode()
def test_patches_may_have_their_channels_last_where_that_is_asked_for(
    vit: nn.Module,
) -> None:
    expected = vit(images())
    forward = accelerated(vit, ["channels-last"])
    assert difference(forward(images()), expected) <= 1e-4
    assert [a.used for a in forward.accelerations] == [True]


@torch.inference_mode()
def test_what_changes_logits_is_not_used_and_leaves_the_model_as_it_was(
    convolutional: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = convolutional(images())
    monkeypatch.setitem(accelerators.LIMITS, "fp32", 0.0)
    forward = accelerated(convolutional)
    for _ in range(2):
        assert torch.equal(forward(images()), expected)
    assert layouts(convolutional) == {False}
    (tried,) = forward.accelerations
    assert not tried.used
    assert tried.difference is not None
    assert 0 < tried.difference <= 1e-4
    assert "it moves a logit by" in tried.reason


def moving(part: float, *, one_size: bool = False) -> Accelerator:
    """Make an accelerator that moves one logit by a part of their spread."""

    def wrap(model: nn.Module, forward: Forward, batch: Tensor) -> Forward:
        def moved(images: Tensor) -> Tensor:
            logits = forward(images).clone()
            logits[0, 0] += part * (logits - logits.mean(1, keepdim=True)).abs().max()
            return logits

        return moved

    return Accelerator(
        "moving",
        wrap,
        pays=lambda model, device: True,
        one_size=one_size,
    )


@pytest.mark.parametrize(
    ("parts", "used"),
    [
        ([9e-5], [True]),
        ([1.1e-4], [False]),
        ([float("nan")], [False]),
        ([6e-5, 6e-5], [True, False]),
        ([1.1e-4, 6e-5], [False, True]),
        ([0.0, 1.1e-4], [True, False]),
    ],
    ids=["below", "above", "no number", "both above", "only the second", "only one"],
)
@torch.inference_mode()
def test_all_together_move_a_logit_by_no_more_than_the_limit(
    parts: list[float],
    used: list[bool],
    vit: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = vit(images())
    table = [moving(p)._replace(name=str(n)) for n, p in enumerate(parts)]
    monkeypatch.setattr(accelerators, "ACCELERATORS", tuple(table))
    forward = accelerated(vit)
    found = forward(images())
    assert [a.used for a in forward.accelerations] == used
    done = sum(part for part, is_used in zip(parts, used, strict=True) if is_used)
    assert difference(found, expected) == pytest.approx(done, rel=0.05, abs=1e-7)
    # What was moved before is a part of the reason, and only then.
    for number, tried in enumerate(forward.accelerations):
        moved = [p for p, is_used in zip(parts[:number], used, strict=False) if is_used]
        after_others = not tried.used and any(moved)
        assert ("on top of the others" in tried.reason) is after_others


@torch.inference_mode()
def test_a_logit_may_move_by_the_very_limit(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "ACCELERATORS", (moving(5e-5),))
    forward = accelerated(vit)
    forward(images())
    moved = forward.accelerations[0].difference
    assert moved is not None
    for limit, used in ((moved, True), (np.nextafter(moved, 0), False)):
        monkeypatch.setitem(accelerators.LIMITS, "fp32", limit)
        forward = accelerated(vit)
        forward(images())
        assert forward.accelerations[0].used is used


def test_a_cheaper_arithmetic_is_accelerated_as_the_exact_one_is(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "ACCELERATORS", (moving(0.0),))
    half = (0.5, 0.5, 0.5)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    exact = Classifier(vit, half, half, CPU)
    plain = exact.computed_in("amp-bf16")
    plain(pixels)
    assert plain.accelerations == ()
    exact.accelerate(vit, ("auto",))
    cheap = exact.computed_in("amp-bf16")
    cheap(pixels)
    assert [tried.name for tried in cheap.accelerations] == ["moving"]


@torch.inference_mode()
def test_what_is_for_one_size_waits_until_the_size_has_settled(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = (moving(5e-5, one_size=True),)
    monkeypatch.setattr(accelerators, "ACCELERATORS", table)
    forward = accelerated(vit)
    plain = {size: vit(images(size)) for size in (2, 4, 8)}

    def is_plain(size: int) -> bool:
        return torch.equal(forward(images(size)), plain[size])

    # As while the best size is searched.
    assert all(is_plain(size) for size in (2, 2, 4, 4, 8, 8))
    assert "came 3 times" in forward.accelerations[0].reason
    assert not is_plain(4)
    # The last batch of a stratum is smaller.
    assert is_plain(2)
    assert not is_plain(4)
    assert forward.accelerations[0].used


@torch.inference_mode()
def test_what_is_for_any_size_does_not_wait_for_what_comes_after_it(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_size = moving(0)._replace(name="any")
    one_size = moving(0, one_size=True)._replace(name="one")
    for table, at_once in (((any_size, one_size), ["any"]), ((one_size, any_size), [])):
        monkeypatch.setattr(accelerators, "ACCELERATORS", table)
        forward = accelerated(vit)
        for _ in range(SETTLED_AFTER - 1):
            forward(images())
            assert [a.name for a in forward.accelerations if a.used] == at_once
        forward(images())
        assert all(tried.used for tried in forward.accelerations)


@torch.inference_mode()
def test_a_size_has_settled_though_its_third_batch_did_not_fit(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "ACCELERATORS", (moving(0, one_size=True),))
    refused = iter([False, False, True, *(False for _ in range(9))])

    def forward(batch: Tensor) -> Tensor:
        if next(refused):
            raise torch.OutOfMemoryError
        logits: Tensor = vit(batch)
        return logits

    found = Accelerated(vit, forward, CPU, ["auto"])
    for _ in range(2):
        found(images())
    with pytest.raises(torch.OutOfMemoryError):
        found(images())
    found(images())
    assert found.accelerations[0].used


@pytest.mark.parametrize("device", ["cpu", "cuda", "meta"])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_only_a_processor_gains_and_only_of_several_convolutions(
    number: int, device: str
) -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(number)), nn.Flatten())
    forward = Accelerated(model, model, torch.device(device), ["auto"])
    names = [tried.name for tried in forward.accelerations]
    assert names == (["channels-last"] if device == "cpu" and number > 1 else [])


def test_a_model_without_a_convolution_has_no_channels_to_move() -> None:
    forward = accelerated(nn.Flatten(), ["channels-last"])
    (tried,) = forward.accelerations
    assert (tried.used, tried.reason) == (False, "the model has no convolution")


@torch.inference_mode()
def test_code_is_compiled_for_the_size_that_stays_and_asked_for_no_other(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def compiled(forward: Forward, **how: object) -> Forward:
        def code(batch: Tensor) -> Tensor:
            if not asked:
                warnings.warn("compilers warn of much", stacklevel=1)
            asked.append(len(batch))
            return forward(batch)

        return code

    monkeypatch.setattr(torch, "compile", compiled)
    forward = accelerated(vit, ["compile"])
    for size in (4, 2, 4, 2, 4, 2, 4):
        assert torch.equal(forward(images(size)), vit(images(size)))
    # Once to compile it, once to compare, and then for each batch of its size.
    assert asked == [4, 4, 4, 4]
    assert [tried.used for tried in forward.accelerations] == [True]


@torch.inference_mode()
def test_a_plain_forward_without_memory_is_not_taken_for_a_failed_accelerator(
    convolutional: nn.Module,
) -> None:
    refusing = [True]

    def forward(batch: Tensor) -> Tensor:
        if refusing:
            raise torch.OutOfMemoryError
        logits: Tensor = convolutional(batch)
        return logits

    found = Accelerated(convolutional, forward, CPU, ["auto"])
    with pytest.raises(torch.OutOfMemoryError):
        found(images())
    refusing.clear()
    found(images(2))
    assert [a.used for a in found.accelerations] == [True]


@torch.inference_mode()
def test_what_needs_a_gpu_says_so_on_a_cpu(vit: nn.Module) -> None:
    forward = accelerated(vit, ["cuda-graphs"])
    assert torch.equal(forward(images()), vit(images()))
    (tried,) = forward.accelerations
    assert (tried.used, tried.reason) == (False, "it needs a CUDA device")


@torch.inference_mode()
def test_what_fails_is_said_in_one_line_and_the_model_is_computed_plainly(
    vit: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrap(model: nn.Module, forward: Forward, batch: Tensor) -> Forward:
        raise RuntimeError("no compiler was found\n\nSet TORCH_LOGS for more")

    failing = moving(0)._replace(name="compile", wrap=wrap)
    monkeypatch.setattr(accelerators, "ACCELERATORS", (failing,))
    forward = accelerated(vit)
    for _ in range(2):
        assert torch.equal(forward(images()), vit(images()))
    (tried,) = forward.accelerations
    assert not tried.used
    assert tried.reason == "it failed: no compiler was found"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_model_gives_the_same_logits(vit: nn.Module) -> None:
    def classifier() -> Classifier:
        return Classifier(vit, (0.5,) * 3, (0.5,) * 3, CPU)

    compiled = classifier()
    compiled.accelerate(vit, ["compile"])
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    expected = classifier()(pixels)
    for number in range(SETTLED_AFTER + 2):
        found = compiled(pixels)
        assert difference(found, expected) <= 1e-4
        if number < SETTLED_AFTER - 1:
            assert torch.equal(found, expected)
    assert torch.equal(compiled(pixels[:3]), classifier()(pixels[:3]))
    (tried,) = compiled.accelerations
    assert tried.used, tried.reason
    # The code that was made was taken, too.
    assert not torch.equal(compiled.forward(images()), vit(images()))


def test_differences_are_relative_to_what_tells_the_classes_apart() -> None:
    logits = torch.tensor([[1000.0, 1002.0]])
    assert difference(logits + torch.tensor([0.0, 0.5]), logits) == 0.5
    assert difference(logits, logits) == 0
    same = torch.ones(2, 3)
    assert difference(same, same) == 0
    assert difference(same + 1, same) == float("inf")
    # Of an image all of whose logits are one, and of another.
    assert difference(torch.tensor([[1.0, 1.0], [5.0, 9.0]]), logits.repeat(2, 1)) > 0


def test_words_say_what_was_used_and_what_was_not_and_why() -> None:
    tried = [
        Acceleration(name="channels-last", used=True, difference=3e-7),
        Acceleration(name="compile", used=False, reason="it failed: no compiler"),
    ]
    assert in_words("fp32", tried) == (
        "fp32, channels-last, compile not used (it failed: no compiler)"
    )


def test_what_is_wanted_is_none_or_some_or_all_that_are_known() -> None:
    everything = (AUTO, *NAMES)
    assert read_names("none") == ()
    assert read_names(NAMES[0]) == (NAMES[0],)
    assert read_names(f"{NAMES[1]}, {NAMES[0]},{NAMES[1]}") == (NAMES[1], NAMES[0])
    assert read_names(",".join(everything)) == everything
    for text in ("", "none,auto", f"{NAMES[0]},other"):
        with pytest.raises(ValueError, match=f"must be none, or some of {AUTO}"):
            read_names(text)
