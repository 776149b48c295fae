"""Dates that are text."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.dates import are_dates, date_text, seconds, seconds_of


@given(st.integers(-60_000_000_000, 250_000_000_000))
def test_a_time_is_read_as_it_is_written(value):
    time = dt.datetime(1970, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=value)
    texts = [
        time.isoformat(),
        time.isoformat(" "),
        f"{time.isoformat()}Z",
        f"{time.day}.{time.month}.{time.year:04} {time:%H:%M:%S}",
        (time + dt.timedelta(hours=2)).isoformat() + "+02:00",
    ]
    assert [seconds(text) for text in texts] == [value] * len(texts)
    assert seconds_of(pa.array([*texts[:2], None])).to_pylist() == [value, value, None]
    assert seconds(date_text(value)) == value or time.year < 1000


@pytest.mark.parametrize("word", ["", "abc", "1/2/2024", "2024-13-01", "2024-01-32", "20240131", "2024", "31.2.2024"])
def test_other_text_is_no_date(word):
    assert seconds(word) is None
    assert seconds_of(pa.array([word, "31.12.2024"])).to_pylist()[0] is None


def test_words_for_missing_dates_are_none():
    assert seconds_of(pa.array(["1970-01-02", " NaT", "0000-00-00", "-", None])).to_pylist() == [86400.0, *[None] * 4]


def test_nearly_all_words_must_be_dates():
    days = [f"2024-01-{day:02}" for day in range(1, 31)]
    assert are_dates([*days, "other"])
    assert not are_dates([*days, "other", "text"])
    assert are_dates([*days, "unknown", "none", "NaT", "0000-00-00"]), "these are missing"
    assert not are_dates(["none", "n.a."])
    assert not are_dates([])
