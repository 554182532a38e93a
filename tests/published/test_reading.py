from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.errors import ExpectedError
from repro.published import printed, read_releases
from repro.published.files import EMBEDDED

from ..releases import HEAD, REFERENCE, TINY, edited, fault, fault_of
from ..releases import read_release as read
from ..releases import write_release as write

# Which files -----------------------------------------------------------------------


def test_one_file_is_one_release(tmp_path: Path) -> None:
    release = read(tmp_path, TINY)
    assert release.id == "tiny"
    assert release.location == tmp_path
    assert list(release.families) == ["supervised/real", "clip"]


def test_a_folder_with_release_toml_is_one_release(tmp_path: Path) -> None:
    write(tmp_path, HEAD, "release.toml")
    write(tmp_path, REFERENCE, "references.toml")
    (release,) = read_releases([tmp_path])
    assert [r.checkpoint for r in release.references] == ["1M"]
    assert str(release.references[0].defined_in) == (
        f"{tmp_path / 'references.toml'}: reference 1"
    )


def test_a_folder_holds_files_and_folders_that_are_releases(tmp_path: Path) -> None:
    write(tmp_path, edited('"tiny"', '"alone"'))
    write(tmp_path / "one", edited('"tiny"', '"one"'), "release.toml")
    write(tmp_path / "two", edited('"tiny"', '"two"'), "release.toml")
    (tmp_path / "classes").mkdir()
    releases = read_releases([str(tmp_path)])
    assert [release.id for release in releases] == ["alone", "one", "two"]


def test_several_paths_are_read_in_their_order(tmp_path: Path) -> None:
    first = write(tmp_path, edited('"tiny"', '"z"'), "1.toml")
    second = write(tmp_path, edited('"tiny"', '"a"'), "2.toml")
    assert [r.id for r in read_releases([first, second])] == ["z", "a"]
    assert read_releases([]) == []


def test_the_word_embedded_names_the_folder_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, TINY, "release.toml")
    monkeypatch.setattr("repro.published.files.EMBEDDED", tmp_path)
    (release,) = read_releases(["embedded"])
    assert release.location == tmp_path
    assert EMBEDDED.name == "embedded"


def test_hidden_files_and_folders_named_like_files_are_no_releases(
    tmp_path: Path,
) -> None:
    write(tmp_path, TINY, "release.toml")
    (tmp_path / "._release.toml").write_bytes(b"\0\x05\x16\x07")
    (tmp_path / "data.toml").mkdir()
    assert len(read_releases([tmp_path])) == 1


def test_one_path_is_a_list_of_one(tmp_path: Path) -> None:
    file = write(tmp_path, TINY, "release.toml")
    (release,) = read_releases([file])
    for alone in (file, str(file)):
        assert [one.id for one in read_releases(alone)] == [release.id]


def test_a_missing_path_is_an_error_that_says_what_a_path_is(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.toml") == (
        f"{tmp_path / 'none.toml'} does not exist; name a TOML file of published "
        "numbers, a folder of such files, or the word 'embedded'"
    )
    assert "is empty; name a TOML file" in fault("")
    assert "is no file; name a TOML file" in fault("/dev/null")
    assert "cannot be read (File name too long)" in fault("x" * 300)


def test_a_folder_without_a_release_is_an_error(tmp_path: Path) -> None:
    assert "holds no TOML file and no folder with a release.toml" in fault(tmp_path)


def test_a_subfolder_whose_release_toml_has_another_name_is_not_skipped(
    tmp_path: Path,
) -> None:
    write(tmp_path / "paper", TINY, "paper.toml")
    assert "holds paper.toml but no release.toml" in fault(tmp_path)


def test_a_release_within_a_release_is_not_skipped(tmp_path: Path) -> None:
    write(tmp_path, TINY, "release.toml")
    write(tmp_path / "other", TINY, "release.toml")
    assert "not both" in fault(tmp_path)


@pytest.mark.parametrize(
    ("target", "reason"),
    [("nowhere", "does not exist"), ("link.toml", "Too many levels of symbolic links")],
)
def test_a_link_that_leads_nowhere_is_not_skipped(
    tmp_path: Path, target: str, reason: str
) -> None:
    write(tmp_path, TINY, "release.toml")
    (tmp_path / "link.toml").symlink_to(target)
    message = fault(tmp_path)
    assert message.startswith(f"{tmp_path / 'link.toml'}: ")
    assert reason in message


