"""The page of one monitor: what happened when, from its resource and its stored results."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelmonitor_api.reasons import Reason
from modelmonitor_api.status import RecordedDecision
from modelmonitor_trainer.cluster.history import recorded_decisions
from modelmonitor_trainer.cluster.observed import CheckPoint, ObservedMonitor
from modelmonitor_trainer.cluster.page import Tone, duration, full_stop
from modelmonitor_trainer.cluster.status_page import tone_of
from modelmonitor_trainer.registry.records import ServingPeriod
from modelmonitor_trainer.report.histogram import WIDTH
from modelmonitor_trainer.ui.addresses import check_link, training_link
from modelmonitor_trainer.ui.results import MonitorResults, StoredCheck

#: Entries of the table of events.
MOST_EVENTS = 200
#: Actions whose version is that of a training, which has a page.
_OF_TRAININGS = frozenset(
    {
        Reason.PROMOTED.value,
        Reason.REJECTED.value,
        Reason.INCONCLUSIVE.value,
        Reason.AWAITING_APPROVAL.value,
        Reason.NOTHING_NEW.value,
    }
)
_VERSION = re.compile(r"v(\d+)-")


@dataclass(frozen=True)
class Event:
    """A check or a decision.

    Attributes
    ----------
    time
        When it was due, or decided.
    what
        Verdict or action, with its reason.
    text
        The sentence about it.
    tone
        Its tone.
    page
        Address of its page, relative to that of the monitor; empty if there is none.
    is_check
        Whether it is a check.
    """

    time: dt.datetime
    what: str
    text: str
    tone: Tone
    page: str = ""
    is_check: bool = False


@dataclass(frozen=True)
class Served:
    """A time during which one version served."""

    version: str
    since: dt.datetime
    until: dt.datetime | None
    how: str
    trained: str
    score: str
    page: str


@dataclass(frozen=True)
class Band:
    """A time of one champion in the chart: position and width, whether it is shaded, and its tooltip."""

    x: float
    width: float
    shaded: bool
    title: str


@dataclass(frozen=True)
class Tick:
    """An event in the chart: position, tone and tooltip."""

    x: float
    tone: Tone
    title: str


@dataclass(frozen=True)
class EventChart:
    """Checks, decisions and champions over time.

    Attributes
    ----------
    bands
        Champions.
    checks, decisions
        Checks, and decisions that were not held back.
    first, last
        Days of its ends.
    """

    bands: tuple[Band, ...]
    checks: tuple[Tick, ...]
    decisions: tuple[Tick, ...]
    first: str
    last: str


def events_of(monitor: ObservedMonitor, results: MonitorResults) -> list[Event]:
    """Return the checks and decisions of a monitor, newest first."""
    numbers = {name.split("-")[0]: name for name in reversed(results.trainings)}
    decisions = {
        (each.time, each.action, each.reason): each for each in [*results.decisions, *recorded_decisions(monitor)]
    }
    events = [
        *(_decision(each, numbers) for each in decisions.values()),
        *_checks(monitor.checks, results.checks),
    ]
    return sorted(events, key=lambda event: event.time, reverse=True)[:MOST_EVENTS]


def _decision(decision: RecordedDecision, numbers: dict[str, str]) -> Event:
    reason = f" ({decision.reason})" if decision.reason and decision.reason != decision.action else ""
    version = f"{decision.version}: " if decision.version and decision.version not in decision.message else ""
    took = f" It took {duration(decision.seconds)}." if decision.seconds and decision.action != "Held" else ""
    number = _VERSION.match(decision.version or "")
    page = training_link(number[1]) if number and number[1] in numbers and decision.action in _OF_TRAININGS else ""
    text = f"{version}{full_stop(decision.message)}{took}"
    return Event(decision.time, f"{decision.action}{reason}", text, tone_of(decision.action), page)


def _checks(known: Iterable[CheckPoint], stored: Iterable[StoredCheck]) -> list[Event]:
    """Return checks, those with stored results once."""
    events = [
        Event(check.due, check.verdict, check.message, tone_of(check.verdict), check_link(check.folder), is_check=True)
        for check in stored
    ]
    jobs = {check.folder.partition("Z-")[2] for check in stored}
    others = [
        Event(check.time, check.verdict, check.message, tone_of(check.verdict), is_check=True)
        for check in known
        if check.job_name not in jobs
    ]
    return [*events, *others]


def lineage_of(results: MonitorResults) -> list[Served]:
    """Return the versions that served, newest first."""
    numbers = {name.split("-")[0] for name in results.trainings}
    return [_served(period, numbers) for period in reversed(results.tenures)]


def _served(period: ServingPeriod, numbers: set[str]) -> Served:
    tenure = period.tenure
    days = "" if tenure.data_start is None or tenure.data_end is None else f"{tenure.data_start} to {tenure.data_end}"
    rows = "" if tenure.train_rows is None else f", {tenure.train_rows:,} rows"
    score = "" if tenure.score is None else f"{tenure.metric or 'score'} {tenure.score:.4g}"
    number = _VERSION.match(tenure.version)
    return Served(
        version=tenure.version,
        since=period.since,
        until=period.until,
        how=f"{tenure.action}. {full_stop(tenure.message)}".strip(),
        trained=f"{days}{rows}" if days else "",
        score=score,
        page=training_link(number[1]) if number is not None and number[1] in numbers else "",
    )


def event_chart_of(events: Sequence[Event], served: Sequence[Served], now: dt.datetime) -> EventChart | None:
    """Return the chart of events, newest first, over the champions; None without two points in time."""
    shown = [event for event in events if not event.what.startswith("Held")]
    if len(shown) < 2:
        return None
    start = min(event.time for event in shown)
    end = max(now, shown[0].time)
    span = max((end - start).total_seconds(), 1.0)

    def across(time: dt.datetime) -> float:
        return WIDTH * min(max((time - start).total_seconds() / span, 0.0), 1.0)

    bands = []
    for index, each in enumerate(reversed(served)):
        left, right = across(each.since), across(each.until or end)
        if right > left:
            until = f"until {each.until:%Y-%m-%d %H:%M}" if each.until is not None else "until now"
            bands.append(
                Band(left, right - left, index % 2 == 1, f"{each.version} since {each.since:%Y-%m-%d}, {until}")
            )
    ticks = [(event, Tick(across(event.time), event.tone, _title(event))) for event in reversed(shown)]
    return EventChart(
        bands=tuple(bands),
        checks=tuple(tick for event, tick in ticks if event.is_check),
        decisions=tuple(tick for event, tick in ticks if not event.is_check),
        first=f"{start:%Y-%m-%d}",
        last=f"{end:%Y-%m-%d}",
    )


def _title(event: Event) -> str:
    return f"{event.time.astimezone(dt.UTC):%Y-%m-%d %H:%M} {event.what}"
