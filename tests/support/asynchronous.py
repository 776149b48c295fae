"""Waiting in tests of coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from support.processes import PATIENCE


async def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Let other tasks run until `condition` holds.

    Raises
    ------
    AssertionError
        If it does not hold in time; `what` describes what was waited for.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"timed out after {PATIENCE:g} s waiting for {what}") from None