def test_a_pipe_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "release.toml")
    assert "is no regular file" in fault(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the table [release] is missing"),
        (b"[release", "not valid TOML: Expected ']'"),
        (bytes(range(256)), "is no UTF-8 text (byte 128 cannot be decoded)"),
        (TINY.encode("utf-16"), "is no UTF-8 text"),
        (b"a = " + b"[" * 100_000, "not valid TOML: nested too deeply"),
        (b"a = 1" + b"0" * 5000, "not valid TOML: "),
        (TINY.encode() + b"[source.paper]\n", "('source', 'paper') twice"),
    ],
)
def test_a_file_that_is_no_toml_of_a_release_is_an_error(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "tiny.toml"
    file.write_bytes(content)
    text = fault(file)
    assert text.startswith(f"{file}: ")
    assert message in text


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + TINY.encode(), TINY.replace("\n", "\r\n").encode()]
)
def test_byte_order_marks_and_windows_line_ends_do_no_harm(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "tiny.toml").write_bytes(content)
    assert read_releases([tmp_path])[0].title == "A tiny release"


def test_two_releases_with_one_id_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, TINY, "a.toml")
    write(tmp_path, TINY, "b.toml")
    assert fault(tmp_path) == (
        f"{tmp_path / 'b.toml'}: release 'tiny' was read already from {tmp_path}; "
        "each release has an id of its own"
    )


def test_a_table_in_two_files_of_a_release_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, TINY, "release.toml")
    write(tmp_path, "[source.paper]\ntitle = 'x'\nurl = 'y'\n", "sources.toml")
    assert fault(tmp_path) == (
        f"{tmp_path / 'sources.toml'}: source.paper: stands in "
        f"{tmp_path / 'release.toml'} already; remove one of them"
    )


# Numbers ---------------------------------------------------------------------------


@given(st.integers(0, 99), st.text("0123456789", max_size=20))
def test_a_number_keeps_its_printed_digits(whole: int, digits: str) -> None:
    text = f"{whole}.{digits}" if digits else f"{whole}"
    number = printed(text)
    assert str(number) == text
    assert number.value == Fraction(text)
    assert number.half_unit * 2 * 10 ** len(digits) == 1


@pytest.mark.parametrize(
    ("digits", "half_unit"),
    [("50.580", "0.0005"), ("54", "0.5"), ("46.0", "0.05"), ("0", "0.5")],
)
def test_the_last_printed_digit_says_how_precise_a_number_is(
    tmp_path: Path, digits: str, half_unit: str
) -> None:
    (reference,) = read(tmp_path, edited("50.580", digits)).references
    assert str(reference.published) == digits
    assert reference.published.half_unit == Fraction(half_unit)


def test_each_metric_of_a_row_is_a_reference(tmp_path: Path) -> None:
    release = read(tmp_path, TINY + 'top5 = "75.0"\nloss = "2.657928"\n')
    published = {r.metric: str(r.published) for r in release.references}
    assert published == {"top1": "50.580", "top5": "75.0", "loss": "2.657928"}
    assert {str(r.defined_in) for r in release.references} == {
        f"{tmp_path / 'tiny.toml'}: reference 1"
    }


@pytest.mark.parametrize("value", ["50.580", "50", "nan", "inf", "0x" + "f" * 5000])
def test_a_number_without_quotes_has_lost_its_digits(
    tmp_path: Path, value: str
) -> None:
    message = fault_of(tmp_path, edited('"50.580"', value))
    assert message.startswith("reference 1: top1 = ")
    assert message.endswith(
        "must be a string with all its printed digits, "
        'such as "58.140": they say how precise it is'
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "5e1", "NaN", "sNaN", "Infinity", "-1", "-0", "+5", "1_0", " 50", ".5"),
        *("50.", "50%", "0x10", "50,5", "\u0665\u0660", "1" * 5000, "0." + "1" * 21),
        *("50.0\\n", "50.0\\u0000"),
    ],
)
def test_a_number_is_digits_as_they_are_printed(tmp_path: Path, text: str) -> None:
    message = fault_of(tmp_path, edited("50.580", text))
    assert "is no number as it is printed, such as '58.140'" in message


