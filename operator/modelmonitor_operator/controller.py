"""The controller: what is known of all monitors, which of them are due, and the passes of the reconcile loop."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Callable

from modelmonitor_api.names import ConditionType
from modelmonitor_api.times import parse_time
from modelmonitor_operator.agenda import Agenda
from modelmonitor_operator.backoff import spread
from modelmonitor_operator.cache import Key, ObjectCache, has_ended, key_of, monitor_of
from modelmonitor_operator.cached_gateway import CachedGateway, RecordingGateway, Unsettled
from modelmonitor_operator.gateway import Conflict, Gateway, GatewayError, Kind, Object
from modelmonitor_operator.metrics.activity import Activity
from modelmonitor_operator.metrics.state import WatchTime
from modelmonitor_operator.notifications.cloud_events import Origin
from modelmonitor_operator.notifications.notifier import Notifier, Sink
from modelmonitor_operator.reconcile import Reconciler
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.training_slots import TrainingSlots
from modelmonitor_operator.untrusted import conditions_of, status_of
from modelmonitor_operator.watches import Sight, Watch
from modelmonitor_operator.workqueue import Priority, WorkQueue

_log = logging.getLogger(__name__)

#: Monitors that are reconciled at the same time: an upper bound of the requests in progress, watches apart.
WORKERS = 10
#: A monitor counts as new for this long.
_NEW = dt.timedelta(minutes=15)
#: An operator without a complete cache starts all the same after this time, and asks the API server instead.
SYNC_SECONDS = 120.0
#: Passes that failed during an outage of the API server are repeated within this time after its end.
CATCH_UP_SECONDS = 60.0
#: A watch counts as stale when it has received nothing for this long: the API server sends a bookmark every minute.
STALE_SECONDS = 300.0
#: The resync counts as stuck when it has made no step for this long. Each of its requests ends within two minutes.
STUCK_SECONDS = 3600.0


class Controller:
    """Runs passes for monitors that have changed, whose children have changed, or that are due.

    Parameters
    ----------
    settings
        Settings of the operator.
    gateway
        Access to the API server.
    clock
        Returns the time, with its time zone.
    monotonic
        Clock of the steps of the resync, in seconds.
    activity
        Where the work is counted.
    sink
        Where notifications go; nowhere if None.
    """

    def __init__(
        self,
        settings: Settings,
        gateway: Gateway,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        monotonic: Callable[[], float] = time.monotonic,
        activity: Activity | None = None,
        sink: Sink | None = None,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._clock = clock
        self._monotonic = monotonic
        self._namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self.cache = ObjectCache()
        self.activity = Activity() if activity is None else activity
        self._agenda: Agenda[Key] = Agenda(dt.timedelta(seconds=settings.resync_seconds))
        self.queue: WorkQueue[Key] = WorkQueue(
            self.process, WORKERS, expected=(GatewayError,), group=lambda key: key[0]
        )
        self._slots = TrainingSlots(self.cache, settings.training_limits)
        self.notifier = self._make_notifier(sink)
        self._notified = self.notifier.mark_of if self.notifier is not None else None
        self._settled = Reconciler(CachedGateway(self.cache), settings, clock, self._slots, notified=self._notified)
        self._listing = asyncio.Lock()
        kinds = [Kind.CRON_JOB, Kind.JOB, *([Kind.DEPLOYMENT] if settings.rollouts else [])]
        self._monitors = [self._watch(Kind.MONITOR, namespace) for namespace in self._namespaces]
        self._watches = [
            *self._monitors,
            *(self._watch(kind, namespace) for kind in kinds for namespace in self._namespaces),
        ]
        self._last_step = monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to watch, to resync and to work."""
        runs = [self._work(), self._resync(), *(watch.run() for watch in self._watches)]
        if self.notifier is not None:
            runs.append(self.notifier.run())
        self._tasks = [asyncio.create_task(run) for run in runs]

    async def stop(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def why_stuck(self) -> str | None:
        """Return why only a restart of the process would help, or None. An API server that is away is no reason."""
        for task in self._tasks:
            if task.done():
                return f"a task of the controller has ended: {task}"
        age = self._monotonic() - self._last_step
        stuck = age > self._settings.resync_seconds + STUCK_SECONDS
        return f"the resync has made no step for {age:.0f} s" if stuck else None

    def why_not_ready(self) -> str | None:
        """Return why the operator does not know the monitors, or may know an old state of them; None if it does."""
        for watch in self._watches:
            if not watch.synced.is_set():
                return f"{watch} has not read its first list"
            if watch.silence() > STALE_SECONDS:
                return f"{watch} has received nothing for {watch.silence():.0f} s"
        return None

    def watch_times(self) -> list[WatchTime]:
        """Return the watches, and when each last received something."""
        return [(watch.kind, watch.namespace, watch.seen) for watch in self._watches]

    def _watch(self, kind: Kind, namespace: str | None) -> Watch:
        notify = self._on_monitor if kind is Kind.MONITOR else self._on_child
        return Watch(self._gateway, self.cache, kind, namespace, notify, self._listing, self._catch_up)

    def _catch_up(self) -> None:
        """After an outage, do not wait for the delays that have grown meanwhile."""
        self.queue.hasten(CATCH_UP_SECONDS)

    def _on_monitor(self, _: Kind, resource: Object, sight: Sight) -> None:
        """Enqueue a monitor that is new or has changed; forget one that is gone."""
        key = key_of(resource)
        if sight is Sight.GONE:
            self._forget(key)
            return
        status = status_of(resource)
        edited = status.get("observedGeneration") != resource["metadata"].get("generation", 1)
        known = Priority.RESYNC if sight is Sight.LISTED and not edited else Priority.CHANGE
        self.queue.add(key, known if status.get("conditions") else Priority.NEW)

    def _on_child(self, kind: Kind, child: Object, _: Sight) -> None:
        """Enqueue the monitor of a child that has changed; children outlive their monitor for a moment."""
        monitor = monitor_of(child)
        if kind is Kind.JOB:
            self._start_queued()
        if monitor is not None and self.cache.version(Kind.MONITOR, monitor) is not None:
            waited_for = kind is not Kind.JOB or has_ended(child)
            self.queue.add(monitor, Priority.CHANGE if waited_for else Priority.RESYNC)

    def _forget(self, key: Key) -> None:
        self._agenda.forget(key)
        self.queue.forget(key)
        self.activity.forget(key)
        if self.notifier is not None:
            self.notifier.forget(key)

    def _make_notifier(self, sink: Sink | None) -> Notifier | None:
        if sink is None:
            return None
        return Notifier(
            sink,
            lambda key: self.cache.get(Kind.MONITOR, key),
            lambda key: self.queue.add(key, Priority.RESYNC),
            origin=Origin(self._settings.cluster, self._settings.pages_url),
            words=frozenset(self._settings.notifications_types),
            count=self.activity.count_notification,
        )

    def _start_queued(self) -> None:
        """Enqueue the monitors whose trainings waited for a slot, as far as there are slots."""
        for key in self._slots.next():
            self.queue.add(key, Priority.CHANGE)

    async def process(self, key: Key) -> None:
        """Run a pass: on the cache, and on the API server if that does not suffice."""
        try:
            with self.activity.count_errors():
                await self._pass(key)
            if self.notifier is not None:
                self.notifier.consider(key)
        finally:
            if self._slots.give_back(key):
                self._start_queued()

    async def _pass(self, key: Key) -> None:
        resource = self.cache.get(Kind.MONITOR, key)
        if resource is not None and not self._is_new(resource):
            try:
                with self.activity.measure_pass("cache"):
                    wake_at = await self._settled.reconcile(*key)
            except Unsettled as error:
                _log.debug("%s is read from the API server: %s", key, error)
            else:
                self._agenda.set(key, wake_at, self._clock())
                return
        gateway = RecordingGateway(self._gateway, self.cache, new=resource is not None and self._is_new(resource))
        reconciler = Reconciler(
            gateway, self._settings, self._clock, self._slots, self.activity.count_changes, self._notified
        )
        try:
            with self.activity.measure_pass("api_server"):
                wake_at = await reconciler.reconcile(*key)
        except Conflict:
            self.cache.remove(Kind.MONITOR, key)  # so that the next pass reads it
            raise
        if self.cache.version(Kind.MONITOR, key) is None:
            self._forget(key)
        elif gateway.writes:
            # What was written may be the beginning of more. The watch will bring nothing new of it.
            self.queue.add(key, Priority.RESYNC)
        else:
            # It depends on something that no watch shows, such as a Deployment that does not exist yet.
            now = self._clock()
            self._agenda.set(key, _spread(wake_at, now) if self._is_stalled(key) else now, now)

    def _is_stalled(self, key: Key) -> bool:
        """Whether a monitor waits for a user, so that there is no hurry to try again."""
        return conditions_of(self.cache.get(Kind.MONITOR, key) or {}).get(ConditionType.STALLED) == "True"

    def _is_new(self, resource: Object) -> bool:
        """Whether a monitor has just been created: no pass has written its status, and it has no Jobs.

        The status of an older one may have been lost. Its Jobs are then read from the API server.
        """
        metadata = resource["metadata"]
        age = self._clock() - parse_time(metadata["creationTimestamp"])
        has_jobs = any(True for _ in self.cache.jobs_of(metadata["uid"]))
        return not (status_of(resource) or has_jobs) and age < _NEW

    async def _work(self) -> None:
        """Process keys once all is known; before that, every pass would ask the API server."""
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for watch in self._watches:
                    await watch.synced.wait()
        except TimeoutError:
            _log.warning("not all objects could be listed within %.0f s", SYNC_SECONDS)
        await self.queue.run()

    async def _resync(self) -> None:
        """Compare the known monitors with a list, and enqueue those that are due, periodically."""
        while True:
            for watch in self._monitors:
                self._last_step = self._monotonic()
                if not watch.synced.is_set():
                    continue  # its own list is still to come
                try:
                    await self._compare(watch.namespace)
                except GatewayError as error:
                    _log.warning("the monitors could not be listed, next attempt at the next resync: %s", error)
                except Exception:  # noqa: BLE001 - the resync must outlive an answer that nobody foresaw
                    _log.exception("the monitors could not be compared with a list, next attempt at the next resync")
            self._start_queued()
            for key in self._agenda.due(self.cache.keys(Kind.MONITOR), self._clock()):
                self.queue.add(key, Priority.RESYNC)
            self._last_step = self._monotonic()
            await asyncio.sleep(self._settings.resync_seconds)

    async def _compare(self, namespace: str | None) -> None:
        """Read the metadata of the monitors, to find what the watch has missed."""
        before = {key: self.cache.version(Kind.MONITOR, key) for key in self.cache.keys(Kind.MONITOR, namespace)}
        listed: set[Key] = set()
        async with self._listing:
            async for page in self._gateway.list_pages(Kind.MONITOR, namespace, metadata_only=True):
                self._last_step = self._monotonic()
                for resource in page.items:
                    key = key_of(resource)
                    listed.add(key)
                    if self._is_newer(resource, key):
                        self.cache.remove(Kind.MONITOR, key)  # so that the pass reads it from the API server
                        self.queue.add(key, Priority.CHANGE)
                page.items.clear()
        for key, version in before.items():
            if key not in listed and self.cache.version(Kind.MONITOR, key) == version:
                self.cache.remove(Kind.MONITOR, key)
                self._forget(key)

    def _is_newer(self, resource: Object, key: Key) -> bool:
        known = self.cache.version(Kind.MONITOR, key)
        return known is None or known < int(resource["metadata"]["resourceVersion"])


def _spread(wake_at: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
    """Return a later time at random, so that what was refused to many monitors at once is not tried again at once."""
    return None if wake_at is None else now + (wake_at - now) * spread(1.0, 1.5)
