"""Lines of an HTTP response that arrive over minutes, as an asynchronous iterator."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import urllib3

from modelmonitor_operator.gateway import GatewayError, Unavailable

#: Lines that have been received and not handled; beyond that, the connection waits.
BUFFERED_LINES = 100


class LineStream:
    """The lines of a response that arrive over minutes, read by a thread of their own.

    Parameters
    ----------
    begin
        Sends the request and returns the response.
    """

    def __init__(self, begin: Callable[[], urllib3.BaseHTTPResponse]) -> None:
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | GatewayError | None] = asyncio.Queue()
        self._room = threading.Semaphore(BUFFERED_LINES)
        self._response: urllib3.BaseHTTPResponse | None = None
        self._closed = False

    async def __aenter__(self) -> AsyncIterator[bytes]:
        # A daemon: a read that waits does not keep the process from exiting.
        threading.Thread(target=self._read, name="watch", daemon=True).start()
        return self._received()

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        self._room.release()  # ends the wait of the thread
        if self._response is not None:
            # It may have been read to its end, or the server may have closed the connection.
            with contextlib.suppress(RuntimeError, ValueError, OSError):
                self._response.shutdown()  # ends the read of the thread

    async def _received(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            self._room.release()
            if isinstance(line, GatewayError):
                raise line
            yield line

    def _read(self) -> None:
        try:
            self._response = self._begin()
            if self._closed:
                return
            for line in _lines(self._response):
                self._give(line)
            self._give(None)
        except GatewayError as error:
            self._give(error)
        except Exception as error:  # noqa: BLE001 - the reader would wait for ever for what is lost here
            self._give(Unavailable(f"a watch was interrupted: {error}"))
        finally:
            if self._response is not None:
                self._response.close()

    def _give(self, line: bytes | GatewayError | None) -> None:
        self._room.acquire()
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65536):
        *complete, rest = (rest + chunk).split(b"\n")
        yield from filter(None, complete)
