"""The sink: an address that an administrator sets, to which CloudEvents are sent in structured mode."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
#: Seconds for one attempt.
TIMEOUT = 10.0
#: Codes for an event that the sink does not accept, whenever it is sent; with any other, it can accept it later.
_REFUSED = frozenset({400, 413, 415, 422})
_SUCCESS = range(200, 300)


class SinkUnavailable(Exception):
    """The sink did not accept an event now.

    Attributes
    ----------
    retry_after
        Seconds that the sink asks to wait; None if it does not.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EventRefused(Exception):
    """The sink does not accept this event."""


class HTTPSink:
    """Sends events to a URL.

    Parameters
    ----------
    url
        Where to: an http or https URL.
    token
        Sent as a bearer token; empty for none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url
        # Neither path nor query are logged, because the addresses of some services contain a secret.
        self.name = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        self._headers = {"Content-Type": CONTENT_TYPE} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._session: aiohttp.ClientSession | None = None

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event.

        Raises
        ------
        SinkUnavailable
            If the sink could not be reached, or did not accept the event now.
        EventRefused
            If it does not accept this event.
        """
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True, raise_for_status=False)
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            async with self._session.post(
                self._url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                code, retry_after = response.status, _seconds(response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SinkUnavailable(f"{self.name} could not be reached: {str(error) or type(error).__name__}") from error
        if code in _SUCCESS:
            return
        if code in _REFUSED:
            raise EventRefused(f"{self.name} returned {code}")
        raise SinkUnavailable(f"{self.name} returned {code}", retry_after)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
