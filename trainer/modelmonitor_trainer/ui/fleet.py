"""The fleet: one row for each monitor, from its resource alone, so that thousands can be shown at once."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from modelmonitor_api.names import ConditionType
from modelmonitor_api.quantity import parse_quantity
from modelmonitor_api.reasons import Reason
from modelmonitor_api.status import FAILED
from modelmonitor_trainer.cluster.observed import CheckPoint, ObservedMonitor
from modelmonitor_trainer.cluster.page import Tone
from modelmonitor_trainer.cluster.status_page import tone_of

#: Checks in the line of a row.
CELLS = 30
#: States of monitors that are no verdicts.
NOT_CHECKED, INVALID, PAUSED = "NotChecked", "InvalidSpec", "Paused"
_HELD = "Held"
_SECONDS_OF_AN_HOUR = 3600


@dataclass(frozen=True)
class CheckLine:
    """The newest checks of a monitor as a line of cells, oldest first.

    Attributes
    ----------
    paths
        Tone → ``d`` of the strokes along its cells; one cell is one unit long.
    summary
        What it shows, in a sentence.
    """

    paths: tuple[tuple[Tone, str], ...]
    summary: str


@dataclass(frozen=True)
class Score:
    """What the champion scores, and what it scored on the hold-out of its promotion; None where it is not known."""

    metric: str
    served: float | None
    promised: float | None


@dataclass(frozen=True)
class FleetRow:
    """A monitor in the fleet.

    Attributes
    ----------
    namespace, name
        The monitor.
    state
        Verdict of its newest check, or why there is none.
    tone
        Tone of the state.
    message
        The state in a sentence.
    line
        Its newest checks; None if none has ended.
    champion
        Version that serves; empty without one.
    champion_days
        Days since the end of the champion's training data, or since its promotion where that is not known.
    score
        Scores of the champion; None if none is known.
    trainings
        Trainings that were started in this month.
    hours
        Processor hours that the trainings that ended in this month had reserved; None if none is known.
    next_check
        When the next check is due.
    blocked
        Why it does not train, or cannot check; empty if nothing keeps it from either.
    """

    namespace: str
    name: str
    state: str
    tone: Tone
    message: str
    line: CheckLine | None
    champion: str
    champion_days: int | None
    score: Score | None
    trainings: int
    hours: float | None
    next_check: dt.datetime | None
    blocked: str


@dataclass(frozen=True)
class Query:
    """What a reader wants to see of a fleet.

    Attributes
    ----------
    text
        Part of a name, a namespace, a message or a version.
    namespace, state
        Of the monitors; empty is all.
    sort
        A key of `ORDERS`; another one counts as the first.
    """

    text: str = ""
    namespace: str = ""
    state: str = ""
    sort: str = ""


def fleet_row(monitor: ObservedMonitor, now: dt.datetime) -> FleetRow:
    """Return the row of a monitor."""
    state, tone, message = state_of(monitor)
    champion = monitor.status.champion
    since = None if champion is None else champion.data_end or champion.since
    month = now.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    suspended = monitor.spec is not None and monitor.spec.suspend
    return FleetRow(
        namespace=monitor.namespace,
        name=monitor.name,
        state=state,
        tone=tone,
        message=message,
        line=_line(monitor.checks[-CELLS:]),
        champion=champion.version if champion is not None else "",
        champion_days=None if since is None else max(0, (now - since).days),
        score=score_of(monitor),
        trainings=sum(start >= month for start in monitor.status.trainings),
        hours=processor_hours(monitor, month),
        next_check=None if suspended else monitor.status.next_check_time,
        blocked=_blocked(monitor),
    )


def state_of(monitor: ObservedMonitor) -> tuple[str, Tone, str]:
    """Return the state of a monitor in one word, its tone, and the state in a sentence."""
    status = monitor.status
    failure, check = status.last_check_failure, status.last_check
    if monitor.spec is None:
        return INVALID, Tone.BAD, monitor.spec_problem
    ready = monitor.condition(ConditionType.READY)
    if ready is not None and ready.status == "False" and ready.reason == Reason.INVALID_SPEC:
        return INVALID, Tone.BAD, ready.message
    if monitor.spec.suspend:
        return PAUSED, Tone.UNSURE, "Neither checks nor trainings start."
    if failure is not None:
        return FAILED, Tone.BAD, failure.message
    if check is None:
        return NOT_CHECKED, Tone.UNSURE, "No check has returned a verdict yet."
    return check.verdict, tone_of(check.verdict), check.message


def _line(checks: Sequence[CheckPoint]) -> CheckLine | None:
    if not checks:
        return None
    strokes: dict[Tone, str] = {}
    for tone, run in groupby(enumerate(checks), key=lambda item: tone_of(item[1].verdict)):
        cells = [index for index, _ in run]
        strokes[tone] = f"{strokes.get(tone, '')}M{cells[0]} 0h{len(cells)}"
    counts = Counter(check.verdict for check in checks).most_common()
    days = f"{checks[0].time.astimezone(dt.UTC):%Y-%m-%d} to {checks[-1].time.astimezone(dt.UTC):%Y-%m-%d}"
    return CheckLine(tuple(strokes.items()), f"{days}: {', '.join(f'{count} {verdict}' for verdict, count in counts)}")


def score_of(monitor: ObservedMonitor) -> Score | None:
    """Return what the champion scores on labelled rows of the newest check, beside its promise."""
    check, champion = monitor.status.last_check, monitor.status.champion
    served = check.performance if check is not None else None
    if served is not None:
        return Score(served.metric, _figure(served.score), _figure(served.promised))
    if champion is not None and champion.score is not None:
        return Score(champion.metric or "", None, _figure(champion.score))
    return None


def _figure(text: str | None) -> float | None:
    """Return a number of the status, which can be any text."""
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < float("inf") else None


def processor_hours(monitor: ObservedMonitor, since: dt.datetime) -> float | None:
    """Return the processor hours that trainings which ended after `since` had reserved.

    They are the durations of the Jobs among the newest decisions of the status, times the CPU that the spec requests.
    None if there is none, or the CPU is not known.
    """
    seconds = [
        entry.seconds
        for entry in monitor.status.decisions
        if entry.seconds is not None and entry.action != _HELD and entry.time >= since
    ]
    if not seconds or monitor.spec is None:
        return None
    requirements = monitor.spec.retraining.trainer.resources
    cpu = requirements.requests.cpu or requirements.limits.cpu
    return None if cpu is None else sum(seconds) / _SECONDS_OF_AN_HOUR * float(parse_quantity(cpu))


def _blocked(monitor: ObservedMonitor) -> str:
    """Return why a monitor is not ready, or does not train although something calls for it."""
    ready, training = monitor.condition(ConditionType.READY), monitor.condition(ConditionType.TRAINING)
    if ready is not None and ready.status == "False":
        return f"{ready.reason}: {ready.message}"
    last = monitor.status.last_training
    unremarkable = {Reason.NOT_TRIGGERED.value, last.outcome if last is not None else None}
    if training is None or training.status == "True" or training.reason in unremarkable:
        return ""
    return f"{training.reason}: {training.message}"


def select_rows(rows: Iterable[FleetRow], query: Query) -> list[FleetRow]:
    """Return the rows that a query asks for, in its order."""
    words = query.text.casefold().split()
    chosen = [
        row
        for row in rows
        if query.namespace in {"", row.namespace}
        and query.state in {"", row.state}
        and all(word in _searched(row) for word in words)
    ]
    key = ORDERS.get(query.sort, next(iter(ORDERS.values())))
    return sorted(chosen, key=lambda row: (*key(row), row.namespace, row.name))


def _searched(row: FleetRow) -> str:
    return f"{row.namespace} {row.name} {row.state} {row.message} {row.champion} {row.blocked}".casefold()


_URGENCY = {Tone.BAD: 0, Tone.UNSURE: 1}


def _by_urgency(row: FleetRow) -> tuple[Any, ...]:
    return (_URGENCY.get(row.tone, 2),)


def _by_name(_: FleetRow) -> tuple[Any, ...]:
    return ()


def _by_age(row: FleetRow) -> tuple[Any, ...]:
    return (-(row.champion_days if row.champion_days is not None else -1),)


def _by_trainings(row: FleetRow) -> tuple[Any, ...]:
    return (-row.trainings, -(row.hours or 0.0))


def _by_next_check(row: FleetRow) -> tuple[Any, ...]:
    return (row.next_check is None, row.next_check or dt.datetime.min.replace(tzinfo=dt.UTC))


#: Name of an order → key of a row; the name decides among equals. The first is the default.
ORDERS: dict[str, Callable[[FleetRow], tuple[Any, ...]]] = {
    "urgency": _by_urgency,
    "name": _by_name,
    "champion": _by_age,
    "trainings": _by_trainings,
    "next": _by_next_check,
}


def count_states(rows: Sequence[FleetRow]) -> dict[str, int]:
    """Return how many monitors are in each state, the most frequent first."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.state] = counts.get(row.state, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
