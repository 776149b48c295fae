"""The feature contract: every kind of violation, its partitions, and data that do not violate it."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_api.spec import Feature
from modelmonitor_trainer.data.windows import Batch, days_of
from modelmonitor_trainer.detect.quality import (
    contract_violations,
    missing_partitions,
    ranges,
    structural_violations,
)
from modelmonitor_trainer.detect.wording import PARTITIONS
from modelmonitor_trainer.profile.plans import CategoricalPlan, NumericPlan
from modelmonitor_trainer.profile.window import BatchProfile, stack
from support.profiles import profile_categories, profile_numbers

NUMBER = Feature(name="f", type="Numeric", minimum="0", maximum="10")
STRICT = Feature(name="f", type="Numeric", nullable=False)
CATEGORY = Feature(name="f", type="Categorical", allowed_values=["a", "b"])
FREE_NUMBER = Feature(name="f", type="Numeric")
FREE = Feature(name="f", type="Categorical")


def window(feature, *parts, start=1):
    allowed = frozenset(feature.allowed_values) if feature.allowed_values else None
    low, high = (float(v) if v else None for v in (feature.minimum, feature.maximum))
    plan = (
        NumericPlan("f", np.array([2.0, 5.0]), low, high)
        if feature.type == "Numeric"
        else CategoricalPlan("f", ("a", "b"), tuple(allowed) if allowed else None)
    )
    batches = []
    for number, part in enumerate(parts, start):
        column = pa.chunked_array([pa.array(part)])
        profile = (
            profile_numbers(column, plan.edges, low, high)
            if isinstance(plan, NumericPlan)
            else profile_categories(column, {"a": 0, "b": 1}, allowed)
        )
        name = f"2013-01-{number:02d}"
        batches.append(BatchProfile(Batch(name, (), dt.date(2013, 1, number)), len(column), {"f": profile}, {}))
    return stack(batches, (plan,))


GOOD = [1.0, 3.0, 6.0, 9.0] * 50
WORDS = ["a", "b"] * 100


@pytest.mark.parametrize(
    ("feature", "reference", "good", "bad", "kind", "message"),
    [
        (NUMBER, GOOD, GOOD, [1.0, 11.5, -3.0], "OutOfRange", "1 values below 0 (smallest -3) and 1 values above 10"),
        (NUMBER, GOOD, GOOD, ["a", "b"], "TypeChanged", "holds text ('a' in 1 row, 'b' in 1 row), where the reference"),
        (NUMBER, GOOD, GOOD, [None] * 60 + [1.0, 3.0] * 20, "NullBurst", "lacks 60 % of its values (at most 0 %"),
        (NUMBER, GOOD, GOOD, [float("nan")] * 60 + [1.0, 3.0] * 20, "NullBurst", "lacks 60 %"),
        (NUMBER, GOOD, GOOD, [3.0] * 200, "Stuck", "has the value 3 in all of 200 rows"),
        (STRICT, GOOD, GOOD, [1.0, None], "UnexpectedNull", "1 missing values of 2"),
        (CATEGORY, WORDS, WORDS, ["a", "zzz", "zzz"], "NotAllowed", "2 values that are not allowed ('zzz')"),
        (FREE, WORDS, WORDS, [1, 2, 3], "TypeChanged", "holds numbers, where the reference holds text,"),
        (FREE, WORDS, WORDS, ["b"] * 200, "Stuck", "has one value in all of 200 rows"),
        (FREE, WORDS, WORDS, ["new"] * 200, "Stuck", "has one value in all of 200 rows"),
        (FREE, WORDS, WORDS, pa.nulls(200), "NullBurst", "lacks 100 %"),
    ],
)
def test_one_bad_partition_among_good_ones_is_named(feature, reference, good, bad, kind, message):
    violations = contract_violations([feature], window(feature, good, bad, good), window(feature, reference, reference))
    assert [(v.kind, v.column, v.blocks) for v in violations] == [(kind, "f", ("2013-01-02",))]
    assert message in violations[0].message
    assert "2013-01-02" in violations[0].message


@pytest.mark.parametrize(
    ("feature", "reference", "current"),
    [
        (NUMBER, [GOOD], [[0.0, 10.0], [None, 5.0]]),  # at the ends of the range; few rows
        (NUMBER, [[None] * 60 + GOOD, GOOD], [[None] * 70 + GOOD]),  # the reference has such days as well
        (NUMBER, [[3.0] * 200, GOOD], [[3.0] * 200]),  # the reference has the same constant
        (NUMBER, [GOOD], [[3.0] * 99]),  # too few to tell
        (NUMBER, [[0.0] * 995 + GOOD[:5]], [[0.0] * 500]),  # almost always so
        (NUMBER, [GOOD], [[None] * 4 + [1.0]]),  # a handful of rows is no burst
        (FREE, [["1", "2"]], [["1", "3"]]),
        (FREE, [[1, 2]], [[1.0, 2.0]]),  # integers that a NULL has turned into floats
    ],
)
def test_data_that_keep_the_contract(feature, reference, current):
    assert contract_violations([feature], window(feature, *current), window(feature, *reference)) == []


def test_without_a_reference_only_the_declared_contract_is_checked():
    now = window(NUMBER, [None] * 100 + [3.0] * 200, [12.0])
    assert [v.kind for v in contract_violations([NUMBER], now, None)] == ["OutOfRange"]


def test_a_day_of_text_does_not_hide_what_is_wrong_with_other_days():
    now = window(FREE_NUMBER, GOOD, ["a", "b"], [7.0] * 200, [None] * 60 + GOOD[:40], GOOD)
    violations = contract_violations([FREE_NUMBER], now, window(FREE_NUMBER, GOOD, GOOD))
    assert [(v.kind, v.blocks) for v in violations] == [
        ("TypeChanged", ("2013-01-02",)),
        ("NullBurst", ("2013-01-04",)),
        ("Stuck", ("2013-01-03",)),
    ]


def test_several_partitions_are_one_violation():
    (violation,) = contract_violations([NUMBER], window(NUMBER, [11.0], [12.0], GOOD, [13.0]), window(NUMBER, GOOD))
    assert violation.blocks == ("2013-01-01", "2013-01-02", "2013-01-04")
    assert "in 2013-01-01, and likewise in 2 more" in violation.message


def test_structural_violations():
    plan = (NumericPlan("f", np.array([0.0])),)
    batch = Batch("2013-01-01", (), dt.date(2013, 1, 1))
    broken = BatchProfile(batch, 0, {}, {}, ("s3://b/o cannot be read as Parquet",))
    lacking = BatchProfile(batch, 5, {}, {"f": ("s3://b/o", "s3://b/p")})
    assert [v.kind for v in structural_violations(stack([broken], plan), PARTITIONS)] == ["Unreadable"]
    (missing,) = structural_violations(stack([lacking], plan), PARTITIONS)
    assert missing.message == "column 'f' is missing from s3://b/o and 1 more"
    assert [v.kind for v in structural_violations(stack([], plan), PARTITIONS)] == ["NoRows"]


def days(*numbers):
    return [dt.date(2013, 1, number) for number in numbers]


WINDOW = (dt.date(2013, 1, 7), dt.date(2013, 1, 13))  # a Monday to a Sunday


def test_gaps_and_stale_data():
    assert missing_partitions(days_of(WINDOW), days(7, 8, 9, 10, 11, 12, 13), []) == []
    (gap,) = missing_partitions(days_of(WINDOW), days(7, 8, 11, 12, 13), [])
    assert (gap.kind, gap.blocks) == ("MissingPartition", ("2013-01-09", "2013-01-10"))
    (stale,) = missing_partitions(days_of(WINDOW), days(7, 8, 9, 10, 11, 12), [])
    assert "have the data stopped arriving" in stale.message
    assert missing_partitions(days_of(WINDOW), [], []) == []  # NoRows reports that


def test_days_that_never_have_partitions_are_not_missing():
    assert missing_partitions(days_of(WINDOW), days(10, 11, 12, 13), []) == []  # data begin within the window
    weekdays = [d for d in days(*range(1, 32)) if d.weekday() < 5]
    assert missing_partitions(days_of(WINDOW), days(7, 8, 9, 10, 11), weekdays) == []
    (violation,) = missing_partitions(days_of(WINDOW), days(7, 8, 10, 11), weekdays)
    assert violation.blocks == ("2013-01-09",)


def test_single_days_of_data_that_arrive_irregularly_are_not_missing():
    month = [*days_of((dt.date(2013, 1, 1), dt.date(2013, 1, 31)))]
    sparse = [day for day in month if day.day % 6]
    assert missing_partitions(month, sparse, []) == []
    assert missing_partitions(month, sparse, sparse) == []
    assert missing_partitions(month, sparse, month) != []


def test_ranges_in_words():
    assert ranges(days(1, 2, 3, 7, 9, 10)) == "2013-01-01 to 2013-01-03, 2013-01-07, 2013-01-09 to 2013-01-10"
    assert ranges(days(1, 3, 5, 7, 9, 11, 13)).endswith("2013-01-09 and 2 more")
    assert ranges([]) == ""
