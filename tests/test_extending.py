"""The packages that docs/extending.md tells how to write do what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.cases import Case, list_cases
from repro.data.dataset import index_dataset, remembered_dataset
from repro.data.listing import read_image
from repro.data.pixels import PixelStore
from repro.data.readers import find_reader
from repro.diagnosis.suspects import own_topics, read_topics
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.errors import DatasetError, ExpectedError
from repro.evaluation.predictions import Metrics
from repro.extensions import installed
from repro.judgement.tolerance import tolerance_of
from repro.models.building import load_checkpoint
from repro.models.libraries import find_loader
from repro.options import option as read
from repro.published import METRICS, DatasetSpec, parse_geometry, read_releases
from repro.report.faces import face_name, write_report
from repro.report.report import report_of_results

from .diagnosis.planted import planted
from .made_results import predictions, result
from .published.made_claims import CLAIMS
from .releases import HEAD, edited, fault_of, read_release, write_release
from .stand_ins import dataset_spec

DOCUMENT = Path(__file__).parents[1] / "docs/extending.md"


def forget() -> None:
    installed.cache_clear()
    find_loader.cache_clear()
    find_reader.cache_clear()
    read_topics.cache_clear()
    METRICS.pop("top3", None)
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install what the document shows, as pip lays out a package."""
    text = DOCUMENT.read_text()
    folder = tmp_path / "site"
    for content in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        file = folder / re.findall(r"^# (\S+\.py)$", content, re.M)[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    entry = r'^\[project\.entry-points\."(.+)"\]\n(\w+) = "(.+)"'
    groups = re.findall(entry, text, re.MULTILINE)
    information = folder / "my_package-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: my-package\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{name} = {value}\n" for group, name, value in groups)
    )
    assert len(groups) == 6
    forget()
    monkeypatch.syspath_prepend(folder)
    yield folder
    forget()


def case_of(folder: Path, *edits: str) -> Case:
    return list_cases(read_releases([write_release(folder, edited(*edits))]))[0]


def test_its_loader_builds_a_model(package: Path, tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        'loader = "timm"\narchitecture = "vit_base_patch16_224"',
        'loader = "mine"\narchitecture = "linear"\n'
        "options = { in_features = 12, out_features = 2 }",
    )
    weights = {"1.weight": torch.rand(2, 12), "1.bias": torch.rand(2)}
    torch.save(weights, tmp_path / "w.pt")
    model = load_checkpoint(
        case.model, tmp_path, tmp_path / "w.pt", torch.device("cpu")
    ).model
    images = torch.rand(1, 3, 2, 2)
    expected = images.flatten(1) @ weights["1.weight"].T + weights["1.bias"]
    assert torch.allclose(model(images), expected)


def test_its_metric_is_read_counted_and_judged(package: Path, tmp_path: Path) -> None:
    assert "top3" not in list(METRICS)
    case = case_of(tmp_path, 'top1 = "50.580"', 'top3 = "83.1"')
    (reference,) = case.references
    assert (reference.metric, str(reference.published)) == ("top3", "83.1")
    assert float(tolerance_of(reference).value) == pytest.approx(0.05 + 0.05)
    found = predictions(images=200)
    within = (found.classes[:, :3] == found.labels[:, None]).any(axis=1)
    assert found.metrics().value("top3") == 100 * within.sum() / 200


def test_its_metric_is_known_where_no_file_names_it(package: Path) -> None:
    counted = predictions(images=200).metrics()
    forget()
    kept = Metrics(images=200, top1=1, top5=2, loss_sum=3.0, others=counted.others)
    assert "top3" in kept.counted()
    assert kept.value("top3") == counted.value("top3")


def test_its_metric_may_be_that_of_a_tolerance_or_a_claim(
    package: Path, tmp_path: Path
) -> None:
    own = '[source.paper]\ntolerance = { top3 = 1, reason = "made up" }'
    assert METRICS["top3"].label == "top-3"
    forget()
    assert read_releases([write_release(tmp_path, edited("[source.paper]", own))])
    forget()
    claim = CLAIMS["ordering"].replace('metric = "top1"', 'metric = "top3"')
    assert read_release(tmp_path, HEAD + claim).claims[0].metric == "top3"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "TOP3 = 3",
            r"\(my_package\.scoring:TOP3\) is of .*int.* and not a Metric",
        ),
        ("", r"the metric 'top3' .* cannot be imported"),
    ],
)
def test_an_entry_point_that_is_no_metric_is_an_error_of_its_package(
    package: Path, tmp_path: Path, content: str, message: str
) -> None:
    (package / "my_package/scoring.py").write_text(content)
    with pytest.raises(ExpectedError, match=message):
        case_of(tmp_path, 'top1 = "50.580"', 'top3 = "83.1"')


