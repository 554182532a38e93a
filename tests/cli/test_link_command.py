"""`repro link` takes each family's folder under whatever name it has, and says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.errors import ReproError
from repro.models.weights import find_weights
from repro.published import EMBEDDED

from ..plugin.conftest import ReleaseCopy

WEIGHTS = EMBEDDED / "checkpoints"


@pytest.fixture
def release(tmp_path: Path) -> ReleaseCopy:
    """The embedded release without weights, and its folders' names elsewhere."""
    copy = ReleaseCopy(tmp_path / "release")
    shutil.rmtree(copy.folder / "checkpoints")
    for family, local in (
        ("supervised/real", "photographs"),
        ("clip/synthetic", "Synthetic"),
        ("clip/synthetic+real", "Syn_Real"),
    ):
        header = f'[family."{family}"]\n'
        copy.edit("release.toml", (header, f'{header}local_names = ["{local}"]\n'))
    return copy


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


def take(mirror: Path, family: str, name: str) -> None:
    """Copy two weights files of a family into the mirror."""
    (mirror / name).mkdir(parents=True, exist_ok=True)
    for file in sorted((WEIGHTS / family).iterdir())[:2]:
        shutil.copy(file, mirror / name)


def link(release: ReleaseCopy, mirror: Path, *options: str) -> Result:
    arguments = ["link", str(mirror), "--expected", str(release.folder)]
    arguments += ["--checkpoints", str(mirror.parent / "checkpoints"), *options]
    return CliRunner().invoke(cli, arguments)


def linked(mirror: Path) -> dict[str, Path]:
    folder = mirror.parent / "checkpoints"
    files = (path for path in folder.rglob("*") if path.is_symlink())
    return {str(file.relative_to(folder)): file.resolve() for file in files}


def test_local_names_are_found_and_each_file_is_shown_with_its_cases(
    release: ReleaseCopy, mirror: Path
) -> None:
    take(mirror, "supervised/real", "photographs")
    take(mirror, "clip/synthetic+real", "Syn_Real")
    result = link(release, mirror)
    assert result.exit_code == 0, result.output
    assert f"supervised/real: {mirror}/photographs: 'photographs' is one of" in (
        result.output
    )
    assert "  1280.pt for supervised/real/1280@digits-supervised" in result.output
    assert "clip/synthetic: not linked: no folder is named like it" in result.output
    assert "  40 is not there, but has published numbers" in result.output
    assert linked(mirror) == {
        f"{family}/{name}": mirror / local / name
        for family, local, names in (
            ("supervised/real", "photographs", ("1280.pt", "160.pt")),
            ("clip/synthetic+real", "Syn_Real", ("1280.pt", "160.pt")),
        )
        for name in names
    }
    (case, *_) = (
        case
        for case in _cases(release)
        if case.family.id == "supervised/real" and case.checkpoint == "160"
    )
    found = find_weights(case, mirror.parent / "checkpoints")
    assert found.resolve() == mirror / "photographs" / "160.pt"


def _cases(release: ReleaseCopy) -> list[Case]:
    return list_cases([release.read()])


def test_a_second_link_changes_nothing(release: ReleaseCopy, mirror: Path) -> None:
    take(mirror, "supervised/real", "photographs")
    link(release, mirror)
    before = linked(mirror)
    assert link(release, mirror).exit_code == 0
    assert linked(mirror) == before


def test_a_dry_run_only_shows(release: ReleaseCopy, mirror: Path) -> None:
    take(mirror, "supervised/real", "photographs")
    said = link(release, mirror, "--dry-run").output
    assert "2 files would be linked" in said
    assert "repro verify" not in said
    assert linked(mirror) == {}


def test_where_nothing_is_linked_there_is_nothing_to_trust(
    release: ReleaseCopy, mirror: Path
) -> None:
    mirror.mkdir()
    result = link(release, mirror)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("nothing is linked in ")
    assert "repro verify" not in result.output


def test_the_kind_of_the_models_tells_families_of_one_name_apart(
    release: ReleaseCopy, mirror: Path
) -> None:
    take(mirror, "clip/real", "REAL")
    result = link(release, mirror)
    assert f"clip/real: {mirror}/REAL: is spelt like the family's name" in result.output
    assert f"supervised/real: not linked: {mirror}/REAL holds clip" in result.output
    assert set(linked(mirror)) == {"clip/real/1280.pt", "clip/real/160.pt"}


def test_a_folder_that_two_families_could_have_is_left_to_the_user(
    release: ReleaseCopy, mirror: Path
) -> None:
    header = '[family."supervised/synthetic"]\n'
    release.edit("release.toml", (header, f'{header}local_names = ["photographs"]\n'))
    take(mirror, "supervised/real", "photographs")
    result = link(release, mirror)
    assert result.exit_code == 1
    assert (
        "photographs could be supervised/real or supervised/synthetic: say which with "
        "--family supervised/real=photographs"
    ) in result.output
    assert linked(mirror) == {}
    result = link(release, mirror, "--family", "supervised/synthetic=photographs")
    assert "chosen with --family" in result.output
    assert {Path(name).parent for name in linked(mirror)} == {
        Path("supervised/synthetic")
    }


def test_a_file_of_another_kind_is_not_taken(
    release: ReleaseCopy, mirror: Path
) -> None:
    take(mirror, "supervised/real", "photographs")
    shutil.copy(WEIGHTS / "clip/real/80.pt", mirror / "photographs/80.pt")
    result = link(release, mirror)
    assert "  80.pt not taken: it holds a clip model" in result.output
    assert "supervised/real/80.pt" not in linked(mirror)


def test_a_damaged_file_is_not_taken(release: ReleaseCopy, mirror: Path) -> None:
    take(mirror, "supervised/real", "photographs")
    file = mirror / "photographs" / "160.pt"
    file.write_bytes(file.read_bytes()[:-1000])
    result = link(release, mirror)
    assert "  160.pt not taken: " in result.output
    assert "is damaged" in result.output
    assert set(linked(mirror)) == {"supervised/real/1280.pt"}


def test_a_file_that_is_there_is_never_replaced(
    release: ReleaseCopy, mirror: Path
) -> None:
    take(mirror, "supervised/real", "photographs")
    own = mirror.parent / "checkpoints/supervised/real/160.pt"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    result = link(release, mirror)
    assert isinstance(result.exception, ReproError)
    assert f"{own} is there already" in str(result.exception)
    assert own.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("photographs", "it must be FAMILY=FOLDER"),
        ("other/real=photographs", "it must be FAMILY=FOLDER"),
        ("clip/real=nowhere", "mirror/nowhere is no folder"),
    ],
)
def test_a_choice_names_a_family_and_a_folder(
    release: ReleaseCopy, mirror: Path, option: str, message: str
) -> None:
    take(mirror, "supervised/real", "photographs")
    result = link(release, mirror, "--family", option)
    assert isinstance(result.exception, ReproError)
    assert message in str(result.exception)
