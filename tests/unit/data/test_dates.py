"""Dates that are text."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.dates import are_dates, date_text, seconds, seconds_of
from modelmonitor_trainer.data.unread_dates import DateOrder, order_of


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


def test_years_first_need_no_leading_zeros():
    assert seconds("1970-1-2") == seconds("1970/1/2") == 86400.0


@pytest.mark.parametrize(
    ("form", "order"),
    [
        ("%m/%d/%Y", DateOrder.MONTH),
        ("%d/%m/%Y", DateOrder.DAY),
        ("%m-%d-%Y %I:%M %p", DateOrder.MONTH),
        ("%d/%m/%y %H:%M:%S", DateOrder.DAY),
        ("%d.%m.%y", DateOrder.DAY),
        ("%d-%b-%Y", DateOrder.NAMED),
        ("%B %d, %Y", DateOrder.NAMED),
        ("%a, %d %b %Y %H:%M:%S", DateOrder.NAMED),
        ("%Y-%m-%d", None),
        ("%d.%m.%Y", None),
    ],
)
def test_dates_that_are_not_read_are_recognized(form, order):
    days = [dt.datetime(2024, 1, 1, 9, 30, tzinfo=dt.UTC) + dt.timedelta(days=day) for day in range(366)]
    assert order_of([f"{day:{form}}" for day in days]) is order


def test_days_through_the_twelfth_can_be_either():
    assert order_of([f"{day}/{month}/2024" for day in range(1, 13) for month in range(1, 13)]) is DateOrder.EITHER


@pytest.mark.parametrize(
    "words", [[], ["none"], ["1.2.10", "1.3.0", "2.11.5"], ["13/13/2024"] * 9, ["a/b/2024"], ["May", "12"], ["12/2024"]]
)
def test_other_text_is_not_recognized_as_dates(words):
    assert order_of(words) is None
