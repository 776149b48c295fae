"""A store whose process is killed at one of its calls, for tests of what the next process finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelmonitor_trainer.storage.base import Store

_CALLS = frozenset({"list", "children", "head", "read", "read_versioned", "write", "delete"})


class Killed(BaseException):
    """The process was killed: nothing may handle it, and nothing that it does afterwards has an effect."""


class KilledStore:
    """A store whose process is killed at the call with a certain number.

    Parameters
    ----------
    store
        The store.
    number
        Number of the call, from 1; 0 for none.
    after
        Whether the call still has its effect.

    Attributes
    ----------
    calls
        Calls so far.
    """

    def __init__(self, store: Store, number: int = 0, *, after: bool = False) -> None:
        self._store, self._number, self._after = store, number, after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if name not in _CALLS:
            return attribute

        def call(*arguments: Any, **more: Any) -> Any:
            self.calls += 1
            # A killed process makes no further calls, although its `finally` clauses run here.
            if self._number and self.calls >= self._number:
                if self._after and self.calls == self._number:
                    attribute(*arguments, **more)
                raise Killed
            return attribute(*arguments, **more)

        return call


def count_calls(work: Callable[[Any], object], store: Store) -> int:
    """Return how many calls some work makes."""
    counting = KilledStore(store)
    work(counting)
    return counting.calls
