"""Simulates a distant object store: forwards connections to a local port and delays every request.

Responses are forwarded immediately, so only latency is added and the bandwidth stays that of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib

_CHUNK = 1 << 20


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Forward requests, each part `seconds` after it was received."""
    loop = asyncio.get_running_loop()
    parts: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def forward() -> None:
        while True:
            due, part = await parts.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not part:
                writer.write_eof()
                return
            writer.write(part)
            await writer.drain()

    forwarding = asyncio.create_task(forward())
    while part := await reader.read(_CHUNK):
        parts.put_nowait((loop.time() + seconds, part))
    parts.put_nowait((loop.time() + seconds, b""))
    await forwarding


async def _response(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward responses."""
    while part := await reader.read(_CHUNK):
        writer.write(part)
        await writer.drain()


async def serve(port: int, target: int, seconds: float) -> None:
    """Forward connections until the process is stopped."""

    async def connected(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", target, limit=_CHUNK)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await asyncio.gather(_request(client, to_server, seconds), _response(server, to_client))
        for writer in (to_client, to_server):
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", port, limit=_CHUNK)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int, help="loopback port to listen on")
    parser.add_argument("target", type=int, help="loopback port to forward to")
    parser.add_argument("--seconds", type=float, default=0.05, help="delay of a request (default 0.05)")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.target, options.seconds))
