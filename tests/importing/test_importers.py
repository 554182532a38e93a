"""Imported tables: exact digits, valid cases, changes shown, rows kept and marked."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torchvision
from click.testing import CliRunner, Result

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.errors import ExpectedError
from repro.fetching.obtaining import read_link
from repro.importing.open_clip import open_clip_table
from repro.importing.preprocessing import Preprocessing
from repro.importing.supervised import timm_table, torchvision_table
from repro.importing.tables import Row, Table, protocol_name
from repro.importing.writing import write_release
from repro.published import read_releases

from .tables import OPEN_CLIP, TIMM, numbers


@pytest.fixture
def timm_csv(tmp_path: Path) -> Path:
    file = tmp_path / "results-imagenet.csv"
    file.write_text(TIMM)
    return file


@pytest.fixture
def open_clip_csv(tmp_path: Path) -> Path:
    file = tmp_path / "openclip_results.csv"
    file.write_text(OPEN_CLIP)
    return file


def written(folder: Path, table: Table) -> dict[str, Case]:
    write_release(folder, table)
    return {case.id: case for case in list_cases(read_releases([folder]))}


def test_the_table_of_timm_becomes_cases_with_the_digits_as_printed(
    tmp_path: Path, timm_csv: Path
) -> None:
    cases = written(tmp_path / "timm", timm_table(timm_csv))
    assert len(cases) == 5
    case = cases["timm/resnet50.a1_in1k@288-bicubic-crop288"]
    assert numbers(case) == {"top1": "81.206", "top5": "95.374"}
    assert case.model.loader == "timm"
    assert case.model.architecture == "resnet50.a1_in1k"
    assert case.dataset.images == 50_000
    assert case.dataset.classes[:2] == ("n01440764", "n01443537")


def test_a_checkpoint_at_two_sizes_is_two_cases(tmp_path: Path, timm_csv: Path) -> None:
    cases = written(tmp_path / "timm", timm_table(timm_csv))
    found = [case.protocol.geometry for case in cases.values() if "a1_in1k" in case.id]
    assert sorted(found) == [
        "rgb|resize(235,bicubic)|center_crop(224)",
        "rgb|resize(288,bicubic)|center_crop(288)",
    ]


def test_a_rounded_crop_is_made_exact_and_the_mean_is_the_checkpoints_own(
    tmp_path: Path, timm_csv: Path
) -> None:
    cases = written(tmp_path / "timm", timm_table(timm_csv))
    (case,) = (case for case in cases.values() if "inception" in case.id)
    # 299 / 0.8975 is 333.1; the printed 0.897 would be 333.3.
    assert case.protocol.geometry == "rgb|resize(333,bicubic)|center_crop(299)"
    assert case.protocol.mean == (0.5, 0.5, 0.5)


def test_a_thousand_million_parameters_are_read_and_order_the_cases(
    tmp_path: Path, timm_csv: Path
) -> None:
    first = next(iter(written(tmp_path / "timm", timm_table(timm_csv)).values()))
    assert first.checkpoint == "eva_giant_patch14_560.m30m_ft_in22k_in1k"
    assert first.gflops / first.dataset.images == pytest.approx(
        0.2 * 1014.45 * 6.25, 1e-5
    )


def test_the_table_of_open_clip_becomes_zero_shot_cases_in_percent(
    tmp_path: Path, open_clip_csv: Path
) -> None:
    cases = written(tmp_path / "open_clip", open_clip_table(open_clip_csv))
    assert {case.checkpoint: numbers(case) for case in cases.values()} == {
        "ViT-H-14-378-quickgelu.dfn5b": {"top1": "84.37"},
        "ViT-B-16-SigLIP-512.webli": {"top1": "79.14"},
        "ViT-B-32.laion400m_e32": {"top1": "60.20"},
        "ViT-Q.nowhere": {"top1": "10.00"},
    }
    squashed = cases["open_clip/ViT-B-16-SigLIP-512.webli@512x512-bicubic-half"]
    assert squashed.protocol.geometry == "rgb|resize(512x512,bicubic)"
    assert {case.kind for case in cases.values()} == {"clip"}


def test_the_precision_of_a_table_stands_in_its_protocols_with_its_source(
    tmp_path: Path, timm_csv: Path, open_clip_csv: Path
) -> None:
    tables = {
        "timm": (timm_table(timm_csv), "amp-fp16", "bulk_runner.py"),
        "torchvision": (torchvision_table(), "fp32", "classification/train.py"),
        "open_clip": (open_clip_table(open_clip_csv), "fp32", "wds_eval.py"),
    }
    for name, (table, precision, script) in tables.items():
        for case in written(tmp_path / name, table).values():
            assert case.protocol.precision == precision
            assert re.search(
                rf"https://\S+/[0-9a-f]{{40}}/.*{script}", case.protocol.note
            )


def test_what_is_not_known_of_open_clips_table_makes_its_tolerance_wider(
    tmp_path: Path, timm_csv: Path, open_clip_csv: Path
) -> None:
    cases = written(tmp_path / "open_clip", open_clip_table(open_clip_csv))
    for case in cases.values():
        (reference,) = case.references
        assert reference.tolerance == Fraction("0.122")
        assert "CLIP_benchmark/blob/48de38c" in reference.tolerance_reason
    for case in written(tmp_path / "timm", timm_table(timm_csv)).values():
        assert {reference.tolerance for reference in case.references} == {None}


def test_rows_that_the_installed_library_does_not_have_are_kept_and_marked(
    tmp_path: Path, timm_csv: Path, open_clip_csv: Path
) -> None:
    for folder, table, gone in (
        (tmp_path / "timm", timm_table(timm_csv), "nonet.from_2019"),
        (tmp_path / "open_clip", open_clip_table(open_clip_csv), "ViT-Q.nowhere"),
    ):
        notes = {
            case.checkpoint: reference.note
            for case in written(folder, table).values()
            for reference in case.references
        }
        marked = {name for name, note in notes.items() if "has no such check" in note}
        assert marked == {gone}


def test_every_entry_of_torchvision_with_an_accuracy_becomes_a_case(
    tmp_path: Path,
) -> None:
    table = torchvision_table()
    assert len(table.rows) == 115
    cases = written(tmp_path / "torchvision", table)
    bare = [row.checkpoint for row in table.rows if not row.numbers]
    assert bare == ["vgg16.IMAGENET1K_FEATURES"]
    assert len(cases) == 114
    for case in cases.values():
        architecture, tag = case.checkpoint.split(".")
        entry = torchvision.models.get_model_weights(architecture)[tag]
        measured = entry.meta["_metrics"]["ImageNet-1K"]
        assert [r.published.value for r in case.references] == [
            Fraction(str(measured["acc@1"])),
            Fraction(str(measured["acc@5"])),
        ]
        assert case.gflops == 50_000 * entry.meta["_ops"]


def test_each_checkpoint_has_the_link_that_its_library_downloads_from(
    tmp_path: Path, timm_csv: Path, open_clip_csv: Path
) -> None:
    links: dict[str, str] = {}
    for table in (
        torchvision_table(),
        timm_table(timm_csv),
        open_clip_table(open_clip_csv),
    ):
        write_release(tmp_path / table.library, table)
    for release in read_releases([tmp_path]):
        links |= release.families[release.id].files
    entry = torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    assert links["resnet50.IMAGENET1K_V2.pth"] == entry.url
    hub = "hf://timm/resnet50.a1_in1k/model.safetensors"
    assert links["resnet50.a1_in1k.safetensors"] == hub
    assert links["ViT-B-32.laion400m_e32.safetensors"] == (
        "hf://timm/vit_base_patch32_clip_224.laion400m_e32/open_clip_model.safetensors"
    )
    assert not any(name.startswith(("nonet", "ViT-Q")) for name in links)
    assert len(links) == 115 + 3 + 3
    for link in links.values():
        assert read_link(link).scheme in {"http", "hf"}


# Commands ----------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", *map(str, arguments)])


def test_the_first_import_counts_the_numbers_and_lists_none(
    tmp_path: Path, timm_csv: Path
) -> None:
    result = run("timm", timm_csv, "-o", tmp_path / "out")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "10 numbers added, 0 changed, 0 removed"
    assert "kept and marked" in lines[1]
    assert lines[2:] == [f"5 rows of timm in {tmp_path / 'out'}"]


def test_importing_again_changes_nothing(tmp_path: Path, timm_csv: Path) -> None:
    run("timm", timm_csv, "-o", tmp_path / "out")
    before = (tmp_path / "out/release.toml").read_bytes()
    result = run("timm", timm_csv, "-o", tmp_path / "out")
    assert "0 numbers added, 0 changed, 0 removed" in result.output
    assert (tmp_path / "out/release.toml").read_bytes() == before


def test_an_update_shows_what_was_added_changed_and_removed(
    tmp_path: Path, timm_csv: Path
) -> None:
    run("timm", timm_csv, "-o", tmp_path / "out")
    before = (tmp_path / "out/release.toml").read_bytes()
    new = TIMM.replace("81.206", "81.21").replace("nonet.from_2019", "nonet.from_2020")
    timm_csv.write_text(new)
    checked = run("timm", timm_csv, "-o", tmp_path / "out", "--check")
    assert checked.exit_code == 1
    assert (tmp_path / "out/release.toml").read_bytes() == before
    result = run("timm", timm_csv, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.output.splitlines()[:6] == [
        "+ nonet.from_2020@256-bilinear-crop224 top1 70.000",
        "+ nonet.from_2020@256-bilinear-crop224 top5 90.000",
        "~ resnet50.a1_in1k@288-bicubic-crop288 top1 81.206 -> 81.21",
        "- nonet.from_2019@256-bilinear-crop224 top1 70.000",
        "- nonet.from_2019@256-bilinear-crop224 top5 90.000",
        "2 numbers added, 1 changed, 2 removed",
    ]
    assert run("timm", timm_csv, "-o", tmp_path / "out", "--check").exit_code == 0


def test_a_source_can_be_named_at_a_commit(tmp_path: Path, open_clip_csv: Path) -> None:
    url = (
        "https://github.com/mlfoundations/open_clip/blob/abc/docs/openclip_results.csv"
    )
    run("open_clip", open_clip_csv, "--url", url, "-o", tmp_path / "out")
    (release,) = read_releases([tmp_path / "out"])
    assert release.sources["published"].url == url
    assert "openclip_results.csv with SHA-256 " in release.sources["published"].note


# What is no such table ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model,top1\nresnet50,80\n", "has no column img_size, param_count"),
        ("", "its columns are none"),
        (TIMM + "cut,224,80\n", "row 7 has no param_count, crop_pct, interpol"),
        (TIMM.replace(",288,", ",2x8,"), r"row 3 \(resnet50.a1_in1k\): invalid litera"),
        (TIMM.replace("bicubic", "random"), "interpolation 'random' has no geometry"),
    ],
)
def test_a_table_that_is_none_is_refused_by_row_and_column(
    timm_csv: Path, content: str, message: str
) -> None:
    timm_csv.write_text(content)
    with pytest.raises(ExpectedError, match=message) as caught:
        timm_table(timm_csv)
    assert str(caught.value).startswith(f"{timm_csv}: ")


def test_an_accuracy_that_is_no_number_is_refused(open_clip_csv: Path) -> None:
    open_clip_csv.write_text(OPEN_CLIP.replace("0.8437", "high"))
    with pytest.raises(ExpectedError, match=r"row 2 \(ViT-H-14-378-quickgelu dfn5b\)"):
        open_clip_table(open_clip_csv)


def test_a_folder_that_cannot_be_written_is_an_error(
    tmp_path: Path, timm_csv: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExpectedError, match="name another folder with --output"):
        write_release(tmp_path / "file" / "out", timm_table(timm_csv))


# Names and cost ----------------------------------------------------------------------

HALF, PLAIN = (0.5, 0.5, 0.5), (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("geometry", "mean", "name"),
    [
        ("rgb|resize(256,bilinear)|center_crop(224)", PLAIN, "256-bilinear-crop224"),
        ("rgb|resize(512x512,bicubic)", HALF, "512x512-bicubic-half"),
        (
            "rgb|contain(248,bicubic)|center_crop(224,124,116,104)",
            PLAIN,
            "contain248-bicubic-crop224-padded",
        ),
        (
            "rgb|cover(100x130,bicubic)|center_crop(96x128)",
            (0.1, 0.2, 0.3),
            "cover100x130-bicubic-crop96x128-26-51-76",
        ),
    ],
)
def test_the_name_of_a_protocol_tells_its_steps_and_its_mean(
    geometry: str, mean: tuple[float, float, float], name: str
) -> None:
    assert protocol_name(Preprocessing(geometry, mean, PLAIN)) == name


def imported_rows(folder: Path, count: int) -> Path:
    """Write a release of so many checkpoints with 150 geometries."""
    rows = tuple(
        Row(
            checkpoint=f"model{number}.tag",
            preprocessing=Preprocessing(
                f"rgb|resize({number % 150 + 200},bicubic)|center_crop(200)",
                PLAIN,
                PLAIN,
            ),
            numbers={"top1": "70.000", "top5": "90.000"},
            gflops=1 + number / 7,
        )
        for number in range(count)
    )
    table = Table(
        library="timm",
        version="0",
        title="t",
        code="https://example.org",
        source="s",
        url="https://example.org",
        kind="supervised",
        rows=rows,
        precision="fp32",
        precision_note="p",
    )
    write_release(folder, table)
    return folder


def calls_of(action: Callable[[], object]) -> int:
    """Count the calls of functions, which no other process slows down."""
    counts = itertools.count()
    sys.setprofile(lambda *_: next(counts) and None)
    try:
        action()
    finally:
        sys.setprofile(None)
    return next(counts)


def test_ten_times_as_many_imported_rows_take_ten_times_as_many_calls_to_list(
    tmp_path: Path,
) -> None:
    few, many = (imported_rows(tmp_path / str(n), n) for n in (100, 1000))
    assert len(list_cases(read_releases([many]))) == 1000
    calls = [
        calls_of(lambda folder=folder: list_cases(read_releases([folder])))  # type: ignore[misc]
        for folder in (few, many)
    ]
    assert calls[1] < 11 * calls[0]
