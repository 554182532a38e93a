"""Every key of a file of published numbers changes what a command says, or is refused.

One row for each key of each table: another value, and the command that then says
something else, or a piece of the error. A new key without a row fails.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import pytest
import tomlkit
from click.testing import CliRunner

from repro.cli import cli
from repro.errors import ReproError
from repro.published import EMBEDDED, METRICS
from repro.published.known_files import Checksum
from repro.published.numbers import row_types
from repro.published.reading import Header
from repro.published.release import (
    DatasetSpec,
    Family,
    ModelSpec,
    Protocol,
    TextSpec,
)
from repro.published.statements import (
    ExponentClaim,
    OrderingClaim,
    SaturationClaim,
    SlopesClaim,
)

#: What each command is asked, beside the release in the current folder.
COMMANDS = {
    "cases": ("cases", "--json"),
    "claims": ("claims", "--published", "--json"),
    "dataset": ("dataset", "check", ".", "--cache", "none"),
    "link": ("link", "mirror", "--checkpoints", "linked", "--dry-run"),
    "verify": ("verify",),
}

KEPT = {
    "supervised/real": ("40", "80", "160", "320"),
    "supervised/synthetic": ("40", "160", "640"),
    "clip/real": ("80",),
}


class Row(NamedTuple):
    """Another value, and who says so: a command, or a piece of the refusal."""

    value: Any
    command: str = "cases"
    refused: str = ""


#: Where a table stands in the release that is changed.
PLACES: dict[str, tuple[str | int, ...]] = {
    "release": ("release",),
    "source": ("source", "make"),
    "dataset": ("dataset", "digits-val"),
    "protocol": ("protocol", "digits-supervised"),
    "text": ("protocol", "digits-clip", "text"),
    "model": ("model", "vit-digits"),
    "family": ("family", "supervised/real"),
    "checksum": ("checksum", "supervised/real/80.pt"),
    "reference": ("reference", 0),
    "tolerance": ("reference", 1, "tolerance"),
    "exponent": ("claim", 0),
    "slopes": ("claim", 1),
    "saturation": ("claim", 2),
    "ordering": ("claim", 3),
}

#: The structs that the tables are read as.
TYPES: dict[str, Any] = {
    "release": Header,
    "source": row_types().source,
    "dataset": DatasetSpec,
    "protocol": Protocol,
    "text": TextSpec,
    "model": ModelSpec,
    "family": Family,
    "checksum": Checksum,
    "reference": row_types().reference,
    "tolerance": get_args(get_type_hints(row_types().reference)["tolerance"])[0],
    "exponent": ExponentClaim,
    "slopes": SlopesClaim,
    "saturation": SaturationClaim,
    "ordering": OrderingClaim,
}

#: What every claim has, whatever its kind.
STATEMENT = {
    "id": Row("another", "claims"),
    "text": Row("Another statement.", "claims"),
    "source": Row("other", "claims"),
    "dataset": Row("other", "claims"),
    "protocol": Row("other", "claims"),
    "expected": Row("fails", "claims", refused="say why in a note"),
    "note": Row("said because", "claims"),
}

TEN = list("0123456789")

TABLE: dict[str, dict[str, Row]] = {
    "release": {
        "id": Row("another"),
        "title": Row("Another title"),
        "paper": Row("https://example.org/another"),
        "code": Row("https://example.org/code"),
        "checkpoints": Row("nowhere"),
        "data": Row("nowhere"),
        "default_dataset": Row("other"),
        "note": Row("for readers"),
    },
    "source": {
        "id": Row(None, refused="'make', which is not defined"),
        "title": Row("Another title"),
        "url": Row("https://example.org/another"),
        "note": Row("for readers"),
        "tolerance": Row({"reason": "seen", "top1": 3.0}),
        "unit": Row("fraction", refused="fraction"),
    },
    "dataset": {
        "id": Row(None, refused="'digits-val', which is not defined"),
        "title": Row("Another title"),
        "folder": Row("checkpoints", "dataset"),
        "classes": Row(TEN[:-1], refused="classnames"),
        "images": Row(499, "dataset"),
        # All names in the order of `classes` change nothing, as the key says.
        "outputs": Row([*TEN, "ten"], refused="classnames"),
        "all_outputs": Row(True, refused="all_outputs needs outputs"),
        "files": Row("other.txt", "dataset"),
        "url": Row("https://example.org/digits"),
        "note": Row("for readers"),
    },
    "protocol": {
        "id": Row(None, refused="'digits-supervised', which is not defined"),
        "geometry": Row("rgb|resize(30,bilinear)|center_crop(28)"),
        "mean": Row([0.4, 0.5, 0.5]),
        "std": Row([0.4, 0.5, 0.5]),
        "source": Row("other"),
        "text": Row({}, refused="text"),
        "logit_scale": Row(2.0, refused="text and logit_scale belong together"),
        "precision": Row("fp16"),
        "note": Row("for readers"),
    },
    "text": {
        "classnames": Row([f"number {digit}" for digit in TEN]),
        "templates": Row(["a {} on paper."]),
    },
    "model": {
        "id": Row(None, refused="'vit-digits', which is not defined"),
        "loader": Row("keras", refused="there is no loader 'keras'"),
        "architecture": Row("resnet18"),
        "options": Row({"num_classes": 10}),
        "config": Row("clip-digits.json", refused="config has no effect"),
        "tokenizer": Row("bytes.bpe.gz", refused="tokenizer has no effect"),
        "code": Row("clip-digits.json", refused="code has no effect"),
        "code_url": Row("https://example.org/net.py", refused="name the file as code"),
        "code_sha256": Row("0" * 64, refused="name the file as code"),
        "weights_key": Row("state_dict"),
        "gflops": Row(7.0),
    },
    "family": {
        "id": Row(None, refused="'supervised/real', which is not defined"),
        "model": Row("other"),
        "models": Row({"80": "other"}),
        "training_data": Row("something else"),
        "protocols": Row(["digits-supervised", "other"]),
        "datasets": Row(["other"]),
        "prompt": Row("a digit"),
        "cfg_scale": Row(2.5),
        "folder": Row("https://example.org/folder"),
        "files": Row({"80.pt": "https://example.org/80.pt"}),
        "local_names": Row(["elsewhere"], "link"),
        "note": Row("another note"),
    },
    "checksum": {
        "id": Row(None, refused="'another', which is not defined"),
        "size": Row(2, "verify"),
        "sha256": Row("1" * 64, "verify"),
        "origin": Row("the host's list", "verify"),
    },
    "reference": {
        "family": Row(["supervised/real", "supervised/synthetic"]),
        "checkpoint": Row("41"),
        "dataset": Row("other"),
        "protocol": Row("other"),
        "source": Row("other"),
        "note": Row("for readers"),
        "unit": Row("fraction", refused="fraction"),
        "runs": Row(30),
        "spread": Row("standard error"),
        "gflops": Row(7.0),
        "xfail": Row("known, see https://example.org/issue"),
        "tolerance": Row({"reason": "seen", "top1": 3.0}),
        **{name: Row("12.50 ± 0.50") for name in METRICS},
    },
    "tolerance": {
        "reason": Row("another reason"),
        **{name: Row(0.25) for name in METRICS},
    },
    "exponent": STATEMENT
    | {
        "metric": Row("top1", refused="a power law is fitted to loss"),
        "family": Row("supervised/synthetic", "claims"),
        "exponent": Row("0.5", "claims"),
        "over": Row("40,320", "claims"),
        "uncertainty": Row("0.2", "claims"),
    },
    "slopes": STATEMENT
    | {
        "metric": Row("top1", refused="a power law is fitted to loss"),
        "order": Row(["supervised/synthetic", "supervised/real"], "claims"),
        "over": Row(["40..160", "40..640"], "claims"),
    },
    "saturation": STATEMENT
    | {
        "metric": Row("top1", refused="a power law is fitted to loss"),
        "family": Row("supervised/synthetic", "claims"),
        "before": Row("40,80", "claims"),
        "after": Row("80,320", "claims"),
        "below": Row(0.25, "claims"),
    },
    "ordering": STATEMENT
    | {
        "metric": Row("loss", "claims"),
        "order": Row(["supervised/synthetic", "supervised/real"], "claims"),
        "checkpoints": Row(["160"], "claims"),
        "ties": Row(True, "claims"),
    },
}
ROWS = [
    pytest.param(table, key, row, id=f"{table}-{key}")
    for table, keys in TABLE.items()
    for key, row in keys.items()
]

Said = Callable[[dict[str, Any], str], str]


def release_to_change() -> dict[str, Any]:
    """Give a part of the embedded release, with others of each kind to name instead."""
    merged: dict[str, Any] = {}
    for file in ("release", "references", "claims"):
        merged |= tomllib.loads((EMBEDDED / f"{file}.toml").read_text())
    merged["family"] = {name: merged["family"][name] for name in KEPT}
    merged["reference"] = [
        row
        for row in merged["reference"]
        if row["checkpoint"] in KEPT.get(row["family"], ())
    ]
    first, second = merged["reference"][:2]
    first |= dict.fromkeys(METRICS, "12.00 ± 0.50") | {"runs": 3}
    second |= dict.fromkeys(METRICS, "12.00")
    second["tolerance"] = dict.fromkeys(METRICS, 2.0) | {"reason": "seen"}
    for table, name in (
        ("source", "make"),
        ("dataset", "digits-val"),
        ("protocol", "digits-supervised"),
        ("model", "vit-digits"),
    ):
        merged[table]["other"] = dict(merged[table][name])
    merged["source"]["other"]["url"] = "https://example.org/other"
    merged["checksum"] = {"supervised/real/80.pt": {"size": 1, "sha256": "0" * 64}}
    merged["claim"] = _claims(merged["claim"])
    return merged


def _claims(published: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take one claim of each kind, about the checkpoints that are kept."""
    kinds = ("exponent", "slopes", "saturation", "ordering")
    found = [next(c for c in published if c["kind"] == kind) for kind in kinds]
    about: list[dict[str, Any]] = [
        {"over": "40..320"},
        {"over": "40..160"},
        {"family": "supervised/real", "before": "40,160", "after": "160,320"},
        {
            "protocol": "digits-supervised",
            "order": ["supervised/real", "supervised/synthetic"],
            "checkpoints": ["40"],
        },
    ]
    return [claim | own for claim, own in zip(found, about, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a release needs beside its TOML file."""
    folder = tmp_path_factory.mktemp("release")
    for name in ("val", "clip-digits.json", "bytes.bpe.gz"):
        (folder / name).symlink_to(EMBEDDED / name)
    for family, checkpoints in KEPT.items():
        (folder / "checkpoints" / family).mkdir(parents=True)
        for checkpoint in checkpoints:
            file = f"checkpoints/{family}/{checkpoint}.pt"
            (folder / file).symlink_to(EMBEDDED / file)
    real = folder / "checkpoints/supervised/real"
    # One that no reference speaks of, and a folder with a name of somebody's own.
    shutil.copy(real / "80.pt", real / "81.pt")
    (folder / "mirror/elsewhere").mkdir(parents=True)
    shutil.copy(real / "80.pt", folder / "mirror/elsewhere")
    files = [f"{path.parent.name}/{path.name}" for path in EMBEDDED.glob("val/*/*")]
    (folder / "other.txt").write_text("\n".join(files[1:]))
    return folder


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, str], str]:
    """What has been said already: most ask about the same release first."""
    return {}


@pytest.fixture
def said(
    folder: Path, known: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> Said:
    """What a command says of a release."""
    monkeypatch.chdir(folder)

    def run(content: dict[str, Any], command: str) -> str:
        text = tomlkit.dumps(content)
        if (text, command) not in known:
            (folder / "release.toml").write_text(text)
            asked = [*COMMANDS[command], "--expected", "release.toml"]
            result = CliRunner().invoke(cli, asked)
            assert isinstance(result.exception, ReproError | SystemExit | None)
            refusal = isinstance(result.exception, ReproError)
            error = f"error: {result.exception}" if refusal else ""
            known[text, command] = result.output + error
        return known[text, command]

    return run


def change(content: dict[str, Any], table: str, key: str, value: object) -> None:
    """Set a key of a table, or give the table another name."""
    *path, last = PLACES[table]
    found: Any = content
    for step in path:
        found = found[step]
    if key == "id" and value is None:
        found["another/1.pt" if table == "checksum" else "another"] = found.pop(last)
    else:
        found[last][key] = value


@pytest.mark.parametrize("table", TYPES)
def test_every_key_of_a_table_has_a_row(table: str) -> None:
    assert set(TABLE[table]) == set(TYPES[table].__struct_fields__)


@pytest.mark.parametrize(("table", "key", "row"), ROWS)
def test_a_key_changes_what_is_said_or_is_refused(
    table: str, key: str, row: Row, said: Said
) -> None:
    content = release_to_change()
    before = said(content, row.command)
    assert "error: " not in before
    change(content, table, key, row.value)
    after = said(content, row.command)
    assert before != after
    is_refused = "error: release.toml" in after
    assert is_refused == bool(row.refused), after[-500:]
    assert row.refused in after


def test_a_tokenizer_of_a_model_without_a_zero_shot_protocol_is_refused(
    said: Said,
) -> None:
    content = release_to_change()
    own = {"loader": "open_clip", "architecture": "ViT-B-32", "options": {}}
    content["model"]["vit-digits"] |= own
    assert "error: " not in said(content, "cases")
    content["model"]["vit-digits"]["tokenizer"] = "bytes.bpe.gz"
    assert "tokenizer has no effect, since the families" in said(content, "cases")
