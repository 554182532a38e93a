from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.data.housekeeping import list_stores
from repro.data.pixels import PixelStore
from repro.errors import OptionError
from repro.published import parse_geometry
from tests.stand_ins import photograph_dataset

GEOMETRY = "rgb|center_crop(16)"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with one store of 30 crops that was used in 2001."""
    dataset = photograph_dataset(tmp_path / "data", per_class=10)
    folder = tmp_path / "cache"
    store = PixelStore(dataset, parse_geometry(GEOMETRY), folder)
    list(store.iterate(range(len(dataset.strata))))
    os.utime(list_stores(folder)[0].path / "store.json", (10**9, 10**9))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["cache", *map(str, arguments)])


def test_the_list_tells_dataset_geometry_images_and_size(cache: Path) -> None:
    result = run("list", "--cache", cache)
    assert result.exit_code == 0
    (row,) = [line for line in result.output.splitlines() if GEOMETRY in line]
    assert "photographs" in row
    assert "30" in row
    assert "kB" in row
    assert "2001-09-09" in row
    assert "1 store of decoded pixels" in result.output


def test_an_empty_cache_has_an_empty_list(tmp_path: Path) -> None:
    result = run("list", "--cache", tmp_path / "none yet")
    assert result.exit_code == 0
    assert "0 stores of decoded pixels" in result.output
    assert not (tmp_path / "none yet").exists()


def test_a_sound_cache_passes_the_check(cache: Path) -> None:
    result = run("check", "--cache", cache)
    assert result.exit_code == 0
    assert "1 store is sound, 0 were damaged" in result.output


def test_a_damaged_store_fails_the_check_and_is_deleted(cache: Path) -> None:
    (file,) = cache.rglob("0003.npy")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    result = run("check", "--cache", cache)
    assert result.exit_code == 1
    assert "0003.npy has another checksum" in result.output
    assert "1 was damaged and deleted" in result.output
    assert not list_stores(cache)


def test_pruning_drops_what_does_not_fit(cache: Path) -> None:
    assert "dropped 0 stores" in run("prune", "--limit", "1G", "--cache", cache).output
    assert (
        "dropped 1 store of" in run("prune", "--limit", "1k", "--cache", cache).output
    )
    assert not list_stores(cache)


def test_pruning_can_drop_all(cache: Path) -> None:
    assert "dropped 1 store of" in run("prune", "--all", "--cache", cache).output
    assert not list_stores(cache)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "give either --limit SIZE or --all"),
        (["prune", "--all", "--limit", "1G"], "give either --limit SIZE or --all"),
        (["prune", "--limit", "much"], "is 'much'; it must be a size such as"),
    ],
)
def test_pruning_says_what_it_needs(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    result = run(*arguments, "--cache", tmp_path)
    assert result.exit_code != 0
    assert message in f"{result.output}{result.exception}"


def test_a_user_without_a_folder_to_write_in_is_asked_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("REPRO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    result = run("list")
    assert isinstance(result.exception, OptionError)
    assert "--cache is none, and this command needs it" in str(result.exception)
