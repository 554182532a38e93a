"""Models of ONNX predict as in a plain loop of onnxruntime, or say why not."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.errors import (
    EvaluationError,
    ExpectedError,
    NotAvailableError,
    OptionError,
    ReproError,
    WeightsError,
)
from repro.evaluation.classifier import Classifier
from repro.importing.survey import (
    SurveyedImages,
    survey_weights,
    usual_preprocessing,
)
from repro.models.building import load_checkpoint
from repro.models.inspection import inspect_weights
from repro.models.weights import find_weights, verify_weights
from repro.published import ModelSpec
from tests.made_releases import family, reference, release

from .small import ResNetForCifar

onnx = pytest.importorskip("onnx", reason="pip install 'pytest-repro[onnx]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="pip install 'pytest-repro[onnx]'"
)
helper: Any = onnx.helper

CPU = torch.device("cpu")
Edit = Callable[[Any], object]


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = ResNetForCifar()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.inner(x.permute(0, 3, 1, 2))
        return logits


class WithFeatures(ResNetForCifar):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x.mean((2, 3))


def export(
    model: nn.Module, file: Path, shape: Sequence[int] = (1, 3, 32, 32), **how: Any
) -> Path:
    """Export as people do; the number of images is free unless `how` says otherwise."""
    torch.manual_seed(0)
    free = {"input_names": ["x"], "dynamic_axes": {"x": {0: "images"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dtype = next(model.parameters()).dtype
        torch.onnx.export(
            model.eval(),
            (torch.rand(shape, dtype=dtype),),
            file,
            dynamo=False,
            **(free | how),
        )
    return file


def edited(file: Path, edit: Edit) -> Path:
    model = onnx.load_model(str(file))
    edit(model)
    onnx.save_model(model, str(file))
    return file


def spec_of(**options: Any) -> ModelSpec:
    return ModelSpec(id="m", loader="onnx", architecture="small", options=options)


def pixels(number: int = 7, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(
        0, 256, (number, 3, size, size), dtype=torch.uint8, generator=generator
    )


def plainly(file: Path, images: Tensor, batch: int | None = None) -> npt.NDArray[Any]:
    """Compute with onnxruntime alone."""
    session = onnxruntime.InferenceSession(
        str(file), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    parts = torch.split(images, batch or len(images))
    return np.concatenate([session.run(None, {name: p.numpy()})[0] for p in parts])


def loaded(file: Path, **options: Any) -> nn.Module:
    return load_checkpoint(spec_of(**options), file.parent, file, CPU).model


def normalised(images: Tensor) -> Tensor:
    return (images.float() / 255 - 0.5) / 0.25


FIXED = {"dynamic_axes": None}


@pytest.mark.parametrize(
    ("model", "how", "batch"),
    [
        (ResNetForCifar, {}, None),
        (ResNetForCifar, {"opset_version": 11}, None),
        (ResNetForCifar, {"do_constant_folding": False}, None),
        (ResNetForCifar, FIXED, 1),
        (
            ResNetForCifar,
            {"dynamic_axes": {"x": {0: "n", 2: "height", 3: "width"}}},
            None,
        ),
    ],
    ids=["plain", "opset 11", "not folded", "one at a time", "any size"],
)
def test_predictions_are_those_of_a_plain_loop(
    model: Callable[[], nn.Module], how: Any, batch: int | None, tmp_path: Path
) -> None:
    file = export(model(), tmp_path / "w.onnx", **how)
    classifier = Classifier(loaded(file), (0.5,) * 3, (0.25,) * 3, CPU)
    found = classifier(pixels())
    np.testing.assert_array_equal(found, plainly(file, normalised(pixels()), batch))


def test_a_batch_that_is_too_small_for_a_fixed_one_is_filled(tmp_path: Path) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx", (4, 3, 32, 32), **FIXED)
    images = normalised(pixels(8))
    found = loaded(file)(images[:7])
    assert found.shape == (7, 10)
    np.testing.assert_allclose(found, plainly(file, images, 4)[:7], atol=1e-6)


def test_images_are_given_with_channels_last_where_the_file_has_them_so(
    tmp_path: Path,
) -> None:
    file = export(ChannelsLast(), tmp_path / "w.onnx", (1, 32, 32, 3))
    images = normalised(pixels())
    found = load_checkpoint(spec_of(), tmp_path, file, CPU)
    expected = plainly(file, images.permute(0, 2, 3, 1).contiguous())
    np.testing.assert_array_equal(found.model(images), expected)
    assert "images given as N, H, W, C" in found.done


def test_a_layout_that_the_file_does_not_tell_has_to_be_said(tmp_path: Path) -> None:
    free = {"dynamic_axes": {"x": dict(enumerate("nhwc"))}}
    file = export(ChannelsLast(), tmp_path / "w.onnx", (1, 32, 32, 3), **free)
    with pytest.raises(WeightsError, match=r"does not tell where the channels are"):
        loaded(file)
    assert loaded(file, layout="NHWC")(normalised(pixels())).shape == (7, 10)


def test_logarithms_of_probabilities_give_the_loss_of_the_logits(
    tmp_path: Path,
) -> None:
    model = nn.Sequential(ResNetForCifar(), nn.Softmax(dim=1))
    file = export(model, tmp_path / "w.onnx")
    images, labels = normalised(pixels()), torch.arange(7)
    found = load_checkpoint(spec_of(), tmp_path, file, CPU)
    with torch.inference_mode():
        expected = nn.functional.cross_entropy(model[0](images), labels)
    loss = nn.functional.cross_entropy(found.model(images), labels)
    torch.testing.assert_close(loss, expected)
    assert any("probabilities" in said for said in found.done)


def test_one_of_several_outputs_has_to_be_named(tmp_path: Path) -> None:
    names = ["logits", "features"]
    file = export(WithFeatures(), tmp_path / "w.onnx", output_names=names)
    with pytest.raises(WeightsError, match=r"outputs logits.*; features.*options = "):
        loaded(file)
    assert loaded(file, output="logits")(normalised(pixels())).shape == (7, 10)
    with pytest.raises(WeightsError, match="name the one that is meant"):
        loaded(file, output="other")


def test_half_precision_is_that_of_the_file(tmp_path: Path) -> None:
    file = export(ResNetForCifar().half(), tmp_path / "w.onnx")
    images = normalised(pixels()).half()
    np.testing.assert_array_equal(loaded(file)(images), plainly(file, images))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "amp-bf16"])
def test_another_arithmetic_than_that_of_the_file_is_refused(
    precision: Any, tmp_path: Path
) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    classifier = Classifier(loaded(file), (0.5,) * 3, (0.5,) * 3, CPU, precision)
    with pytest.raises(EvaluationError, match="types of its own file"):
        classifier.check((32, 32))


def test_images_of_another_size_are_refused_in_a_sentence(tmp_path: Path) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    classifier = Classifier(loaded(file), (0.5,) * 3, (0.5,) * 3, CPU)
    with pytest.raises(EvaluationError, match=r"refuses images of 28 x 28 .*Got: 28"):
        classifier.check((28, 28))


# Files beside it ----------------------------------------------------------------------


@pytest.fixture
def with_data(tmp_path: Path) -> Path:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    model = onnx.load_model(str(file))
    onnx.save_model(
        model,
        str(file),
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    return file


def moved(to: str) -> Edit:
    def edit(model: Any) -> None:
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = to

    return edit


def relocated(file: Path, to: str) -> Path:
    model = onnx.load_model(str(file), load_external_data=False)
    moved(to)(model)
    file.write_bytes(model.SerializeToString())
    return file


def test_values_in_a_file_beside_it_count_as_its_own(with_data: Path) -> None:
    images = normalised(pixels())
    found = loaded(with_data)(images)
    np.testing.assert_array_equal(found, plainly(with_data, images))
    whole = verify_weights(with_data, None)
    data = with_data.with_name("w.data")
    assert [part.path for part in whole.files] == [with_data, data]
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    assert verify_weights(with_data, None).sha256 != whole.sha256


def test_values_may_lie_behind_a_link_as_in_the_cache_of_the_hub(
    with_data: Path,
) -> None:
    data, blob = with_data.with_name("w.data"), with_data.parent / "blobs" / "1234"
    blob.parent.mkdir()
    data.rename(blob)
    data.symlink_to("blobs/1234")
    assert loaded(with_data)(normalised(pixels())).shape == (7, 10)


@pytest.mark.parametrize(
    "place", ["../w.data", "/etc/hostname", "sub/w.data", "..\\w.data", "..", ""]
)
def test_values_elsewhere_are_refused(with_data: Path, place: str) -> None:
    (with_data.parent / "sub").mkdir()
    for name in ("sub/w.data", "../w.data"):
        (with_data.parent / name).write_bytes(
            with_data.with_name("w.data").read_bytes()
        )
    with pytest.raises(WeightsError, match="files beside it are expected"):
        loaded(relocated(with_data, place))


def values_elsewhere() -> Any:
    tensor = onnx.TensorProto(name="v", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../w.data")
    return tensor


def constant(**value: Any) -> Any:
    return helper.make_node("Constant", [], ["v"], **value)


def in_an_attribute(model: Any) -> None:
    model.graph.node.append(constant(value=values_elsewhere()))


def in_a_sparse_one(model: Any) -> None:
    sparse = onnx.SparseTensorProto(dims=[1], values=values_elsewhere())
    model.graph.sparse_initializer.append(sparse)


def in_a_branch(model: Any) -> None:
    branch = helper.make_graph([], "branch", [], [], [values_elsewhere()])
    node = helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)


def in_a_function(model: Any) -> None:
    inside = constant(value=values_elsewhere())
    model.functions.append(helper.make_function("own", "F", [], ["v"], [inside], []))


def in_a_default_of_a_function(model: Any) -> None:
    in_a_function(model)
    del model.functions[0].node[:]
    default = helper.make_attribute("value", values_elsewhere())
    model.functions[0].attribute_proto.append(default)


def in_training(model: Any) -> None:
    model.training_info.add().algorithm.initializer.append(values_elsewhere())


@pytest.mark.parametrize(
    "edit",
    [
        *(in_an_attribute, in_a_sparse_one, in_a_branch, in_a_function),
        *(in_a_default_of_a_function, in_training),
    ],
)
def test_values_elsewhere_are_refused_wherever_they_are_named(
    edit: Edit, tmp_path: Path
) -> None:
    (tmp_path / "w.data").write_bytes(bytes(4))
    (tmp_path / "below").mkdir()
    file = edited(export(ResNetForCifar(), tmp_path / "below" / "w.onnx"), edit)
    with pytest.raises(WeightsError, match="files beside it are expected"):
        loaded(file)


def test_values_that_are_missing_are_named(with_data: Path) -> None:
    with_data.with_name("w.data").unlink()
    with pytest.raises(WeightsError, match=r"keeps values in w\.data, which is not"):
        loaded(with_data)


# What is refused ----------------------------------------------------------------------


def foreign(model: Any) -> None:
    node = helper.make_node("Sort", ["x"], ["sorted"], domain="my.own")
    model.graph.node.append(node)


def foreign_in_a_branch(model: Any) -> None:
    value = helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, None)
    node = helper.make_node("Sort", ["x"], ["b"], domain="my.own")
    branch = helper.make_graph([node], "branch", [], [value])
    model.graph.node.append(
        helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch)
    )


def python_operator(model: Any) -> None:
    node = helper.make_node(
        "PythonOp", ["x"], ["called"], domain="com.microsoft", name="os.system"
    )
    model.graph.node.append(node)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def newer(model: Any) -> None:
    model.opset_import[0].version = 9999


def of_bytes(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


def flat(model: Any) -> None:
    del model.graph.input[0].type.tensor_type.shape.dim[2:]


def huge(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**40, 2**20]


def empty(model: Any) -> None:
    del model.graph.node[:]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (foreign, r"1 operator that ONNX does not have \(my\.own\.Sort\)"),
        (foreign_in_a_branch, r"\(my\.own\.Sort\): they come as machine code"),
        (python_operator, "cannot be computed by onnxruntime"),
        (newer, "cannot be computed by onnxruntime"),
        (of_bytes, r"is given x: uint8 .*expected images of float32"),
        (flat, "expected images of four dimensions"),
        (huge, "cannot be computed by onnxruntime"),
        (empty, "without a graph"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_a_sentence(
    edit: Edit, said: str, tmp_path: Path
) -> None:
    file = edited(export(ResNetForCifar(), tmp_path / "w.onnx"), edit)
    with pytest.raises(WeightsError, match=said) as raised:
        loaded(file)
    assert str(raised.value).startswith(str(file))
    assert len(str(raised.value)) <= 500


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(share: float, tmp_path: Path) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"w\.onnx \(.* is damaged"):
        verify_weights(file, None)


def test_bytes_that_are_changed_are_a_sentence_or_another_digest(
    tmp_path: Path,
) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    content, whole = file.read_bytes(), verify_weights(file, None).sha256
    random = np.random.default_rng(0)
    for place in random.integers(0, len(content), 60):
        changed = bytearray(content)
        changed[place] ^= 1 << random.integers(0, 8)
        file.write_bytes(changed)
        with contextlib.suppress(ReproError):
            assert verify_weights(file, None).sha256 != whole
            Classifier(loaded(file), (0.5,) * 3, (0.5,) * 3, CPU).check((32, 32))


def test_other_loaders_and_files_name_the_loader(tmp_path: Path) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    timm = msgspec.structs.replace(spec_of(), loader="timm", architecture="resnet18")
    with pytest.raises(WeightsError, match=r'write loader = "onnx" for the model'):
        load_checkpoint(timm, tmp_path, file, CPU)
    keyed = msgspec.structs.replace(spec_of(), weights_key="state_dict")
    with pytest.raises(WeightsError, match="have no entry 'state_dict'"):
        load_checkpoint(keyed, tmp_path, file, CPU)
    torch.save(ResNetForCifar().state_dict(), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt holds tensors without their arch"):
        loaded(tmp_path / "w.pt")
    with pytest.raises(ExpectedError, match=r"has pretrained; loader onnx takes"):
        loaded(file, pretrained=True)


# Cases and commands -------------------------------------------------------------------


def case_of(folder: Path, loader: str) -> Case:
    made = release([family("own")], [reference("own", "w")], location=folder)
    models = {
        name: msgspec.structs.replace(model, loader=loader)
        for name, model in made.models.items()
    }
    (case,) = list_cases([msgspec.structs.replace(made, models=models)])
    return case


def test_an_export_beside_the_weights_is_that_of_its_own_loader(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("w.pt", "w.onnx"):
        (folder / name).touch()
    for loader, name in (("onnx", "w.onnx"), ("timm", "w.pt")):
        assert find_weights(case_of(tmp_path, loader), tmp_path) == folder / name
    (folder / "w.pt").unlink()
    with pytest.raises(NotAvailableError, match=r"w\.onnx is there, which loader timm"):
        find_weights(case_of(tmp_path, "timm"), tmp_path)


def test_inspect_says_what_goes_in_and_out(tmp_path: Path) -> None:
    file = export(ResNetForCifar(), tmp_path / "w.onnx")
    found = inspect_weights(file)
    assert found.classes == 10
    assert found.architecture is not None
    assert found.architecture.facts == {"image size": 32}
    said = CliRunner().invoke(cli, ["inspect", str(file)]).output
    assert "ONNX, opset 20, of pytorch" in said
    assert "x: float32 [any, 3, 32, 32]" in said
    assert 'a model of loader = "onnx"' in said


def test_a_release_begins_with_models_that_are_their_own_architecture(
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        export(ResNetForCifar(), tmp_path / f"{name}.onnx")
    surveyed = survey_weights(tmp_path)
    assert [one.model and one.model.loader for one in surveyed] == ["onnx", "onnx"]
    images = SurveyedImages(folder=tmp_path, classes=("0",), images=9, size=(32, 32))
    for one in surveyed:
        assert one.model is not None
        assert one.found is not None
        assert usual_preprocessing(one.model, one.found, images).geometry == "rgb"
    (tmp_path / "a.pt").touch()
    with pytest.raises(OptionError, match="holds 2 files of a, which would be one"):
        survey_weights(tmp_path)
