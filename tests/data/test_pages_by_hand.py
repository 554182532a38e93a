"""Pages of parquet against pyarrow, and their heads against a writer of a few lines."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repro.data.pages import (
    LARGEST_PAGE,
    page_values,
    pages_of,
    read_struct,
    read_varint,
)
from repro.files import stamp_of

# Heads: Thrift's compact protocol -----------------------------------------------------


def varint(number: int) -> bytes:
    if number < 128:
        return bytes([number])
    return bytes([number % 128 + 128]) + varint(number >> 7)


def zigzag(number: int) -> bytes:
    return varint(2 * number if number >= 0 else -2 * number - 1)


def written(fields: dict[int, tuple[int, Any]]) -> bytes:
    """Write a struct: kinds of fields and their values by their numbers."""
    content, last = b"", 0
    for number, (kind, value) in fields.items():
        step = number - last
        if 0 < step < 16:
            content += bytes([16 * step + kind])
        else:
            content += bytes([kind]) + zigzag(number)
        content += value_of(kind, value)
        last = number
    return content + b"\0"


def value_of(kind: int, value: Any) -> bytes:
    match kind:
        case 1 | 2:
            return b""
        case 3:
            return bytes([value])
        case 4 | 5 | 6:
            return zigzag(value)
        case 7:
            return bytes(8)
        case 8:
            return varint(len(value)) + bytes(value)
        case _:
            return written(value)


def meant(fields: dict[int, tuple[int, Any]]) -> dict[int, Any]:
    return {
        number: meant(value) if kind == 12 else value
        for number, (kind, value) in fields.items()
    }


_SIMPLE = st.one_of(
    st.just((1, True)),
    st.just((2, False)),
    st.tuples(st.just(3), st.integers(0, 255)),
    *(
        st.tuples(st.just(kind), st.integers(-(2**bits), 2**bits - 1))
        for kind, bits in ((4, 15), (5, 31), (6, 63))
    ),
    # What is a float describes no page: it is passed over.
    st.just((7, None)),
    st.tuples(st.just(8), st.binary(max_size=200)),
)
_NUMBERS = st.integers(1, 300)
FIELDS = st.recursive(
    st.dictionaries(_NUMBERS, _SIMPLE, max_size=5),
    lambda inner: st.dictionaries(
        _NUMBERS, st.one_of(_SIMPLE, st.tuples(st.just(12), inner)), max_size=5
    ),
    max_leaves=6,
)


@example({15: (4, -1), 16: (5, 1), 32: (6, 2)})
@given(FIELDS)
def test_a_struct_is_read_as_it_was_written(fields: dict[int, tuple[int, Any]]) -> None:
    content = written(fields)
    assert read_struct(content) == (meant(fields), len(content))
    assert read_struct(b"\xff" + content + b"\xff", 1)[1] == len(content) + 1
    for end in range(len(content)):
        with pytest.raises((IndexError, ValueError)):
            read_struct(content[:end])


def test_structs_are_nested_eight_times_at_most() -> None:
    fields: dict[int, tuple[int, Any]] = {}
    for _ in range(8):
        fields = {1: (12, fields)}
    assert read_struct(written(fields))[0] == meant(fields)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_struct(written({1: (12, fields)}))


@pytest.mark.parametrize("kind", [0, 9, 10, 11, 13])
def test_a_kind_that_describes_no_page_is_refused(kind: int) -> None:
    with pytest.raises(ValueError, match=f"it has a field of the kind {kind}"):
        read_struct(bytes([16 + kind, 0, 0]))


@given(st.integers(0, 2**70 - 1))
def test_an_integer_is_seven_bits_a_byte(number: int) -> None:
    content = varint(number)
    assert read_varint(content, 0) == (number, len(content))
    with pytest.raises(ValueError, match="a number without end"):
        read_varint(content[:-1], 0)


def test_an_integer_ends_after_ten_bytes() -> None:
    with pytest.raises(ValueError, match="a number without end"):
        read_varint(varint(2**70), 0)


# Values -------------------------------------------------------------------------------


def read_back(file: Path) -> list[bytes]:
    opened = pq.ParquetFile(file)
    level = opened.schema.column(0).max_definition_level
    return [
        value
        for number in range(opened.metadata.num_row_groups)
        for page in pages_of(
            file,
            stamp_of(file.stat()),
            opened.metadata.row_group(number).column(0),
            level,
        )
        for value in page_values(page)
    ]


#: Runs of one value, between values that change.
RUNS = st.lists(
    st.tuples(st.integers(0, 600), st.integers(1, 40)), min_size=1, max_size=60
)


@example(runs=[(n, 1) for n in range(600)], options=("1.0", True, "snappy", 2**20))
@example(runs=[(7, 400), (8, 1), (9, 1)], options=("2.0", True, "none", 64))
@example(runs=[(n, 20) for n in range(200)], options=("1.0", True, "none", 2**20))
@example(runs=[(n, 9) for n in range(600)], options=("2.0", True, "zstd", 2**20))
@given(
    runs=RUNS,
    options=st.tuples(
        st.sampled_from(["1.0", "2.0"]),
        st.booleans(),
        st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4"]),
        st.sampled_from([64, 2**20]),
    ),
)
@pytest.mark.parametrize("may_lack", [False, True])
@pytest.mark.parametrize("format_", ["1.0", "2.6"])
def test_values_are_those_that_pyarrow_wrote(
    runs: list[tuple[int, int]],
    options: tuple[str, bool, str, int],
    may_lack: bool,
    format_: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    version, has_dictionary, compression, size = options
    values = [
        b"x" * (number % 5) + b"%d" % number for number, n in runs for _ in range(n)
    ]
    file = tmp_path_factory.getbasetemp() / "pages.parquet"
    field = pa.field("image.bytes", pa.binary(), nullable=may_lack)
    pq.write_table(
        pa.table([values], schema=pa.schema([field])),
        file,
        version=format_,
        data_page_version=version,
        use_dictionary=has_dictionary,
        compression=compression,
        data_page_size=size,
        write_batch_size=16,
    )
    found = read_back(file)
    assert found == values
    assert {type(value) for value in found} == {bytes}


def test_a_value_may_be_larger_than_sixteen_megabytes(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    values = [b"x" * (2**24 + 5), b"y"]
    pq.write_table(pa.table({"a": values}), file, compression="zstd")
    assert read_back(file) == values


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_missing_value_is_said_wherever_it_is(tmp_path: Path, version: str) -> None:
    file = tmp_path / "a.parquet"
    for place in (0, 7, 19):
        values = [None if number == place else b"x" for number in range(20)]
        pq.write_table(pa.table({"a": values}), file, data_page_version=version)
        with pytest.raises(ValueError, match="a value is missing"):
            read_back(file)


# Pages that nobody writes -------------------------------------------------------------

#: Of every length that a number of a page can have.
NUMBER, TEXT, STRUCT = 5, 8, 12


def page(kind: int, about: dict[int, tuple[int, Any]], content: bytes) -> bytes:
    size = len(content)
    head = {1: (NUMBER, kind), 2: (NUMBER, size), 3: (NUMBER, size)}
    described = {0: 5, 2: 7, 3: 8}.get(kind, 5)
    return written({**head, described: (STRUCT, about)}) + content


def of_version_1(values: int, encoding: int, content: bytes) -> bytes:
    return page(0, {1: (NUMBER, values), 2: (NUMBER, encoding)}, content)


def of_version_2(
    values: int, encoding: int, levels: bytes, content: bytes, **more: tuple[int, Any]
) -> bytes:
    about = {1: (NUMBER, values), 2: (NUMBER, 0), 3: (NUMBER, values)}
    about |= {4: (NUMBER, encoding), 5: (NUMBER, len(levels)), 6: (NUMBER, 0)}
    packed = {7: more["packed"]} if more else {}
    return page(3, {**about, **packed}, levels + content)


def dictionary(*values: bytes) -> bytes:
    about = {1: (NUMBER, len(values)), 2: (NUMBER, 0)}
    return page(2, about, plain(*values))


def plain(*values: bytes) -> bytes:
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def values_of(
    folder: Path,
    *pages: bytes,
    values: int = 9,
    defined: int = 0,
    codec: str = "UNCOMPRESSED",
    begin: int = 4,
    **said: Any,
) -> list[bytes]:
    content = b"".join(pages)
    file = folder / "a.parquet"
    file.write_bytes(bytes(begin) + content)
    about = {
        "dictionary_page_offset": None,
        "data_page_offset": begin,
        "total_compressed_size": len(content),
        "num_values": values,
        "compression": codec,
        **said,
    }
    found = pages_of(file, stamp_of(file.stat()), SimpleNamespace(**about), defined)
    return [value for one in found for value in page_values(one)]


THREE = of_version_1(3, 0, plain(b"a", b"", b"bc"))
KNOWN = dictionary(b"a", b"b")


def test_a_page_by_hand_has_its_values(tmp_path: Path) -> None:
    assert values_of(tmp_path, THREE) == [b"a", b"", b"bc"]
    for begin in (1, 1000):
        assert values_of(tmp_path, THREE, begin=begin) == [b"a", b"", b"bc"]
    # Five numbers of one bit: a group of eight, and a run of ten of which two count.
    group, run = bytes([3, 0b101]), bytes([20, 1])
    for encoding in (2, 8):
        found = of_version_1(8, encoding, bytes([1]) + group)
        wanted = [b"b", b"a", b"b", *[b"a"] * 5]
        assert values_of(tmp_path, KNOWN, found) == wanted
    found = of_version_1(9, 8, bytes([1]) + group + run)
    assert values_of(tmp_path, KNOWN, found) == [*wanted, b"b"]


def test_runs_of_nothing_and_of_numbers_as_wide_as_can_be_are_read(
    tmp_path: Path,
) -> None:
    wide = bytes([32, 0, 9, 9, 9, 9, 6]) + (1).to_bytes(4, "little")
    assert values_of(tmp_path, KNOWN, of_version_1(3, 8, wide)) == [b"b"] * 3
    nine = bytes([9, 6]) + (1).to_bytes(2, "little") + bytes([4, 0, 0])
    assert values_of(tmp_path, KNOWN, of_version_1(5, 8, nine)) == [
        *[b"b"] * 3,
        *[b"a"] * 2,
    ]
    # A run without end is no more than the page has values.
    endless = bytes([1]) + varint(2**69) + bytes([1])
    assert values_of(tmp_path, KNOWN, of_version_1(3, 8, endless)) == [b"b"] * 3
    endless = bytes([1]) + varint(2**69 + 1) + bytes([2])
    assert values_of(tmp_path, KNOWN, of_version_1(3, 8, endless)) == [b"a", b"b", b"a"]


LEVELS = bytes([6, 1])


@pytest.mark.parametrize("packed", [None, (1, True), (2, False)])
def test_a_page_of_version_2_is_packed_unless_it_says_that_it_is_not(
    tmp_path: Path, packed: tuple[int, Any] | None
) -> None:
    content = plain(b"a", b"b", b"a" * 99)
    stored = (
        content
        if packed and not packed[1]
        else pa.compress(content, "zstd", asbytes=True)
    )
    more = {"packed": packed} if packed else {}
    made = of_version_2(3, 0, LEVELS, stored, **more)
    # It says how long it is unpacked.
    made = made.replace(
        zigzag(len(LEVELS + stored)) + b"\x15",
        zigzag(len(LEVELS + content)) + b"\x15",
        1,
    )
    found = values_of(tmp_path, made, codec="ZSTD", defined=1)
    assert found == [b"a", b"b", b"a" * 99]


def test_a_page_without_values_has_none_missing(tmp_path: Path) -> None:
    assert values_of(tmp_path, of_version_1(0, 0, bytes(4)), THREE, values=3) == [
        b"a",
        b"",
        b"bc",
    ]
    nothing = of_version_1(0, 0, bytes(4))
    assert values_of(tmp_path, nothing, defined=1) == []


BROKEN: dict[str, tuple[tuple[bytes, ...], str]] = {
    "cut off in a value": (
        (of_version_1(3, 0, plain(b"a", b"", b"bc")[:-1]),),
        "a page is damaged",
    ),
    "fewer values": ((of_version_1(4, 0, plain(b"a")),), "a page is damaged"),
    "a number that nothing has": (
        (KNOWN, of_version_1(1, 8, bytes([2, 2, 2]))),
        "a page is damaged",
    ),
    "wide numbers": (
        (KNOWN, of_version_1(1, 8, bytes([33, 2, 0]))),
        "numbers of more than 32 bits",
    ),
    "fewer numbers": ((KNOWN, of_version_1(9, 8, bytes([1, 3, 0]))), "without end"),
    "no numbers": ((KNOWN, of_version_1(1, 8, b"")), "a page is damaged"),
    "another encoding": ((of_version_1(1, 3, b""),), "it has the encoding 3"),
    "another kind": ((page(1, {1: (NUMBER, 1), 2: (NUMBER, 0)}, b""),), "that is none"),
    "no encoding": ((page(0, {1: (NUMBER, 1)}, b""),), "that is none"),
    "no number of values": ((page(0, {2: (NUMBER, 0)}, b""),), "that is none"),
    "values that are a text": (
        (page(0, {1: (TEXT, b"1"), 2: (NUMBER, 0)}, b""),),
        "that is none",
    ),
    "nothing that describes it": (
        (written({1: (NUMBER, 0), 2: (NUMBER, 0), 3: (NUMBER, 0)}),),
        "that is none",
    ),
    "a kind that is a struct": (
        (written({1: (STRUCT, {1: (1, True)}), 2: (NUMBER, 0), 3: (NUMBER, 0)}),),
        "that is none",
    ),
    "less than no bytes": (
        (
            written(
                {
                    1: (NUMBER, 0),
                    2: (NUMBER, 0),
                    3: (NUMBER, -1),
                    5: (STRUCT, {1: (NUMBER, 1), 2: (NUMBER, 0)}),
                }
            ),
        ),
        "that is none",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_page_that_is_broken_is_said_to_be(name: str, tmp_path: Path) -> None:
    pages, said = BROKEN[name]
    with pytest.raises(ValueError, match=said):
        values_of(tmp_path, *pages)


@pytest.mark.parametrize(
    "about",
    [
        {"data_page_offset": 0},
        {"data_page_offset": -1},
        {"total_compressed_size": len(THREE) + 1},
        {"total_compressed_size": -1},
    ],
)
def test_a_column_lies_in_its_file(about: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a column lies outside the file"):
        values_of(tmp_path, THREE, **about)


def test_a_column_without_bytes_has_no_pages(tmp_path: Path) -> None:
    assert values_of(tmp_path, THREE, total_compressed_size=0) == []


@pytest.mark.parametrize("lacking", [1, 2, len(plain(b"a", b"", b"bc"))])
def test_a_page_lies_in_its_column(lacking: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a page ends behind its column"):
        values_of(tmp_path, THREE, total_compressed_size=len(THREE) - lacking)


def test_the_head_of_a_page_may_hold_long_statistics(tmp_path: Path) -> None:
    about = {1: (NUMBER, 1), 2: (NUMBER, 0), 5: (STRUCT, {1: (TEXT, bytes(65_000))})}
    assert values_of(tmp_path, page(0, about, plain(b"a"))) == [b"a"]


@pytest.mark.parametrize(("more", "is_page"), [(-1, True), (0, True), (1, False)])
def test_a_page_promises_as_much_as_a_photograph_can_have(
    more: int, is_page: bool, tmp_path: Path
) -> None:
    size = LARGEST_PAGE + more
    about = {1: (NUMBER, 0), 2: (NUMBER, 0)}
    head = {1: (NUMBER, 0), 2: (NUMBER, size), 3: (NUMBER, 0), 5: (STRUCT, about)}
    if is_page:
        assert values_of(tmp_path, written(head)) == []
    else:
        with pytest.raises(ValueError, match=f"a page promises {size:,} bytes"):
            values_of(tmp_path, written(head))


@given(st.binary(min_size=1, max_size=40), st.integers(0, 9), st.booleans())
def test_whatever_a_page_holds_is_values_or_damage(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, values: int, lacks: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for encoding in (0, 8):
        made = of_version_1(values, encoding, content)
        try:
            found = values_of(folder, KNOWN, made, defined=int(lacks))
        except ValueError:
            continue
        assert len(found) == values
