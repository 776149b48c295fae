"""Reading ahead: the right bytes, in bounded memory, hidden latency, and an end that does not wait."""

import datetime as dt
import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

import pytest

from modelmonitor_trainer.errors import NotFound, StorageUnavailable
from modelmonitor_trainer.storage.base import ObjectInfo, plan_reads
from modelmonitor_trainer.storage.readahead import buffers
from modelmonitor_trainer.storage.readahead.buffers import needs_buffer
from modelmonitor_trainer.storage.readahead.pool import REQUESTS, PooledRequest, Priority, RequestPool
from modelmonitor_trainer.storage.readahead.ranges import BLOCK, TAIL
from modelmonitor_trainer.storage.readahead.reader import ReadAhead
from modelmonitor_trainer.storage.readahead.writer import BEHIND_BYTES

MB = 1024 * 1024
WHEN = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
PATTERN = random.Random(0).randbytes(1 << 16)


def content(info, start, end):
    """Return bytes of an object that differ from place to place, and from object to object."""
    shift = start + len(info.uri) * 7919 + sum(info.uri.encode())
    first = shift % len(PATTERN)
    size = end - start
    return (PATTERN[first:] + PATTERN * (size // len(PATTERN) + 1))[:size]


def listed(name, size):
    return ObjectInfo(f"s3://bucket/{name}", "e", size, WHEN)


class Source:
    """Serves objects, counts requests, and how much memory what it served takes as long as somebody has it."""

    def __init__(self, *, seconds=0.0, fail=None):
        self.seconds, self.fail = seconds, fail or (lambda _: None)
        self.asked, self.lock = [], threading.Lock()
        self.now = self.most = 0

    def __call__(self, info, span, memory):
        with self.lock:
            self.asked.append((info.uri.rpartition("/")[2], *span))
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        try:
            error = self.fail(span)
            if error is not None:
                raise error
            data = content(info, *span)
            if not needs_buffer(len(data)):
                return data
            slab = memory.take(len(data))
            slab.memory[: len(data)] = data
            return slab
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture
def held(monkeypatch):
    """The largest number of bytes of slabs that were alive at a time."""
    found, lock = {"now": 0, "most": 0}, threading.RLock()

    class Counted(buffers.Buffer):
        def __init__(self, memory, owner):
            super().__init__(memory, owner)
            with lock:
                found["now"] += len(memory)
                found["most"] = max(found["most"], found["now"])

        def __del__(self):
            with lock:
                found["now"] -= len(self.memory)
            super().__del__()

    monkeypatch.setattr(buffers, "Buffer", Counted)
    return found


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
    deadline = time.monotonic() + 10
    while held["now"] and time.monotonic() < deadline:  # what was on its way when its file was closed
        gc.collect()
        time.sleep(0.01)
    assert held["now"] == 0, "closed files keep nothing"


def test_memory_is_bounded_over_all_open_objects(held):
    """Four readers of large objects, slower than the store: what was fetched ahead must not pile up."""
    source = Source(seconds=0.001)
    traffic, infos = ReadAhead(source), [listed(f"{number}", 12 * BLOCK) for number in range(4)]

    def reads(info):
        with traffic.open(info) as file:
            for start in range(0, info.size, BLOCK // 2):
                assert file.read(BLOCK // 2) == content(info, start, start + BLOCK // 2)
                time.sleep(0.002)
        return True

    with ThreadPoolExecutor(4) as pool, traffic.session(infos):
        assert all(pool.map(reads, infos))
    assert held["most"] <= 96 * MB
    assert source.most <= REQUESTS
    assert len(source.asked) == len(set(source.asked)) == 48, "nothing is fetched twice"


def test_what_is_expected_is_fetched_ahead_and_nothing_else():
    source = Source()
    traffic, info = ReadAhead(source), listed("a", 20 * BLOCK)
    with traffic.open(info) as file:
        file.seek(-8, 2)
        file.read(8)
        plan_reads(file, [(100, 200), (BLOCK, BLOCK + 50), (5 * BLOCK, 5 * BLOCK + 10)])
        deadline = time.monotonic() + 5
        while len(source.asked) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        for start, size in ((100, 100), (BLOCK, 50), (5 * BLOCK, 10)):
            file.seek(start)
            assert file.read(size) == content(info, start, start + size)
    assert sorted(source.asked) == [
        ("a", 100, 200),
        ("a", BLOCK, BLOCK + 50),
        ("a", 5 * BLOCK, 5 * BLOCK + 10),
        ("a", info.size - TAIL, info.size),
    ]


def test_several_files_over_one_object_share_what_is_fetched():
    """Column chunks by two threads, each taking the next: every byte is asked for once."""
    source = Source(seconds=0.01)
    traffic, info = ReadAhead(source), listed("a", 6 * BLOCK)
    spans = [(start, start + MB) for start in range(0, info.size, MB)]
    left = SimpleQueue()
    for span in spans:
        left.put(span)
    with traffic.open(info) as one, traffic.open(info) as other:

        def reads(file):
            plan_reads(file, spans)
            with suppress(Empty):
                while True:
                    start, end = left.get_nowait()
                    file.seek(start)
                    assert file.read(end - start) == content(info, start, end)
            return True

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(reads, (one, other)))
    assert len(source.asked) == len(set(source.asked)) == 6


def test_files_over_parts_of_one_object_fetch_each_block_once():
    """Two threads, each with its own half; each says what it expects when it begins."""
    source = Source(seconds=0.002)
    traffic, info = ReadAhead(source), listed("a", 12 * BLOCK)
    with traffic.open(info) as kept:  # as a whole, it is open all the time

        def reads(first):
            spans = [(start, start + MB) for start in range(first, first + 3 * BLOCK, MB)]
            with traffic.open(info) as file:
                plan_reads(file, spans)
                for start, end in spans:
                    file.seek(start)
                    assert file.read(end - start) == content(info, start, end)
            return True

        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(reads, (0, 6 * BLOCK, 3 * BLOCK, 9 * BLOCK)))
        assert not kept.closed
    assert len(source.asked) == len(set(source.asked)) <= 13


def test_small_objects_come_before_they_are_opened():
    source = Source(seconds=0.02)
    traffic, infos = ReadAhead(source), [listed(f"{number:03}", 20_000) for number in range(160)]
    started = time.monotonic()
    with traffic.session(infos):
        for number, info in enumerate(infos):
            if number % 2:
                assert traffic.read_prefetched(info.uri, None) == content(info, 0, info.size)
            else:
                with traffic.open(info) as file:
                    assert file.read() == content(info, 0, info.size)
    assert time.monotonic() - started < 160 * 0.02 / 3, "one after the other it takes 3.2 s"
    assert len(source.asked) == 160, "each of them once"
    assert 2 < source.most <= REQUESTS


def test_objects_that_nobody_asked_to_have_early_are_not_there():
    traffic, info = ReadAhead(Source()), listed("a", 10)
    assert traffic.read_prefetched(info.uri, None) is None
    with traffic.session([info]):
        assert traffic.read_prefetched(info.uri, "another etag") is None
        assert traffic.read_prefetched(info.uri, "e") == content(info, 0, 10)
        assert traffic.read_prefetched(info.uri, "e") is None, "it is read once"


def test_a_request_that_failed_ahead_is_told_to_its_reader_and_tried_again():
    failing = [NotFound("gone")]
    source = Source(fail=lambda span: failing[0] if failing and span == (BLOCK, 2 * BLOCK) else None)
    traffic, info = ReadAhead(source), listed("a", 3 * BLOCK)
    with traffic.open(info) as file:
        assert file.read(BLOCK) == content(info, 0, BLOCK)
        with pytest.raises(NotFound, match="gone"):
            file.read(10)
        failing.clear()
        assert file.read(10) == content(info, BLOCK, BLOCK + 10)


def test_whoever_waits_is_let_go_when_something_else_goes_wrong():
    silent = threading.Event()
    traffic = ReadAhead(Source(fail=lambda _: silent.wait()))
    infos = [listed("a", 100), listed("b", 3 * BLOCK)]
    started = time.monotonic()

    def read(info):
        with traffic.open(info) as file:
            return file.read(10)

    waiting = []

    def session():
        with ThreadPoolExecutor(4) as pool, traffic.session(infos):  # whose end waits for its threads
            waiting.extend(pool.submit(read, info) for info in infos)
            waiting.append(pool.submit(traffic.run, silent.wait))
            time.sleep(0.1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session()
    assert time.monotonic() - started < 5
    for one in waiting:
        with pytest.raises(StorageUnavailable, match="abandoned"):
            one.result()
    silent.set()


def test_whoever_comes_back_for_more_is_let_go_as_well():
    """A thread that was at work, and not waiting, when something else went wrong."""
    silent = threading.Event()
    traffic, info = ReadAhead(Source(fail=lambda span: silent.wait() if span[0] else None)), listed("a", 3 * BLOCK)

    def session(file):
        with traffic.session([]):
            assert file.read(10) == content(info, 0, 10)
            raise ZeroDivisionError

    with traffic.open(info) as file:
        with pytest.raises(ZeroDivisionError):
            session(file)
        file.seek(BLOCK)
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="abandoned"):
            file.read(10)
        assert time.monotonic() - started < 5
    silent.set()
    with traffic.open(info) as file:
        assert file.read(10) == content(info, 0, 10), "the store can be used again"


def test_writes_behind_are_done_when_the_session_ends():
    written = []
    traffic = ReadAhead(Source())

    def write(number):
        time.sleep(0.05)
        written.append(number)

    started = time.monotonic()
    with traffic.session([]):
        for number in range(32):
            traffic.write_behind(partial(write, number), 1000)
    assert sorted(written) == list(range(32))
    assert time.monotonic() - started < 32 * 0.05 / 3


def test_a_write_that_fails_is_told_and_the_next_session_begins_anew():
    traffic = ReadAhead(Source())

    def fail():
        raise StorageUnavailable("the disk is full")

    with pytest.raises(StorageUnavailable, match="the disk is full"), traffic.session([]):
        traffic.write_behind(fail, 10)
    done = []
    with traffic.session([]):
        traffic.write_behind(lambda: done.append(1), 10)
    assert done == [1]


def test_an_inner_session_that_fails_leaves_the_outer_one_alone():
    traffic, info, written = ReadAhead(Source()), listed("a", 10), []
    with traffic.session([info]):
        with pytest.raises(ZeroDivisionError), traffic.session([]):
            raise ZeroDivisionError
        assert traffic.read_prefetched(info.uri, "e") == content(info, 0, 10)
        traffic.write_behind(lambda: written.append(1), 1)
    assert written == [1]
    traffic.write_behind(lambda: written.append(2), 1)
    assert written == [1, 2], "without a session it is written at once"


def test_writers_wait_where_too_much_is_to_be_written():
    go, traffic, behind = threading.Event(), ReadAhead(Source()), []

    def writes():
        with traffic.session([]):
            for _ in range(3):
                traffic.write_behind(go.wait, BEHIND_BYTES // 2)
                behind.append(1)

    thread = threading.Thread(target=writes)
    thread.start()
    time.sleep(0.2)
    assert len(behind) == 2
    go.set()
    thread.join(5)
    assert len(behind) == 3


def test_the_most_urgent_job_is_done_first():
    done, gate, fetchers = [], threading.Event(), RequestPool(1)

    def job(name):
        return PooledRequest(lambda: done.append(name))

    begun = threading.Event()
    first, hurried = PooledRequest(lambda: begun.set() or gate.wait()), job("hurried")
    fetchers.submit(first, Priority.AHEAD)
    assert begun.wait(5), "so that the only fetcher is busy while the others are submitted"
    jobs = [job("ahead"), hurried, job("written"), job("awaited")]
    for one, urgency in zip(jobs, (Priority.AHEAD, Priority.AHEAD, Priority.WRITTEN, Priority.AWAITED), strict=True):
        fetchers.submit(one, urgency)
    fetchers.submit(hurried, Priority.AWAITED)
    gate.set()
    for one in jobs:
        one.future.result(5)
    assert done == ["awaited", "hurried", "written", "ahead"]


def test_threads_end_when_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setattr("modelmonitor_trainer.storage.readahead.pool._IDLE_SECONDS", 0.05)
    fetchers = RequestPool(3)
    jobs = [PooledRequest(lambda: time.sleep(0.02)) for _ in range(6)]
    for job in jobs:
        fetchers.submit(job, Priority.AHEAD)
    for job in jobs:
        job.future.result(5)
    deadline = time.monotonic() + 5
    while fetchers._alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fetchers._alive == 0
    again = PooledRequest(lambda: 1)
    fetchers.submit(again, Priority.AWAITED)
    assert again.future.result(5) == 1
