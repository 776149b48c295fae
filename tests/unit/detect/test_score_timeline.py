"""Scores over time: periods with enough rows, each with a confidence interval of the stated coverage."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from modelmonitor_trainer.detect.score_timeline import (
    LENGTHS,
    MAX_PERIODS,
    Period,
    ScoredDay,
    block_length,
    score_over_time,
)

FIRST = dt.date(2013, 1, 1)


def mean_absolute_error(truth, predicted):
    return float(np.mean(np.abs(truth - predicted)))


def day(number, rows, signal=1.5, seed=0):
    g = np.random.default_rng([seed, number])
    truth = g.random(rows) < 0.3
    return ScoredDay(FIRST + dt.timedelta(days=number), truth, g.normal(size=rows) + signal * truth)


def interval(period: Period) -> tuple[float, float, float]:
    """Return the lower end, the score and the upper end of a period that has all three."""
    assert period.low is not None
    assert period.score is not None
    assert period.high is not None
    return period.low, period.score, period.high


def test_a_score_of_every_day_in_order():
    days = [day(number, 300, 1.5 if number < 6 else 0.0) for number in range(10)]
    periods = score_over_time(days[::-1], roc_auc_score)
    assert [period.start for period in periods] == [d.day for d in days]
    assert all(period.start == period.end and period.rows == 300 for period in periods)
    intervals = [interval(period) for period in periods]
    assert all(low < score < high for low, score, high in intervals)
    assert min(low for low, _, _ in intervals[:6]) > max(score for _, score, _ in intervals[6:])


def test_days_with_few_rows_are_grouped_into_weeks_that_end_with_the_last_day():
    periods = score_over_time([day(number, 40) for number in range(30) if number % 7 != 2], roc_auc_score)
    assert [(period.end - period.start).days for period in periods] == [6] * 5
    assert periods[-1].end == FIRST + dt.timedelta(days=29)
    assert sum(period.rows for period in periods) == 40 * sum(number % 7 != 2 for number in range(30))


def test_a_single_period_is_not_a_timeline():
    assert score_over_time([], roc_auc_score) == ()
    assert score_over_time([day(0, 500)], roc_auc_score) == ()
    assert score_over_time([day(number, 5) for number in range(7)], roc_auc_score) == ()
    assert score_over_time([day(0, 0), day(1, 500)], roc_auc_score) == ()


def one_class_is_undefined(truth, predicted):
    if len(set(truth)) < 2:
        raise ValueError("one class")
    return roc_auc_score(truth, predicted)


def test_days_without_a_score_keep_their_period():
    days = [day(0, 200), ScoredDay(day(1, 1).day, np.ones(200, bool), np.ones(200)), day(2, 10), day(3, 200)]
    periods = score_over_time(days, one_class_is_undefined)
    assert [(period.rows, period.score is None) for period in periods] == [
        (200, False),
        (200, True),
        (10, True),
        (200, False),
    ]
    assert periods[1].low is None


def test_a_score_that_depends_on_one_row_has_no_interval():
    truth = np.zeros(200, bool)
    truth[7] = True
    days = [ScoredDay(FIRST, truth, np.linspace(0, 1, 200)), day(1, 200)]
    periods = score_over_time(days, one_class_is_undefined)
    assert periods[0].score is not None
    assert periods[0].low is None


@pytest.mark.parametrize("rows", [150, 1000])
def test_the_coverage_of_the_interval_is_near_its_confidence(rows):
    # Mean absolute error of standard normals: sqrt(2 / pi).
    g = np.random.default_rng(3)
    days = [ScoredDay(FIRST + dt.timedelta(days=n), np.zeros(rows), g.normal(size=rows)) for n in range(60)]
    held = [
        period.low < np.sqrt(2 / np.pi) < period.high
        for seed in range(5)
        for period in score_over_time(
            [ScoredDay(d.day, d.truth, np.random.default_rng([seed, i]).normal(size=rows)) for i, d in enumerate(days)],
            mean_absolute_error,
        )
    ]
    assert len(held) == 300
    assert 0.9 < np.mean(held) < 0.99


def test_day_effects_widen_the_interval_of_long_periods():
    def mean_width(effect):
        g = np.random.default_rng(1)
        days = [
            ScoredDay(FIRST + dt.timedelta(days=n), np.zeros(12), g.normal(size=12) + effect * g.normal())
            for n in range(56)
        ]
        periods = score_over_time(days, mean_absolute_error)
        assert len(periods) == 4
        return np.mean([high - low for low, _, high in map(interval, periods)])

    assert mean_width(2.0) > 2.5 * mean_width(0.0)


@given(st.dictionaries(st.integers(0, 400), st.integers(1, 500), min_size=1, max_size=60))
def test_period_lengths_are_allowed_and_periods_are_limited(rows):
    counts = {FIRST + dt.timedelta(days=number): count for number, count in rows.items()}
    length = block_length(counts)
    assert length in LENGTHS
    assert len({(max(counts) - day).days // length for day in counts}) <= MAX_PERIODS
