"""A small HTTP server in the event loop: some paths, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler


class Listener:
    """Serves GET requests for some paths on all interfaces.

    Parameters
    ----------
    handlers
        Path → handler of its GET requests. Other paths are answered with 404, other methods with 405.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen on a port.

        Raises
        ------
        OSError
            If the port is taken.
        """
        app = web.Application()
        for path, handler in self._handlers.items():
            app.router.add_get(path, handler, allow_head=False)  # which would cost as much as GET
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, port=port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
