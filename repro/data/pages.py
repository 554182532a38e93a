"""Where the values of a column lie in a parquet file: read page by page, in place.

pyarrow reads whole row groups, which are hundreds of photographs; one photograph is
wanted at a time. A page is about a megabyte. Format:
https://github.com/apache/parquet-format
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from repro.files import Stamp

#: A page with more is a bomb: a photograph has not so many bytes.
LARGEST_PAGE = 64_000_000
#: A header that describes a page is shorter.
_HEADER = 70_000
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
#: The field that describes a page of each kind.
_ABOUT = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
_NO_HEAD = "a page has a head that is none"
_PLAIN, _BY_INDEX = (0,), (2, 8)


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page: `stored` bytes from `offset` on, `size` when they are unpacked.

    `levels` are the bytes of its levels where these are stored before the rest;
    `dictionary` holds the values where the page has only their numbers. Below the level
    `defined` a value is missing.
    """

    file: Path
    stamp: Stamp
    codec: str
    offset: int
    stored: int
    size: int
    values: int
    encoding: int
    levels: int | None
    is_packed: bool
    defined: int = 0
    dictionary: Page | None = None


def pages_of(file: Path, stamp: Stamp, column: Any, defined: int) -> list[Page]:
    """List the pages of a column in a row group.

    Args:
        file: the parquet file.
        stamp: of it, when its metadata were read.
        column: what pyarrow says of the column.
        defined: the level of a value that is not missing.

    Raises:
        ValueError: they are damaged, or written in a way that is not read here.
        OSError: they cannot be read.
    """
    first = column.dictionary_page_offset
    at = min(column.data_page_offset, first or column.data_page_offset)
    end = at + column.total_compressed_size
    if not 0 < at <= end <= stamp.size:
        raise ValueError("a column lies outside the file")
    pages: list[Page] = []
    dictionary: Page | None = None
    with file.open("rb") as stream:
        left = column.num_values
        while at < end and left > 0:
            head = os.pread(stream.fileno(), _HEADER, at)
            fields, length = read_struct(head)
            page = _page(file, stamp, column.compression, fields, at + length)
            at = page.offset + page.stored
            if at > end:
                raise ValueError("a page ends behind its column")
            if not 0 <= page.values <= column.num_values:
                raise ValueError(f"a page promises {page.values:,} values")
            if fields[1] == _DICTIONARY:
                dictionary = page
            else:
                more = {"dictionary": dictionary, "defined": defined}
                pages.append(msgspec.structs.replace(page, **more))
                left -= page.values
    return pages


def _page(
    file: Path, stamp: Stamp, codec: str, fields: dict[int, Any], offset: int
) -> Page:
    kind, size, stored = _integers(fields, 1, 2, 3)
    about = fields.get(_ABOUT[kind]) if kind in _ABOUT else None
    if not isinstance(about, dict) or min(stored, size) < 0:
        raise ValueError(_NO_HEAD)
    if size > LARGEST_PAGE:
        raise ValueError(f"a page promises {size:,} bytes")
    is_second = kind == _DATA_V2
    values, encoding = _integers(about, 1, 4 if is_second else 2)
    if encoding not in (*_PLAIN, *_BY_INDEX):
        raise ValueError(f"it has the encoding {encoding}; write it as pyarrow does")
    return Page(
        file=file,
        stamp=stamp,
        codec=codec,
        offset=offset,
        stored=stored,
        size=size,
        values=values,
        encoding=encoding,
        levels=sum(_integers(about, 5, 6)) if is_second else None,
        is_packed=not is_second or about.get(7) is not False,
    )


def _integers(fields: dict[int, Any], *keys: int) -> list[int]:
    found: list[Any] = [fields.get(key) for key in keys]
    if not all(isinstance(one, int) for one in found):
        raise ValueError(_NO_HEAD)
    return found


@lru_cache(maxsize=8)
def page_values(page: Page) -> tuple[bytes, ...]:
    """Read the values of a page; those of one are often wanted one after the other.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    with page.file.open("rb") as stream:
        stored = os.pread(stream.fileno(), page.stored, page.offset)
    levels = b""
    try:
        if page.levels is not None:
            levels, stored = stored[: page.levels], stored[page.levels :]
        content = _unpacked(page, stored, page.size - len(levels))
        at = 0
        if page.defined:
            if page.levels is None:
                levels, at = content[4:], 4 + int.from_bytes(content[:4], "little")
            width = page.defined.bit_length()
            if set(_numbers(levels, 0, width, page.values)) - {page.defined}:
                raise ValueError("a value is missing")
        if page.encoding in _BY_INDEX and page.dictionary is not None:
            known = page_values(page.dictionary)
            numbers = _numbers(content, at + 1, content[at], page.values)
            return tuple(known[number] for number in numbers)
        return tuple(_plain(content, at, page.values))
    except IndexError as error:
        raise ValueError("a page is damaged") from error


def _unpacked(page: Page, stored: bytes, size: int) -> bytes:
    if page.codec == "UNCOMPRESSED" or not page.is_packed:
        return stored
    import pyarrow as pa

    codec = {"LZ4": "lz4_raw"}.get(page.codec, page.codec.lower())
    found: bytes = pa.decompress(stored, size, codec, asbytes=True)
    return found


def _plain(content: bytes, at: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        size = int.from_bytes(content[at : at + 4], "little")
        at += 4 + size
        if at > len(content):
            raise IndexError
        yield content[at - size : at]


def _numbers(content: bytes, at: int, width: int, count: int) -> Iterator[int]:
    """Read numbers of some bits each.

    Raises:
        ValueError: there are fewer, or they have more bits than any page's.
    """
    if width > 32:
        raise ValueError("a page has numbers of more than 32 bits")
    return itertools.islice(_runs(content, at, width), count)


def _runs(content: bytes, at: int, width: int) -> Iterator[int]:
    """Yield runs of one number, and groups of eight that are packed."""
    mask = (1 << width) - 1
    while True:
        head, at = read_varint(content, at)
        if head & 1:
            for _ in range(head >> 1):
                bits = int.from_bytes(content[at : at + width], "little")
                yield from ((bits >> (width * place)) & mask for place in range(8))
                at += width
        else:
            end = at + (width + 7) // 8
            value = int.from_bytes(content[at:end], "little") & mask
            yield from (value for _ in range(head >> 1))
            at = end


# Structs of Thrift's compact protocol, in which parquet describes its pages -----------

#: Nothing that describes a page is nested deeper.
_DEEPEST = 8


def read_struct(
    content: bytes, at: int = 0, depth: int = 0
) -> tuple[dict[int, Any], int]:
    """Read the fields of a struct by their numbers, and where it ends.

    Raises:
        ValueError: it is damaged.
        IndexError: it goes on behind the content.
    """
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while head := content[at]:
        at += 1
        if step := head >> 4:
            number += step
        else:
            number, at = _signed(content, at)
        fields[number], at = _value(content, at, head & 15, depth)
    return fields, at + 1


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    """Read an integer of seven bits a byte, and where it ends."""
    value = 0
    for place, byte in enumerate(content[at : at + 10]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at + place + 1
    raise ValueError("it has a number without end")


def _signed(content: bytes, at: int) -> tuple[int, int]:
    value, at = read_varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _value(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return content[at], at + 1
    if kind in (4, 5, 6):
        return _signed(content, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        size, at = read_varint(content, at)
        return content[at : at + size], at + size
    if kind == 12:
        return read_struct(content, at, depth + 1)
    raise ValueError(f"it has a field of the kind {kind}")