@pytest.mark.parametrize("metric", ["top1", "top5"])
@pytest.mark.parametrize("value", ["100.001", "101", "5058"])
def test_an_accuracy_is_at_most_100_percent(
    tmp_path: Path, metric: str, value: str
) -> None:
    row = f'{metric} = "{value}"'
    assert f"{metric} = '{value}' is out of range; it must be between 0 and 100" in (
        fault_of(tmp_path, edited('top1 = "50.580"', row))
    )
    assert read(tmp_path, edited('top1 = "50.580"', f'{metric} = "100"')).references


def test_a_loss_may_exceed_100_nats(tmp_path: Path) -> None:
    release = read(tmp_path, edited('top1 = "50.580"', 'loss = "101.5"'))
    assert release.references[0].published == printed("101.5")
    message = fault_of(tmp_path, edited('top1 = "50.580"', 'loss = "1001"'))
    assert message.endswith("it must be between 0 and 1000 nats")


def test_a_reference_without_a_number_is_an_error(tmp_path: Path) -> None:
    message = fault_of(tmp_path, edited('top1 = "50.580"', ""))
    assert message == (
        "reference 1: has no number; give one or more of top1, top5, loss, error, "
        "error5, mean_per_class_recall"
    )


def test_a_number_is_of_one_run_unless_it_says_of_how_many(tmp_path: Path) -> None:
    (reference,) = read(tmp_path, TINY).references
    assert (reference.runs, reference.spread, reference.gflops) == (1, None, None)
    assert (reference.spread_is, reference.xfail) == ("standard deviation", "")
    assert reference.printed == "50.580"


# Tolerances ------------------------------------------------------------------------

SOURCE_TOLERANCE = """
[source.paper.tolerance]
top1 = "0.9"
loss = "0.1"
reason = "no protocol is stated"
"""


def test_without_a_tolerance_the_default_holds(tmp_path: Path) -> None:
    (reference,) = read(tmp_path, TINY).references
    assert reference.tolerance is None
    assert reference.tolerance_reason == ""


def test_a_tolerance_of_a_source_holds_for_its_references(tmp_path: Path) -> None:
    release = read(tmp_path, HEAD + SOURCE_TOLERANCE + REFERENCE + 'top5 = "75.0"\n')
    top1, top5 = release.references
    assert (top1.tolerance, top1.tolerance_reason) == (
        Fraction("0.9"),
        "no protocol is stated",
    )
    assert (top5.tolerance, top5.tolerance_reason) == (None, "")


def test_a_reference_chooses_its_tolerance_metric_by_metric(tmp_path: Path) -> None:
    own = 'loss = "2.5"\ntolerance = { top1 = 0, reason = "exact" }\n'
    release = read(tmp_path, HEAD + SOURCE_TOLERANCE + REFERENCE + own)
    assert [(r.tolerance, r.tolerance_reason) for r in release.references] == [
        (Fraction(0), "exact"),
        (Fraction("0.1"), "no protocol is stated"),
    ]


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        ("5", "tolerance: must be a table, not a whole number"),
        ('{ top1 = "1" }', "tolerance: the key 'reason' is missing"),
        ('{ top1 = "1", reason = "" }', "tolerance.reason: must not be empty"),
        ('{ reason = "x" }', "tolerance: give one or more of top1, top5, loss"),
        ('{ top5 = "1", reason = "x" }', "tolerance names top5, but there is no top5"),
        ('{ top5 = 0, reason = "x" }', "tolerance names top5, but there is no top5"),
        ('{ top1 = "nan", reason = "x" }', "top1 must be 0 or more and below 100"),
        ('{ top1 = inf, reason = "x" }', "top1 must be 0 or more and below 100"),
        ('{ top1 = -0.1, reason = "x" }', "top1 must be 0 or more and below 100"),
        ('{ top1 = "100", reason = "x" }', "top1 must be 0 or more and below 100"),
        ('{ top1 = "x", reason = "x" }', "tolerance.top1: must be a number"),
        ('{ top1 = [], reason = "x" }', "top1: must be a number, not a list"),
        ('{ top2 = "1", reason = "x" }', "unknown key 'top2'; allowed are reason,"),
    ],
)
def test_a_tolerance_is_a_number_for_a_given_metric_with_a_reason(
    tmp_path: Path, tolerance: str, message: str
) -> None:
    text = fault_of(tmp_path, f"{TINY}tolerance = {tolerance}\n")
    assert text.startswith("reference 1")
    assert message in text


