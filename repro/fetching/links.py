"""Links to released weights: what they name and what to ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from repro.errors import FetchError

Scheme = Literal["http", "file", "hf"]

_WANTED = (
    "a link is https://..., http://..., file:///path or hf://owner/repo[@revision]/file"
)


class Link(msgspec.Struct, frozen=True):
    """A link as it was written, and what it means.

    `target` is a URL to ask for, a path on this machine, or a file of a repository.
    """

    text: str
    scheme: Scheme
    target: str
    repository: str = ""
    revision: str | None = None


def read_link(text: str) -> Link:
    """Read a link.

    A share link of a file host that ends with `dl=0` shows a page in a browser; with
    `dl=1` it answers the file itself, or a zip of the folder.

    Raises:
        FetchError: it is none that can be fetched.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise FetchError(f"{text!r} is no link ({error}); {_WANTED}") from error
    if parts.scheme in {"http", "https"} and parts.hostname:
        query = parse_qsl(parts.query, keep_blank_values=True)
        asked = [(key, "1" if key == "dl" else value) for key, value in query]
        if _is_share_link(parts.hostname) and ("dl", "1") not in asked:
            asked.append(("dl", "1"))
        changed = parts._replace(fragment="")
        if asked != query:
            changed = changed._replace(query=urlencode(asked))
        return Link(text, "http", urlunsplit(changed))
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return Link(text, "file", unquote(parts.path))
    if parts.scheme == "hf":
        return _hub_link(text)
    raise FetchError(f"{text!r} cannot be fetched; {_WANTED}")


def file_name(link: Link) -> str:
    """Name the file that a link points to, as far as the link itself says it."""
    path = urlsplit(link.target).path if link.scheme == "http" else link.target
    return unquote(Path(path).name)


def _is_share_link(host: str) -> bool:
    return host == "dropbox.com" or host.endswith(".dropbox.com")


def _hub_link(text: str) -> Link:
    owner, _, rest = text.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    name, _, revision = name.partition("@")
    if not (owner and name and file):
        raise FetchError(f"{text!r} names no file of a repository; {_WANTED}")
    return Link(text, "hf", file, f"{owner}/{name}", revision or None)
