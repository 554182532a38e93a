"""Download one URL over HTTP: tried again when it fails, never half a file.

Bytes go into `content.part`, and what is known of them into `content.json`, so that
another process can go on where a killed one stopped. When all of them are there the
file is renamed to `content`; no other name ever holds a part.
"""

from __future__ import annotations

import email.utils
import random
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from repro.errors import FetchError
from repro.fetching import Progress, check_space, full_disk_is_an_error
from repro.fetching.answering import Answering
from repro.files import decode_json, replace_bytes

#: A transfer that got this much further than ever before may fail anew as often.
GAIN = 8 * 2**20
#: Without a length the space on disk is looked at again after so many bytes.
LOOK_AGAIN = 64 * 2**20

#: What a host says of this moment, and not of the file.
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class Patience(msgspec.Struct, frozen=True):
    """How long a host is put up with: attempts without progress, and seconds.

    The n-th wait is about `wait * 2**n` seconds, at most `longest_wait`. A host that
    asks for more than `longest_asked` is not waited for, nor one that is silent for
    `silence` or sends fewer than `slowest` bytes a second for as long.
    """

    attempts: int = 6
    wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked: float = 600.0
    silence: float = 60.0
    slowest: float = 1024.0


class NoNetworkError(FetchError):
    """A host whose name cannot be looked up: most often there is no network at all."""

    def __init__(self, url: str) -> None:
        host = urlsplit(url).hostname or url
        super().__init__(f"there is no network here: {host} cannot be looked up")


class Received(msgspec.Struct, frozen=True):
    """What is known of a download: its name and type as the host gave them.

    `validator` is an ETag or a date under which the host goes on with the same bytes;
    `total` is the number of all bytes, where the host says it.
    """

    url: str
    name: str
    media_type: str
    validator: str
    total: int | None


def download(
    url: str, folder: Path, progress: Progress, patience: Patience
) -> tuple[Path, Received]:
    """Download a URL into a folder, going on with what lies there already.

    Args:
        url: `http:` or `https:`.
        folder: belongs to this URL alone; the caller holds its lock.
        progress: is told what happens.
        patience: how often to try.

    Raises:
        NoNetworkError: its host is unknown before anything came; it is not tried again.
        FetchError: it cannot be had; the message says why and after how many attempts.
    """
    with full_disk_is_an_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(url, folder, progress, patience)
        timeout = httpx.Timeout(patience.silence, connect=min(30.0, patience.silence))
        with httpx.Client(
            follow_redirects=True, max_redirects=10, timeout=timeout
        ) as client:
            return _persist(transfer, client, progress, patience)


def _persist(
    transfer: _Transfer, client: httpx.Client, progress: Progress, patience: Patience
) -> tuple[Path, Received]:
    failures, furthest = 0, transfer.size
    while not transfer.content.is_file():
        try:
            transfer.attempt(client)
        # The last one is of a host, where it redirects to, that no name can be.
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
            raise FetchError(f"{transfer.url} cannot be fetched: {error}") from error
        except (httpx.TransportError, TemporaryError) as error:
            if not failures and is_unknown_host(error):
                raise NoNetworkError(transfer.url) from error
            # A host that breaks off every gigabyte is slow, not down: what counts is
            # how often it fails without getting on.
            failures = 1 if transfer.size >= furthest + GAIN else failures + 1
            furthest = max(furthest, transfer.size)
            reason = _reason(error)
            if failures >= patience.attempts:
                raise FetchError(
                    f"{transfer.url} failed {failures} times, at last: {reason}. "
                    "Try again later; what is there is kept where the host can go on"
                ) from error
            seconds = _wait(error, failures, patience, transfer.url)
            progress.say(f"{reason}; trying again in {seconds:.0f} s")
            time.sleep(seconds)
        except httpx.HTTPError as error:
            raise FetchError(f"{transfer.url} cannot be fetched: {error}") from error
    return transfer.content, transfer.received