def test_a_known_divergence_is_declared_with_a_reason_and_a_link(
    tmp_path: Path,
) -> None:
    known = "measured with another crop, https://example.org/issue/7"
    (reference,) = read(tmp_path, f'{TINY}xfail = "{known}"\n').references
    assert reference.xfail == known


@pytest.mark.parametrize(
    ("xfail", "message"),
    [
        ('"it never worked"', "say why the number is not met and where to read about"),
        ('"https://example.org"', "say why the number is not met and where to read"),
        ('""', "xfail: must not be empty"),
        ("true", "xfail: must be a string, not true or false"),
    ],
)
def test_a_known_divergence_without_reason_or_link_is_refused(
    tmp_path: Path, xfail: str, message: str
) -> None:
    text = fault_of(tmp_path, f"{TINY}xfail = {xfail}\n")
    assert text.startswith("reference 1")
    assert message in text


# Names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "place", "allowed"),
    [
        ('id = "tiny"', "release", "id, title, paper, code, checkpoints, data"),
        (
            'url = "https://example.org/paper"',
            "source.paper",
            "title, url, note, unit",
        ),
        (
            "images = 4",
            "dataset.val",
            "title, folder, classes, images, outputs, all_outputs, files, url",
        ),
        ("logit_scale = 100.0", "protocol.text", "geometry, mean, std, source, text"),
        ('classnames = ["cat", "dog"]', "protocol.text.text", "classnames, templates"),
        ('loader = "timm"', "model.vit", "loader, architecture, options, config,"),
        ('model = "vit"', "family.supervised/real", "model, training_data, protocols"),
        ('checkpoint = "1M"', "reference 1", "family, checkpoint, dataset, protocol"),
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_allowed(
    tmp_path: Path, old: str, place: str, allowed: str
) -> None:
    message = fault_of(tmp_path, edited(old, f"{old}\ncolour = 1"))
    assert message.startswith(f"{place}: unknown key 'colour'; allowed are {allowed}")


@pytest.mark.parametrize("line", ["colour = 1", "[colour]", "[[colour]]"])
def test_an_unknown_table_is_named_with_those_that_are_allowed(
    tmp_path: Path, line: str
) -> None:
    message = fault_of(tmp_path, f"{line}\n{TINY}" if "=" in line else TINY + line)
    assert message == (
        "unknown or misplaced table 'colour'; allowed are schema, [release], "
        "[source.NAME], [dataset.NAME], [protocol.NAME], [model.NAME], [family.NAME], "
        "[checksum.NAME], [[reference]] and [[claim]]"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('protocol = "plain"', 'protocol = "x"', "protocol names 'x', which is not"),
        ('dataset = "val"', 'dataset = "x"', "dataset names 'x', which is not defined"),
        ('family = "supervised/real"', 'family = "x"', "family names 'x', which is"),
        ('source = "paper"\ntop1', 'source = "x"\ntop1', "source names 'x', which is"),
        ('model = "vit"', 'model = "x"', "model names 'x', which is not defined"),
        ('protocols = ["plain"]', 'protocols = ["x"]', "protocols names 'x', which"),
        ('datasets = ["val"]', 'datasets = ["x"]', "datasets names 'x', which is"),
        ('5]\nsource = "paper"', '5]\nsource = "x"', "source names 'x', which is"),
        ('id = "tiny"', 'id = "tiny"\ndefault_dataset = "x"', "default_dataset names"),
    ],
)
def test_a_name_that_is_not_defined_is_named_with_those_that_are(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = fault_of(tmp_path, edited(old, new))
    assert message in text
    assert "which is not defined; defined are " in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('family = "supervised/real"', "family = []", "family is empty"),
        ('protocols = ["plain"]', "protocols = []", "protocols is empty"),
        ('datasets = ["val"]', "datasets = []", "datasets is empty"),
        (
            'family = "supervised/real"',
            'family = ["supervised/real", "supervised/real"]',
            "family names 'supervised/real' twice",
        ),
        ('["plain"]', '["plain", "plain"]', "protocols names 'plain' twice"),
        (
            'datasets = ["val"]',
            'datasets = ["val", "val"]',
            "datasets names 'val' twic",
        ),
    ],
)
def test_names_are_listed_once_each_and_at_least_one(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in fault_of(tmp_path, edited(old, new))


def test_a_family_or_another_may_have_been_measured(tmp_path: Path) -> None:
    other = TINY[TINY.index('[family."') : TINY.index("[family.clip]")]
    both = edited('family = "supervised/real"', 'family = ["supervised/real", "twin"]')
    release = read(tmp_path, both + other.replace('"supervised/real"', "twin"))
    assert release.references[0].families == ("supervised/real", "twin")


def test_the_same_number_twice_is_an_error(tmp_path: Path) -> None:
    message = fault_of(tmp_path, TINY + REFERENCE)
    assert message == (
        "reference 2: top1 of the same checkpoint, dataset, protocol and source stands "
        f"in {tmp_path / 'tiny.toml'}: reference 1 already; remove one of them"
    )


def test_the_same_number_from_two_sources_is_two_references(tmp_path: Path) -> None:
    again = REFERENCE.replace('source = "paper"', 'source = "other"')
    other = '[source.other]\ntitle = "Another"\nurl = "https://example.org"\n'
    assert len(read(tmp_path, TINY + again + other).references) == 2


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../../x", "/x", "a/b", "a b", "-k", ".hidden", "\u00e9"),
        *("a\\nb", "a@b", "a:b", "a[b]", "x" * 101, "a\\u001b[31m"),
    ],
)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('checkpoint = "1M"', 'checkpoint = "{}"'),
        ('id = "tiny"', 'id = "{}"'),
        ("[source.paper]", '[source."{}"]'),
        ("[dataset.val]", '[dataset."{}"]'),
    ],
)
def test_a_name_holds_nothing_that_an_id_or_a_file_cannot(
    tmp_path: Path, old: str, new: str, name: str
) -> None:
    message = fault_of(tmp_path, edited(old, new.format(name)))
    assert "must begin with a letter (a-z, A-Z), a digit or _" in message


