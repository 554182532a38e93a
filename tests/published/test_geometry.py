from __future__ import annotations

import contextlib
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.published import (
    CenterCrop,
    Contain,
    Cover,
    Geometry,
    Resize,
    parse_geometry,
)
from repro.published.geometry import Filter, Step

POINT_FILTERS = ("nearest", "bilinear", "bicubic")
PAPER = "rgb|resize(256,bilinear)|center_crop(224)"

pixels = st.integers(1, 9999)
filtered_resizes = st.builds(
    Resize, pixels, st.none() | pixels, st.sampled_from(get_args(Filter))
)
point_resizes = st.builds(
    Resize, pixels, st.none() | pixels, st.sampled_from(POINT_FILTERS), st.just(False)
)
filters = st.sampled_from(get_args(Filter))
proportional = st.builds(Contain, pixels, pixels, filters) | st.builds(
    Cover, pixels, pixels, filters
)
levels = st.integers(0, 255)
crops = st.builds(CenterCrop, pixels, pixels) | st.builds(
    CenterCrop, pixels, pixels, st.tuples(levels, levels, levels)
)
exact_resizes = filtered_resizes.filter(lambda step: step.width is not None)
steps: st.SearchStrategy[Step] = filtered_resizes | point_resizes | proportional | crops
geometries = st.builds(
    lambda first, last, is_grey: Geometry((*first, last), is_grey),
    st.lists(steps, max_size=3),
    crops | exact_resizes,
    st.booleans(),
)


@given(geometries)
def test_a_geometry_is_read_back_from_its_string(geometry: Geometry) -> None:
    assert parse_geometry(str(geometry)) == geometry


@given(geometries, st.sampled_from([" ", "  ", "\t"]))
def test_white_space_does_not_change_the_identity(geometry: Geometry, gap: str) -> None:
    spaced = str(geometry).replace("|", f"{gap}|{gap}").replace(",", f",{gap}")
    assert str(parse_geometry(spaced)) == str(geometry)


@given(geometries)
def test_every_geometry_that_is_read_has_an_output_size(geometry: Geometry) -> None:
    last = geometry.steps[-1]
    assert geometry.output_size == (last.height, last.width)


@given(st.text(alphabet="rgb|esizcntp_o(),x0129 ", max_size=40))
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        geometry = parse_geometry(text)
        assert parse_geometry(str(geometry)) == geometry


def test_the_steps_of_the_paper_are_read() -> None:
    assert parse_geometry(PAPER).steps == (
        Resize(256, None, "bilinear"),
        CenterCrop(224, 224),
    )


def test_a_square_crop_has_one_spelling() -> None:
    assert str(parse_geometry("rgb|center_crop(224x224)")) == "rgb|center_crop(224)"


def test_a_square_resize_is_not_a_resize_of_the_short_side() -> None:
    exact = parse_geometry("rgb|resize(224x224,box)")
    assert str(exact) == "rgb|resize(224x224,box)"
    assert exact.output_size == (224, 224)


def test_images_can_be_used_as_they_are() -> None:
    for text, channels in (("rgb", 3), ("grey", 1)):
        geometry = parse_geometry(text)
        assert (str(geometry), geometry.channels) == (text, channels)
        with pytest.raises(ValueError, match="leaves the size to the photograph"):
            _ = geometry.output_size


def test_the_padding_is_black_unless_it_is_named() -> None:
    named = "rgb|contain(224,bicubic)|center_crop(224,124,116,104)"
    assert str(parse_geometry(named)) == named
    assert parse_geometry(named).steps[1] == CenterCrop(224, 224, (124, 116, 104))
    black = parse_geometry("rgb|center_crop(224,0,0,0)")
    assert str(black) == "rgb|center_crop(224)"


def test_height_comes_before_width() -> None:
    assert parse_geometry("rgb|center_crop(10x20)").output_size == (10, 20)


def test_no_antialias_is_part_of_the_identity() -> None:
    text = "rgb|resize(256,bilinear,no_antialias)|center_crop(224)"
    first = parse_geometry(text).steps[0]
    assert first == Resize(256, None, "bilinear", antialias=False)
    assert str(parse_geometry(text)) == text


def test_an_unfinished_geometry_has_no_output_size() -> None:
    geometry = Geometry((Resize(256, None, "bilinear"),))
    with pytest.raises(ValueError, match="leaves the size to the photograph"):
        _ = geometry.output_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "starts with ''; it starts with rgb"),
        ("bgr|center_crop(2)", "starts with 'bgr'; it starts with rgb"),
        ("center_crop(2)", "it starts with rgb"),
        ("rgb|", "step '' is not one of resize"),
        ("rgb||center_crop(2)", "step '' is not one of resize"),
        ("rgb|crop(2)", r"step 'crop\(2\)' is not one of resize"),
        ("rgb|center_crop(2", r"step 'center_crop\(2' is not one of"),
        ("rgb|resize(2)|center_crop(2)", r"step 'resize\(2\)' is not one of"),
        ("rgb|resize(2,box,no_antialias,1)|center_crop(2)", "is not one of"),
        ("rgb|center_crop(2,2)", r"center_crop\(2,2\)' is not one of"),
        ("rgb|center_crop", "size '' in geometry step 'center_crop'"),
        ("rgb|center_crop(0)", "size '0' .* pixels from 1 to 9999"),
        ("rgb|center_crop(-1)", "size '-1' .* is neither S nor HxW"),
        ("rgb|center_crop(2.5)", r"size '2\.5' .* is neither S nor HxW"),
        ("rgb|center_crop(10000)", "size '10000' .* pixels from 1 to 9999"),
        ("rgb|center_crop(" + "9" * 5000 + ")", "pixels from 1 to 9999"),
        ("rgb|center_crop(\uff12)", "size '\uff12' .* is neither S nor HxW"),
        ("rgb|center_crop(2x)", "size '2x' .* is neither S nor HxW"),
        ("rgb|center_crop(2x3x4)", "size '2x3x4' .* is neither S nor HxW"),
        ("rgb|resize(2,cubic)|center_crop(2)", "filter 'cubic' .* nearest, box,"),
        ("rgb|resize(2,box,)|center_crop(2)", "'' .* only option is no_antialias"),
        ("rgb|resize(2,box,antialias)|center_crop(2)", "'antialias' .* only option"),
        (
            "rgb|resize(2,lanczos,no_antialias)|center_crop(2)",
            "no_antialias goes with one of nearest, bilinear, bicubic",
        ),
        ("rgb|contain(2,box)", r"different sizes: end it with center_crop\(S\)"),
        ("rgb|center_crop(2)|cover(2x3,box)", "different sizes"),
        ("rgb|cover(2,box,no_antialias)|center_crop(2)", "is not one of"),
        ("rgb|contain(2)|center_crop(2)", r"step 'contain\(2\)' is not one of"),
        ("rgb|center_crop(2,0,0)", r"center_crop\(2,0,0\)' is not one of"),
        ("rgb|center_crop(2,0,0,256)", "'256' .* is no level of a colour, 0 to 255"),
        ("rgb|center_crop(2,0,-1,0)", "'-1' .* is no level of a colour"),
        ("rgb|resize(2,box)", r"different sizes: end it with center_crop\(S\)"),
        ("rgb|center_crop(2)|resize(2,box)", "different sizes"),
    ],
)
def test_what_is_no_geometry_is_refused_with_what_is_allowed(
    text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        parse_geometry(text)
