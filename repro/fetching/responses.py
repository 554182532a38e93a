"""What a host answers: a file, a page for people, or to come back later."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message

import httpx

from repro.errors import FetchError

#: So many bytes tell a page from a file, and hold its title.
BEGINNING = 2048

_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class TemporaryError(Exception):
    """A fault that may be gone the next time, and the seconds the host asks for."""

    def __init__(self, reason: str, asked: float | None = None) -> None:
        super().__init__(reason)
        self.asked = asked


def check_redirects(response: httpx.Response) -> None:
    """Refuse what came over an unencrypted connection although the link is `https:`."""
    urls = [earlier.url for earlier in response.history] + [response.url]
    if urls[0].scheme == "https" and any(url.scheme != "https" for url in urls):
        raise FetchError(
            f"{urls[0]} was redirected to the host {response.url.host} without "
            "encryption, where anybody can change what comes; nothing was taken"
        )


def without_pages(response: httpx.Response, url: str) -> Iterator[bytes]:
    """Give the bytes of a response, unless they are a page for people."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise FetchError(f"{url} comes encoded as {encoding}, which was not asked for")
    chunks = response.iter_raw()
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= BEGINNING:
            break
    head = first.lstrip()[:20].lower()
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    if is_page or head.startswith((b"<!doctype html", b"<html")):
        title = _TITLE.search(first)
        said = title[1].decode("utf-8", "replace").strip() if title else "no title"
        raise FetchError(
            f"{url} answers a web page ({said[:100]!r}) in place of a file; the link "
            "may have expired, need a login or have been used too often: open it in a "
            "browser"
        )

    def all_chunks() -> Iterator[bytes]:
        yield first
        yield from chunks

    return all_chunks()


def given_name(response: httpx.Response) -> str:
    """Read the file name that the host gives; it is a name, never a path."""
    message = Message()
    message["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    given = message.get_filename() or ""
    return given.replace("\\", "/").rpartition("/")[2]


def validator_of(response: httpx.Response) -> str:
    """Choose what proves that the bytes are the same; empty where nothing does."""
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    date: str = response.headers.get("Last-Modified", "")
    return date


def asked_seconds(response: httpx.Response) -> float | None:
    """Read `Retry-After`: seconds, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
