"""Pages of parquet against pyarrow, and their heads against a writer of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repro.data.pages import page_values, pages_of, read_struct, read_varint
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
    with pytest.raises(IndexError):
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
def test_values_are_those_that_pyarrow_wrote(
    runs: list[tuple[int, int]],
    options: tuple[str, bool, str, int],
    may_lack: bool,
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
        data_page_version=version,
        use_dictionary=has_dictionary,
        compression=compression,
        data_page_size=size,
        write_batch_size=16,
    )
    assert read_back(file) == values


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_missing_value_is_said_wherever_it_is(tmp_path: Path, version: str) -> None:
    file = tmp_path / "a.parquet"
    for place in (0, 7, 19):
        values = [None if number == place else b"x" for number in range(20)]
        pq.write_table(pa.table({"a": values}), file, data_page_version=version)
        with pytest.raises(ValueError, match="a value is missing"):
            read_back(file)