class _Transfer:
    """One URL on its way into a folder."""

    def __init__(
        self, url: str, folder: Path, progress: Progress, patience: Patience
    ) -> None:
        self.url = url
        self._patience = patience
        self._answering = Answering(2 * patience.silence)
        self.content = folder / "content"
        self._folder = folder
        self._part = folder / "content.part"
        self._note = folder / "content.json"
        self._progress = progress
        known = self._known()
        if known is None:
            # What lies there is of another URL, or nobody knows of what.
            self.content.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        elif self._part.exists() and self.size == known.total:
            # Killed between the last byte and the renaming.
            self._finish()

    @property
    def received(self) -> Received:
        known = self._known()
        assert known is not None
        return known

    @property
    def size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def attempt(self, client: httpx.Client) -> None:
        """Ask once and take all that comes."""
        known, start = self._known(), self.size
        # A host that compresses on the way counts other bytes than those of the file,
        # and a range of them could not be gone on with.
        headers = {"Accept-Encoding": "identity"}
        if known is not None and known.validator and start:
            # If-Range: a host whose file is another one by now sends all of it, with
            # 200.
            headers |= {"Range": f"bytes={start}-", "If-Range": known.validator}
        with self._answering.stream(client, self.url, headers) as response:
            check_redirects(response)
            if response.status_code == 206 and known is not None:
                _check_range(response, start, known, self._part)
            elif response.status_code == 200:
                start = 0
            else:
                _refuse_status(response, self._part, self.url)
            chunks = self._not_for_ever(response.iter_raw())
            if start == 0:
                chunks = without_pages(response, chunks, self.url)
                self._begin(response)
            total = self.received.total
            self._progress.begin("downloading", start, total)
            if total is not None:
                check_space(self._folder, total - start, f"the download of {self.url}")
            self._write(chunks, start)
        if total is not None and self.size != total:
            raise TemporaryError(f"{self.size:,} of {total:,} bytes came")
        self._finish()

    def _begin(self, response: httpx.Response) -> None:
        """Write down what comes, before the first byte of it."""
        # The old bytes go before the new note is there: killed in between, nobody goes
        # on with the bytes of one file under the note of another.
        self._part.unlink(missing_ok=True)
        length = response.headers.get("Content-Length", "")
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        note = Received(
            url=self.url,
            name=given_name(response),
            media_type=media_type.strip().lower(),
            validator=validator_of(response),
            total=int(length) if length.isdecimal() else None,
        )
        replace_bytes(self._note, msgspec.json.encode(note))

    def _write(self, chunks: Iterator[bytes], start: int) -> None:
        since_look = 0
        with self._part.open("ab" if start else "wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
                self._progress.advance(len(chunk))
                since_look += len(chunk)
                if since_look >= LOOK_AGAIN:
                    check_space(self._folder, LOOK_AGAIN, f"the download of {self.url}")
                    since_look = 0

    def _not_for_ever(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Give what comes, as long as it does not come a few bytes at a time."""
        begun, came = time.monotonic(), 0
        for chunk in chunks:
            yield chunk
            came += len(chunk)
            seconds = time.monotonic() - begun
            if seconds > self._patience.silence:
                if came < self._patience.slowest * seconds:
                    raise TemporaryError(f"{came:,} bytes came in {seconds:.0f} s")
                begun, came = time.monotonic(), 0

    def _finish(self) -> None:
        self._part.replace(self.content)

    def _known(self) -> Received | None:
        """Read what an earlier attempt wrote down of this URL."""
        try:
            note = decode_json(self._note.read_bytes(), Received)
        except (OSError, ValueError):
            return None
        return note if note.url == self.url else None


def _check_range(
    response: httpx.Response, start: int, known: Received, part: Path
) -> None:
    """Refuse to go on with bytes that do not follow those that are here."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    changed = validator_of(response) not in {"", known.validator}
    # Of another file the rest would fit to what is here, and only a checksum would
    # tell.
    follows = not changed and found is not None and int(found[1]) == start
    if not follows or (
        known.total is not None and found and int(found[2]) != known.total
    ):
        part.unlink(missing_ok=True)
        raise TemporaryError("the host went on with other bytes; starting again")


def _refuse_status(response: httpx.Response, part: Path, url: str) -> None:
    status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    if response.status_code in _TEMPORARY:
        raise TemporaryError(f"the host answers {status}", asked_seconds(response))
    # A part that nobody asked for, or nothing behind what is here: it is of another
    # file.
    if response.status_code in {206, 416}:
        part.unlink(missing_ok=True)
        raise TemporaryError(f"the host answers {status}; starting again")
    raise FetchError(
        f"{url} answers {status}; the link may have expired or been taken back: open "
        "it in a browser, and correct it in the release if it moved"
    )


def _wait(error: Exception, failures: int, patience: Patience, url: str) -> float:
    asked = error.asked if isinstance(error, TemporaryError) else None
    if asked is not None and asked > patience.longest_asked:
        raise FetchError(
            f"{url}: {error} and asks to come back in {asked / 60:.0f} minutes; do so"
        ) from error
    backoff: float = min(patience.longest_wait, patience.wait * 2 ** (failures - 1))
    # Spread, so that processes that failed together do not come back together.
    return max(asked or 0.0, backoff * random.uniform(0.75, 1.25))


def is_unknown_host(error: BaseException | None) -> bool:
    """Tell whether an error came of a name that could not be looked up."""
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None


def _reason(error: Exception) -> str:
    if isinstance(error, TemporaryError):
        return str(error)
    if isinstance(error, httpx.TimeoutException):
        return "the host is silent"
    return f"the connection broke ({str(error) or type(error).__name__})"


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


def without_pages(
    response: httpx.Response, chunks: Iterator[bytes], url: str
) -> Iterator[bytes]:
    """Give the bytes of a response, unless they are a page for people."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise FetchError(f"{url} comes encoded as {encoding}, which was not asked for")
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
    # A weak tag may stay the same where bytes differ (RFC 9110, 8.8.1).
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
