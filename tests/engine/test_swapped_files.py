"""What a measurement names by a digest is what was measured, whoever writes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from repro.cases import Case, list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.errors import ExpectedError, WeightsError
from repro.models.building import load_checkpoint
from repro.models.libraries import read_own_files
from repro.models.weights import hash_file, verify_weights
from repro.models.zeroshot import build_tokenizer
from repro.published import EMBEDDED, ModelSpec, read_releases

CASES = list_cases(read_releases([EMBEDDED]))
CPU = torch.device("cpu")
CODE = """
from torch import nn

class Net(nn.Linear):
    scale = {}
    def __init__(self):
        super().__init__(2, 2)
    def forward(self, images):
        return self.scale * super().forward(images)
"""


def case_of(kind: str) -> Case:
    return next(case for case in CASES if case.kind == kind)


def test_code_that_is_swapped_after_it_was_read_is_not_run(tmp_path: Path) -> None:
    spec = ModelSpec(id="m", loader="python", architecture="Net", code="net.py")
    plain = nn.Linear(2, 2)
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    (tmp_path / "net.py").write_text(CODE.format(1))
    files = read_own_files(spec, tmp_path)
    (tmp_path / "net.py").write_text(CODE.format(2))
    given = spec, tmp_path, tmp_path / "w.pt", CPU
    images = torch.rand(3, 2)
    as_read = load_checkpoint(*given, run_code=True, files=files).model
    assert torch.equal(as_read(images), plain(images))
    assert files.digests == (hashlib.sha256(CODE.format(1).encode()).hexdigest(),)
    as_it_is = load_checkpoint(*given, run_code=True).model
    assert torch.equal(as_it_is(images), 2 * plain(images))


def test_code_that_is_another_than_the_release_names_is_never_read_for_use(
    tmp_path: Path,
) -> None:
    code = CODE.format(1)
    spec = ModelSpec(
        id="m",
        loader="python",
        architecture="Net",
        code="net.py",
        code_url="https://example.org/net.py",
        code_sha256=hashlib.sha256(code.encode()).hexdigest(),
    )
    (tmp_path / "net.py").write_text(code)
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
    given = spec, tmp_path, tmp_path / "w.pt", CPU
    load_checkpoint(*given, run_code=True)
    # After whatever has looked whether it is there.
    (tmp_path / "net.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(ExpectedError, match="the release names"):
        load_checkpoint(*given, run_code=True)


@pytest.mark.parametrize("key", ["config", "tokenizer"])
def test_what_describes_a_model_is_what_its_digest_is_of(
    key: str, tmp_path: Path
) -> None:
    case = case_of("clip")
    location = shutil.copytree(EMBEDDED, tmp_path / "release")
    files = read_own_files(case.model, location)
    weights = Evaluator(EngineSettings(device="cpu"))._sources.weights(case).path
    build_tokenizer(case.model, files)
    load_checkpoint(case.model, location, weights, CPU, files=files)
    with files.path(key).open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(ExpectedError, match="was changed while a model was made"):
        load_checkpoint(case.model, location, weights, CPU, files=files)
    assert files.digests != read_own_files(case.model, location).digests


def _replace(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)


def _write_into(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\0")


def _write_and_put_times_back(file: Path) -> None:
    before = file.stat()
    _write_into(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "swap", [_replace, _write_into, _write_and_put_times_back, Path.unlink]
)
def test_weights_that_change_while_they_are_evaluated_measure_nothing(
    swap: Callable[[Path], None], tmp_path: Path
) -> None:
    case = case_of("supervised")
    folder = tmp_path / case.family.id
    shutil.copytree(EMBEDDED / "checkpoints" / case.family.id, folder)
    file = folder / f"{case.checkpoint}.pt"
    settings = EngineSettings(checkpoints=tmp_path, device="cpu", limit=50)
    done: list[int] = []

    def progress(images: int) -> None:
        if not done:
            swap(file)
        done.append(images)

    with pytest.raises(WeightsError, match=r"was written to or replaced after it was"):
        Evaluator(settings).measure(case, progress)
    assert done


def test_weights_that_change_while_they_are_hashed_have_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "w.pt"
    torch.save(nn.Linear(2, 2).state_dict(), file)

    def hash_late(path: Path) -> str:
        _replace(path)
        return hash_file(path)

    monkeypatch.setattr("repro.models.weights.hash_file", hash_late)
    with pytest.raises(WeightsError, match="was written to or replaced"):
        verify_weights(file, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
