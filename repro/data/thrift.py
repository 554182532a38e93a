"""Read structs of Thrift's compact protocol, in which parquet describes its pages."""

from __future__ import annotations

from typing import Any

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
    value = shift = 0
    while shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
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
        if at + size > len(content):
            raise IndexError
        return content[at : at + size], at + size
    if kind == 12:
        return read_struct(content, at, depth + 1)
    raise ValueError(f"it has a field of the kind {kind}")
