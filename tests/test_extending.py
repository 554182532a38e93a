"""The packages that docs/extending.md tells how to write do what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from repro.cases import Case, list_cases
from repro.errors import ExpectedError
from repro.evaluation.predictions import Metrics
from repro.extensions import installed
from repro.judgement.tolerance import tolerance_of
from repro.models.building import load_model
from repro.models.libraries import find_loader
from repro.options import readers
from repro.published import METRICS, read_releases
from repro.report.faces import face_name, write_report
from repro.report.report import report_of_results

from .made_results import predictions, result
from .published.made_claims import CLAIMS
from .releases import HEAD, edited, fault_of, read_release, write_release

DOCUMENT = Path(__file__).parents[1] / "docs/extending.md"


def forget() -> None:
    installed.cache_clear()
    find_loader.cache_clear()
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
    assert len(groups) == 4
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
    model = load_model(case.model, tmp_path, tmp_path / "w.pt", torch.device("cpu"))
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


def test_its_report_is_a_suffix_like_ours(package: Path, tmp_path: Path) -> None:
    file = readers.report("numbers.tex", tmp_path)
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
