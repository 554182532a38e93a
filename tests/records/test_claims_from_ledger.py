"""Claims are checked with what earlier runs measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from repro.claims.evidence import MissingError, PublishedEvidence
from repro.cli import cli
from repro.evaluation.predictions import Predictions
from repro.records.identity import Asked, GitState
from repro.records.ledger import Ledger

from ..made_results import measurement, result
from ..plugin.conftest import ReleaseCopy

CASE = "supervised/real/{}@digits-supervised"


def write_run(
    folder: Path, losses: Mapping[str, float], release: str = "embedded", **fields: Any
) -> None:
    """Record a run in which supervised checkpoints have these mean losses."""
    with Ledger(folder, create=True) as ledger:
        uid = f"run {len(ledger.runs())}"
        run = ledger.begin(uid, len(losses), [], GitState())
        for checkpoint, loss in losses.items():
            found = predictions(loss)
            measured = measurement(found.metrics(), **fields)
            made = result(
                checkpoint,
                id=CASE.format(checkpoint),
                release=release,
                measurement=measured,
            )
            ledger.record(run, made, found)


def predictions(loss: float, images: int = 200) -> Predictions:
    hardness = np.random.default_rng(0).gamma(2.0, size=images)
    return Predictions(
        indices=np.arange(images),
        labels=np.zeros(images, dtype=np.int64),
        classes=np.zeros((images, 5), dtype=np.int32),
        losses=loss * hardness / hardness.mean(),
        total=images,
    )


def claim(folder: Path, name: str) -> dict[str, Any]:
    command = ["claims", "--expected", "embedded", "--ledger", str(folder), "--json"]
    output = CliRunner().invoke(cli, command, catch_exceptions=False).output
    found: dict[str, Any] = {c["id"]: c for c in json.loads(output)}[name]
    return found


SIZES = ("40", "80", "160", "320", "640", "1280")


def power_law(exponent: float) -> dict[str, float]:
    return {name: 40 * float(name) ** -exponent for name in SIZES}


def test_the_newest_measurements_count_with_their_predictions(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.5))
    assert claim(tmp_path, "exponent-supervised-real")["verdict"] == "fails"
    write_run(tmp_path, power_law(0.78))
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["verdict"] == "holds"
    assert found["findings"][0]["value"] == pytest.approx(0.78)
    assert found["findings"][0]["origin"] == "fit and images resampled"


def test_of_two_runs_each_weights_file_counts_once(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.5), key="old")
    write_run(tmp_path, power_law(0.78), key="new")
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["findings"][0]["value"] == pytest.approx(0.78)
    # What another release calls by the same name is not this one's.
    for name in ("another", "z"):
        write_run(tmp_path, power_law(0.5), release=name, key=name)
    assert claim(tmp_path, "exponent-supervised-real") == found


def test_a_checkpoint_without_numbers_is_found_in_the_ledger(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.78) | {"100": 40 * 100**-0.78})
    found = claim(tmp_path, "exponent-supervised-real")
    assert [p["images"] for p in found["curves"][0]["fit"]["points"]] == [
        *(40, 80, 100, 160, 320, 640, 1280)
    ]


def test_what_no_run_measured_is_missing(tmp_path: Path) -> None:
    losses = power_law(0.78)
    del losses["160"]
    write_run(tmp_path, losses)
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["verdict"] == "missing"
    assert found["missing"] == [CASE.format("160")]


def test_a_part_of_the_images_is_no_measurement_of_all(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.78))
    write_run(tmp_path, power_law(0.1), total=500)
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["findings"][0]["value"] == pytest.approx(0.78)


def test_measurements_of_other_images_are_not_mixed(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.78))
    write_run(tmp_path, {"160": 5.0}, dataset_fingerprint="ef" * 32)
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["findings"][0]["value"] == pytest.approx(0.78)
    losses = power_law(0.5)
    del losses["160"]
    write_run(tmp_path, losses, conditions="other settings")
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["findings"][0]["value"] == pytest.approx(0.78)
    write_run(tmp_path, {"160": losses["320"]}, conditions="other settings")
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["findings"][0]["value"] != pytest.approx(0.78, abs=0.01)


def test_what_was_measured_in_other_conditions_only_is_missing(tmp_path: Path) -> None:
    losses = power_law(0.78)
    other = {"160": losses.pop("160")}
    for _ in range(2):
        write_run(tmp_path, other, dataset_fingerprint="ef" * 32)
    write_run(tmp_path, losses)
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["missing"] == [CASE.format("160")]
    assert "was measured in run 2, but on other images" in found["reason"]


def test_of_several_weights_in_one_run_none_is_chosen(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.78))
    with Ledger(tmp_path) as ledger:
        (made, *_) = ledger.results(1)
        assert made.measurement is not None
        other = msgspec.structs.replace(made.measurement, key="other")
        asked = msgspec.structs.replace(made, asked=Asked(digest="other"))
        again = msgspec.structs.replace(asked, measurement=other)
        ledger.record(1, again, predictions(5.0))
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["verdict"] == "missing"
    assert found["missing"] == [made.id]
    assert found["reason"] == (f"run 1 measured {made.id} with several weights files")


def published(release: ReleaseCopy, name: str) -> dict[str, Any]:
    command = ["claims", "--expected", str(release.folder), "--published", "--json"]
    output = CliRunner().invoke(cli, command, catch_exceptions=False).output
    found: dict[str, Any] = {c["id"]: c for c in json.loads(output)}[name]
    return found


def add_source(release: ReleaseCopy, name: str, loss: str) -> None:
    """Let another source have printed another loss of supervised/real/40."""
    file = release.folder / "references.toml"
    made = (
        f'\n[source.{name}]\ntitle = "Another"\nurl = "https://example.org"\n'
        '\n[[reference]]\nfamily = "supervised/real"\ncheckpoint = "40"\n'
        'dataset = "digits-val"\nprotocol = "digits-supervised"\n'
        f'source = "{name}"\nloss = "{loss}"\n'
    )
    file.write_text(file.read_text() + made)


def test_of_several_sources_that_of_the_claim_counts(tmp_path: Path) -> None:
    release = ReleaseCopy(tmp_path / "release")
    before = published(release, "exponent-supervised-real")
    assert before["verdict"] == "holds"
    add_source(release, "measured", "1.0")
    assert published(release, "exponent-supervised-real") == before
    add_source(release, "blog", "1.0")
    assert published(release, "exponent-supervised-real") == before


def test_a_number_that_only_others_print_differently_is_not_chosen(
    tmp_path: Path,
) -> None:
    copy = ReleaseCopy(tmp_path / "release")
    add_source(copy, "blog", "1.0")
    release = copy.read()
    stated = next(c for c in release.claims if c.id == "exponent-supervised-real")
    claim = msgspec.structs.replace(stated, source="figure")
    place = ("supervised/real",)
    with pytest.raises(MissingError, match=r"40 was published as .*, 1\.0 in blog"):
        PublishedEvidence(release, claim).observe(place, "40")
