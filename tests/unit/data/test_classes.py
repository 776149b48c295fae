"""Classes of a target, and outcomes that are spelled differently from the classes of a model."""

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.spec import Task
from modelmonitor_trainer.data.classes import (
    Spellings,
    check_binary,
    class_indices,
    class_names,
    class_texts,
    merge_names,
    require_known,
    stray_note,
    unknown_outcomes,
)
from modelmonitor_trainer.errors import BadData


def chunked(values, kind=None):
    return pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "kind", "names"),
    [
        ([True, False], pa.bool_(), ["0", "1"]),
        ([2, 10, 1], pa.int64(), ["1", "2", "10"]),
        ([1.0, 0.0], pa.float64(), ["0", "1"]),
        ([-1.0, 1.0, float("nan"), None], pa.float64(), ["-1", "1"]),
        ([decimal.Decimal("1.00"), decimal.Decimal("0.50")], pa.decimal128(5, 2), ["0.5", "1"]),
        (["no", "yes"], pa.string(), ["no", "yes"]),
        (["yes", "No", " "], pa.string(), ["No", "yes"]),
        (["1", "false"], pa.string(), ["false", "1"]),
        (["1.0", "0.0", "1"], pa.string(), ["0.0", "1"]),
        (["true", "1", "0", "False"], pa.string(), ["0", "1"]),
        (["A", "a"], pa.string(), ["A", "a"]),
        (["K\u00f6ln", "Ko\u0308ln"], pa.string(), ["K\u00f6ln"]),
        ([b"a", b"b"], pa.binary(), ["a", "b"]),
        ([None, None], pa.null(), []),
        ([None, None], pa.string(), []),
        ([], pa.float64(), []),
    ],
)
def test_classes(values, kind, names):
    target = chunked(values, kind)
    assert class_names(target, "y") == names
    places = class_indices(target, "y", names)
    assert {place for place in places.tolist() if place >= 0} == set(range(len(names)))
    assert class_names(target.dictionary_encode(), "y") == names


def test_a_fraction_is_the_same_class_as_float32():
    assert class_texts(chunked(np.array([0.1], np.float32)), "y").to_pylist() == ["0.1"]


@pytest.mark.parametrize(
    ("classes", "outcomes"),
    [
        (["0", "1"], chunked([False, True])),
        (["0", "1"], chunked([0.0, 1.0])),
        (["0", "1"], chunked(["0", "1"])),
        (["0", "1"], chunked(["0.0", "1.0"])),
        (["0", "1"], chunked(["false", "true"])),
        (["0", "1"], chunked(["FALSE", "TRUE"])),
        (["0", "1"], chunked(["no", " Yes "])),
        (["0", "1"], chunked(["f", "t"])),
        (["0", "1"], chunked([decimal.Decimal("0.0"), decimal.Decimal("1.0")])),
        (["false", "true"], chunked([0, 1])),
        (["no", "yes"], chunked([False, True])),
        (["1", "2"], chunked([1.0, 2.0])),
        (["1.0", "2.0"], chunked(["1", "2"])),
        (["bad", "good"], chunked(["Bad", "GOOD"])),
        (["bad", "good"], chunked(["bad", "good"]).dictionary_encode()),
    ],
)
def test_outcomes_meet_the_classes_in_another_spelling(classes, outcomes):
    assert class_indices(outcomes, "y", classes).tolist() == [0, 1]
    assert not unknown_outcomes(outcomes, "y", classes)


@pytest.mark.parametrize(
    ("classes", "outcome"),
    [
        (["0", "1"], "2"),
        (["0", "1"], "-1"),
        (["0", "1"], "good"),
        (["1", "2"], "true"),
        (["A", "a"], "á"),
        (["no", "unknown", "yes"], "1"),
        (["f", "m"], "0"),
        ([], "0"),
    ],
)
def test_an_outcome_that_is_no_class_has_no_place(classes, outcome):
    assert Spellings(classes).index_of(outcome) == -1


def test_capitals_decide_where_classes_differ_in_them_alone():
    assert [Spellings(["A", "a", "B"]).index_of(text) for text in ("A", "a", "b")] == [0, 1, 2]
    assert Spellings(["cat", "CAT"]).index_of("Cat") == -1


names = st.lists(
    st.sampled_from(["0", "1", "true", "False", "yes", "NO", "1.0", "0.0", "2", "a", "A", "unknown", "t"]), max_size=6
)


@given(names)
def test_every_name_is_one_of_the_merged_classes(given_names):
    merged = merge_names(given_names)
    assert merge_names(merged) == merged
    assert set(merged) <= set(given_names)
    assert all(Spellings(merged).index_of(name) >= 0 for name in given_names)


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.list_(pa.int64())])
def test_a_type_without_classes_is_refused_by_name(kind):
    with pytest.raises(BadData, match=r"y"):
        class_names(chunked(pa.nulls(3, kind)), "y")
    with pytest.raises(BadData, match="'y' is binary and not text"):
        class_names(chunked([b"\xff"]), "y")


def test_too_many_classes_are_refused_with_their_names():
    with pytest.raises(BadData, match=r"3 values \('0', '1', '2'\) and model\.task is BinaryClassification"):
        check_binary(["0", "1", "2"], "y")
    check_binary(["0", "1"], "y")


def test_outcomes_that_are_no_classes_are_named_with_both_spellings():
    target = chunked(["good", "bad", "1", None])
    unknown = unknown_outcomes(target, "y", ["0", "1"])
    assert unknown == {"good": 1, "bad": 1}
    with pytest.raises(BadData, match=r"'y' is 'good' and 'bad' in 2 of 3 labelled rows.* are '0' and '1'; write"):
        require_known(unknown, 3, "y", ["0", "1"], Task.BINARY_CLASSIFICATION)
    require_known({"x": 1}, 100, "y", ["0", "1"], Task.BINARY_CLASSIFICATION)
    require_known({"x": 60}, 100, "y", ["a", "b", "c"], Task.MULTICLASS_CLASSIFICATION)
    with pytest.raises(BadData, match="in 100 of 100"):
        require_known({"x": 100}, 100, "y", ["a", "b", "c"], Task.MULTICLASS_CLASSIFICATION)
    assert stray_note({"x": 60}, ["a", "b"], Task.BINARY_CLASSIFICATION) == (
        "; 60 rows are left out, because their outcome ('x') is none of 'a' and 'b'"
    )
    several = stray_note({"x": 60}, ["a", "b"], Task.MULTICLASS_CLASSIFICATION)
    assert several == "; 60 rows count as errors, because their outcome ('x') is none of 'a' and 'b'"
    assert stray_note({}, ["a", "b"], Task.BINARY_CLASSIFICATION) == ""


def test_dates_are_refused_before_they_are_classes():
    with pytest.raises(BadData, match="date32"):
        class_indices(chunked([dt.date(2024, 1, 1)]), "y", ["0", "1"])
