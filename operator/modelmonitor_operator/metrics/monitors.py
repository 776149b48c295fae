"""Samples of the monitors, read from the cache when Prometheus asks for them.

Nothing is kept between two scrapes: a series exists exactly as long as its monitor.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.resource import InvalidSpec
from modelmonitor_api.status import MAX_TOP_FEATURES
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.metrics import definitions as d
from modelmonitor_operator.metrics.definitions import Metric
from modelmonitor_operator.words import column_name, identifier, known_word
from modelmonitor_policy.schedule import longest_interval, validate_schedule

#: Values of the labels that are not those of every metric of a monitor, and the value.
Sample = tuple[tuple[str, ...], float]

_TRUTHS = {"True": 1.0, "False": 0.0, "Unknown": -1.0}
#: Conditions that say no more than Ready.
_LEFT_OUT = frozenset({ConditionType.STALLED.value, ConditionType.RECONCILING.value})


def read_samples(resource: Object, training_seconds: float, *, features: bool) -> Iterator[tuple[Metric, Sample]]:
    """Return the samples of a monitor.

    A status that somebody has broken costs the samples that cannot be read, and no others.

    Parameters
    ----------
    resource
        The monitor.
    training_seconds
        How long its trainings took since the operator started.
    features
        Whether single columns have samples.
    """
    status = _mapping(resource.get("status"))
    check, failure = _mapping(status.get("lastCheck")), _mapping(status.get("lastCheckFailure"))
    yield from _tag(d.CONDITION, _conditions(resource))
    yield from _tag(d.ACTIVE, _one(_active_since(resource)))
    yield from _tag(d.INTERVAL, _one(_interval(resource)))
    ends = [_time(check.get("completionTime") or check.get("time")), _time(failure.get("time"))]
    yield from _tag(d.LAST_CHECK, _one(max((end for end in ends if end is not None), default=None)))
    yield from _tag(d.CHECK_FAILURES, _one(_number(failure.get("failures", 1 if failure else 0))))
    if check:
        yield from _read_check(check, features=features)
    yield from _read_champion(_mapping(status.get("champion")), _mapping(check.get("performance")))
    yield from _read_training(_mapping(status.get("lastTraining")), training_seconds)


def _read_check(check: Mapping[str, Any], *, features: bool) -> Iterator[tuple[Metric, Sample]]:
    rows = _mapping(check.get("rows"))
    yield from _tag(d.VERDICT, _labelled(check.get("verdict")))
    yield from _tag(d.ROWS, [((window,), _number(rows.get(window))) for window in ("reference", "current")])
    yield from _tag(d.DATA_END, _one(_time(check.get("dataEnd"))))
    yield from _tag(d.EFFECT, _one(_number(check.get("largestEffect"))))
    yield from _tag(d.DRIFTED, _one(_number(check.get("driftedFeatures"))))
    yield from _tag(d.CONSECUTIVE, _one(_number(check.get("consecutiveDrifts", 0))))
    yield from _tag(d.DROPPED, _one(float(check.get("performanceDropped") is True)))
    if features:
        listed = check.get("topFeatures")
        effects = {
            column_name(each.get("name")): _number(each.get("effect"))
            for each in (map(_mapping, listed[:MAX_TOP_FEATURES]) if isinstance(listed, list) else ())
        }
        yield from _tag(d.FEATURE_EFFECT, [((name,), effect) for name, effect in effects.items()])


def _read_champion(champion: Mapping[str, Any], performance: Mapping[str, Any]) -> Iterator[tuple[Metric, Sample]]:
    if not champion:
        return
    labels = (identifier(champion.get("version")), identifier(champion.get("metric")))
    yield from _tag(d.CHAMPION, [(labels, 1.0)])
    yield from _tag(d.CHAMPION_SINCE, _one(_time(champion.get("since"))))
    yield from _tag(d.CHAMPION_DATA_END, _one(_time(champion.get("dataEnd"))))
    yield from _tag(d.PROMISED, _one(_number(champion.get("score"))))
    yield from _tag(d.SCORE, _one(_number(performance.get("score"))))
    yield from _tag(d.SCORE_LOW, _one(_number(performance.get("low"))))
    yield from _tag(d.SCORE_HIGH, _one(_number(performance.get("high"))))


def _read_training(training: Mapping[str, Any], seconds: float) -> Iterator[tuple[Metric, Sample]]:
    yield from _tag(d.TRAININGS, _one(_number(training.get("number", 0))))
    yield from _tag(d.TRAINING_SECONDS, _one(seconds))
    yield from _tag(d.TRAINING_FAILURES, _one(_number(training.get("failures", 0))))
    start, end = _time(training.get("startTime")), _time(training.get("completionTime"))
    if start is None or end is None:
        return
    yield from _tag(d.LAST_TRAINING, _one(end))
    yield from _tag(d.LAST_TRAINING_SECONDS, _one(max(0.0, end - start)))
    yield from _tag(d.LAST_TRAINING_MEMORY, _one(_number(training.get("peakMemoryBytes"))))
    yield from _tag(d.LAST_OUTCOME, _labelled(training.get("outcome")))


def _conditions(resource: Object) -> Iterator[tuple[tuple[str, ...], float | None]]:
    for condition in conditions_of(resource):
        if condition["type"] not in _LEFT_OUT:
            labels = (condition["type"], known_word(condition.get("reason")))
            yield labels, _TRUTHS.get(str(condition.get("status")))


def conditions_of(resource: Object) -> Iterator[Mapping[str, Any]]:
    """Return the conditions of a monitor whose type is known."""
    listed = _mapping(resource.get("status")).get("conditions")
    for condition in map(_mapping, listed if isinstance(listed, list) else ()):
        if condition.get("type") in _CONDITION_TYPES:
            yield condition


_CONDITION_TYPES = frozenset(kind.value for kind in ConditionType)


def _active_since(resource: Object) -> float | None:
    """Return since when checks run on schedule: since the monitor was created, or since it was resumed."""
    if _mapping(resource.get("spec")).get("suspend") is True:
        return None
    created = _time(_mapping(resource.get("metadata")).get("creationTimestamp"))
    resumed = next(
        (
            _time(condition.get("lastTransitionTime"))
            for condition in conditions_of(resource)
            if condition["type"] == ConditionType.SUSPENDED and condition.get("reason") == Reason.ACTIVE
        ),
        None,
    )
    return resumed if resumed is not None else created


def _interval(resource: Object) -> float | None:
    spec = _mapping(resource.get("spec"))
    schedule, zone = spec.get("schedule"), spec.get("timeZone") or "Etc/UTC"
    if not isinstance(schedule, str) or not isinstance(zone, str):
        return None
    try:
        validate_schedule(schedule, zone)
    except InvalidSpec:  # the monitor has a condition that says so
        return None
    return longest_interval(schedule, zone).total_seconds()


def _tag(metric: Metric, samples: Iterable[tuple[tuple[str, ...], float | None]]) -> Iterator[tuple[Metric, Sample]]:
    """Return the samples that have a value, each with its metric."""
    for labels, value in samples:
        if value is not None:
            yield metric, (labels, value)


def _one(value: float | None) -> Iterable[tuple[tuple[str, ...], float | None]]:
    return (((), value),)


def _labelled(word: object) -> Iterable[tuple[tuple[str, ...], float | None]]:
    """Return a sample whose value is its label."""
    return (((known_word(word),), 1.0),) if word else ()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _attempt(read: Callable[[Any], float]) -> Callable[[object], float | None]:
    """Return `read` with None for what cannot be read."""

    def attempt(value: object) -> float | None:
        if value is None:
            return None
        try:
            number = read(value)
        except (ValueError, TypeError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    return attempt


_number = _attempt(float)
_time = _attempt(lambda text: dt.datetime.fromisoformat(text).timestamp())
