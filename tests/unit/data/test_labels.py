"""Joins of rows and labels: the newest label of a key counts, and what is left out is counted."""

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.spec import DataFormat, KeyScope, Task
from modelmonitor_trainer.data.join_keys import KeyReader, meet
from modelmonitor_trainer.data.label_owners import EARLY_DAYS
from modelmonitor_trainer.data.label_table import KEY, LabelColumns, LabelTable, read_labels
from modelmonitor_trainer.data.labels import join
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

DAY = dt.date(2013, 1, 10)
EPOCH = dt.date(1970, 1, 1)


def table(labels, versions=None):
    """Return labels given as (key, value, day, second)."""
    keys, values, numbers, seconds = zip(*labels, strict=True) if labels else ((),) * 4
    days = np.array(numbers, dtype=np.int64)
    reader = KeyReader("k")
    known = [value is not None and key is not None for key, value in zip(keys, values, strict=True)]
    whole = LabelTable(
        reader(pa.chunked_array([pa.array(keys, pa.int64())])),
        pa.chunked_array([pa.array([None if value is None else str(value) for value in values], pa.string())]),
        days,
        (days << 33) + np.array(seconds, dtype=np.int64),
        None if versions is None else pa.chunked_array([pa.array(versions, pa.decimal128(38, 9))]),
        len(labels),
        frozenset(reader.kinds),
    )
    return whole.filter(np.array(known, dtype=bool))


def joined(rows, labels, versions=None, **options):
    """Return the join of rows given as (key, day)."""
    keys, days = zip(*rows, strict=True) if rows else ((), ())
    reader = KeyReader("k")
    features = pa.table(
        {KEY: reader(pa.chunked_array([pa.array(keys, pa.int64())])), "row": pa.array(range(len(keys)))}
    )
    return join(features, table(labels, versions), np.array(days, dtype=np.int64), kinds=reader.kinds, **options)


def pairs(matched):
    return list(zip(matched.table["row"].to_pylist(), matched.target.to_pylist(), strict=True))


some_keys = st.one_of(st.none(), st.integers(0, 6))
some_labels = st.tuples(some_keys, st.sampled_from([None, 0, 1, 2]), st.integers(0, 6), st.integers(0, 1))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(some_keys, st.integers(0, 5)), max_size=14).map(
        lambda rows: sorted(rows, key=lambda row: row[1])
    ),
    st.lists(some_labels, max_size=20),
    st.data(),
)
def test_a_join_is_that_of_a_dictionary(rows, labels, data):
    versions = data.draw(
        st.none() | st.lists(st.none() | st.integers(0, 2), min_size=len(labels), max_size=len(labels)), "versions"
    )
    scope = data.draw(st.sampled_from([None, *KeyScope]), "scope")
    delay = data.draw(st.integers(0, 4), "delay")
    matched = joined(rows, labels, versions, scope=scope, delay_days=delay)
    first: dict[tuple[int, int], int] = {}
    for row, (key, day) in enumerate(rows):
        if key is not None and not (scope is KeyScope.WINDOW and any(other == key for other, _ in first)):
            first.setdefault((key, day), row)
    expected, corrected, contradictory, labelled, ambiguous = [], 0, 0, 0, 0
    for (key, day), row in first.items():
        last = max((d for _, d in first if d < day), default=None)
        others = [other for name, other in first if name == key and other != day]
        later, earlier = min((d for d in others if d > day), default=99), [d for d in others if d < day]
        candidates, unclear = [], False
        for number, (name, value, arrived, second) in enumerate(labels):
            if name != key or value is None:
                continue
            if scope is KeyScope.PARTITION:
                usable = arrived == day
            else:
                # A label that a row of the day before has is not that of a row of the next day.
                taken = scope is None and last is not None and last in earlier and arrived >= last
                usable = day <= arrived < later or (day - EARLY_DAYS <= arrived < day and not taken)
            if usable:
                version = -1 if versions is None or versions[number] is None else versions[number]
                candidates.append(((arrived >= day, version, arrived, second), str(value)))
                unclear |= scope is None and arrived >= day and any(d >= arrived - delay for d in earlier)
        ambiguous += unclear
        if not candidates:
            continue
        labelled += 1
        newest = max(order for order, _ in candidates)
        values = {value for order, value in candidates if order == newest}
        if len(values) > 1:
            contradictory += 1
            continue
        expected.append((row, values.pop()))
        corrected += any(order != newest and value != expected[-1][1] for order, value in candidates)
    assert pairs(matched) == sorted(expected)
    report = matched.report
    assert (report.matched, report.corrected, report.contradictory) == (len(expected), corrected, contradictory)
    assert report.unlabelled == len(first) + sum(key is None for key, _ in rows) - labelled
    known = {key for key, value, *_ in labels if key is not None and value is not None}
    assert report.orphaned_labels == len(known - {key for key, _ in first})
    assert report.repeated_rows == sum(key is not None for key, _ in rows) - len(first)
    several = [key for key, _ in first if sum(other == key for other, _ in first) > 1]
    assert (report.recurring, report.ambiguous) == (len(several), ambiguous)


