"""The calendar of a training: which days train, compare and wait, and when a change can be learnt."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy.training_calendar import (
    Days,
    day_with,
    days_required,
    describe_calendar,
    fits_with_holdout,
    known_from,
    plan_training,
)
from modelmonitor_policy.training_days import training_days
from unit.policy.factories import CHAMPION, check, facts, spec

NEWEST = dt.date(2013, 4, 1)
DAY = dt.timedelta(days=1)


def windows(
    window: str = "Days", days: int = 90, holdout: int = 14, delay: int = 2, share: str = "0.2"
) -> ModelMonitorSpec:
    """Return a spec with these windows; checks are due at 06:00 UTC."""
    labels = {"labels": {"uri": "s3://flights/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": delay}}
    return spec(
        schedule="0 6 * * *",
        data=labels,
        retraining={"windowDays": days, "minNewShare": share, "window": window},
        promotion={"holdoutDays": holdout},
    )


def test_the_days_before_the_newest_wait_compare_and_train() -> None:
    calendar = plan_training(windows(), NEWEST)
    assert calendar.unlabelled == Days(dt.date(2013, 3, 31), NEWEST)
    assert calendar.holdout == Days(dt.date(2013, 3, 17), dt.date(2013, 3, 30))
    assert calendar.train == Days(dt.date(2012, 12, 17), dt.date(2013, 3, 16))


def test_the_holdout_has_no_day_of_the_champion() -> None:
    calendar = plan_training(windows(), NEWEST, champion_end=dt.date(2013, 3, 25))
    assert calendar.holdout == Days(dt.date(2013, 3, 26), dt.date(2013, 3, 30))
    assert calendar.train.end == dt.date(2013, 3, 25)


def test_days_without_labels_are_not_used() -> None:
    calendar = plan_training(windows(), NEWEST, newest_labels=dt.date(2013, 3, 20))
    assert calendar.holdout.end == dt.date(2013, 3, 20)
    assert len(calendar.unlabelled) == 12


@pytest.mark.parametrize(
    ("change", "start"),
    [
        pytest.param(dt.date(2013, 3, 1), dt.date(2013, 3, 1), id="within the window"),
        pytest.param(dt.date(2012, 1, 1), dt.date(2012, 12, 17), id="before the window"),
        pytest.param(dt.date(2013, 3, 17), dt.date(2012, 12, 17), id="after the window, which stays as it is"),
    ],
)
def test_a_window_since_drift_begins_at_the_change(change: dt.date, start: dt.date) -> None:
    assert plan_training(windows("SinceDrift"), NEWEST, change=change).train.start == start
    assert plan_training(windows("Days"), NEWEST, change=change).train.start == dt.date(2012, 12, 17)


@pytest.mark.parametrize(
    ("share", "before", "required"),
    [("0", 0, 0), ("0.2", 0, 18), ("0.2", 5, 18), ("0.2", 18, 36), ("0.7", 0, 63), ("1", 0, 90), ("0.2", 60, 90)],
)
def test_a_later_training_needs_twice_as_many_days(share: str, before: int, required: int) -> None:
    assert days_required(windows(share=share), before) == required


def test_a_check_knows_a_day_when_it_is_over() -> None:
    assert known_from(windows(), NEWEST) == dt.datetime(2013, 4, 2, 6, tzinfo=dt.UTC)
    at_midnight = windows().model_copy(update={"schedule": "0 0 * * *"})
    assert known_from(at_midnight, NEWEST) == dt.datetime(2013, 4, 2, tzinfo=dt.UTC)


@given(
    days=st.integers(1, 120),
    holdout=st.integers(1, 40),
    delay=st.integers(0, 40),
    count=st.integers(1, 120),
    window=st.sampled_from(["Days", "SinceDrift"]),
)
def test_the_day_that_is_promised_is_the_first_with_enough(
    days: int, holdout: int, delay: int, count: int, window: str
) -> None:
    declared, change = windows(window, days, holdout, delay), dt.date(2013, 1, 1)
    promised, count = day_with(declared, change, min(count, days)), min(count, days)
    assert plan_training(declared, promised, change=change).train.count_from(change) == count
    assert plan_training(declared, promised - DAY, change=change).train.count_from(change) == count - 1


@given(
    newest=st.dates(dt.date(2013, 1, 1), dt.date(2014, 1, 1)),
    labels=st.none() | st.dates(dt.date(2012, 12, 1), dt.date(2014, 2, 1)),
    champion=st.none() | st.dates(dt.date(2012, 6, 1), dt.date(2014, 2, 1)),
    change=st.none() | st.dates(dt.date(2012, 6, 1), dt.date(2014, 2, 1)),
    window=st.sampled_from(["Days", "SinceDrift"]),
)
def test_windows_follow_each_other_and_the_holdout_is_unseen(
    newest: dt.date, labels: dt.date | None, champion: dt.date | None, change: dt.date | None, window: str
) -> None:
    calendar = plan_training(windows(window), newest, newest_labels=labels, champion_end=champion, change=change)
    assert calendar.holdout.start == calendar.train.end + DAY
    assert 1 <= len(calendar.train) <= 90
    assert len(calendar.holdout) <= 14
    assert calendar.unlabelled.start == calendar.holdout.end + DAY
    if champion is not None:
        assert calendar.holdout.start > champion


RESPONSE = (
    "A training responds to a change from day 33 after it on, when 18 days of its window are from after the change "
    "(retraining.minNewShare is 0.2)."
)


def test_by_default_the_built_in_trainer_fits_with_the_holdout() -> None:
    assert fits_with_holdout(spec())
    assert not fits_with_holdout(spec(promotion={"metric": "ROCAUC", "finalFit": "None"}))
    custom = spec().retraining.model_copy(update={"estimator": None})
    assert not fits_with_holdout(spec().model_copy(update={"retraining": custom}))


def test_the_calendar_is_described_in_days_before_the_newest() -> None:
    assert describe_calendar(windows()) == (
        "A training on rows through the newest day uses:",
        "  training window  days 105 to 16 before (retraining.windowDays is 90)",
        "  hold-out         days 15 to 2 before (promotion.holdoutDays is 14)",
        "  awaits labels    days 1 to 0 before, the newest itself (data.labels.delayDays is 2)",
        "The first training is possible with 17 days of rows, and has a whole window with 106.",
        RESPONSE,
    )
    assert "  awaits labels    no day" in describe_calendar(windows(delay=0))
    assert len(describe_calendar(windows(share="0"))) == 5


def test_the_status_has_the_days_that_a_training_would_use() -> None:
    onset = dt.date(2013, 3, 20)
    known = facts(spec=windows(), champion=CHAMPION, check=replace(check(), newest_day=NEWEST, drift_onset=onset))
    days = training_days(known)
    assert days is not None
    assert (days.train_end, days.holdout_start, days.holdout_end) == (
        dt.date(2013, 3, 16),
        dt.date(2013, 3, 17),
        dt.date(2013, 3, 30),
    )
    assert days.response_time == known_from(windows(), onset + 33 * DAY)
    assert training_days(facts(check=None)) is None