@pytest.fixture
def arrays(tmp_path: Path) -> tuple[DatasetSpec, Path]:
    """Two classes of three images of noise each, as arrays."""
    draw = np.random.default_rng(0)
    spec = dataset_spec(["cat", "dog"], 6)
    folder = tmp_path / "data" / spec.folder
    folder.mkdir(parents=True)
    for name in spec.classes:
        pixels = draw.integers(256, size=(3, 12, 16, 3), dtype=np.uint8)
        np.save(folder / f"{name}.npy", pixels)
    return spec, tmp_path / "data"


def test_its_dataset_is_one_like_any_other(
    package: Path, arrays: tuple[DatasetSpec, Path], tmp_path: Path
) -> None:
    spec, data = arrays
    dataset = index_dataset(spec, data, cache=tmp_path / "cache")
    assert len(dataset) == 6
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert remembered_dataset(spec, data, tmp_path / "cache") is None  # still young
    geometry = parse_geometry("rgb|center_crop(12)")
    store = PixelStore(dataset, geometry, tmp_path / "cache", threads=1)
    found = {
        dataset.files[member]: crop.copy()
        for stratum, crops in store.iterate(range(len(dataset.strata)))
        for member, crop in zip(dataset.strata[stratum], crops, strict=True)
    }
    for name in spec.classes:
        for number, pixels in enumerate(np.load(data / spec.folder / f"{name}.npy")):
            expected = pixels[:, 2:14].transpose(2, 0, 1)
            assert np.array_equal(found[f"{name}/{number:05}.ppm"], expected)


def test_its_images_are_read_as_they_were_indexed(
    package: Path, arrays: tuple[DatasetSpec, Path]
) -> None:
    spec, data = arrays
    dataset = index_dataset(spec, data)
    file = data / spec.folder / "dog.npy"
    np.save(file, np.load(file)[::-1])
    assert index_dataset(spec, data).fingerprint == dataset.fingerprint
    first, middle, last = (dataset.files.index(f"dog/0000{n}.ppm") for n in range(3))
    read_image(dataset.place(middle), dataset.digests[middle])
    for index in (first, last):
        with pytest.raises(DatasetError, match=r"dog\.npy\[[02]\] has changed since"):
            read_image(dataset.place(index), dataset.digests[index])


def test_a_copy_of_its_kind_that_lacks_images_is_refused(
    package: Path, arrays: tuple[DatasetSpec, Path]
) -> None:
    spec, data = arrays
    file = data / spec.folder / "dog.npy"
    np.save(file, np.load(file)[:2])
    with pytest.raises(DatasetError, match=r"it holds 5 images; .* has 6"):
        index_dataset(spec, data)


@pytest.mark.slow
def test_its_suspects_are_tried(package: Path, tmp_path: Path) -> None:
    topics = read_topics()
    assert [topic.name for topic in own_topics()] == list(topics)
    suspects = [suspect.name for suspect in topics["resize and crop"].suspects]
    assert suspects[-2:] == [
        "a resize to 232 for a crop of 224",
        "no resize before the crop",
    ]
    case = planted("supervised/real/160", top1="70.00", top5="90.00", loss="1.000000")
    engine = Evaluator(EngineSettings(cache=tmp_path, device="cpu"))
    _, predictions = engine.measure(case)
    found = engine.diagnose(case, predictions)
    (tried,) = (trial for trial in found.trials if trial.suspect == suspects[-1])
    assert tried.topic == "resize and crop"


def test_its_report_is_a_suffix_like_ours(package: Path, tmp_path: Path) -> None:
    file = read.report("numbers.tex", tmp_path)
    write_report(file, report_of_results([result("1M")]))
    assert file.read_text() == (
        "supervised/real/1M@plain & top1 & 76.500 & 76.500 \\\\\n"
        "supervised/real/1M@plain & loss & 0.800000 & 0.800100 \\\\\n"
    )


def test_of_several_suffixes_that_fit_the_longest_counts(package: Path) -> None:
    assert face_name(Path("a.badge.json")) == "badge.json"
    assert face_name(Path("a.json")) == "json"
    with pytest.raises(ValueError, match=r"must end with one of \.json, .*, \.tex$"):
        face_name(Path("a.pdf"))


def test_a_metric_that_nobody_has_installed_is_an_unknown_key(tmp_path: Path) -> None:
    text = edited('top1 = "50.580"', 'top3 = "83.1"')
    assert "unknown key 'top3'" in fault_of(tmp_path, text)
