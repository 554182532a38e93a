"""A device is found, or refused in a sentence that says what there is."""

from __future__ import annotations

import warnings

import pytest
import torch

from repro.engine.device import choose_device
from repro.errors import OptionError
from repro.evaluation.evaluate import has_float64
from repro.records.identity import describe_environment

HAS_CUDA = torch.cuda.is_available()


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_a_processor_is_always_there(name: str) -> None:
    assert choose_device(name).type == "cpu"


def test_auto_is_a_gpu_of_cuda_or_else_the_processor() -> None:
    assert choose_device("auto").type == ("cuda" if HAS_CUDA else "cpu")


@pytest.mark.filterwarnings("error")
def test_a_driver_that_is_too_old_is_a_warning_and_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def is_available() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    with pytest.warns(UserWarning, match="driver on your system is too old"):
        assert choose_device("auto").type == "cpu"


@pytest.mark.parametrize("name", ["nonsense", "cuda:x", "cuda:-1", "", "cuda:0:1"])
def test_what_torch_cannot_read_is_one_sentence(name: str) -> None:
    with pytest.raises(OptionError, match=f"--repro-device is '{name}'; it must be"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("meta", "meta"),
        ("mps", "MPS"),
        ("xpu", "XPU"),
        ("hpu", "hpu"),
        ("xla:0", "xla"),
    ],
)
@pytest.mark.skipif(
    torch.accelerator.is_available() and not HAS_CUDA, reason="it may be here"
)
def test_a_kind_of_device_that_is_not_here_is_one_sentence(
    name: str, called: str
) -> None:
    message = (
        f"--repro-device is '{name}', but torch finds no {called} device here; use"
    )
    with pytest.raises(OptionError, match=message) as raised:
        choose_device(name)
    assert len(str(raised.value)) < 200


@pytest.mark.skipif(HAS_CUDA, reason="there is a CUDA device")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_without_a_cuda_device_none_is_found(name: str) -> None:
    # As torch says it: there is no driver, or one too old, or it was built without.
    told = r"finds no CUDA device here; use auto or cpu \(torch \S+: [FNT].*\)$"
    with pytest.raises(OptionError, match=told):
        choose_device(name)


@pytest.mark.gpu
def test_a_number_beyond_the_devices_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(OptionError, match=r"numbered from 0 \(CUDA_VISIBLE_DEVICES"):
        choose_device("cuda:99")


def test_the_environment_names_what_computes() -> None:
    found = describe_environment("cpu")
    assert (found.device, found.cuda, found.driver) == (found.cpu, None, None)


def test_a_processor_computes_in_float64() -> None:
    assert has_float64(torch.device("cpu"))