@pytest.mark.parametrize(
    "name", ["", "../x", "/x", "a//b", "a/", "a/../b", "a/-k", "a b", "\u00e9", "a\\nb"]
)
def test_a_family_is_a_relative_folder(tmp_path: Path, name: str) -> None:
    message = fault_of(
        tmp_path, edited('[family."supervised/real"]', f'[family."{name}"]')
    )
    assert "must be names joined by /, since it is a folder" in message


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".bin"])
def test_a_checkpoint_is_named_without_the_suffix_of_its_file(
    tmp_path: Path, suffix: str
) -> None:
    message = fault_of(tmp_path, edited('"1M"', f'"1M{suffix}"'))
    assert message.endswith(f"checkpoint is '1M{suffix}'; leave the suffix out: '1M'")


def test_the_name_in_a_header_is_not_repeated_as_a_key(tmp_path: Path) -> None:
    message = fault_of(tmp_path, edited("images = 4", 'images = 4\nid = "val"'))
    assert message == "dataset.val: id is the name in the table's header; remove it"


# Types and ranges ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "tiny"', "id = 5", "release.id: must be a string, not a whole number"),
        ('id = "tiny"', "", "release: the key 'id' is missing"),
        ('title = "A tiny release"', 'title = ""', "release.title: must not be empty"),
        ('"A tiny release"', '"a\\nb"', "title: must be one line without control"),
        ('"A tiny release"', '"b\\n"', "title: must be one line without control"),
        ('"A tiny release"', '"\\u001b[31m"', "title: must be one line without"),
        ("[release]", "[[release]]", "release: must be a table, not [{'id'"),
        ("[source.paper]", "[source]", "source.title: must be a table with the header"),
        ("[source.paper]", "[[source.paper]]", "source.paper: must be a table with"),
        ("[source.paper]", "[[source]]", "unknown or misplaced table 'source'"),
        ("[[reference]]", "[reference]", "unknown or misplaced table 'reference'"),
        ('family = "supervised/real"', "family = 5", "must be a string or a list, not"),
        (
            'family = "supervised/real"',
            "family = [5]",
            "reference 1.family[0]: must be",
        ),
        ('"50.580"', "true", "reference 1.top1: must be a string, not true or false"),
        ('"50.580"', "2020-01-01", "reference 1.top1: must be a string, not a date"),
        ("schema = 1", "schema = 2", "schema is 2; this version of repro reads 1"),
        ("schema = 1", "schema = true", "schema is True; this version of repro reads"),
        ("schema = 1", "schema = 1.0", "schema is 1.0; this version of repro reads"),
        ("images = 4", "images = 1.5", "images: must be a whole number, not a decimal"),
        ("images = 4", "images = true", "images: must be a whole number, not true"),
        ("images = 4", "images = 0", "images must be between 1 and 1,000,000,000"),
        ("images = 4", "images = 0x" + "f" * 5000, "images must be between 1 and"),
        ("[0.5, 0.5, 0.5]", "[0.5, 0.5]", "plain.mean: must be a list of 3, not of 2"),
        ("[0.5, 0.5, 0.5]", "[0, 0, nan]", "mean is [0.0, 0.0, nan]; each must be"),
        ("[0.5, 0.5, 0.5]", "[124, 1, 1]", "since pixels are scaled to 0..1"),
        ("[0.5, 0.5, 0.5]", '["a", 0, 0]', "mean[0]: must be a number, not a string"),
        ("[0.25, 0.25, 0.25]", "[0, 1, 1]", "std is [0.0, 1.0, 1.0]; each must be ab"),
        ("[0.25, 0.25, 0.25]", "[1, 1, inf]", "std is [1.0, 1.0, inf]; each must be"),
        ("bilinear", "cubic", "protocol.plain: filter 'cubic' in geometry step"),
        ("logit_scale = 100.0", "", "text and logit_scale belong together"),
        ("logit_scale = 100.0", "logit_scale = 0", "logit_scale is 0.0; it must be"),
        ("logit_scale = 100.0", "logit_scale = nan", "logit_scale is nan; it must be"),
        ("= 100.0", '= "own"', "'own' is neither a number nor 'checkpoint'"),
        ("= 100.0", '= "\\n"', "'\\n' is neither a number nor 'checkpoint'"),
        ("= 100.0", "= true", "logit_scale: must be a number or a string, not true"),
        ('["cat", "dog"]\ntemp', "[]\ntemp", "classnames is empty; name at least one"),
        ('["cat", "dog"]\ntemp', '"IMAGENET"\ntemp', "a list, 'open_clip:NAME' or"),
        ('["cat", "dog"]\ntemp', '["cat"]\ntemp', "'text' has 1 classnames, but the"),
        ("of a {}.", "of a cat.", "must hold {} once, for the class name"),
        ("of a {}.", "of a {} {}.", "must hold {} once, for the class name"),
        ("of a {}.", "of a {0} {}.", "and no other brace"),
        (
            '"timm"',
            '"timm"\ngflops = nan',
            "gflops is nan; it must be from 1e-9 to 1e9",
        ),
        ('"timm"', '"timm"\ngflops = inf', "gflops is inf; it must be from 1e-9 "),
        ('"timm"', '"timm"\ngflops = 1e300', "gflops is 1e+300; it must be from "),
        ('"timm"', '"timm"\ngflops = 1e-10', "gflops is 1e-10; it must be from "),
        ('"timm"', '"timm"\noptions = []', "options: must be a table, not a list"),
        ('"timm"', '"timm"\nconfig = "../x"', "must be a relative path, without '..'"),
        ('"timm"', '"timm"\nconfig = "no.json"', "no.json, which does not exist"),
        ('"photographs"', '"x"\ncfg_scale = -1', "cfg_scale is -1.0; it must be 0 or"),
        ('"photographs"', '""', "training_data: must not be empty"),
        ('folder = "val"', 'folder = "../val"', "folder is '../val'; it must be a rel"),
        (
            'folder = "val"',
            'folder = "/val"',
            "folder is '/val'; it must be a relative",
        ),
        ('folder = "val"', 'folder = "a\\u0000"', "folder: must be one line"),
        ('id = "tiny"', 'id = "tiny"\ndata = "/x"', "data is '/x'; it must be a relat"),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_an_error(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in fault_of(tmp_path, edited(old, new))


def test_a_release_evaluates_something(tmp_path: Path) -> None:
    without_family = HEAD[: HEAD.index("[family")]
    assert "has no [family.NAME]" in fault_of(tmp_path, without_family)
    without_dataset = HEAD[: HEAD.index("[source")]
    assert "has no [dataset.NAME]" in fault_of(tmp_path, without_dataset)


def test_a_supervised_checkpoint_has_no_zero_shot_number(tmp_path: Path) -> None:
    assert fault_of(tmp_path, edited('protocol = "plain"', 'protocol = "text"')) == (
        "reference 1: protocol 'text' is clip, but the family 'supervised/real' has "
        "supervised checkpoints"
    )


def test_a_family_has_protocols_of_one_kind(tmp_path: Path) -> None:
    assert fault_of(tmp_path, edited('["plain"]', '["plain", "text"]')) == (
        "family.supervised/real: protocols must be of one kind, but 'plain' is "
        "supervised, 'text' is clip"
    )


def test_a_protocol_keeps_the_canonical_spelling_of_its_geometry(
    tmp_path: Path,
) -> None:
    spaced = edited("rgb|resize(256,bilinear)", "rgb | resize(256, bilinear)")
    protocol = read(tmp_path, spaced).protocols["plain"]
    assert protocol.geometry == "rgb|resize(256,bilinear)|center_crop(224)"
    assert str(protocol.geometry_steps) == protocol.geometry


# Class lists -----------------------------------------------------------------------

CLASSES = 'classes = ["cat", "dog"]'


def test_a_class_list_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "\ufeffcat\r\n\r\n  tiger cat  \n", "classes.txt")
    content = edited(CLASSES, 'classes = "classes.txt"')
    assert read(tmp_path, content).datasets["val"].classes == ("cat", "tiger cat")


