"""Which TOML files make up which release, and what they hold.

A piece of TOML knows its place: it is turned into a struct, or into one clear error.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from repro.errors import ExpectedError
from repro.files import is_there

EMBEDDED = Path(__file__).parent.parent / "embedded"
RELEASE_FILE = "release.toml"

_MOST_PARTS = 100
#: Atomic groups: what does not match is not tried in every other way, of which there
#: are more than anybody waits for.
_PART = r"""(?>[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?>\.[ \t]*{_PART}){{{_MOST_PARTS}}}")

_WANTED = (
    "name a TOML file of published numbers, a folder of such files, or the word "
    "'embedded'"
)


def release_files(paths: Sequence[Path | str]) -> Iterator[list[Path]]:
    """Yield the TOML files of each release that the paths name.

    Raises:
        ExpectedError: a path is neither a file nor a folder with TOML files, or it is
            not clear which release a TOML file belongs to.
    """
    for named in paths:
        if not str(named):
            raise ExpectedError(f"a path of published numbers is empty; {_WANTED}")
        path = EMBEDDED if str(named) == "embedded" else Path(named)
        try:
            if not is_there(path):
                raise ExpectedError(f"{path} does not exist; {_WANTED}")
            if path.is_dir():
                yield from _folder_files(path)
            elif path.is_file():
                yield [path]
            else:
                raise ExpectedError(f"{path} is no file; {_WANTED}")
        except OSError as error:
            raise _unreadable(path, error) from error


def load_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ExpectedError: it cannot be read or is not TOML.
    """
    text = read_text(file)
    if any(
        line.count(".") >= _MOST_PARTS and _DEEP_KEY.search(line)
        for line in text.split("\n")
    ):
        # The parser would copy the key once for each of its parts.
        raise ExpectedError(
            f"{file}: not valid TOML: a key has more than {_MOST_PARTS} parts"
        )
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ExpectedError(f"{file}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ExpectedError(f"{file}: not valid TOML: nested too deeply") from error


def read_text(file: Path) -> str:
    """Read a text file.

    Raises:
        ExpectedError: it cannot be read or is not UTF-8.
    """
    try:
        if file.exists() and not file.is_file():
            raise ExpectedError(f"{file}: is no regular file; put a text file there")
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(file, error) from error
    except UnicodeDecodeError as error:
        raise ExpectedError(
            f"{file}: is no UTF-8 text (byte {error.start} cannot be decoded)"
        ) from error


def _folder_files(folder: Path) -> Iterator[list[Path]]:
    """Yield one release, if the folder holds release.toml, or else every one in it."""
    own = _toml_files(folder)
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    if folder / RELEASE_FILE in own:
        nested = [sub for sub in folders if (sub / RELEASE_FILE).exists()]
        if nested:
            raise ExpectedError(
                f"{folder} and {nested[0]} both hold a {RELEASE_FILE}; a folder is one "
                "release or a folder of releases, not both"
            )
        yield own
        return
    below = {sub: _toml_files(sub) for sub in folders}
    if not own and not any(below.values()):
        raise ExpectedError(
            f"{folder} holds no TOML file and no folder with a {RELEASE_FILE}"
        )
    yield from ([file] for file in own)
    for sub, files in below.items():
        if files and sub / RELEASE_FILE not in files:
            raise ExpectedError(
                f"{sub} holds {files[0].name} but no {RELEASE_FILE}; the file with the "
                f"table [release] has that name in a folder of its own"
            )
        if files:
            yield files


def _toml_files(folder: Path) -> list[Path]:
    """List the TOML files in a folder, other than hidden ones."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix == ".toml"
        and not path.name.startswith(".")
        and not path.is_dir()
    )


def _unreadable(path: Path, error: OSError) -> ExpectedError:
    if isinstance(error, FileNotFoundError):
        return ExpectedError(f"{path}: does not exist; put it there")
    reason = error.strerror or str(error)
    return ExpectedError(f"{path}: cannot be read ({reason}); make it readable")


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
