"""A piece of TOML that knows its place: turned into a struct or one clear error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from repro.errors import ExpectedError

T = TypeVar("T", bound=msgspec.Struct)

_TYPES = {
    "array": "a list",
    "bool": "true or false",
    "date": "a date",
    "datetime": "a date",
    "decimal": "a number",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "a string",
    "time": "a time of day",
}
#: msgspec tells what is wrong in words alone.
_WRONG_TYPE = re.compile(r"Expected `(.+?)`, got `(\w+)`")
_WRONG_LENGTH = re.compile(r"Expected `array` of length (\d+), got (\d+)")


class Definition(msgspec.Struct, frozen=True, gc=False):
    """Where something is written down: the file, and the key in it."""

    file: Path
    key: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


class Located(Definition, frozen=True):
    """A piece of TOML and the place that an error about it has to name."""

    value: Any

    @property
    def definition(self) -> Definition:
        """The place alone."""
        return Definition(self.file, self.key)

    def holding(self, value: Any) -> Located:
        """Give another value at the same place."""
        return msgspec.structs.replace(self, value=value)

    def error(self, message: str) -> ExpectedError:
        """Make an error that begins with the place."""
        return ExpectedError(f"{self}: {message}")


def shown(value: object) -> str:
    """Quote a value in a message, shortened."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out integers of thousands of digits.
        text = "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."


def convert(located: Located, type_: type[T], **injected: str) -> T:
    """Turn a table into a struct; `injected` are fields that no key may set.

    Raises:
        ExpectedError: it is no table, or a key is unknown, missing or of a wrong type.
    """
    if not isinstance(located.value, dict):
        raise located.error(f"must be a table, not {shown(located.value)}")
    for key in injected:
        if key in located.value:
            raise located.error(f"{key} is the name in the table's header; remove it")
    try:
        return msgspec.convert({**located.value, **injected}, type_)
    except OverflowError as error:
        raise located.error("has a number that is too large") from error
    except msgspec.ValidationError as error:
        message, _, path = str(error).rpartition(" - at `$")
        if not message:
            message, path = path, ""
        path = path.rstrip("`")
        field = _field_type(type_, path)
        raise ExpectedError(
            f"{located}{path}: {_explain(message, field, injected)}"
        ) from error


def _explain(message: str, field: object, injected: Iterable[str]) -> str:
    """Say in the words of TOML what msgspec says in those of Python's types."""
    kind, _, name = message.partition(" field ")
    if kind == "Object contains unknown":
        allowed = [name for name in _keys(field) if name not in injected]
        return f"unknown key {name[1:-1]!r}; allowed are {', '.join(allowed)}"
    if kind == "Object missing required":
        return f"the key {name[1:-1]!r} is missing"
    if message.startswith("Invalid enum value "):
        words = [repr(word) for part in _parts(field) for word in _literals(part)]
        numbers = "neither a number nor" if float in _parts(field) else "not"
        return f"{message[19:]} is {numbers} {' or '.join(words)}"
    return _explain_wrong_type(message)


def _explain_wrong_type(message: str) -> str:
    if match := _WRONG_TYPE.fullmatch(message):
        wanted = dict.fromkeys(
            _TYPES[part] for part in match[1].split(" | ") if part != "null"
        )
        found = "a decimal" if match[2] == "float" else _TYPES[match[2]]
        return f"must be {' or '.join(wanted)}, not {found}"
    if match := _WRONG_LENGTH.fullmatch(message):
        return f"must be a list of {match[1]}, not of {match[2]}"
    if message.endswith("of length >= 1"):
        return "must not be empty"
    if "matching regex" in message:
        return "must be one line without control characters"
    if message.startswith("Invalid decimal"):
        return "must be a number"
    return message


def _field_type(type_: object, path: str) -> object:
    """Find the type of what stands at `path` (such as `.text.templates[0]`)."""
    for name in re.findall(r"\.(\w+)", path):
        for struct in _structs(type_):
            fields = {f.encode_name: f.type for f in msgspec.structs.fields(struct)}
            type_ = fields.get(name, type_)
    return type_


def _keys(type_: object) -> list[str]:
    return [
        field.encode_name
        for struct in _structs(type_)
        for field in msgspec.structs.fields(struct)
    ]


def _structs(type_: object) -> list[type[msgspec.Struct]]:
    return [
        part
        for part in _parts(type_)
        if isinstance(part, type) and issubclass(part, msgspec.Struct)
    ]


def _parts(type_: object) -> tuple[object, ...]:
    is_union = get_origin(type_) in (Union, UnionType)
    parts = get_args(type_) if is_union else (type_,)
    # What is allowed besides its type does not change which type it is.
    return tuple(
        get_args(part)[0] if get_origin(part) is Annotated else part for part in parts
    )


def _literals(type_: object) -> tuple[object, ...]:
    return get_args(type_) if get_origin(type_) is Literal else ()
