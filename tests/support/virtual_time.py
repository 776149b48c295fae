"""An event loop whose clock jumps to the next timer as soon as nothing else is to be done: minutes take no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Selector(selectors.DefaultSelector):
    """A selector that waits by moving a clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; move the clock by `timeout` instead of waiting."""
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if timeout is None and not ready:
            raise AssertionError("everything waits for ever")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_in_virtual_time(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that uses no threads and no sockets, and return its result."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)
