"""Worlds are the same for the same seed, and do what their descriptions say."""

import datetime as dt

import numpy as np
import pyarrow.parquet as pq
import pytest

from support.walk.landing import day_of, land
from support.walk.worlds import DELAY, Draw, Kind, World, world


@pytest.mark.parametrize("kind", Kind)
def test_a_seed_gives_the_same_rows(kind):
    one, other = (world(kind, 7, 60).rows(30) for _ in range(2))
    assert all(np.array_equal(one[0][name], other[0][name]) for name in one[0])
    assert np.array_equal(one[1], other[1])
    assert not np.array_equal(one[0]["age"], world(kind, 8, 60).rows(30)[0]["age"])
    assert not np.array_equal(one[0]["age"], world(kind, 7, 60).rows(30, draw=Draw.JUDGE)[0]["age"])


def share(of: World, day: int, outcome: str) -> float:
    return float(np.mean(of.rows(day, 20_000)[1] == outcome))


def mean(of: World, day: int, name: str = "amount") -> float:
    return float(np.mean(of.rows(day, 20_000)[0][name]))


def test_changes_come_when_they_are_stated():
    sudden, gradual, back = (world(kind, 0, 120, 20) for kind in (Kind.SUDDEN, Kind.GRADUAL, Kind.BACK))
    assert [round(mean(sudden, day)) for day in (19, 20, 119)] == [0, 1, 1]
    assert [round(mean(gradual, day), 1) for day in (19, 79)] == [0.0, 1.0]
    assert 0.3 < mean(gradual, 49) < 0.7
    assert [round(mean(back, day)) for day in (19, 20, 64, 65)] == [0, 1, 1, 0]
    assert [change.onset for change in back.changes] == [20, 65]
    season = world(Kind.SEASON, 0, 365)
    assert mean(season, 30, "load") > 0.7
    assert mean(season, 90, "load") < -0.7
    several = world(Kind.NEW_CLASS, 0, 60, 20)
    assert share(several, 19, "c") == 0
    assert share(several, 20, "c") > 0.1


def test_days_land_as_they_would_arrive(tmp_path):
    lost = world(Kind.LOST_FEATURE, 0, 4, 2)
    land(lost, tmp_path)
    rows = [tmp_path / f"rows/date={day_of(day)}/part-0.parquet" for day in (1, 2)]
    assert ["load" in pq.read_schema(path).names for path in rows] == [True, False]
    labels = tmp_path / f"labels/date={day_of(1)}/part-0.parquet"
    arrived = [dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date() for path in (rows[0], labels)]
    assert arrived == [day_of(2), day_of(2 + DELAY)]


def test_corrupted_rows_break_the_contract_and_their_outcomes_do_not(tmp_path):
    corrupted = world(Kind.CORRUPTED, 0, 50, 2)
    land(corrupted, tmp_path)
    columns = [pq.read_table(tmp_path / f"rows/date={day_of(day)}/part-0.parquet")["amount"] for day in (2, 42)]
    assert np.abs(columns[0].to_numpy()).max() > 100
    assert columns[1].null_count > 100
    _, outcomes = corrupted.rows(2)
    written = pq.read_table(tmp_path / f"labels/date={day_of(2)}/part-0.parquet")["outcome"].to_pylist()
    assert [str(value) for value in written] == list(outcomes)


def test_wrong_labels_are_corrected_later(tmp_path):
    land(world(Kind.CORRECTED, 0, 1), tmp_path)
    first, corrections = (tmp_path / f"labels/date={day_of(0)}/part-{part}.parquet" for part in (0, 1))
    labels, fixed = (pq.read_table(path).to_pydict() for path in (first, corrections))
    before = dict(zip(labels["id"], labels["outcome"], strict=True))
    assert len(fixed["id"]) > 15
    assert all(before[key] != value for key, value in zip(fixed["id"], fixed["outcome"], strict=True))
    assert corrections.stat().st_mtime - first.stat().st_mtime == 7 * 86400
