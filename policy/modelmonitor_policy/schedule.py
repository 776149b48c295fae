"""What follows from a cron schedule. Checks are started by the CronJob, not from here."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from modelmonitor_api.resource import InvalidSpec, Problem

#: A fixed period with every month and a leap day: a rate must not depend on when it is computed.
_EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_YEAR = dt.timedelta(days=366)
#: Due times after which a rate is known well enough.
_MAX_DUE_TIMES = 2000
#: Walking through a schedule takes longer than the rest of a reconciliation.
_cached = functools.lru_cache(maxsize=4096)


@_cached
def validate_schedule(schedule: str, time_zone: str) -> None:
    """Reject a schedule that the CronJob controller would reject.

    Raises
    ------
    InvalidSpec
        With a sentence that says what to change.
    """
    if len(schedule.split()) != 5:
        raise _invalid("schedule", f'{schedule!r} must have the five fields of cron, such as "0 6 * * *"')
    try:
        next(CronSim(schedule, _EPOCH))
    except CronSimError as error:
        raise _invalid("schedule", f"{schedule!r} is not a cron schedule: {error}") from error
    except StopIteration as error:
        raise _invalid("schedule", f"{schedule!r} is never due") from error
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{time_zone!r} is not a name of the tz database, such as Europe/Berlin"
        raise _invalid("timeZone", message) from error


def _invalid(field: str, message: str) -> InvalidSpec:
    problem = Problem((field,), message)
    return InvalidSpec(str(problem), [problem])


def next_time(schedule: str, time_zone: str, now: dt.datetime) -> dt.datetime:
    """Return the first due time after `now`, in UTC."""
    return next(CronSim(schedule, now.astimezone(ZoneInfo(time_zone)))).astimezone(dt.UTC)


@_cached
def per_day(schedule: str) -> float:
    """Return the average number of due times per day, over a year."""
    times = CronSim(schedule, _EPOCH)
    last, count = _EPOCH, 0
    for time in times:
        if time - _EPOCH > _YEAR or count == _MAX_DUE_TIMES:
            break
        last, count = time, count + 1
    period = _YEAR if count < _MAX_DUE_TIMES else last - _EPOCH
    return max(count, 1) / (period / dt.timedelta(days=1))


@_cached
def shortest_interval(schedule: str) -> dt.timedelta:
    """Return the shortest time between two of the next hundred due times."""
    times = [time for time, _ in zip(CronSim(schedule, _EPOCH), range(100), strict=False)]
    return min((b - a for a, b in itertools.pairwise(times)), default=_YEAR)


@_cached
def longest_interval(schedule: str, time_zone: str) -> dt.timedelta:
    """Return the longest time between two of the next sixty due times, which are a week of hours on working days.

    On working days, it is that from Friday to Monday.
    """
    start = _EPOCH.replace(tzinfo=ZoneInfo(time_zone))
    times = [time.astimezone(dt.UTC) for time, _ in zip(CronSim(schedule, start), range(60), strict=False)]
    return max((b - a for a, b in itertools.pairwise(times)), default=_YEAR)
