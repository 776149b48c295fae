"""Scores of models in evaluation periods, and days that cannot be scored."""

import datetime as dt

import pytest

from modelmonitor_trainer.data.manifest import LeftOutDay
from modelmonitor_trainer.errors import ObjectChanged
from modelmonitor_trainer.replay import evaluation
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.candidates import fit_newest
from modelmonitor_trainer.replay.comparison import describe_left_out
from modelmonitor_trainer.replay.evaluation import Periods, score_block
from modelmonitor_trainer.replay.past_store import PastData, PastStore, ResultsFolder
from unit.check.conftest import FIRST
from unit.replay.conftest import MONITOR, Past


def day(number):
    return FIRST + dt.timedelta(days=number - 1)


def midnight(number):
    return dt.datetime.combine(day(number), dt.time(), dt.UTC)


def without_x(rows):
    return {name: values for name, values in rows.items() if name != "x"}


@pytest.fixture
def world(tmp_path):
    world = Past(tmp_path)
    world.land_days(1, 24)
    return world


def score(world, first, days=4):
    """Return the scores of a model of the first days in later ones."""
    data = PastData.list(world.store, world.parsed(), Arrival.DECLARED)
    store = PastStore(world.store, data, ResultsFolder(f"{world.base}/results/", f"{world.base}/results/profiles/"))
    model = fit_newest(store, world.parsed(), MONITOR, midnight(19))
    assert model is not None
    periods = Periods(day(first), 1, days)
    return score_block(store, world.parsed(), [model], periods, range(days), midnight(60)), model.key


def test_days_that_lack_a_feature_are_left_out_by_name(world):
    """They end neither the replay nor the scores of other days."""
    world.land_days(22, 24, without_x)
    scored, key = score(world, 20, days=5)
    assert [key in period.scores for period in scored] == [True, True, False, False, False]
    assert [item.day for period in scored for item in period.left_out] == [day(22), day(23), day(24)]
    assert "has no column 'x'" in scored[-1].left_out[0].reason


@pytest.mark.parametrize("days", [1, 3], ids=["one day", "all days"])
def test_a_feature_that_no_day_has_any_more(world, days):
    world.land_days(22, 24, without_x)
    scored, _ = score(world, 22, days)
    assert [dict(period.scores) for period in scored] == [{}] * days
    assert [item.day for period in scored for item in period.left_out] == [day(22 + n) for n in range(days)]


def test_a_feature_that_begins_within_a_block(world):
    world.land_days(20, 21, without_x)
    scored, key = score(world, 20)
    assert [key in period.scores for period in scored] == [False, False, True, True]
    assert [item.day for period in scored for item in period.left_out] == [day(20), day(21)]
    assert "has no column 'x'" in scored[0].left_out[0].reason


def test_labels_that_cannot_be_read(world):
    world.store.write(f"{world.base}/labels/date={day(21)}/part.parquet", b"not Parquet")
    scored, key = score(world, 20)
    assert [key in period.scores for period in scored] == [False, False, True, True]


def test_days_without_partitions_have_no_score(world):
    scored, _ = score(world, 30)
    assert [(period.rows, dict(period.scores), period.left_out) for period in scored] == [(0, {}, ())] * 4


def test_data_that_change_meanwhile_end_the_replay(world, monkeypatch):
    def change(*_args):
        raise ObjectChanged("rows were replaced")

    monkeypatch.setattr(evaluation, "load", change)
    with pytest.raises(ObjectChanged):
        score(world, 20)


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ([3], "2013-01-03 is not scored: rows.parquet has no column 'x'."),
        ([5, 3, 4], "3 days from 2013-01-03 through 2013-01-05 are not scored: rows.parquet has no column 'x'."),
    ],
)
def test_left_out_days_in_words(days, text):
    assert describe_left_out([LeftOutDay(day(number), "rows.parquet has no column 'x'.") for number in days]) == text
