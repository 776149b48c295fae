"""Notifications: what is sent, in which order, and that nothing is lost while the status has it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from modelmonitor_api.names import Role
from modelmonitor_api.status import MAX_RECENT_CHECKS, ModelMonitorStatus, Notified
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.notifications import notifier as delivery
from modelmonitor_operator.notifications.cloud_events import Origin, newest, pending
from modelmonitor_operator.notifications.http_sink import EventRefused, HTTPSink, SinkUnavailable
from modelmonitor_operator.notifications.notifier import Notifier
from support import monitors
from support.asynchronous import wait_until
from unit.operator.first_check import first_check
from unit.operator.in_memory_cluster import InMemoryCluster
from unit.operator.running_controller import running

ORIGIN = Origin("c1", "https://models.example")
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def time_of(day: int) -> str:
    return (START + dt.timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")


def resource(*actions: str, verdicts: str = "", notified: dict[str, str] | None = None) -> Object:
    """Return a monitor with a history and checks, both from the oldest to the newest; the latter by their initial."""
    words = {"N": "NoDrift", "D": "Drift", "C": "Corrupted", "F": "Failed"}
    history = [{"time": time_of(day), "action": action, "message": "why"} for day, action in enumerate(actions)]
    checks = [
        {"time": time_of(day), "jobName": f"check-{day}", "verdict": words[letter], "largestEffect": "0.2"}
        for day, letter in enumerate(verdicts)
    ]
    status: dict[str, Any] = {"history": history[::-1], "recentChecks": checks[::-1]}
    if notified is not None:
        status["notified"] = notified
    return {"metadata": {"namespace": "ml", "name": "flights", "uid": "u1"}, "status": status}


def words(monitor: Object, mark: Notified) -> list[str]:
    return [notification.word for notification in pending(monitor, mark, ORIGIN)]


NOTHING = Notified(entry=None, check=None)


@pytest.mark.parametrize(
    ("verdicts", "sent"),
    [
        ("", []),
        ("NNN", []),
        ("NDDN", ["Drift", "NoDrift"]),
        ("DDC", ["Drift", "Corrupted"]),
        ("NFFN", ["CheckFailed", "NoDrift"]),
    ],
)
def test_a_verdict_is_sent_when_it_changes(verdicts: str, sent: list[str]) -> None:
    assert words(resource(verdicts=verdicts), NOTHING) == sent


def test_a_verdict_that_has_lasted_for_longer_than_the_list_is_not_sent_again() -> None:
    """The mark is then older than the oldest check of the list."""
    mark = Notified(entry=None, check=f"{time_of(-1)}/check-first")
    assert words(resource(verdicts="D" * MAX_RECENT_CHECKS), mark) == []
    assert words(resource(verdicts="D" * (MAX_RECENT_CHECKS - 1) + "N"), mark) == ["NoDrift"]


def test_each_notification_moves_the_mark_past_itself() -> None:
    monitor, mark, sent = resource("TrainingStarted", "Promoted", "RolledBack", verdicts="NDN"), NOTHING, []
    while notifications := pending(monitor, mark, ORIGIN):
        sent.append(notifications[0].word)
        mark = notifications[0].mark
    assert sent == ["Drift", "NoDrift", "TrainingStarted", "Promoted", "RolledBack"]
    assert mark == newest(ModelMonitorStatus.model_validate(monitor["status"]))


def test_an_entry_with_an_earlier_time_than_the_last_one_is_sent() -> None:
    """The outcome of a training has the time at which its Job ended, which can be before the last decision."""
    monitor = resource("TrainingStarted", "RolledBack")
    mark = newest(ModelMonitorStatus.model_validate(monitor["status"]))
    monitor["status"]["history"].insert(0, {"time": time_of(-1), "action": "TrainingFailed"})
    assert words(monitor, mark) == ["TrainingFailed"]


def test_everything_is_sent_where_the_marked_entry_has_left_the_history() -> None:
    mark = Notified(entry=f"{time_of(-9)}/Promoted", check=None)
    assert words(resource("TrainingStarted", "Promoted"), mark) == ["TrainingStarted", "Promoted"]


def test_the_same_happening_has_the_same_id_and_others_have_others() -> None:
    monitor = resource("TrainingStarted", "Promoted", "TrainingStarted", verdicts="NDND")
    first, second = ([notification.event["id"] for notification in pending(monitor, NOTHING, ORIGIN)] for _ in range(2))
    assert first == second
    assert len({*first}) == len(first) == 6


def test_an_event_is_valid_and_links_to_the_page() -> None:
    (notification,) = pending(resource("Promoted"), NOTHING, ORIGIN)
    message = HTTPMessage({"content-type": "application/cloudevents+json"}, json.dumps(notification.event).encode())
    event = from_structured(message, JSONFormat(), CloudEvent)
    assert event.get_type() == "io.modelmonitor.Promoted.v1"
    assert event.get_source() == "/clusters/c1/namespaces/ml/modelmonitors/flights"
    assert event.get_time() == START
    assert event.get_data() == {
        "namespace": "ml",
        "name": "flights",
        "uid": "u1",
        "message": "why",
        "page": "https://models.example/monitors/ml/flights",
    }


class FakeSink:
    """A sink that keeps what it accepts, and fails as told."""

    name = "http://sink"

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.failures: list[Exception] = []
        self.down = False
        self.attempts = 0

    async def send(self, event: dict[str, Any]) -> None:
        self.attempts += 1
        if self.down:
            raise SinkUnavailable("the sink is down")
        if self.failures:
            raise self.failures.pop(0)
        self.events.append(event)

    async def close(self) -> None:
        pass

    def sent(self) -> list[str]:
        return [event["type"].split(".")[-2] for event in self.events]


class Stopped(Exception):
    """Enough has been waited for."""


def deliver(sink: FakeSink, monitors_: dict[str, Object], *, waits: int = 20, chosen: str = "") -> list[float]:
    """Deliver all that is pending; return the delays after failures. Ends after as many failures as `waits`."""
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        if len(delays) >= waits:
            raise Stopped

    async def run() -> None:
        notifier = Notifier(
            sink,
            lambda key: monitors_.get(key[1]),
            lambda _: None,
            origin=ORIGIN,
            words=frozenset(chosen.split()),
            sleep=sleep,
        )
        for name in monitors_:
            notifier.consider(("ml", name))
        task = asyncio.create_task(notifier.run())
        await wait_until(lambda: task.done() or not len(notifier), "all to be sent")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return delays


def test_a_sink_that_fails_is_tried_again_after_longer_and_longer_delays() -> None:
    sink = FakeSink()
    sink.failures = [SinkUnavailable("503")] * 12
    delays = deliver(sink, {"flights": resource("TrainingStarted", "Promoted", notified={})})
    assert sink.sent() == ["TrainingStarted", "Promoted"]
    assert len(delays) == 12
    assert 0.5 <= delays[0] <= 1.5
    assert 2 <= delays[2] <= 6
    assert max(delays) <= delivery.LONGEST_DELAY


def test_a_sink_that_is_down_costs_one_attempt_at_a_time_however_many_monitors_wait() -> None:
    sink = FakeSink()
    sink.down = True
    delays = deliver(sink, {f"m{number}": resource("Promoted", notified={}) for number in range(500)}, waits=10)
    assert (sink.attempts, len(delays)) == (10, 10)


def test_the_delay_that_the_sink_asks_for_is_kept_to() -> None:
    sink = FakeSink()
    sink.failures = [SinkUnavailable("429", retry_after=42), SinkUnavailable("429", retry_after=1e9)]
    assert deliver(sink, {"flights": resource("Promoted", notified={})}) == [42, delivery.LONGEST_DELAY]


def test_an_event_that_the_sink_does_not_accept_does_not_keep_others_back() -> None:
    sink = FakeSink()
    sink.failures = [EventRefused("400")]
    assert deliver(sink, {"flights": resource("TrainingStarted", "Promoted", notified={})}) == []
    assert sink.sent() == ["Promoted"]


def test_only_the_chosen_words_are_sent() -> None:
    sink = FakeSink()
    monitor = resource("TrainingStarted", "Promoted", verdicts="DN", notified={})
    deliver(sink, {"flights": monitor}, chosen="Drift Promoted")
    assert sink.sent() == ["Drift", "Promoted"]


def test_what_was_there_before_the_sink_is_not_sent() -> None:
    sink = FakeSink()
    deliver(sink, {"flights": resource("Promoted")})
    assert sink.sent() == []


async def test_a_monitor_that_is_deleted_during_a_delivery_leaves_nothing() -> None:
    known = {"flights": resource("Promoted", notified={})}
    delivered: list[tuple[str, str]] = []

    class Deleting(FakeSink):
        async def send(self, event: dict[str, Any]) -> None:
            known.clear()
            notifier.forget(("ml", "flights"))
            await super().send(event)

    sink = Deleting()
    notifier = Notifier(sink, lambda key: known.get(key[1]), delivered.append, origin=ORIGIN)
    notifier.consider(("ml", "flights"))
    task = asyncio.create_task(notifier.run())
    await wait_until(lambda: bool(sink.events) or task.done(), "the delivery")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert delivered == []
    # A monitor of the same name begins anew.
    assert notifier.mark_of(("ml", "flights"), ModelMonitorStatus()) == newest(ModelMonitorStatus())


SETTINGS: dict[str, Any] = {"resync_seconds": 0.05, "pages_url": "https://models.example"}


async def find_drift(cluster: InMemoryCluster) -> None:
    """Apply a monitor, and let its first check find drift, which starts a training."""
    cluster.add()
    await wait_until(lambda: bool(cluster.of_role(Role.CHECK)), "the first check")
    [job] = cluster.of_role(Role.CHECK)
    cluster.pass_time(minutes=1)
    cluster.finish(job["metadata"]["name"], monitors.check("Drift", time=cluster.now, champion=None))
    job["metadata"]["resourceVersion"] = str(next(cluster._numbers))


async def test_a_new_monitor_is_reported_from_its_beginning_and_its_status_takes_note() -> None:
    cluster, sink = InMemoryCluster(), FakeSink()
    async with running(cluster, sink, **SETTINGS):
        await find_drift(cluster)
        await wait_until(lambda: "TrainingStarted" in sink.sent(), "the training to be reported")
        await wait_until(lambda: cluster.status()["notified"].get("entry", "").endswith("TrainingStarted"), "the mark")
    assert sink.sent() == ["Drift", "TrainingStarted"]
    assert cluster.status()["pageURL"] == "https://models.example/monitors/demo/flights"


async def test_what_happens_while_the_sink_is_down_and_the_operator_restarts_is_sent_once_it_is_back() -> None:
    cluster, sink = InMemoryCluster(), FakeSink()
    sink.down = True
    async with running(cluster, sink, **SETTINGS) as controller:
        await find_drift(cluster)
        await wait_until(lambda: sink.attempts > 0, "an attempt")
    sink.down = False
    async with running(cluster, sink, **SETTINGS) as controller:
        await wait_until(lambda: len(sink.events) == 2, "both to be reported")
        await wait_until(lambda: cluster.status()["notified"].get("entry") is not None, "the mark")
    async with running(cluster, sink, **SETTINGS) as controller:  # nothing is sent again
        await wait_until(lambda: controller.why_not_ready() is None, "all lists")
        await wait_until(lambda: len(controller.queue) == 0 and not controller.queue._active, "a pass")
    assert sink.sent() == ["Drift", "TrainingStarted"]


async def test_without_a_sink_no_status_has_a_mark() -> None:
    cluster = InMemoryCluster()
    await first_check(cluster)
    assert not {"notified", "pageURL"} & cluster.status().keys()


@asynccontextmanager
async def server(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/hook", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def test_an_event_is_sent_as_structured_json_with_the_token() -> None:
    requests: list[tuple[dict[str, str], bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append((dict(request.headers), await request.read()))
        return web.Response(status=202)

    (notification,) = pending(resource("Promoted"), NOTHING, ORIGIN)
    async with server(answer) as url:
        sink = HTTPSink(url, "secret")
        await sink.send(notification.event)
        await sink.close()
    ((headers, body),) = requests
    assert headers["Authorization"] == "Bearer secret"
    message = HTTPMessage({key.lower(): value for key, value in headers.items()}, body)
    assert from_structured(message, JSONFormat(), CloudEvent).get_id() == notification.event["id"]


@pytest.mark.parametrize(
    ("code", "headers", "error"),
    [
        (400, {}, EventRefused),
        (413, {}, EventRefused),
        (301, {"Location": "http://127.0.0.1:1/"}, SinkUnavailable),
        (401, {}, SinkUnavailable),
        (404, {}, SinkUnavailable),
        (429, {"Retry-After": "7"}, SinkUnavailable),
        (500, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, SinkUnavailable),
    ],
)
async def test_answers_of_a_sink(code: int, headers: dict[str, str], error: type[Exception]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code, headers=headers)

    async with server(answer) as url:
        sink = HTTPSink(url + "?key=secret")
        with pytest.raises(error, match=f"returned {code}") as caught:
            await sink.send({})
        await sink.close()
    assert "secret" not in str(caught.value)
    assert getattr(caught.value, "retry_after", None) == (7 if code == 429 else None)


async def test_a_sink_that_cannot_be_reached() -> None:
    sink = HTTPSink("http://127.0.0.1:1/hook/secret")
    with pytest.raises(SinkUnavailable, match=r"http://127\.0\.0\.1:1 could not be reached") as caught:
        await sink.send({})
    await sink.close()
    assert "secret" not in str(caught.value)
