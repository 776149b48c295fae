"""The pool of background requests: their order, and the end of idle threads."""

import threading

from modelmonitor_trainer.storage.readahead.pool import PooledRequest, Priority, RequestPool
from support.processes import PATIENCE, wait_until


def test_the_most_urgent_request_runs_first():
    done: list[str] = []
    started, gate, pool = threading.Event(), threading.Event(), RequestPool(1)

    def request(name):
        return PooledRequest(lambda: done.append(name))

    def occupy():
        started.set()
        gate.wait(PATIENCE)

    pool.submit(PooledRequest(occupy), Priority.AHEAD)
    assert started.wait(PATIENCE), "so that the only thread is busy while the others are submitted"
    hurried = request("hurried")
    requests = [request("ahead"), hurried, request("written"), request("awaited")]
    priorities = (Priority.AHEAD, Priority.AHEAD, Priority.WRITTEN, Priority.AWAITED)
    for one, priority in zip(requests, priorities, strict=True):
        pool.submit(one, priority)
    pool.submit(hurried, Priority.AWAITED)
    gate.set()
    for one in requests:
        one.future.result(PATIENCE)
    assert done == ["awaited", "hurried", "written", "ahead"]


def test_threads_end_when_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setattr("modelmonitor_trainer.storage.readahead.pool._IDLE_SECONDS", 0.05)
    pool = RequestPool(3)
    three = threading.Barrier(3)
    requests = [PooledRequest(lambda: three.wait(PATIENCE)) for _ in range(6)]
    for request in requests:
        pool.submit(request, Priority.AHEAD)
    for request in requests:
        request.future.result(PATIENCE)
    wait_until(lambda: pool._alive == 0, "end of the threads")
    again = PooledRequest(lambda: 1)
    pool.submit(again, Priority.AWAITED)
    assert again.future.result(PATIENCE) == 1
