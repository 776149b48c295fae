"""The work queue: no duplicates, one worker per key at a time, failed keys with increasing delays."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from modelmonitor_operator import workqueue as queue_module
from modelmonitor_operator.workqueue import WorkQueue
from support.asynchronous import wait_until


@asynccontextmanager
async def running(work: Callable[[str], Awaitable[None]], workers: int = 4) -> AsyncIterator[WorkQueue[str]]:
    """Run a queue while the context is entered. Keys can be added before any of them is processed."""
    queue = WorkQueue(work, workers)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_key_that_waits_is_not_added_again() -> None:
    done: Counter[str] = Counter()

    async def work(key: str) -> None:
        done[key] += 1

    async with running(work, workers=1) as queue:
        for _ in range(5):
            queue.add("a")
        queue.add("last")
        await wait_until(lambda: done["last"] == 1, "the last key of the queue")
    assert done == {"a": 1, "last": 1}


async def test_a_key_is_processed_once_at_a_time_and_again_if_added_meanwhile() -> None:
    active: Counter[str] = Counter()
    most: Counter[str] = Counter()
    done: Counter[str] = Counter()
    gate = asyncio.Event()

    async def work(key: str) -> None:
        active[key] += 1
        most[key] = max(most[key], active[key])
        await gate.wait()
        active[key] -= 1
        done[key] += 1

    async with running(work) as queue:
        queue.add("a")
        queue.add("b")
        await wait_until(lambda: active["a"] == active["b"] == 1, "both keys")
        for _ in range(3):
            queue.add("a")
        gate.set()
        await wait_until(lambda: done["a"] >= 2 and done["b"] >= 1, "both keys, one of them twice")
        queue.add("last")
        await wait_until(lambda: done["last"] == 1, "the last key of the queue")
    assert done == {"a": 2, "b": 1, "last": 1}
    assert most == {"a": 1, "b": 1, "last": 1}


async def test_a_failed_key_is_retried_with_increasing_delays_and_blocks_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_module, "FIRST_DELAY", 0.01)
    tries: list[float] = []
    done: Counter[str] = Counter()
    clock = asyncio.get_running_loop().time

    async def work(key: str) -> None:
        if key == "bad":
            tries.append(clock())
            if len(tries) < 4:
                raise RuntimeError("not yet")
        done[key] += 1

    async with running(work, workers=1) as queue:
        queue.add("bad")
        queue.add("good")
        await wait_until(lambda: done == {"good": 1, "bad": 1}, "both keys")
    # A busy machine makes a pause longer, never shorter; the clock may be a little coarse.
    pauses = [b - a for a, b in itertools.pairwise(tries)]
    assert all(pause >= delay * 0.9 for pause, delay in zip(pauses, (0.01, 0.02, 0.04), strict=True)), pauses