def test_outputs_say_which_columns_the_classes_are(tmp_path: Path) -> None:
    write(tmp_path, "dog\nbird\ncat\n", "outputs.txt")
    content = edited(CLASSES, f'{CLASSES}\noutputs = "outputs.txt"')
    content = content.replace('["text"]', '["plain"]')
    assert read(tmp_path, content).datasets["val"].columns == (2, 0)
    assert read(tmp_path, TINY).datasets["val"].columns is None
    every = content.replace('outputs = "', 'all_outputs = true\noutputs = "')
    assert read(tmp_path, every).datasets["val"].columns == (2, 0, 1)
    with pytest.raises(ExpectedError, match="all_outputs needs outputs"):
        read(tmp_path, edited(CLASSES, f"{CLASSES}\nall_outputs = true"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "classes is empty; name at least one"),
        ('["cat", "cat"]', "classes holds 'cat' 2 times; each is named once"),
        ('["cat", ""]', "classes holds '', which cannot be a folder's name"),
        ('["cat", "a/b"]', "classes holds 'a/b', which cannot be a folder's name"),
        ('["cat", ".."]', "classes holds '..', which cannot be a folder's name"),
        ('["cat", "a\\u0000"]', "which cannot be a folder's name"),
        ("[1, 2]", "dataset.val.classes[0]: must be a string, not a whole number"),
        ("5", "dataset.val.classes: must be a list, not a whole number"),
        ('""', "classes is '', which is neither a list nor a file"),
        ('"."', "is no regular file"),
        ('"none.txt"', "none.txt: does not exist"),
        ('"../twice.csv"', "classes is '../twice.csv'; it must be a relative path, w"),
        ('"../none.txt"', "none.txt: does not exist"),
        ('"/etc/passwd"', "classes is '/etc/passwd'; it must be a relative path, wit"),
        ('"empty.txt"', "classes names 'empty.txt', which holds no line"),
        ('"blank.txt"', "classes names 'blank.txt', which holds no line"),
        ('"binary.bin"', "is no UTF-8 text"),
        ('"twice.txt"', "classes holds 'cat' 2 times"),
        ('"loop"', "Too many levels of symbolic links"),
        ('"a\\u0000b"', "classes is 'a\\x00b', which is neither a list nor a file"),
        ('"\\n"', "classes is '\\n', which is neither a list nor a file"),
        (f'"{"x" * 300}"', "which is too long for a path"),
        ('["cat", "dog"]\noutputs = ["cat"]', "outputs lacks the classes dog"),
        ('["cat"]\noutputs = ["cat", "a", "a"]', "outputs holds 'a' 2 times"),
    ],
)
def test_a_class_list_names_folders_once_each(
    tmp_path: Path, value: str, message: str
) -> None:
    write(tmp_path, "", "empty.txt")
    write(tmp_path, " \n\n", "blank.txt")
    write(tmp_path, "cat\ndog\ncat\n", "twice.txt")
    (tmp_path / "binary.bin").write_bytes(bytes(range(256)))
    (tmp_path / "loop").symlink_to("loop")
    text = fault_of(tmp_path, edited(CLASSES, f"classes = {value}"))
    assert text.startswith("dataset.val")
    assert message in text


