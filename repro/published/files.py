"""Which TOML files make up which release, and what they hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
