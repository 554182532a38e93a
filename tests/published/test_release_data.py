from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from repro.cases import list_cases
from repro.published import METRICS, Release, read_releases, training_images

EXPECTED = Path(__file__).parents[2] / "expected"


@pytest.fixture(scope="module")
def scaling() -> Release:
    (release,) = read_releases([EXPECTED / "synthetic-scaling"])
    return release


def test_every_file_of_published_numbers_here_is_read() -> None:
    assert "synthetic-scaling" in [release.id for release in read_releases([EXPECTED])]


def test_the_release_has_eight_families(scaling: Release) -> None:
    assert list(scaling.families) == [
        "supervised/real",
        "supervised/classnames-cfg7.5",
        "supervised/classnames-cfg2.0",
        "supervised/clip-templates-cfg2.0",
        "supervised/in-captions-cfg2.0",
        "clip/real",
        "clip/synthetic",
        "clip/synthetic+real",
    ]


def test_every_family_says_where_its_weights_are_and_how_to_measure_them(
    scaling: Release,
) -> None:
    folders = {family.folder for family in scaling.families.values()}
    assert len(folders) == 8
    assert all(url.startswith("https://www.dropbox.com/scl/fo/") for url in folders)
    for name, family in scaling.families.items():
        kind, model = name.split("/")[0], scaling.models[family.model]
        assert [scaling.protocols[p].kind for p in family.protocols] == [kind]
        assert model.loader == {"supervised": "timm", "clip": "open_clip"}[kind]


def test_the_guidance_scale_in_a_family_name_is_its_own(scaling: Release) -> None:
    for name, family in scaling.families.items():
        _, found, scale = name.partition("-cfg")
        assert not found or family.cfg_scale == float(scale)
        assert (family.prompt == "") == (family.cfg_scale is None)


def test_every_dataset_has_its_known_size(scaling: Release) -> None:
    sizes = {name: (d.images, len(d.classes)) for name, d in scaling.datasets.items()}
    assert sizes == {
        "imagenet-val": (50_000, 1000),
        "imagenet-v2": (10_000, 1000),
        "imagenet-sketch": (50_889, 1000),
        "imagenet-a": (7_500, 200),
        "imagenet-r": (30_000, 200),
    }


def test_classes_stand_in_the_order_of_the_models_outputs(scaling: Release) -> None:
    val = scaling.datasets["imagenet-val"]
    assert list(val.classes) == sorted(val.classes)
    assert scaling.datasets["imagenet-v2"].classes == tuple(map(str, range(1000)))
    for name in ("imagenet-a", "imagenet-r"):
        subset = scaling.datasets[name]
        assert subset.outputs == val.classes
        assert subset.columns == tuple(map(val.classes.index, subset.classes))


def test_the_protocols_differ_as_the_programs_that_measured_do(
    scaling: Release,
) -> None:
    geometry = {name: p.geometry for name, p in scaling.protocols.items()}
    bilinear = "rgb|resize(256,bilinear)|center_crop(224)"
    assert geometry == {
        "paper-supervised": bilinear,
        "visinf-supervised": bilinear,
        "paper-clip": "rgb|resize(224,bicubic)|center_crop(224)",
        "visinf-clip": bilinear,
    }
    assert scaling.protocols["paper-supervised"].mean == (0.5, 0.5, 0.5)
    assert scaling.protocols["visinf-supervised"].mean == (0.485, 0.456, 0.406)
    assert scaling.protocols["paper-clip"].logit_scale == "checkpoint"
    assert scaling.protocols["visinf-clip"].logit_scale == 100


def test_there_are_66_references_on_five_datasets(scaling: Release) -> None:
    counts = Counter(reference.dataset for reference in scaling.references)
    assert counts == {
        "imagenet-val": 50,
        "imagenet-a": 6,
        "imagenet-r": 6,
        "imagenet-v2": 2,
        "imagenet-sketch": 2,
    }


def test_every_reference_is_met_by_a_case_of_each_family_that_it_names(
    scaling: Release,
) -> None:
    """Whatever the dataset; nobody has to have the weights."""
    met = {
        (case.family.id, case.checkpoint, case.protocol.id, case.dataset.id, r.metric)
        for case in list_cases([scaling], None)
        for r in case.references
    }
    assert met == {
        (family, r.checkpoint, r.protocol, r.dataset, r.metric)
        for r in scaling.references
        for family in r.families
    }


def test_a_number_with_six_decimals_is_a_loss_and_has_its_accuracy(
    scaling: Release,
) -> None:
    def measured(metric: str) -> set[tuple[object, ...]]:
        return {
            (r.families, r.checkpoint, r.dataset, r.protocol)
            for r in scaling.references
            if r.source == "visinf" and r.metric == metric
        }

    assert measured("loss") == measured("top1")
    assert len(measured("top1")) == 28
    decimals = {
        (r.metric, str(r.published)[::-1].find("."))
        for r in scaling.references
        if r.source == "visinf"
    }
    assert decimals == {("loss", 6), ("top1", 3)}
    # What nobody published is shown with as many.
    shown = {(name, METRICS[name].unit.decimals) for name in ("loss", "top1")}
    assert shown == decimals


def test_every_reference_was_read_where_somebody_else_can_read_it(
    scaling: Release,
) -> None:
    used = {reference.source for reference in scaling.references}
    assert used == {"visinf", "dp2025"}
    assert all(s.url.startswith("https://") for s in scaling.sources.values())
    # A branch moves; a commit does not.
    for name in ("release", "visinf"):
        assert len(scaling.sources[name].url.split("/tree/")[1].split("/")[0]) == 40


def test_every_checkpoint_is_named_by_its_training_images(scaling: Release) -> None:
    names = {reference.checkpoint for reference in scaling.references}
    assert {name: training_images(name) for name in names} == {
        f"{millions}M": millions * 10**6
        for millions in (1, 2, 4, 8, 16, 64, 128, 256, 371)
    }


def test_only_second_hand_numbers_have_a_tolerance_of_their_own(
    scaling: Release,
) -> None:
    for reference in scaling.references:
        second_hand = reference.source == "dp2025"
        assert (reference.tolerance is not None) == second_hand
        assert bool(reference.tolerance_reason) == second_hand


def test_a_source_that_does_not_say_which_family_it_measured_names_both(
    scaling: Release,
) -> None:
    unsure = {r.families for r in scaling.references if len(r.families) > 1}
    assert unsure == {("supervised/classnames-cfg7.5", "supervised/classnames-cfg2.0")}
    assert all(r.note for r in scaling.references)
