"""When each monitor is due for a pass although nothing has happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from modelmonitor_operator.backoff import spread

Key = TypeVar("Key")

#: A monitor is due after at most this many resyncs, whatever its pass returned.
LONGEST_RESYNCS = 30


class Agenda(Generic[Key]):
    """The next time of each key; one without a time is due at once.

    Parameters
    ----------
    resync
        Time between two resyncs.
    factor
        Factor of the longest time, so that keys of the same pass are not due at the same time.
    """

    def __init__(
        self,
        resync: dt.timedelta,
        factor: Callable[[], float] = lambda: spread(0.5, 1.0),
    ) -> None:
        self._longest = LONGEST_RESYNCS * resync
        self._factor = factor
        self._times: dict[Key, float] = {}

    def set(self, key: Key, wake_at: dt.datetime | None, now: dt.datetime) -> None:
        """Set the next time of `key` after a pass: `wake_at`, or the longest time if that is sooner or it is None."""
        latest = now + self._longest * self._factor()
        self._times[key] = min(wake_at or latest, latest).timestamp()

    def forget(self, key: Key) -> None:
        """Remove a key that no longer exists."""
        self._times.pop(key, None)

    def due(self, keys: Iterable[Key], now: dt.datetime) -> list[Key]:
        """Return those of `keys` that are due."""
        moment = now.timestamp()
        return [key for key in keys if self._times.get(key, 0.0) <= moment]
