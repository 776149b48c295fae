"""Labels that are joined day by day find the rows that they find when all days are joined at once."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmonitor_api.spec import DataFormat, KeyScope, Task
from modelmonitor_trainer.data.join_keys import KeyReader
from modelmonitor_trainer.data.label_table import KEY, LabelColumns, read_labels
from modelmonitor_trainer.data.label_window import LabelWindow, join_day
from modelmonitor_trainer.data.labels import join
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

START = dt.date(2013, 1, 10)
COLUMNS = LabelColumns("id", "y", Task.BINARY_CLASSIFICATION)


def day_of(number):
    return START + dt.timedelta(days=number)


def days_since_1970(number):
    return (day_of(number) - dt.date(1970, 1, 1)).days


def rows_of(keys, reader):
    return pa.table({KEY: reader(pa.chunked_array([pa.array(keys, pa.string())])), "key": pa.array(keys, pa.string())})


def outcomes(join):
    return dict(zip(join.table["key"].to_pylist(), join.target.to_pylist(), strict=True))


def batches_of(folder, labels):
    """Write labels given as (key, value, day), one object for each day, and return the batches."""
    store, batches = open_store(None), []
    for number in sorted({day for _, _, day in labels}):
        path = folder / f"{number}.parquet"
        ours = [(key, value) for key, value, day in labels if day == number]
        pq.write_table(pa.table({"id": pa.array([k for k, _ in ours]), "y": pa.array([v for _, v in ours])}), path)
        info = store.head(uri_of(path))
        assert info is not None
        batches.append(Batch(str(number), (info,), day_of(number)))
    return store, batches


def by_day(store, batches, rows, scope=None, delay=0):
    """Return the joins of days given as day → keys, from the last to the first, and the window of the labels."""
    window = LabelWindow(store, batches, COLUMNS, DataFormat.PARQUET, scope=scope, delay_days=delay)
    joins: dict[int, Any] = {}
    pending: list[Any] = []

    def finish():
        number, table, reader, labels = pending.pop(0)
        labels = [*labels, *window.early(table.column(KEY), reader, day_of(number))]
        if labels:
            joins[number] = join_day(table, reader, labels, day_of(number), 0.0, scope)

    for number in sorted(rows, reverse=True):
        reader = KeyReader("id")
        table = rows_of(rows[number], reader)
        pending.append((number, table, reader, window.take(table.column(KEY), reader, day_of(number))))
        if len(pending) > 1:
            finish()
    while pending:
        finish()
    return joins, window


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0, 1]), st.integers(-2, 8)), max_size=25),
    st.sampled_from([None, KeyScope.PARTITION]),
    st.integers(0, 3),
)
def test_day_by_day_is_all_at_once(tmp_path_factory, keys_and_days, labels, scope, delay):
    store, batches = batches_of(tmp_path_factory.mktemp("labels"), labels)
    rows: dict[int, list[str]] = {}
    for key, number in keys_and_days:
        rows.setdefault(number, []).append(str(key))
    joins, window = by_day(store, batches, rows, scope, delay)
    reader = KeyReader("id")
    keys = [key for number in sorted(rows) for key in rows[number]]
    days = np.array([days_since_1970(number) for number in sorted(rows) for _ in rows[number]])
    whole = read_labels(store, [(batch.day, batch.objects) for batch in batches], COLUMNS, DataFormat.PARQUET)
    expected = join(rows_of(keys, reader), whole, days, kinds=reader.kinds, scope=scope, delay_days=delay)
    by_days = {(days_since_1970(day), key): value for day, one in joins.items() for key, value in outcomes(one).items()}
    at_once = zip(expected.days.tolist(), expected.table["key"].to_pylist(), expected.target.to_pylist(), strict=True)
    assert by_days == {(day, key): value for day, key, value in at_once}
    for count in ("matched", "corrected", "contradictory"):
        assert sum(getattr(day.report, count) for day in joins.values()) == getattr(expected.report, count)
    # A row can have several ambiguous labels.
    assert (window.ambiguous > 0) == (expected.report.ambiguous > 0)
    assert expected.report.ambiguous <= window.ambiguous <= window.matched


def test_a_key_with_rows_on_several_days_has_the_label_of_each(tmp_path):
    labels = [("a", 0, 0), ("a", 1, 1), ("a", 0, 2), ("b", 1, 3)]
    store, batches = batches_of(tmp_path, labels)
    joins, _ = by_day(store, batches, {0: ["a", "b"], 1: ["a"], 2: ["a"]})
    assert [outcomes(joins[number]) for number in range(3)] == [{"a": "0", "b": "1"}, {"a": "1"}, {"a": "0"}]