# Everything else -------------------------------------------------------------------

toml_values = st.sampled_from(
    [
        *("0", "-1", "1.5", "nan", "inf", "-inf", "true", "1e400", "2020-01-01"),
        *("07:32:00", "1979-05-27T07:32:00Z", "[]", "{}", "[[]]", "[{}]", "[1, 'a']"),
        *("''", "'x'", "'..'", "'/'", "'a\\b'", '"\\u0000"', '"\\n"', "'{}'", "'open'"),
        *("{ a = 1 }", "['val', 'val']", "'" + "x" * 5000 + "'", "0x" + "f" * 5000),
    ]
)
lines_with_values = [
    number for number, line in enumerate(TINY.splitlines()) if " = " in line
]


@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "[0x" + "f" * 5000 + "]"])
def test_a_number_that_python_does_not_write_out_is_refused(
    tmp_path: Path, value: str
) -> None:
    for number in lines_with_values:
        lines = TINY.splitlines()
        lines[number] = f"{lines[number].partition(' = ')[0]} = {value}"
        assert "\n" not in fault_of(tmp_path, "\n".join(lines))


@given(st.sampled_from(lines_with_values), toml_values)
def test_whatever_a_key_is_set_to_is_read_or_refused_with_one_error(
    tmp_path_factory: pytest.TempPathFactory, number: int, value: str
) -> None:
    lines = TINY.splitlines()
    lines[number] = f"{lines[number].partition(' = ')[0]} = {value}"
    file = write(tmp_path_factory.getbasetemp() / "any", "\n".join(lines))
    try:
        read_releases([file])
    except ExpectedError as error:
        message = str(error)
    else:
        message = f"{file}: was read"
    assert message.startswith(f"{file}: ")
    assert "\n" not in message


