"""Delivery of notifications: at least once, in order for each monitor, and never faster than the sink accepts them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from modelmonitor_api.status import ModelMonitorStatus, Notified
from modelmonitor_operator.backoff import delay_after, spread
from modelmonitor_operator.cache import Key
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.notifications.cloud_events import Notification, Origin, newest, pending
from modelmonitor_operator.notifications.http_sink import EventRefused, SinkUnavailable
from modelmonitor_operator.untrusted import status_of

_log = logging.getLogger(__name__)

#: Delay after a failed attempt in seconds, doubled with each until the longest.
FIRST_DELAY, LONGEST_DELAY = 1.0, 300.0

DELIVERED, REFUSED, FAILED = "Delivered", "Refused", "Failed"


class Sink(Protocol):
    """Where notifications go."""

    name: str

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event; raise SinkUnavailable or EventRefused if it was not accepted."""

    async def close(self) -> None:
        """Close the connections."""


class Notifier:
    """Sends what the status of each monitor has and the sink has not received.

    It keeps which monitors have something to send, and what was delivered until the status has it.

    Parameters
    ----------
    sink
        Where to.
    read
        Returns a monitor as far as it is known, None if it does not exist.
    delivered
        Is called with a monitor about which something was delivered: its status must take note.
    origin
        Where the notifications come from.
    words
        What is sent: verdicts, and actions of the history; everything if empty.
    count
        Is called with the outcome of each attempt.
    sleep
        Waits for some seconds.
    """

    def __init__(
        self,
        sink: Sink,
        read: Callable[[Key], Object | None],
        delivered: Callable[[Key], None],
        *,
        origin: Origin,
        words: frozenset[str] = frozenset(),
        count: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sink, self._read, self._delivered, self._origin = sink, read, delivered, origin
        self._words, self._count, self._sleep = words, count or (lambda _: None), sleep
        self._waiting: dict[Key, None] = {}
        self._marks: dict[Key, Notified] = {}
        self._wake = asyncio.Event()
        self._failures = 0

    def __len__(self) -> int:
        """Return the number of monitors with something to send."""
        return len(self._waiting)

    def consider(self, key: Key) -> None:
        """Take note of a monitor whose status may have something new."""
        if self._pending(key):
            self._waiting[key] = None
            self._wake.set()

    def mark_of(self, key: Key, status: ModelMonitorStatus) -> Notified:
        """Return what was delivered about a monitor, given its status. What was there before the first time is old."""
        recorded = status.notified if status.notified is not None else newest(status)
        mark = self._marks.get(key, recorded)
        if mark == status.notified:
            self._marks.pop(key, None)
        return mark

    def forget(self, key: Key) -> None:
        """Forget a monitor that no longer exists."""
        self._waiting.pop(key, None)
        self._marks.pop(key, None)

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                await self._wake.wait()
                while self._waiting:
                    await self._deliver(next(iter(self._waiting)))
                self._wake.clear()
        finally:
            await self._sink.close()

    async def _deliver(self, key: Key) -> None:
        """Send what is pending about a monitor; after a failure, wait, and let others go first."""
        del self._waiting[key]
        try:
            for notification in self._pending(key):
                await self._send(key, notification)
        except SinkUnavailable as error:
            self._failures += 1
            self._count(FAILED)
            delay = delay_after(
                self._failures, error, first=FIRST_DELAY, longest=LONGEST_DELAY, factor=spread(0.5, 1.5)
            )
            _log.warning("a notification was not delivered, next attempt in %.0f s: %s", delay, error)
            self._waiting[key] = None
            await self._sleep(delay)

    async def _send(self, key: Key, notification: Notification) -> None:
        if not self._words or notification.word in self._words:
            try:
                await self._sink.send(notification.event)
                self._count(DELIVERED)
            except EventRefused as error:
                self._count(REFUSED)
                _log.warning("the notification %s was refused: %s", notification.event["id"], error)
            self._failures = 0
        if self._read(key) is not None:  # it can have been deleted meanwhile
            self._marks[key] = notification.mark
            self._delivered(key)

    def _pending(self, key: Key) -> list[Notification]:
        resource = self._read(key)
        recorded = status_of(resource or {}).get("notified")
        if resource is None or recorded is None:
            return []  # the first pass records what is old
        mark = self._marks.get(key)
        return pending(resource, mark if mark is not None else Notified.model_validate(recorded), self._origin)