def test_the_label_that_arrived_last_counts():
    rows = [(1, 0), (2, 0), (3, 0), (4, 0)]
    labels = [
        (1, 0, 0, 0),
        (1, 1, 5, 0),
        (2, 1, 5, 9),
        (2, 0, 5, 8),
        (3, 1, 0, 0),
        (3, 1, 5, 0),
        (4, 0, 0, 0),
        (4, 1, 0, 0),
    ]
    matched = joined(rows, labels)
    assert pairs(matched) == [(0, "1"), (1, "1"), (2, "1")]
    assert (matched.report.corrected, matched.report.contradictory, matched.report.unlabelled) == (2, 1, 0)


def test_the_greatest_version_counts_whenever_it_arrived():
    matched = joined([(1, 0)], [(1, 0, 0, 0), (1, 1, 3, 0), (1, 2, 5, 0)], [7, 9, None])
    assert pairs(matched) == [(0, "1")]
    assert matched.report.corrected == 1


def test_a_key_of_several_days_has_the_label_of_its_day():
    rows = [(1, 0), (2, 0), (1, 3)]
    matched = joined(rows, [(1, 0, 1, 0), (1, 1, 4, 0), (2, 1, 4, 0)])
    assert pairs(matched) == [(0, "0"), (1, "1"), (2, "1")]
    assert pairs(joined(rows, [(1, 0, 1, 0), (1, 1, 4, 0)], scope=KeyScope.WINDOW)) == [(0, "1")]
    assert pairs(joined(rows, [(1, 0, 0, 0), (2, 1, 4, 0)], scope=KeyScope.PARTITION)) == [(0, "0")]


def test_a_label_of_the_day_before_is_used_if_there_is_no_other():
    assert pairs(joined([(1, 5), (2, 5), (3, 5)], [(1, 0, 4, 0), (1, 1, 6, 0), (2, 1, 4, 0), (3, 1, 3, 0)])) == [
        (0, "1"),
        (1, "1"),
    ]


def test_a_day_of_contradictions_is_mature():
    matched = joined([(1, 0), (2, 0)], [(1, 0, 0, 0), (1, 1, 0, 0), (2, 1, 0, 0)], min_share=1.0)
    assert pairs(matched) == [(1, "1")]
    assert (matched.report.contradictory, matched.report.immature) == (1, 0)


# Reading labels


def read(folder, *objects, task=Task.BINARY_CLASSIFICATION, version=None):
    """Return the labels of objects given as (day, second, columns)."""
    store = open_store(None)
    days: dict[dt.date, list[ObjectInfo]] = {}
    for number, (day, second, columns) in enumerate(objects):
        path = folder / f"{number}.parquet"
        pq.write_table(pa.table(columns), path)
        head = store.head(uri_of(path))
        assert head is not None
        written = dt.datetime(2013, 2, 1, 0, 0, second, tzinfo=dt.UTC)
        info = ObjectInfo(head.uri, head.etag, head.size, written)
        days.setdefault(DAY + dt.timedelta(days=day), []).append(info)
    columns = LabelColumns("id", "y", task, version)
    return read_labels(store, sorted(days.items()), columns, DataFormat.PARQUET)


def test_objects_may_write_keys_and_outcomes_differently(tmp_path):
    labels = read(
        tmp_path,
        (0, 0, {"id": pa.array([1, 2]), "y": [True, False]}),
        (0, 1, {"id": ["3", "4.0", None], "y": [1.0, float("nan"), 0.0]}),
        (1, 0, {"id": pa.array([5.0, None]), "y": ["true", "x"]}),
        (2, 0, {"id": pa.nulls(2, pa.string()), "y": pa.nulls(2)}),
        (
            3,
            0,
            {
                "id": pa.array([b"6"], pa.binary()).dictionary_encode(),
                "y": pa.array([0], pa.int8()).dictionary_encode(),
            },
        ),
    )
    assert labels.keys.to_pylist() == ["1", "2", "3", "5", "6"]
    assert labels.values.to_pylist() == ["1", "0", "1", "true", "0"]
    assert (labels.days - (DAY - EPOCH).days).tolist() == [0, 0, 0, 1, 3]
    assert np.diff(labels.arrival).tolist()[:2] == [0, 1]
    assert labels.read == 10


