"""Lines of a response: what happens at its end, and when the reader leaves before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from modelmonitor_operator.line_stream import LineStream


class FakeResponse:
    """A response that gives some chunks, and then waits until it is shut down."""

    def __init__(self, *chunks: bytes, shutdown: Exception | None = None) -> None:
        self._chunks, self._error, self._ended = chunks, shutdown, threading.Event()

    def stream(self, _: int) -> Iterator[bytes]:
        yield from self._chunks
        self._ended.wait()

    def shutdown(self) -> None:
        self._ended.set()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "error",
    [
        None,
        RuntimeError("the response was read to its end"),
        ValueError("I/O operation on closed file"),
        OSError(107, "Transport endpoint is not connected"),
    ],
)
async def test_a_reader_can_leave_whatever_the_connection_has_become(error: Exception | None) -> None:
    response: Any = FakeResponse(b"one\ntw", b"o\nthr", shutdown=error)
    lines = []
    async with LineStream(lambda: response) as stream:
        async for line in stream:
            lines.append(line)
            if len(lines) == 2:
                break
    assert lines == [b"one", b"two"]
