"""The endpoints of the kubelet's probes: /healthz (restart the process?) and /readyz (does it know the monitors?)."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from modelmonitor_operator.listener import Listener

LIVENESS, READINESS = "/healthz", "/readyz"


class HealthServer(Listener):
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
        super().__init__(dict.fromkeys(self._reasons, self._answer))

    async def _answer(self, request: web.Request) -> web.Response:
        reason = self._reasons[request.path]()
        # The kubelet shows the text in the events of the pod.
        return web.Response(text="ok") if reason is None else web.Response(status=503, text=reason)
