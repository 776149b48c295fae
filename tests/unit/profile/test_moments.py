"""Moments of objects: a sample of all rows, whatever order they are in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.row_sampling import sample_object, spread_rows
from modelmonitor_trainer.data.tables import scan
from modelmonitor_trainer.profile.binning import fit_edges
from modelmonitor_trainer.profile.counting import bin_counts
from modelmonitor_trainer.profile.moments import (
    SAMPLE_ROWS,
    correlations,
    moments_of,
    moments_of_object,
    scale_of,
    to_bytes,
)
from modelmonitor_trainer.profile.plans import NumericPlan
from modelmonitor_trainer.storage.open import open_store

PARQUET, CSV = DataFormat.PARQUET, DataFormat.CSV


def turned(rows):
    """Columns whose first tenth correlates as the rest does not."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=rows)
    sign = np.where(np.arange(rows) < rows // 10, 1, -1)
    return {"x": x, "y": sign * x + draw.normal(size=rows) / 2}


def trending(rows):
    """Columns that correlate by their trend only, as those of a sorted object do."""
    draw = np.random.default_rng(2)
    trend = np.arange(rows) / rows
    return {"x": trend + draw.normal(size=rows) / 9, "y": trend + draw.normal(size=rows) / 9}


def put(path, columns, group):
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.table(columns), path)
    else:
        pq.write_table(pa.table(columns), path, row_group_size=group)
    store = open_store(None)
    return store, store.head(f"file://{path}")


def scales(columns):
    result = []
    for name, values in columns.items():
        plan = NumericPlan(name, fit_edges(values, 256))
        result.append(scale_of(plan, bin_counts(values, plan.edges)))
    return result


@pytest.mark.parametrize("shape", [turned, trending])
@pytest.mark.parametrize(
    ("name", "group"), [("one.parquet", 10**6), ("ten.parquet", 25_000), ("many.parquet", 900), ("text.csv", 0)]
)
def test_a_sample_represents_the_whole_object(tmp_path, shape, name, group):
    columns = shape(250_000)
    store, info = put(tmp_path / name, columns, group)
    moments = moments_of_object(store, info, scales(columns), CSV if name == "text.csv" else PARQUET)
    all_rows = moments_of(list(columns.values()), scales(columns))
    head = moments_of([values[:25_000] for values in columns.values()], scales(columns))
    assert moments.rows[0] <= SAMPLE_ROWS
    assert moments.rows[0] > 0.9 * SAMPLE_ROWS
    for kind in ("values", "ranks"):
        sampled, expected, wrong = (
            float(correlations(one.rows, getattr(one, kind))[0][0]) for one in (moments, all_rows, head)
        )
        assert sampled == pytest.approx(expected, abs=0.06)
        assert abs(wrong - expected) > 0.4


def test_all_rows_of_a_small_object_are_used(tmp_path):
    columns = {name: values[:SAMPLE_ROWS] for name, values in trending(30_000).items()}
    store, info = put(tmp_path / "small.parquet", columns, 1_000)
    moments = moments_of_object(store, info, scales(columns), PARQUET)
    assert to_bytes(moments) == to_bytes(moments_of(list(columns.values()), scales(columns)))


def test_a_large_object_is_not_decoded_as_a_whole(tmp_path):
    store, info = put(tmp_path / "large.parquet", {"n": np.arange(200_000)}, 4_000)
    with scan(store, info, ["n"], PARQUET, sample=SAMPLE_ROWS) as opened:
        assert opened.rows == 8 * 4_000
        assert sum(len(values) for _, values in opened.chunks) == opened.rows
    numbers = np.array(sample_object(store, info, ["n"], PARQUET, SAMPLE_ROWS)["n"].to_pylist())
    assert numbers.size == SAMPLE_ROWS
    assert np.histogram(numbers, 8, (0, 200_000))[0].tolist() == [SAMPLE_ROWS // 8] * 8


def test_a_huge_row_group_among_small_ones_is_sampled(tmp_path):
    path = tmp_path / "uneven.parquet"
    with pq.ParquetWriter(path, pa.schema([("n", pa.int64())])) as writer:
        for number in range(40):
            rows = 100_000 if number == 17 else 30
            writer.write_table(pa.table({"n": np.full(rows, number)}))
    store = open_store(None)
    (info,) = store.list(f"file://{path}")
    sample = sample_object(store, info, ["n"], PARQUET, 1_000)["n"].to_pylist()
    assert sample.count(17) > 900


def test_alternating_rows_are_sampled_equally():
    """Steps of equal length would draw every third row only: one shop of three, or one hour."""
    shops = np.bincount(spread_rows(60_000, 20_000) % 3) / 20_000
    assert shops.min() > 0.3


@given(st.integers(0, 3_000), st.integers(1, 500))
def test_a_sample_is_sorted_without_duplicates_and_reproducible(rows, limit):
    rows_drawn = spread_rows(rows, limit)
    assert rows_drawn.size == min(rows, limit)
    assert rows_drawn.tolist() == sorted(set(rows_drawn.tolist())) == spread_rows(rows, limit).tolist()
    assert not rows or 0 <= rows_drawn[0] <= rows_drawn[-1] < rows


@pytest.mark.parametrize("values", [[0.0, 5e-324], [-1.7e308, 1.7e308]])
def test_the_smallest_and_the_largest_doubles_have_moments(values):
    column = np.array(values * 50)
    plan = NumericPlan("x", np.array([values[0], values[1]]))
    scale = scale_of(plan, np.array([0, 50, 50]))
    assert scale is not None
    assert np.isfinite(moments_of([column, column], [scale, scale]).values).all()