@pytest.mark.parametrize(
    ("keys", "others"),
    [
        (["0007", "0010", "x"], [7, 10, 11]),
        (["0xff07", "0xff10"], pa.array([b"\xff\x07", b"\xff\x10"], pa.binary(2))),
        (["2024-03-01T12:30:00Z"], pa.array([dt.datetime(2024, 3, 1, 12, 30, tzinfo=dt.UTC)])),
    ],
    ids=["numbers", "bytes", "times"],
)
def test_text_keys_of_stored_objects_are_read_as_the_other_side_is_typed(tmp_path, keys, others):
    """Keys keep the type that they are stored with until both sides are known."""
    text = read(tmp_path, (0, 0, {"id": keys, "y": [0] * len(keys)}))
    typed = read(tmp_path, (1, 0, {"id": others, "y": [0] * len(others)}))
    left, right = meet(text.keys, typed.keys, text.kinds | typed.kinds)
    matched = [key for key in left.to_pylist() if key in right.to_pylist()]
    assert len(matched) == sum(key != "x" for key in keys)


def test_values_of_a_regression_may_be_of_any_type(tmp_path):
    labels = read(
        tmp_path,
        (0, 0, {"id": ["a"], "y": pa.array([decimal.Decimal("1.50")])}),
        (0, 0, {"id": ["b"], "y": [2]}),
        (0, 0, {"id": ["c", "d"], "y": [" 2.5", ""]}),
        task=Task.REGRESSION,
    )
    assert dict(zip(labels.keys.to_pylist(), labels.values.to_pylist(), strict=True)) == {"a": 1.5, "b": 2.0, "c": 2.5}


def test_text_is_no_value_of_a_regression(tmp_path):
    with pytest.raises(BadData, match="'y' is string with values such as 'high', and the task is Regression"):
        read(tmp_path, (0, 0, {"id": ["a"], "y": ["high"]}), task=Task.REGRESSION)


def test_a_value_of_a_regression_that_is_no_number_is_named(tmp_path):
    """The first value, a number, was the example of what is wrong."""
    with pytest.raises(BadData, match=r"'y' is 'n/a\?' in a row, which is no number; .* \(file://.*"):
        read(tmp_path, (0, 0, {"id": ["a", "b", "c"], "y": ["1.5", "n/a?", "2"]}), task=Task.REGRESSION)


TIMES = [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (9, 10, 2)]


@pytest.mark.parametrize(
    "versions",
    [
        pa.array([2, 10, 1]),
        pa.array([2**62, 2**62 + 1, 1]),
        pa.array([0.5, 1e6, None]),
        pa.array([decimal.Decimal("1.1"), decimal.Decimal("1.2"), None]),
        pa.array(["2", "10", None]),
        pa.array(TIMES, pa.timestamp("us", "UTC")),
        pa.array([time.date() for time in TIMES]),
        pa.array([time.isoformat() for time in TIMES]),
        pa.array(["9", "10", "2"]).dictionary_encode(),
        pa.array([False, True, None]),
    ],
    ids=lambda values: str(values.type),
)
def test_versions_are_numbers_or_times(tmp_path, versions):
    labels = read(tmp_path, (0, 0, {"id": ["a"] * 3, "y": [0, 1, 2], "v": versions}), version="v")
    assert np.argsort(labels.versions_in_order()).tolist() == [2, 0, 1]


@pytest.mark.parametrize("versions", [["v2", "v10"], [[1], [2]]])
def test_versions_that_cannot_be_ordered_are_refused(tmp_path, versions):
    with pytest.raises(
        BadData, match=r"'v' of data\.labels\.versionColumn is .* which cannot be ordered; write numbers"
    ):
        read(tmp_path, (0, 0, {"id": ["a", "b"], "y": [0, 1], "v": versions}), version="v")


def test_no_objects_are_no_labels(tmp_path):
    assert len(read(tmp_path)) == 0
    assert len(read(tmp_path, version="v")) == 0


@pytest.mark.parametrize("labels", [[], [(1, 0, 3, 0)]], ids=["no labels", "labels"])
def test_no_objects_have_no_labelled_rows(labels):
    """The keys of no objects at all have no type."""
    features = pa.table({KEY: pa.chunked_array([], pa.null()), "row": pa.array([], pa.int64())})
    result = join(features, table(labels), np.array([], dtype=np.int64))
    assert (result.rows, result.report.label_rows) == (0, len(labels))
