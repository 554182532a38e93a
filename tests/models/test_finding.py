"""Weights are found by every suffix that people use, and shards count as one file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from repro.cases import Case, list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.errors import NotAvailableError, WeightsError
from repro.models.weights import (
    check_recorded,
    find_weights,
    record_checksums,
    verify_weights,
)
from repro.published import (
    EMBEDDED,
    Checksum,
    list_weights,
    read_releases,
    weights_suffixes,
)
from tests.stand_ins import read_state_dict

[RELEASE] = read_releases([EMBEDDED])
CASE = next(case for case in list_cases([RELEASE]) if case.kind == "supervised")
OWN = EMBEDDED / "checkpoints" / CASE.family.id / f"{CASE.checkpoint}.pt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / CASE.family.id
    found.mkdir(parents=True)
    return found


def shards_of(folder: Path, stem: str) -> Path:
    """Save the weights of the case as an index and two shards."""
    state = {name: t.contiguous() for name, t in read_state_dict(OWN).items()}
    names = list(state)
    shards = {f"{stem}-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for shard, own in shards.items():
        save_file({name: state[name] for name in own}, folder / shard)
    index = {name: shard for shard, own in shards.items() for name in own}
    file = folder / f"{stem}.safetensors.index.json"
    file.write_text(json.dumps({"weight_map": index}))
    return file


@pytest.mark.parametrize("suffix", weights_suffixes("timm"))
def test_a_checkpoint_is_found_by_each_suffix(
    suffix: str, folder: Path, tmp_path: Path
) -> None:
    file = folder / f"{CASE.checkpoint}{suffix}"
    shutil.copy(OWN, file)
    assert find_weights(CASE, tmp_path) == file
    assert list_weights(folder) == [file]


def cases_of(tmp_path: Path) -> Sequence[Case]:
    release = msgspec.structs.replace(RELEASE, references=())
    return list_cases([release], tmp_path)


def test_files_without_numbers_are_cases_by_their_names_without_suffix(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copy(OWN, folder / "model_best.pth.tar")
    shards_of(folder, "big")
    names = {case.checkpoint for case in cases_of(tmp_path)}
    assert names == {"model_best", "big"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"{CASE.checkpoint}.weights", r"weights is there, but no file with that suff"),
        (f"{CASE.checkpoint}.pt", r"there leads to .*gone\.pt, which is gone$"),
    ],
)
def test_what_lies_there_and_is_not_looked_for_is_named(
    name: str, told: str, folder: Path, tmp_path: Path
) -> None:
    if name.endswith(".pt"):
        (folder / name).symlink_to(folder / "gone.pt")
    else:
        shutil.copy(OWN, folder / name)
    with pytest.raises(NotAvailableError, match=told) as caught:
        find_weights(CASE, tmp_path)
    assert len(str(caught.value)) <= 500


def test_shards_have_one_digest_and_a_sum_each(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    index = shards_of(folder, CASE.checkpoint)
    found = verify_weights(index, tmp_path / "cache")
    assert len(found.files) == 3
    assert found.size == sum(file.stat().st_size for file in folder.iterdir())
    family = CASE.family.id
    sums = [
        Checksum(id=f"{family}/{file.path.name}", size=file.size, sha256=file.sha256)
        for file in found.files
    ]
    release = msgspec.structs.replace(RELEASE, location=tmp_path, checksums={})
    record_checksums(release, sums)
    assert check_recorded(release, family, found)

    shard = folder / f"{CASE.checkpoint}-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x7f")
    changed = verify_weights(index, tmp_path / "cache")
    assert changed.sha256 != found.sha256
    with pytest.raises(WeightsError, match=rf"{shard.name} has changed"):
        check_recorded(release, family, changed)


@pytest.mark.parametrize("sharded", [True, False])
def test_a_measurement_says_how_its_weights_were_read(
    sharded: bool, folder: Path, tmp_path: Path
) -> None:
    if sharded:
        shards_of(folder, CASE.checkpoint)
    else:
        state = {f"module.{n}": t for n, t in read_state_dict(OWN).items()}
        torch.save({"state_dict": state}, folder / f"{CASE.checkpoint}.pth.tar")
    settings = EngineSettings(checkpoints=tmp_path, device="cpu", limit=20)
    measured, _ = Evaluator(settings).measure(CASE)
    plain, _ = Evaluator(EngineSettings(device="cpu", limit=20)).measure(CASE)
    assert measured.metrics == plain.metrics
    assert plain.weights_read == ()
    done = ("prefix 'module.' removed", "entry 'state_dict' chosen")
    assert measured.weights_read == (() if sharded else done)
