"""What follows from a cron schedule: due times, rates, and whether it is valid."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.resource import InvalidSpec
from modelmonitor_policy.schedule import longest_interval, next_time, per_day, shortest_interval, validate_schedule

MINUTE = dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("schedule", "rate", "interval"),
    [
        ("* * * * *", 1440, MINUTE),
        ("*/5 * * * *", 288, 5 * MINUTE),
        ("0 * * * *", 24, 60 * MINUTE),
        ("0 6 * * *", 1, 24 * 60 * MINUTE),
        ("0 6 * * 1", 53 / 366, 7 * 24 * 60 * MINUTE),  # 2024 has 53 Mondays
        ("0 6,7 * * *", 2, 60 * MINUTE),
        ("0 0 1 1 *", 1 / 366, 365 * 24 * 60 * MINUTE),
        ("0 0 29 2 *", 1 / 366, 1461 * 24 * 60 * MINUTE),
    ],
)
def test_rate_and_interval(schedule: str, rate: float, interval: dt.timedelta) -> None:
    assert per_day(schedule) == pytest.approx(rate, rel=0.01)
    assert shortest_interval(schedule) == interval


@pytest.mark.parametrize(
    ("schedule", "zone", "hours"),
    [
        ("0 6 * * *", "Etc/UTC", 24),
        ("0 6 * * 1-5", "Etc/UTC", 72),
        ("*/5 * * * *", "Etc/UTC", 1 / 12),
        ("0 6 * * *", "America/New_York", 24),
        ("0 6 1 * *", "Etc/UTC", 31 * 24),
    ],
)
def test_the_longest_interval_of_a_schedule(schedule: str, zone: str, hours: float) -> None:
    interval = longest_interval(schedule, zone)
    assert abs(interval - dt.timedelta(hours=hours)) <= 60 * MINUTE, "an hour more or less where the clocks change"


def test_the_next_time_is_in_the_time_zone_of_the_schedule() -> None:
    now = dt.datetime(2013, 3, 9, 12, tzinfo=dt.UTC)  # clocks go forward in New York on the 10th
    times = [next_time("0 6 * * *", "America/New_York", now + dt.timedelta(days=d)) for d in (0, 1)]
    assert [time.hour for time in times] == [10, 10]
    assert next_time("0 6 * * *", "America/New_York", now - dt.timedelta(days=1)).hour == 11


@pytest.mark.parametrize(
    ("schedule", "zone", "words"),
    [
        ("61 * * * *", "Etc/UTC", "not a cron schedule"),
        ("@daily", "Etc/UTC", "five fields"),
        ("0 0 30 2 *", "Etc/UTC", "spec.schedule"),
        ("0 6 * * *", "Mars/Olympus", "spec.timeZone"),
    ],
)
def test_an_invalid_schedule_is_rejected(schedule: str, zone: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        validate_schedule(schedule, zone)


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_schedule_is_valid_or_rejected_with_a_sentence(text: str, zone: str) -> None:
    try:
        validate_schedule(text, zone)
    except InvalidSpec as error:
        assert str(error).startswith("spec.")  # noqa: PT017 - an example can also be valid
