"""The work queue: no duplicates, one worker per key at a time, failed keys with increasing delays."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from modelmonitor_operator import workqueue as queue_module
from modelmonitor_operator.workqueue import FAIR_SHARE, Priority, WorkQueue
from support.asynchronous import wait_until


@asynccontextmanager
async def running(work: Callable[[str], Awaitable[None]], workers: int = 4) -> AsyncIterator[WorkQueue[str]]:
    """Run a queue while the context is entered. Keys can be added before any of them is processed.

    The group of a key is its part before the slash.
    """
    queue = WorkQueue(work, workers, group=lambda key: key.partition("/")[0], jitter=lambda: 1.0)
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


async def order_of(*keys: tuple[str, Priority]) -> list[str]:
    """Return the order in which one worker processes keys that are added at the same time."""
    order: list[str] = []

    async def work(key: str) -> None:
        order.append(key)

    async with running(work, workers=1) as queue:
        for key, priority in keys:
            queue.add(key, priority)
        await wait_until(lambda: len(order) == len({key for key, _ in keys}), "all keys")
    return order


async def test_a_change_overtakes_new_monitors_and_the_resync() -> None:
    keys = [(f"old/{n}", Priority.RESYNC) for n in range(50)] + [(f"new/{n}", Priority.NEW) for n in range(50)]
    order = await order_of(*keys, ("edited/a", Priority.CHANGE))
    assert order[0] == "edited/a"


async def test_a_key_that_waits_gets_the_higher_priority_and_is_processed_once() -> None:
    resync = [(f"{n}/x", Priority.RESYNC) for n in range(20)]
    order = await order_of(*resync, ("19/x", Priority.CHANGE), ("19/x", Priority.RESYNC))
    assert order[0] == "19/x"
    assert len(order) == 20


async def test_no_priority_waits_for_ever() -> None:
    changes = [(f"changed/{n}", Priority.CHANGE) for n in range(100)]
    order = await order_of(*changes, ("new/a", Priority.NEW), ("old/a", Priority.RESYNC))
    assert order.index("new/a") < FAIR_SHARE
    assert order.index("old/a") < 2 * FAIR_SHARE


async def test_a_group_with_many_keys_does_not_delay_the_others() -> None:
    many = [(f"many/{n}", Priority.NEW) for n in range(1000)]
    order = await order_of(*many, ("one/a", Priority.NEW), ("two/a", Priority.NEW))
    assert order.index("one/a") <= 2
    assert order.index("two/a") <= 3
    assert [key for key in order if key.startswith("many")] == [key for key, _ in many]


async def test_a_key_that_fails_for_ever_comes_after_changes() -> None:
    order: list[str] = []
    queue: WorkQueue[str]

    async def work(key: str) -> None:
        order.append(key)
        if key == "bad":
            raise RuntimeError("never")

    async with running(work, workers=1) as queue:
        queue.add("bad")
        await wait_until(lambda: order == ["bad"], "the first attempt")
        queue.add("bad", Priority.RESYNC)  # a resync, which does not shorten the delay
        assert len(queue) == 0
        queue._retry("bad")
        for number in range(3):
            queue.add(f"good/{number}")
        await wait_until(lambda: len(order) == 5, "all keys")
        assert order[1:4] == ["good/0", "good/1", "good/2"]


async def test_delays_are_bounded_spread_and_as_long_as_the_server_asks() -> None:
    class BusyError(Exception):
        retry_after: float | None = None

    factors = iter([0.5, 1.5, 1.0, 1.0, 1.0])
    queue: WorkQueue[str] = WorkQueue(lambda _: asyncio.sleep(0), jitter=lambda: next(factors))
    now = asyncio.get_running_loop().time()

    def delay(failures: int, retry_after: float | None = None) -> float:
        error = BusyError("x")
        error.retry_after = retry_after
        queue._failures["a"] = failures
        queue._retry_later("a", error)
        return queue._retries["a"].when() - now

    assert [round(delay(failures), 1) for failures in (0, 3, 100)] == [0.5, 12.0, 300.0]
    assert round(delay(0, retry_after=30), 1) == 30
    assert round(delay(0, retry_after=86400), 1) == 300
    queue.forget("a")
    assert queue._retries == {}


async def test_when_an_outage_ends_failed_keys_do_not_wait_for_their_delays() -> None:
    shares = iter([0.5, 0.25])
    queue: WorkQueue[str] = WorkQueue(lambda _: asyncio.sleep(0), jitter=lambda: 1.0, share=lambda: next(shares))
    loop = asyncio.get_running_loop()
    now = loop.time()
    for key, failures in (("often", 8), ("once", 0)):
        queue._failures[key] = failures
        queue._retry_later(key, RuntimeError("no API server"))
    queue.hasten(60)
    pauses = {key: retry.when() - now for key, retry in queue._retries.items()}
    assert 30 <= pauses["often"] < 256
    assert 1 <= pauses["once"] < 15, "no delay becomes longer"
    assert queue.failing == 2
    for key in pauses:
        queue.forget(key)
