"""The days that a training would use now, for the status."""

from __future__ import annotations

from modelmonitor_api.status import TrainingDays
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.training_calendar import day_with, days_required, known_from, plan_training
from modelmonitor_policy.triggers import days_tried


def training_days(facts: Facts) -> TrainingDays | None:
    """Return the days that a training would use; None before a check has seen rows."""
    check, spec = facts.check, facts.spec
    if check is None or check.newest_day is None:
        return None
    champion_end = facts.champion.train_end if facts.champion is not None else None
    calendar = plan_training(spec, check.newest_day, champion_end=champion_end, change=check.drift_onset)
    response_time = None
    if check.drift_onset is not None:
        required = days_required(spec, days_tried(facts, check.drift_onset))
        response_time = known_from(spec, day_with(spec, check.drift_onset, required))
    return TrainingDays(
        train_start=calendar.train.start,
        train_end=calendar.train.end,
        holdout_start=calendar.holdout.start,
        holdout_end=calendar.holdout.end,
        newest=check.newest_day,
        response_time=response_time,
    )
