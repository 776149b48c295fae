"""The journal of a replay holds for the data that it was written for."""

from __future__ import annotations

import datetime as dt
import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_policy import plan_scheduled_check
from modelmonitor_trainer.errors import BadConfiguration, BadData, DiskFull
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.journal import Journal, hold_folder, require_same_data
from modelmonitor_trainer.replay.listing import Listing
from modelmonitor_trainer.replay.past_store import PastData
from support.monitors import check
from unit.replay.conftest import MONITOR

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


def test_a_digest_is_kept_when_the_disk_is_full(tmp_path, data, monkeypatch):
    """It is replaced as a whole or not at all, and the error says what to do."""
    path = tmp_path / "data.json"
    require_same_data(path, data, MARCH)
    before = path.read_bytes()

    def write_half(self, text, encoding):
        self.write_bytes(text[:9].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(DiskFull, match=r"no space is left for .* free some, and run again"):
        require_same_data(path, data, MARCH + dt.timedelta(days=1))
    assert path.read_bytes() == before


def test_texts_with_line_separators_are_read_back(tmp_path, past):
    """Names of columns are part of answers, and JSON does not escape every line separator."""
    job = plan_scheduled_check(MONITOR, past.parsed(), MARCH)
    evidence = check("Drift").top_features[0].model_copy(update={"name": "a\u2028b\x85c"})
    answer = check("Drift").model_copy(update={"top_features": [evidence]})
    Journal(tmp_path / "journal.jsonl").add(job, MARCH, answer, 1.0)
    recorded = Journal(tmp_path / "journal.jsonl").take(job, MARCH)
    assert recorded is not None
    assert isinstance(recorded[0], CheckVerdict)
    assert recorded[0].top_features == [evidence]


def test_two_replays_do_not_share_a_folder(tmp_path):
    """Their lines would mix, and neither could be resumed."""
    folder = tmp_path / "new" / "results"
    with hold_folder(folder):
        with pytest.raises(BadConfiguration, match=r"another replay is running in .*/new/results; wait until"):
            hold_folder(folder).__enter__()
        with hold_folder(tmp_path / "other"):
            pass
    with hold_folder(folder):
        pass


def test_a_folder_that_is_a_file_cannot_be_held(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadConfiguration, match=r"cannot be written: .*; choose another folder with --results"):
        hold_folder(tmp_path / "file").__enter__()