@pytest.mark.parametrize("key", ["config", "tokenizer"])
@pytest.mark.parametrize("loader", ["timm", "torchvision"])
def test_a_file_that_a_loader_never_reads_is_refused(
    key: str, loader: str, tmp_path: Path
) -> None:
    (tmp_path / "file.json").write_text("{}")
    given = f'loader = "{loader}"\n{key} = "file.json"'
    assert fault_of(tmp_path, edited('loader = "timm"', given)) == (
        f"model.vit: {key} has no effect with loader '{loader}'; it belongs to "
        "open_clip, so remove it"
    )


def test_two_costs_of_one_case_are_refused_and_of_two_protocols_are_not(
    tmp_path: Path,
) -> None:
    first = TINY + "gflops = 2\n"
    other = REFERENCE.replace("top1", "loss") + "gflops = 3\n"
    assert fault_of(tmp_path, first + other) == (
        f"reference 2: gflops is 3.0, but {tmp_path / 'tiny.toml'}: reference 1 says "
        "2.0 of the same case; give one of them"
    )
    same = other.replace("= 3", "= 2.0")
    assert {row.gflops for row in read(tmp_path, first + same).references} == {2.0}
    larger = '[protocol.larger]\ngeometry = "rgb|resize(448x448,bilinear)"\n'
    larger += 'mean = [0, 0, 0]\nstd = [1, 1, 1]\nsource = "paper"\n'
    apart = other.replace('"plain"', '"larger"')
    assert len(read(tmp_path, first + larger + apart).references) == 2
