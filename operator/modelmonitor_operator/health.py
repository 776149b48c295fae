"""The endpoints of the kubelet's probes: /healthz (restart the process?) and /readyz (does it know the monitors?)."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

LIVENESS, READINESS = "/healthz", "/readyz"


class HealthServer:
    """Answers probes from the event loop that does the work, so that a blocked one answers none.

    Parameters
    ----------
    why_stuck
        Returns why only a restart would help, or None.
    why_not_ready
        Returns why the operator does not follow the monitors at the moment, or None.
    """

    def __init__(self, why_stuck: Callable[[], str | None], why_not_ready: Callable[[], str | None]) -> None:
        self._reasons = {LIVENESS: why_stuck, READINESS: why_not_ready}
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen on a port of all interfaces.

        Raises
        ------
        OSError
            If the port is taken.
        """
        app = web.Application()
        for path in self._reasons:
            app.router.add_get(path, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, port=port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        reason = self._reasons[request.path]()
        # The kubelet shows the text in the events of the pod.
        return web.Response(text="ok") if reason is None else web.Response(status=503, text=reason)
