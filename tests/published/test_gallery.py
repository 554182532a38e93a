"""The releases of others that are shipped: read, pinned, and begun with."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from repro.cases import list_cases
from repro.cli import cli
from repro.engine.settings import EngineSettings
from repro.engine.sources import Sources
from repro.errors import ExpectedError, NotAvailableError
from repro.published import Release, read_releases

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "expected" / "gallery"
NAMES = sorted(file.parent.name for file in GALLERY.glob("*/release.toml"))
#: At a commit, or a file of a release whose name begins with its digest.
PINNED = re.compile(
    r"github\.com/[\w-]+/[\w.-]+/"
    r"((blob|tree|raw)/[0-9a-f]{40}\b|releases/download/.*-[0-9a-f]{8}\.pt$)"
)


@pytest.fixture(scope="module", params=NAMES)
def shipped(request: pytest.FixtureRequest) -> Release:
    (release,) = read_releases([GALLERY / request.param])
    return release


def test_all_of_them_can_be_read_together() -> None:
    releases = read_releases([GALLERY])
    assert [release.location.name for release in releases] == NAMES
    assert all(case.references for case in list_cases(releases))


def test_what_is_named_on_github_is_named_at_a_commit(shipped: Release) -> None:
    links = [source.url for source in shipped.sources.values()]
    links += [model.code_url for model in shipped.models.values() if model.code_url]
    links += [link for f in shipped.families.values() for link in f.files.values()]
    links.append(shipped.code)
    assert [link for link in links if not PINNED.search(link)] == []


def test_code_of_others_is_not_here_but_known_by_its_digest(shipped: Release) -> None:
    for model in shipped.models.values():
        is_here = (shipped.location / model.code).exists()
        assert is_here != bool(model.code_url)
        assert bool(model.code_sha256) == bool(model.code_url)


def test_the_page_has_the_commands_of_each() -> None:
    page = (GALLERY / "README.md").read_text("utf-8")
    begun = re.findall(r"repro new \S+ --gallery (\S+)", page)
    assert sorted(set(begun)) == NAMES
    for link in re.findall(r"\]\(([^)#]+)", page):
        if "://" not in link:
            assert (GALLERY / link).exists(), link
    for command in re.findall(r"curl -fLo \S+ (\S+)", page):
        known = read_releases([GALLERY])
        assert command in {m.code_url for r in known for m in r.models.values()}


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_begins_with_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["new", "theirs", "--gallery", name])
    assert result.exit_code == 0, result.output
    (theirs,) = read_releases([Path("expected/theirs")])
    (shipped,) = read_releases([GALLERY / name])
    assert theirs.references
    assert theirs.models == shipped.models
    assert Path("tests/test_theirs.py").is_file()
    again = CliRunner().invoke(cli, ["new", "theirs", "--gallery", name])
    assert "exists; choose another NAME or remove it" in str(again.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gallery", "none"], f"there are {', '.join(NAMES)}"),
        (["--gallery", "none", "--from-checkpoint", __file__], "exclude each other"),
    ],
)
def test_what_is_not_there_or_does_not_go_together_is_said(
    arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(cli, ["new", "theirs", *arguments])
    assert said in str(result.exception)


def test_code_that_is_missing_is_got_by_a_command_and_another_file_refused(
    tmp_path: Path,
) -> None:
    code = b"from torch import nn\n\n\ndef net():\n    return nn.Identity()\n"
    text = (GALLERY / "cifar10-resnets/release.toml").read_text("utf-8")
    digest = hashlib.sha256(code).hexdigest()
    text = re.sub(r'code_sha256 = "\w+"', f'code_sha256 = "{digest}"', text)
    (tmp_path / "release.toml").write_text(text)
    case = list_cases(read_releases([tmp_path]))[0]
    sources = Sources(EngineSettings(), [case], None)
    with pytest.raises(
        NotAvailableError, match=r"no code: .*run ['\"]curl -fLo "
    ) as said:
        sources.check(case)
    assert said.value.remedy in str(said.value)
    (tmp_path / "resnet.py").write_bytes(code + b"#")
    with pytest.raises(ExpectedError, match=f"the release names {digest[:16]}"):
        sources.check(case)
    (tmp_path / "resnet.py").write_bytes(code)
    with pytest.raises(NotAvailableError, match="no weights"):
        sources.check(case)
