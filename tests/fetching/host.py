"""A file host on the loopback interface that can have every fault on purpose."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = b"<!DOCTYPE html><html><head><title>Link expired</title></head></html>"


@dataclass
class Shared:
    """What lies behind one path of the host, and how it is given out.

    `faults` are taken one a request, first to last; afterwards all goes well. `cut`
    ends the connection after that part of the bytes. `pause` is waited for after each
    of `pieces` pieces, in seconds.
    """

    content: bytes
    name: str = ""
    media_type: str = "application/octet-stream"
    ranges: bool = False
    tag: bool = True
    length: bool = True
    pause: float = 0.0
    pieces: int = 10
    faults: list[Callable[[Answer], None]] = field(default_factory=list)

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet of clients that go away, as tests want them to."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Host:
    """The host, its files by path, and what it was asked for."""

    def __init__(self) -> None:
        self.shared: dict[str, Shared] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent: Counter[str] = Counter()
        self._server = _Server(("127.0.0.1", 0), Answer)
        self.answer_with(Answer)
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer_with(self, answer: type[Answer]) -> None:
        """Choose how requests are answered."""
        self._server.RequestHandlerClass = type("Own", (answer,), {"owner": self})

    def share(self, path: str, content: bytes, **how: Any) -> str:
        """Give out bytes under a path, and return the link."""
        self.shared[path] = Shared(content, **how)
        return f"{self.url}{path}"

    def share_folder(self, path: str, content: bytes, **how: Any) -> str:
        """Give out a folder's zip as Dropbox does: redirected, chunked, no ranges."""
        target = path.replace("/scl/", "/cd/")
        self.share(
            target,
            content,
            **{
                "name": "Folder.zip",
                "media_type": "application/zip",
                "length": False,
                "tag": False,
                **how,
            },
        )
        return f"{self.url}{path}?rlkey=abc&dl=0"

    def asked(self, path: str) -> list[dict[str, str]]:
        """List the headers of the requests for a path."""
        return [headers for asked, headers in self.requests if asked == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Answer(BaseHTTPRequestHandler):
    """One answer of the host."""

    owner: Host
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.owner.requests.append((url.path, dict(self.headers)))
        if url.path.startswith("/scl/"):
            self._share_link(url.path, parse_qs(url.query))
            return
        shared = self.owner.shared.get(url.path)
        if shared is None:
            self.reply(404, b"not found", {"Content-Type": "text/plain"})
        elif shared.faults:
            shared.faults.pop(0)(self)
        else:
            self.give()

    def _share_link(self, path: str, query: dict[str, list[str]]) -> None:
        if query.get("dl") == ["1"]:
            target = path.replace("/scl/", "/cd/")
            self.reply(302, b"", {"Location": target, "Set-Cookie": "t=1; Path=/"})
        else:
            self.reply(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})

    @property
    def wanted(self) -> Shared:
        return self.owner.shared[urlsplit(self.path).path]

    def give(self, cut: float = 1.0, *, ranges: bool | None = None) -> None:
        """Send what was asked for, or the beginning of it and then nothing more."""
        shared = self.wanted
        content, status, headers = shared.content, 200, {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") == shared.etag
        if asked and (shared.ranges if ranges is None else ranges) and same:
            start = int(asked[1])
            headers["Content-Range"] = (
                f"bytes {start}-{len(content) - 1}/{len(content)}"
            )
            content, status = content[start:], 206
        if shared.ranges:
            headers["Accept-Ranges"] = "bytes"
        if shared.tag:
            headers["ETag"] = shared.etag
        if shared.name:
            names = f"filename=\"{shared.name}\"; filename*=UTF-8''{shared.name}"
            headers["Content-Disposition"] = f"attachment; {names}"
        headers["Content-Type"] = shared.media_type
        self._send(status, headers, content, cut, chunked=not shared.length)

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._send(status, headers, content, 1.0, chunked=False)

    def cut_connection(self) -> None:
        """End without the rest of the answer."""
        self.close_connection = True

    def _send(
        self,
        status: int,
        headers: dict[str, str],
        content: bytes,
        cut: float,
        *,
        chunked: bool,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        shared = self.owner.shared.get(urlsplit(self.path).path)
        body = content[: int(len(content) * cut)]
        pieces = shared.pieces if shared else 1
        step = max(1, -(-len(body) // pieces))
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(body), step):
                piece = body[start : start + step]
                if chunked:
                    piece = b"%x\r\n%s\r\n" % (len(piece), piece)
                self.wfile.write(piece)
                self.owner.sent[urlsplit(self.path).path] += len(piece)
                if shared and shared.pause:
                    time.sleep(shared.pause)
            if chunked and cut == 1.0:
                self.wfile.write(b"0\r\n\r\n")
        if cut < 1.0:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def cut_at(part: float) -> Callable[[Answer], None]:
    """End the connection after a part of the bytes."""
    return lambda answer: answer.give(part)


def status(code: int, retry_after: str = "") -> Callable[[Answer], None]:
    """Answer a status and, perhaps, when to come back."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return lambda answer: answer.reply(code, b"later", headers)


def page(answer: Answer) -> None:
    """Answer a web page with status 200."""
    answer.reply(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})


def silence(answer: Answer) -> None:
    """Say nothing for longer than anybody waits, then hang up."""
    time.sleep(0.8)
    answer.close_connection = True


def drip(answer: Answer) -> None:
    """Begin an answer, and never come to the end of its head."""
    answer.close_connection = True
    with contextlib.suppress(OSError):
        answer.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            answer.wfile.write(b"a")
            time.sleep(0.05)


@contextlib.contextmanager
def running_host() -> Iterator[Host]:
    host = Host()
    try:
        yield host
    finally:
        host.close()


class HubAnswer(Answer):
    """What huggingface_hub asks before it downloads a file."""

    def do_HEAD(self) -> None:
        shared = self.owner.shared.get(self.path)
        self.send_response(200 if shared else 404)
        if shared:
            self.send_header("ETag", shared.etag)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", str(len(shared.content)))
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()
