"""One key holds all that a measurement depends on, and everybody goes by it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import repro
from repro.cases import Case, list_cases
from repro.engine.settings import STANDING_FOR, WITHOUT_INFLUENCE, EngineSettings
from repro.evaluation.predictions import Predictions
from repro.published import read_releases
from repro.records.comparison import pair_results
from repro.records.identity import (
    Asked,
    GitState,
    MeasurementKey,
    asked,
    code_digest,
    digest_of,
    measurement_key,
)
from repro.records.ledger import Ledger
from repro.records.predictions import RunFolder
from repro.records.result import CaseResult, Measurement
from repro.report.rows import rows_of
from repro.report.texts import variants

from ..made_results import ENVIRONMENT, measurement, predictions, result

CODE = GitState("0123abcd", "")
PREFIX = "repro-run-"


class Later(EngineSettings, frozen=True, kw_only=True):
    """Settings with a field that nobody has heard of."""

    shade: str = "plain"


@pytest.fixture(scope="module")
def case() -> Case:
    return list_cases(read_releases(["embedded"]))[0]


def key_of(case: Case, settings: EngineSettings, **fields: Any) -> MeasurementKey:
    given: dict[str, Any] = {
        "model_files": (),
        "weights_sha256": "ab" * 32,
        "dataset_fingerprint": "cd" * 32,
        "environment": ENVIRONMENT,
        "may_end_early": settings.may_end_early,
        "code": CODE,
    }
    return measurement_key(case, settings.counted(case), **(given | fields))


def measured(key: MeasurementKey, seed: int) -> tuple[Measurement, Predictions]:
    made = predictions(seed=seed)
    return measurement(
        made.metrics(), key=key.whole.digest, conditions=key.conditions
    ), made


def asked_for(case: Case, settings: EngineSettings) -> Asked:
    return asked(case, settings.asked(), settings.chosen())


def in_a_run(case: Case, settings: EngineSettings, seed: int) -> CaseResult:
    found, _ = measured(key_of(case, settings), seed)
    return result(id=case.id, measurement=found, asked=asked_for(case, settings))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_files", ("ef" * 32,)),
        ("weights_sha256", "ef" * 32),
        ("dataset_fingerprint", "ef" * 32),
        ("environment", msgspec.structs.replace(ENVIRONMENT, decoder="another")),
        ("code", GitState("0123abcd", "changed")),
    ],
)
def test_whatever_a_measurement_depends_on_makes_another_key(
    case: Case, field: str, value: object
) -> None:
    plain = EngineSettings()
    other = key_of(case, plain, **{field: value})
    assert other.digest != key_of(case, plain).digest


def test_what_a_case_takes_from_its_release_makes_another_key(case: Case) -> None:
    classes = tuple(reversed(case.dataset.classes))
    dataset = msgspec.structs.replace(case.dataset, classes=classes)
    other = msgspec.structs.replace(case, dataset=dataset)
    plain = EngineSettings()
    assert key_of(other, plain).digest != key_of(case, plain).digest


def test_every_field_of_the_settings_counts_unless_it_is_listed(case: Case) -> None:
    listed = {*WITHOUT_INFLUENCE, *STANDING_FOR}
    assert listed < set(EngineSettings.__struct_fields__)
    counted = set(EngineSettings().counted(case))
    assert counted == set(EngineSettings.__struct_fields__) - listed
    assert set(EngineSettings().asked()) == counted | STANDING_FOR.keys()


def test_a_new_field_of_the_settings_is_noticed_by_all(
    case: Case, tmp_path: Path
) -> None:
    plain, shaded = Later(), Later(shade="dark")
    first, second = key_of(case, plain), key_of(case, shaded)
    folder = RunFolder(tmp_path / f"{PREFIX}a")
    one, _ = folder.measure_once(first, lambda: measured(first, seed=1))
    two, _ = folder.measure_once(second, lambda: measured(second, seed=2))
    assert one.metrics != two.metrics
    assert one.conditions != two.conditions
    results = [in_a_run(case, plain, 1), in_a_run(case, shaded, 2)]
    with Ledger(tmp_path / ".repro", create=True) as ledger:
        run = ledger.begin("a", 2, [], CODE)
        for seed, made in enumerate(results, start=1):
            ledger.record(run, made, predictions(seed=seed))
        assert ledger.results(run) == results
        for key, seed in ((first, 1), (second, 2)):
            found = ledger.measured(key.whole.digest)
            assert found is not None
            assert found.measurement.metrics == predictions(seed=seed).metrics()
            kept = ledger.predictions(run, case.id, key.whole.digest)
            assert kept is not None
            assert kept.metrics().top1 == found.measurement.metrics.top1
    assert list(variants(results).values()) == ["shade as by default", "shade dark"]
    assert {row.variant for row in rows_of(results)} == set(variants(results).values())
    pairs = pair_results(results, reversed(results)).both
    assert [(b.place, a.place) for b, a in pairs] == [
        (made.place, made.place) for made in reversed(results)
    ]


def test_the_checkpoint_and_the_software_are_no_condition_and_all_else_is(
    case: Case,
) -> None:
    first = key_of(case, EngineSettings())
    # As records of before have it: claims join measurements by it.
    assert len(first.conditions) == 32
    others = dict.fromkeys(first.__struct_fields__, "other")
    alike = {
        *("case", "model", "model_files", "weights_sha256", "ends_with", "decides"),
        *("environment", "code", "changes"),
    }
    for name, value in others.items():
        other = msgspec.structs.replace(first, **{name: value})
        assert (other.conditions == first.conditions) is (name in alike)
        assert other.digest != first.digest


def test_code_is_known_by_names_and_content_as_it_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_imported = code_digest()
    package = tmp_path / "repro"
    (package / "room").mkdir(parents=True)
    monkeypatch.setattr(repro, "__file__", str(package / "__init__.py"))
    # Somebody edits the files while it runs.
    assert code_digest() == as_imported
    found = [as_imported]
    for name, content in (
        ("a.py", "1"),
        ("a.py", "2"),
        ("room/a.py", "2"),
        ("b.py", ""),
    ):
        (package / name).write_text(content)
        code_digest.cache_clear()
        found.append(code_digest())
    assert len(set(found)) == len(found)
    assert all(len(digest) == 64 for digest in found)
    (package / "notes.txt").write_text("no code")
    code_digest.cache_clear()
    assert code_digest() == found[-1]
    monkeypatch.undo()
    code_digest.cache_clear()
    assert code_digest() == as_imported


def test_equal_content_has_one_digest_in_whatever_order() -> None:
    assert digest_of({"a": 1, "b": Path("c")}) == digest_of({"b": Path("c"), "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_settings_without_influence_ask_for_the_same(case: Case) -> None:
    other = EngineSettings(workers=8, batch_size=3, cache=Path("a"), cache_limit=5)
    assert asked_for(case, other) == asked_for(case, EngineSettings())
    assert key_of(case, other) == key_of(case, EngineSettings())


def test_a_copy_elsewhere_is_asked_for_apart_and_measures_the_same(case: Case) -> None:
    copied = EngineSettings(data=Path("/copy"), checkpoints=Path("/other"))
    assert asked_for(case, copied) != asked_for(case, EngineSettings())
    assert key_of(case, copied).digest == key_of(case, EngineSettings()).digest


def test_published_numbers_count_only_for_what_they_ended(
    case: Case, tmp_path: Path
) -> None:
    reference = msgspec.structs.replace(case.references[0], note="edited")
    edited = msgspec.structs.replace(case, references=(reference,))
    first, second = (key_of(c, EngineSettings()) for c in (case, edited))
    assert first.whole == second.whole
    assert first.digest != second.digest

    def ended() -> tuple[Measurement, Predictions]:
        found, made = measured(first, seed=1)
        ended = msgspec.structs.replace(found, key=first.digest, stopped_early=True)
        return ended, made

    folder = RunFolder(tmp_path / f"{PREFIX}a")
    assert folder.measure_once(first, ended)[0].stopped_early
    assert folder.measure_once(first, lambda: measured(first, 2))[0].stopped_early
    whole, _ = folder.measure_once(second, lambda: measured(second, seed=2))
    assert not whole.stopped_early


def test_results_that_only_folders_set_apart_are_named_by_them(case: Case) -> None:
    folders = [Path(f"/data/{name}/weights") for name in "ab"]
    results = [in_a_run(case, EngineSettings(checkpoints=f), 1) for f in folders]
    said = list(variants(results).values())
    assert said == ["weights a/weights", "weights b/weights"]
    assert list(variants(results[:1]).values()) == [""]


def test_what_was_asked_elsewhere_is_still_the_same_case(case: Case) -> None:
    before = in_a_run(case, EngineSettings(data=Path("/old")), 1)
    after = in_a_run(case, EngineSettings(data=Path("/new")), 1)
    assert pair_results([before], [after]).both == [(before, after)]


def leave(folder: Path, *, seconds_ago: float) -> None:
    folder.mkdir()
    (folder / "owner.lock").touch()
    (folder / "left.json").write_text("{}")
    then = time.time() - seconds_ago
    os.utime(folder, (then, then))


def test_what_dead_runs_left_is_removed_and_living_ones_keep_theirs(
    tmp_path: Path,
) -> None:
    dead, new, living = (tmp_path / f"{PREFIX}{n}" for n in ("dead", "new", "living"))
    leave(dead, seconds_ago=3600)
    leave(new, seconds_ago=0)
    leave(living, seconds_ago=3600)
    # It died before it could say whose it is.
    early = tmp_path / f"{PREFIX}early"
    leave(early, seconds_ago=3600)
    (early / "owner.lock").unlink()
    os.utime(early, (time.time() - 3600,) * 2)
    own = RunFolder(tmp_path / f"{PREFIX}own")
    with (living / "owner.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        own.claim()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(f"{PREFIX}{n}" for n in ("living", "new", "own"))
    ]
    own.remove()
    assert not (tmp_path / f"{PREFIX}own").exists()
