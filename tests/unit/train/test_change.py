"""A change within the training window: the version knows it, and checks compare with the days from after it."""

import datetime as dt

import pytest

from modelmonitor_api.messages import CheckRequest
from modelmonitor_trainer.check.publish import known_onset, publish_check
from modelmonitor_trainer.check.sources.champion import find_champion
from unit.train.conftest import NOW

#: The training window is 1 to 10 January, or 3 to 12 January with two more days.
WITHIN = dt.date(2013, 1, 4)
LATE = dt.date(2013, 1, 8)


def test_a_mixture_is_on_record_and_the_reference_is_its_newer_part(world):
    verdict = world.train(1, drift_onset=WITHIN)
    assert "The data changed on 2013-01-04: 9 days of the training window are from after the change" in verdict.message
    assert verdict.train_end == dt.date(2013, 1, 12)
    record = world.registry.version(verdict.version)
    assert record.change_point == verdict.champion.change_point == WITHIN
    _, champion, _ = find_champion(world.registry)
    assert champion is not None
    assert champion.window == (WITHIN, dt.date(2013, 1, 12))
    assert next(batch.day for batch in champion.features) == WITHIN
    card = world.results()[f"versions/{verdict.version}/card.md"].decode()
    assert "The data changed on 2013-01-04" in card


def test_a_few_days_are_no_reference(world):
    verdict = world.train(1, drift_onset=LATE)
    assert "fewer than 7 days" in verdict.message
    _, champion, _ = find_champion(world.registry)
    assert champion is not None
    assert champion.window == (dt.date(2013, 1, 3), dt.date(2013, 1, 12))


def test_a_training_says_that_it_has_not_seen_the_change(world):
    verdict = world.train(1, drift_onset=dt.date(2013, 1, 14))
    assert "after the end of the training window (2013-01-12): this version has not seen the change" in verdict.message
    assert world.registry.version(verdict.version).change_point is None


@pytest.mark.parametrize(("onset", "start"), [(WITHIN, WITHIN), (dt.date(2013, 1, 14), dt.date(2013, 1, 3))])
def test_a_window_since_drift_leaves_out_the_days_before(world, onset, start):
    world.spec["retraining"]["window"] = "SinceDrift"
    verdict = world.train(1, drift_onset=onset)
    assert world.registry.version(verdict.version).train.start == start


@pytest.mark.parametrize("final_fit", ["None", "WithHoldout"])
def test_a_window_begins_at_a_change_that_a_model_of_both_sides_cannot_learn(world, final_fit):
    """The effect of x changes its sign: few rows of the new relation are better than many of both."""
    world.spec["promotion"]["finalFit"] = final_fit
    world.land(LATE.day, 18, slope=-2.0)
    verdict = world.train(1, drift_onset=LATE)
    assert verdict.outcome == "Promoted", verdict.message
    assert (
        "The training window begins with the change of 2013-01-08: on its last 3 days, ROC AUC is " in verdict.message
    )
    record = world.registry.version(verdict.version)
    assert (record.train.start, record.change_point) == (LATE, LATE)
    assert record.train.rows == (500 if final_fit == "None" else 900)
    world.spec["retraining"]["window"] = "Days"
    verdict = world.train(2, drift_onset=LATE)
    assert "begins with the change" not in verdict.message


def test_a_window_keeps_the_days_before_a_change_that_few_rows_do_not_learn_better(world):
    verdict = world.train(1, drift_onset=LATE)
    assert "begins with the change" not in verdict.message
    assert world.registry.version(verdict.version).train.start == dt.date(2013, 1, 3)


def test_the_command_line_takes_the_onset_from_the_checks(world):
    world.train(1)
    world.spec["data"]["live"]["windowDays"] = 14
    first = world.champion().version
    assert known_onset(world.store, world.registry.layout, "u-1", first) is None
    for number in range(19, 33):
        shift(world, number, moved=number >= 23)
    request = CheckRequest(monitor=world.monitor, spec=world.parsed())
    verdict, result = publish_check(world.store, request, job="local", now=NOW)
    assert verdict.verdict == "Drift", verdict.message
    assert verdict.drift_onset == dt.date(2013, 1, 23)
    assert result is not None
    assert known_onset(world.store, world.registry.layout, "u-1", first) == verdict.drift_onset
    assert known_onset(world.store, world.registry.layout, "u-1", "v9-00000000") is None


def shift(world, number, *, moved):
    """Write a day whose feature x has moved."""
    world.land(number, number, count=300)
    if moved:
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number - 1)
        values = [float(index % 7) + 3 for index in range(300)]
        rows = {
            "id": [f"{day}-{row}" for row in range(300)],
            "x": values,
            "gust": [None] * 300,
            "kind": ["a", "b"] * 150,
            "origin": ["EWR", "JFK"] * 150,
        }
        world.put(f"rows/date={day}/part.parquet", rows)
