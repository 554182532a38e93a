"""Hosts that take their time to answer: what stands before the bytes of a file.

The timeouts of a client are between two bytes, so that a host which sends the head of
its answer byte by byte would never be given up.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

#: Events of `httpcore` after which another wait begins, and those that end one.
_BEGINS = ("connect_tcp.complete", "send_request_headers.started")
_ENDS = ("receive_response_headers.complete", "receive_response_headers.failed")


class Answering:
    """Ends connections whose host has not answered after so many seconds.

    Each answer is bounded, also those that lead elsewhere.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._is_late = seconds, False
        self._connections: list[Any] = []
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def stream(
        self, client: httpx.Client, url: str, headers: dict[str, str]
    ) -> Iterator[httpx.Response]:
        """Ask for a URL, and give the answer once its head is there.

        Raises:
            httpx.TransportError: it never is.
        """
        self._is_late = False
        asked = client.stream(
            "GET", url, headers=headers, extensions={"trace": self._note}
        )
        with contextlib.ExitStack() as held:
            try:
                response = held.enter_context(asked)
            except httpx.TransportError as error:
                if not self._is_late:
                    raise
                late = f"no whole answer came in {self._seconds:.0f} s"
                raise httpx.ReadError(late) from error
            finally:
                self._stop()
            yield response

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of what happens to a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._connections.append(info["return_value"])
        if event.endswith(_BEGINS):
            self._stop()
            self._timer = threading.Timer(self._seconds, self._end)
            self._timer.daemon = True
            self._timer.start()
        elif event.endswith(_ENDS):
            self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """Close what is open: whoever reads from it is told that it ended."""
        self._is_late = True
        for connection in self._connections:
            open_one = connection.get_extra_info("socket")
            if open_one is not None:
                with contextlib.suppress(OSError):
                    # That of TLS would forget in whose middle it is read.
                    socket.socket.shutdown(open_one, socket.SHUT_RDWR)
