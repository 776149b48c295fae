"""Read-ahead: the right bytes, bounded memory, requests in parallel, and an end that does not wait for the store."""

import datetime as dt
import gc
import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from modelmonitor_trainer.errors import NotFound, StorageUnavailable
from modelmonitor_trainer.storage.base import ObjectInfo, plan_reads
from modelmonitor_trainer.storage.readahead import buffers
from modelmonitor_trainer.storage.readahead.buffers import needs_buffer
from modelmonitor_trainer.storage.readahead.pool import REQUESTS
from modelmonitor_trainer.storage.readahead.ranges import BLOCK, TAIL
from modelmonitor_trainer.storage.readahead.reader import ReadAhead
from modelmonitor_trainer.storage.readahead.writer import BEHIND_BYTES
from support.processes import PATIENCE, wait_until

MB = 1024 * 1024
WHEN = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
PATTERN = random.Random(0).randbytes(1 << 16)


def content(info, start, end):
    """Return a range of an object; the bytes differ between offsets, and between objects."""
    shift = start + len(info.uri) * 7919 + sum(info.uri.encode())
    first = shift % len(PATTERN)
    size = end - start
    return (PATTERN[first:] + PATTERN * (size // len(PATTERN) + 1))[:size]


def listed(name, size):
    return ObjectInfo(f"s3://bucket/{name}", "e", size, WHEN)


class Source:
    """Serves objects, records the requests, and counts those in flight.

    Parameters
    ----------
    before
        Called with the range of each request before the response; its errors are those of the request.
    """

    def __init__(self, before=lambda _: None):
        self.before = before
        self.requests, self.lock = [], threading.Lock()
        self.in_flight = self.most_in_flight = 0

    def __call__(self, info, span, memory):
        with self.lock:
            self.requests.append((info.uri.rpartition("/")[2], *span))
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self.before(span)
            data = content(info, *span)
            if not needs_buffer(len(data)):
                return data
            buffer = memory.take(len(data))
            buffer.memory[: len(data)] = data
            return buffer
        finally:
            with self.lock:
                self.in_flight -= 1


def together(count):
    """Return a function that returns once `count` threads call it; it fails if they never do."""
    barrier = threading.Barrier(count)
    return lambda *_: barrier.wait(PATIENCE)


def is_idle(traffic):
    """Whether no request is queued or in flight."""
    with traffic._pool._changed:
        return not traffic._pool._queue and not traffic._pool._busy


@pytest.fixture
def held(monkeypatch):
    """The bytes of buffers that are alive, now and at most."""
    held, lock = {"now": 0, "most": 0}, threading.RLock()

    class Counted(buffers.Buffer):
        def __init__(self, memory, owner):
            super().__init__(memory, owner)
            with lock:
                held["now"] += len(memory)
                held["most"] = max(held["most"], held["now"])

        def __del__(self):
            with lock:
                held["now"] -= len(self.memory)
            super().__del__()

    monkeypatch.setattr(buffers, "Buffer", Counted)
    return held


def test_any_reads_of_any_number_of_threads_give_the_right_bytes(held):
    source = Source()
    traffic, infos = ReadAhead(source), [listed("a", 3 * BLOCK + 12345), listed("b", 100_000), listed("c", BLOCK)]

    def reads(seed):
        draw = random.Random(seed)
        info = draw.choice(infos)
        with traffic.open(info) as file:
            if draw.random() < 0.5:
                plan_reads(
                    file, [(draw.randrange(MB), draw.randrange(MB, info.size)) for _ in range(3) if info.size > MB]
                )
            for _ in range(12):
                start, size = draw.randrange(info.size), draw.choice([1, 1000, MB, 2 * BLOCK])
                file.seek(start)
                assert file.read(size) == content(info, start, min(info.size, start + size))
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(reads, range(40)))

    def is_released():
        gc.collect()
        return held["now"] == 0

    wait_until(is_released, "release of what was in flight when its file was closed")


def test_memory_is_bounded_over_all_open_objects(held):
    """Four readers of large objects, slower than the store: bytes that were fetched ahead must not pile up."""
    source = Source()
    traffic, infos = ReadAhead(source), [listed(f"{number}", 12 * BLOCK) for number in range(4)]

    def reads(info):
        with traffic.open(info) as file:
            for start in range(0, info.size, BLOCK // 2):
                assert file.read(BLOCK // 2) == content(info, start, start + BLOCK // 2)
                wait_until(lambda: is_idle(traffic), "end of all requests", interval=0.001)
        return True

    with ThreadPoolExecutor(4) as pool, traffic.session(infos):
        assert all(pool.map(reads, infos))
    assert held["most"] <= 96 * MB
    assert source.most_in_flight <= REQUESTS
    assert len(source.requests) == len(set(source.requests)) == 48, "nothing is fetched twice"


def test_planned_ranges_are_fetched_ahead_and_nothing_else():
    source = Source()
    traffic, info = ReadAhead(source), listed("a", 20 * BLOCK)
    with traffic.open(info) as file:
        file.seek(-8, 2)
        file.read(8)
        plan_reads(file, [(100, 200), (BLOCK, BLOCK + 50), (5 * BLOCK, 5 * BLOCK + 10)])
        wait_until(lambda: len(source.requests) == 4, "requests ahead")
        for start, size in ((100, 100), (BLOCK, 50), (5 * BLOCK, 10)):
            file.seek(start)
            assert file.read(size) == content(info, start, start + size)
    assert sorted(source.requests) == [
        ("a", 100, 200),
        ("a", BLOCK, BLOCK + 50),
        ("a", 5 * BLOCK, 5 * BLOCK + 10),
        ("a", info.size - TAIL, info.size),
    ]


def test_several_files_over_one_object_share_requests():
    """Column chunks by two threads, each taking the next: every byte is requested once."""

    def wait_for_both(span):
        if span[0] == 0:
            wait_until(lambda: sum(traffic._awaited._requests.values()) == 2, "two threads that wait for the block")

    source = Source(wait_for_both)
    traffic, info = ReadAhead(source), listed("a", 6 * BLOCK)
    spans = [(start, start + MB) for start in range(0, info.size, MB)]
    remaining: SimpleQueue[tuple[int, int]] = SimpleQueue()
    for span in spans:
        remaining.put(span)
    with traffic.open(info) as one, traffic.open(info) as other:

        def reads(file):
            plan_reads(file, spans)
            with suppress(Empty):
                while True:
                    start, end = remaining.get_nowait()
                    file.seek(start)
                    assert file.read(end - start) == content(info, start, end)
            return True

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(reads, (one, other)))
    assert len(source.requests) == len(set(source.requests)) == 6


def test_files_over_parts_of_one_object_fetch_each_block_once():
    """Two threads, each with its own half; each plans its reads when it begins."""
    source = Source()
    traffic, info = ReadAhead(source), listed("a", 12 * BLOCK)
    both_read = threading.Barrier(2)
    with traffic.open(info) as kept:  # the whole object is open all the time

        def reads(first):
            spans = [(start, start + MB) for start in range(first, first + 3 * BLOCK, MB)]
            with traffic.open(info) as file:
                plan_reads(file, spans)
                both_read.wait(PATIENCE)
                for start, end in spans:
                    file.seek(start)
                    assert file.read(end - start) == content(info, start, end)
            return True

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(reads, (0, 6 * BLOCK, 3 * BLOCK, 9 * BLOCK)))
        assert not kept.closed
    assert len(source.requests) == len(set(source.requests)) <= 13


def test_small_objects_are_fetched_in_parallel_before_they_are_opened():
    """At the beginning and in the middle, the store responds only once several requests are in flight."""
    responds = threading.Event()
    source = Source(lambda _: responds.wait(PATIENCE))
    traffic, infos = ReadAhead(source), [listed(f"{number:03}", 20_000) for number in range(160)]

    def read(numbers):
        for number in numbers:
            info = infos[number]
            if number % 2:
                assert traffic.read_prefetched(info.uri, None) == content(info, 0, info.size)
            else:
                with traffic.open(info) as file:
                    assert file.read() == content(info, 0, info.size)

    with traffic.session(infos):
        wait_until(lambda: source.in_flight == REQUESTS, "requests at the beginning")
        responds.set()
        read(range(60))
        wait_until(lambda: is_idle(traffic), "end of all requests")
        fetched = len(source.requests)
        assert fetched < 160
        responds.clear()
        read(range(60, fetched))
        wait_until(lambda: source.in_flight >= 4, "requests in the middle")
        responds.set()
        read(range(fetched, 160))
    assert len(source.requests) == 160, "each of them once"
    assert source.most_in_flight <= REQUESTS


def test_only_objects_of_a_session_are_prefetched():
    traffic, info = ReadAhead(Source()), listed("a", 10)
    assert traffic.read_prefetched(info.uri, None) is None
    with traffic.session([info]):
        assert traffic.read_prefetched(info.uri, "another etag") is None
        assert traffic.read_prefetched(info.uri, "e") == content(info, 0, 10)
        assert traffic.read_prefetched(info.uri, "e") is None, "it is read once"


def test_the_error_of_a_request_ahead_is_raised_in_its_reader_and_the_next_read_tries_again():
    errors = [NotFound("gone")]

    def fail(span):
        if errors and span == (BLOCK, 2 * BLOCK):
            raise errors[0]

    traffic, info = ReadAhead(Source(fail)), listed("a", 3 * BLOCK)
    with traffic.open(info) as file:
        assert file.read(BLOCK) == content(info, 0, BLOCK)
        with pytest.raises(NotFound, match="gone"):
            file.read(10)
        errors.clear()
        assert file.read(10) == content(info, BLOCK, BLOCK + 10)


def test_threads_that_wait_are_released_by_an_error_of_the_session():
    """The store responds only after the test, so a thread that is not released gets content and no error."""
    responds = threading.Event()
    traffic = ReadAhead(Source(lambda _: responds.wait(PATIENCE)))
    infos = [listed("a", 100), listed("b", 3 * BLOCK)]
    results: list[Future[Any]] = []

    def read(info):
        with traffic.open(info) as file:
            return file.read(10)

    def session():
        with ThreadPoolExecutor(4) as pool, traffic.session(infos):  # whose end waits for its threads
            results.extend(pool.submit(read, info) for info in infos)
            results.append(pool.submit(traffic.run, partial(responds.wait, PATIENCE)))
            wait_until(lambda: len(traffic._awaited._requests) == len(results), "threads that wait")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session()
    for result in results:
        with pytest.raises(StorageUnavailable, match="abandoned"):
            result.result()
    responds.set()


def test_a_thread_that_reads_on_after_an_error_of_the_session_is_released():
    """A thread that was busy, and not waiting, when the error occurred."""
    responds = threading.Event()
    source = Source(lambda span: responds.wait(PATIENCE) if span[0] else None)
    traffic, info = ReadAhead(source), listed("a", 3 * BLOCK)

    def session(file):
        with traffic.session([]):
            assert file.read(10) == content(info, 0, 10)
            raise ZeroDivisionError

    with traffic.open(info) as file:
        with pytest.raises(ZeroDivisionError):
            session(file)
        file.seek(BLOCK)
        with pytest.raises(StorageUnavailable, match="abandoned"):
            file.read(10)
    responds.set()
    with traffic.open(info) as file:
        assert file.read(10) == content(info, 0, 10), "the store can be used again"


def test_writes_behind_run_in_parallel_and_are_done_when_the_session_ends():
    written: list[int] = []
    traffic, wait_for_others = ReadAhead(Source()), together(4)

    def write(number):
        wait_for_others()
        written.append(number)

    with traffic.session([]):
        for number in range(32):
            traffic.write_behind(partial(write, number), 1000)
    assert sorted(written) == list(range(32))


def test_the_error_of_a_write_ends_its_session_and_not_the_next_one():
    traffic = ReadAhead(Source())

    def fail():
        raise StorageUnavailable("the disk is full")

    with pytest.raises(StorageUnavailable, match="the disk is full"), traffic.session([]):
        traffic.write_behind(fail, 10)
    done: list[int] = []
    with traffic.session([]):
        traffic.write_behind(lambda: done.append(1), 10)
    assert done == [1]


def test_the_error_of_an_inner_session_does_not_end_the_outer_one():
    traffic, info = ReadAhead(Source()), listed("a", 10)
    written: list[int] = []
    with traffic.session([info]):
        with pytest.raises(ZeroDivisionError), traffic.session([]):
            raise ZeroDivisionError
        assert traffic.read_prefetched(info.uri, "e") == content(info, 0, 10)
        traffic.write_behind(lambda: written.append(1), 1)
    assert written == [1]
    traffic.write_behind(lambda: written.append(2), 1)
    assert written == [1, 2], "without a session it is written at once"


def test_a_write_behind_waits_while_too_many_bytes_are_to_be_written():
    third_is_queued, first_is_written = threading.Event(), threading.Event()
    queued_too_early: list[bool] = []

    def first():
        # Time for the third write to be queued too early. However slow the machine is, it cannot be queued as long
        # as the first two run, so the time cannot fail a correct limit.
        queued_too_early.append(third_is_queued.wait(0.2))
        first_is_written.set()

    traffic = ReadAhead(Source())
    with traffic.session([]):
        traffic.write_behind(first, BEHIND_BYTES // 2)
        traffic.write_behind(partial(first_is_written.wait, PATIENCE), BEHIND_BYTES // 2)
        traffic.write_behind(lambda: None, BEHIND_BYTES // 2)
        third_is_queued.set()
    assert queued_too_early == [False]
