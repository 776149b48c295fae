"""Sorted files: their first rows are unlike the rest, and changes after them are still detected."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import DataFormat, Feature, Sensitivity
from modelmonitor_trainer.check.pipeline import check_files
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.profile import reference as module
from modelmonitor_trainer.profile.reference import read_reference
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

ROWS = 150_000


def numbers(seed):
    return np.random.default_rng(seed).normal(size=ROWS)


def words(seed, count=2000):
    return np.sort(np.random.default_rng(seed).integers(0, count, ROWS)).astype(str)


def nulls_first(values):
    return pa.array(values, mask=np.arange(ROWS) < ROWS // 2)


SORTED = np.sort(numbers(1))
TREND = numbers(1) + np.linspace(0, 20, ROWS)
CASES = {
    "sorted": (SORTED, np.sort(numbers(2)), np.where(SORTED > 0, SORTED + 3, SORTED)),
    "a trend": (TREND, numbers(2) + np.linspace(0, 20, ROWS), np.sort(TREND * 0.6 + 4)),
    "missing at first": (nulls_first(numbers(1)), nulls_first(numbers(2)), nulls_first(numbers(2) + 3)),
    "zeros at first": (
        np.where(np.arange(ROWS) < ROWS // 2, 0, numbers(1)),
        np.where(np.arange(ROWS) < ROWS // 2, 0, numbers(2)),
        np.where(np.arange(ROWS) < ROWS // 2, 0, numbers(2) + 1),
    ),
    "words in order": (words(1), words(2), np.where(np.arange(ROWS) < ROWS // 2, words(2), words(2)[-1])),
    "infinities alone": (np.full(ROWS, np.inf), np.full(ROWS, np.inf), numbers(2)),
}


def verdict(reference, current):
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    result = check_files(
        open_store(None), Files(str(reference), str(current)), Sensitivity(independent_rows=True), 1.0, now=now
    )
    return result.verdict.verdict


@pytest.mark.parametrize("name", CASES)
def test_a_change_after_the_first_rows_is_detected(tmp_path, name):
    before, same, other = CASES[name]
    for side, column in (("before", before), ("same", same), ("other", other)):
        pq.write_table(pa.table({"x": column}), tmp_path / f"{side}.parquet")
    assert verdict(tmp_path / "before.parquet", tmp_path / "same.parquet") == "NoDrift"
    assert verdict(tmp_path / "before.parquet", tmp_path / "other.parquet") == "Drift"


def read(folder, prefix):
    store = open_store(None)
    batch = Batch("rows", tuple(store.list(f"{uri_of(folder)}/rows.parquet")))
    columns = (Feature(name="x", type="Numeric"),)
    return read_reference(store, [batch], columns, DataFormat.PARQUET, prefix, what="rows")


def test_cells_are_recomputed_once(tmp_path, monkeypatch):
    prefix = f"{uri_of(tmp_path)}/kept/"
    pq.write_table(pa.table({"x": SORTED}), tmp_path / "rows.parquet")
    first = read(tmp_path, prefix)
    counts = first.window.columns["x"].total.counts
    assert counts.max() < 4 * counts.sum() / counts.size
    monkeypatch.setattr(module, "rebin", None)
    assert read(tmp_path, prefix).plan[0].edges.tolist() == first.plan[0].edges.tolist()


@pytest.mark.parametrize("column", [numbers(1), np.round(numbers(1), 1), np.zeros(ROWS), numbers(1)[:50]])
def test_rows_in_random_order_are_not_read_twice(tmp_path, monkeypatch, column):
    monkeypatch.setattr(module, "rebin", None)
    pq.write_table(pa.table({"x": column}), tmp_path / "rows.parquet")
    assert read(tmp_path, None).window.rows == column.size
