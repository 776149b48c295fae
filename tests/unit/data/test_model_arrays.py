"""Columns as arrays for models."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_api.spec import Feature
from modelmonitor_trainer.data.model_arrays import feature_arrays, outcome_numbers, texts, true_values
from modelmonitor_trainer.errors import BadData


def chunked(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None], pa.int8(), [1.0, np.nan]),
        ([1.5, float("inf"), float("nan")], pa.float32(), [1.5, np.nan, np.nan]),
        ([True, False, None], pa.bool_(), [1.0, 0.0, np.nan]),
        ([None, None], pa.null(), [np.nan, np.nan]),
        ([2**60], pa.int64(), [float(2**60)]),
    ],
)
def test_numbers(values, kind, expected):
    numbers = feature_arrays(pa.table({"x": chunked(values, kind)}), [Feature(name="x", type="Numeric")])["x"]
    np.testing.assert_array_equal(numbers, expected)
    assert numbers.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", None, ""], pa.string(), ["a", None, ""]),
        ([1, None], pa.int16(), ["1", None]),
        ([1.0, 1.5, float("nan"), None], pa.float64(), ["1", "1.5", None, None]),
        ([True, None], pa.bool_(), ["true", None]),
        ([None], pa.null(), [None]),
        ([], pa.string(), []),
    ],
)
def test_categories(values, kind, expected):
    assert texts(chunked(values, kind), "c").tolist() == expected


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.date32()])
def test_times_are_refused_with_advice(kind):
    table = pa.table({"t": chunked([dt.datetime(2013, 1, 1, tzinfo=dt.UTC)], kind)})
    with pytest.raises(BadData, match=r"'t' is .* declared Numeric"):
        feature_arrays(table, [Feature(name="t", type="Numeric")])
    with pytest.raises(BadData, match=r"'t' is .* weekday"):
        feature_arrays(table, [Feature(name="t", type="Categorical")])


def test_values_of_a_regression_are_finite_numbers():
    with pytest.raises(BadData, match="finite"):
        true_values(chunked([1.0, float("inf")]), "y")
    with pytest.raises(BadData, match="'y' is timestamp"):
        outcome_numbers(chunked([dt.datetime(2013, 1, 1, tzinfo=dt.UTC)]), "y")
    assert true_values(chunked(["1", " 2.5 "]), "y").tolist() == [1.0, 2.5]
