"""The journal of a replay holds for the data that it was written for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest

from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.journal import require_same_data
from modelmonitor_trainer.replay.listing import Listing
from modelmonitor_trainer.replay.past_store import PastData

MARCH = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def data(past):
    return PastData.list(past.store, past.parsed(), Arrival.DECLARED)


def changed(data, day, change: Callable):
    """Return data in which the rows of a day are other ones, or none."""
    objects = (change(info) if f"rows/date={day}/" in info.uri else info for info in data.listing.objects)
    return replace(data, listing=Listing.of(info for info in objects if info is not None))


@pytest.mark.parametrize(
    "change", [lambda info: replace(info, etag="corrected"), lambda _: None], ids=["corrected", "removed"]
)
def test_a_journal_of_other_data_is_refused(tmp_path, data, change):
    path = tmp_path / "settings" / "data.json"
    require_same_data(path, data, MARCH)
    require_same_data(path, data, MARCH)
    with pytest.raises(BadData, match=r"had arrived by 2013-03-01 have changed .* choose another folder"):
        require_same_data(path, changed(data, "2013-02-01", change), MARCH)


def test_days_after_the_range_can_change_until_they_are_replayed(tmp_path, data):
    path, later = tmp_path / "data.json", MARCH + dt.timedelta(days=10)
    require_same_data(path, data, MARCH)
    corrected = changed(data, "2013-03-05", lambda info: replace(info, etag="corrected"))
    require_same_data(path, corrected, later)
    require_same_data(path, corrected, MARCH)
    with pytest.raises(BadData, match="2013-03-11"):
        require_same_data(path, data, later)


def test_a_damaged_digest_is_refused(tmp_path, data):
    (tmp_path / "data.json").write_text("[]")
    with pytest.raises(BadData, match="is damaged"):
        require_same_data(tmp_path / "data.json", data, MARCH)
