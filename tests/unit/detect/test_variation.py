"""Variation between batches: which distances are ordinary, with few batches, odd ones, jumps, trends and seasons."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.batches import Series
from modelmonitor_trainer.detect.calendar import Calendar
from modelmonitor_trainer.detect.variation import fit_variation, independent_rows
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile

LEVEL = 1e-3


def undated(reference, current):
    """Return the calendar of batches that are not days."""
    return Calendar.of([None] * reference, [None] * current)


def days(reference, current, first=dt.date(2013, 1, 1)):
    """Return the calendar of a reference and of the window after it."""
    dates = [first + dt.timedelta(days=day) for day in range(reference + current)]
    return Calendar.of(dates[:reference], dates[reference:])


def numeric(g, shifts, current, rows=500, bins=64):
    """Return a series of normal days with these means; the last `current` are the current window."""
    cuts = np.linspace(-2.5, 2.5, bins - 1)
    counts = np.stack([np.bincount(np.searchsorted(cuts, g.normal(s, 1, rows)), minlength=bins) for s in shifts])
    return Series(counts[:-current], counts[-current:], ordered=True)


def fit(series, calendar=None):
    (variation,) = fit_variation([series], calendar or undated(len(series.reference), len(series.current)))
    return variation


def test_days_that_vary_more_have_a_higher_limit():
    limits = []
    for deviation in (0.0, 0.1, 0.3):
        g = np.random.default_rng(0)
        limits.append(fit(numeric(g, g.normal(0, deviation, 37), 7)).limit(LEVEL))
    assert limits == sorted(limits)
    assert limits[0] < 0.1 < limits[2]


def test_the_variance_is_that_of_the_means_of_days():
    """A mean that varies by 0.2 standard deviations moves the distribution function by 0.2 / sqrt(2 pi) at most."""
    g = np.random.default_rng(0)
    fitted = [fit(numeric(g, g.normal(0, 0.2, 61), 1)).variance for _ in range(20)]
    assert np.sqrt(np.mean(fitted)) == pytest.approx(0.2 / np.sqrt(2 * np.pi), rel=0.1)


def test_the_chance_of_rows_is_not_variation():
    g = np.random.default_rng(0)
    fitted = [np.sqrt(fit(numeric(g, np.zeros(61), 1, rows=100)).variance) for _ in range(20)]
    assert np.median(fitted) < 0.03  # the chance of a hundred rows alone is 0.05


@given(st.floats(1e-6, 0.5))
def test_the_limit_is_where_the_p_value_reaches_the_level(level):
    g = np.random.default_rng(1)
    variation = fit(numeric(g, [*g.normal(0, 0.1, 30), 0.5], 1))
    assert (variation.p_value() < level) == (variation.baselines[0].distance > variation.limit(level))


@pytest.mark.parametrize(("reference", "current"), [(1, 1), (1, 2), (2, 1)])
def test_with_hardly_any_batches_only_a_total_change_is_beyond_chance(reference, current):
    g = np.random.default_rng(0)
    moderate = fit(numeric(g, [*[0.0] * reference, *[0.5] * current], current, rows=5000))
    assert moderate.p_value() > 0.05
    assert moderate.limit(LEVEL) > 0.5
    total = fit(numeric(g, [*[-9.0] * reference, *[9.0] * current], current, rows=5000))
    assert total.p_value() < 0.01


def test_batches_of_the_current_window_count_where_the_reference_has_few():
    g = np.random.default_rng(0)
    alone = fit(numeric(g, [0.0, 0.0], 1))
    with_seven = fit(numeric(g, np.zeros(8), 7))
    assert (alone.freedom, with_seven.freedom) == (0, 6)
    assert with_seven.limit(LEVEL) < alone.limit(LEVEL) / 2


@pytest.mark.parametrize("odd", [1, 3, 6])
def test_odd_batches_do_not_raise_the_limit_and_are_named(odd):
    g = np.random.default_rng(2)
    shifts = g.normal(0, 0.1, 61)
    limit = fit(numeric(np.random.default_rng(0), shifts, 1)).limit(LEVEL)
    chosen = sorted(g.choice(60, odd, replace=False).tolist())
    shifts[chosen] += 8
    variation = fit(numeric(np.random.default_rng(0), shifts, 1))
    assert variation.odd == tuple(chosen)
    # Odd days are a part of the reference, whose distribution they move by a tenth at most.
    assert variation.limit(LEVEL) == pytest.approx(limit, abs=0.11)


def test_ordinary_days_are_not_odd():
    odd_days = 0
    for seed in range(20):
        g = np.random.default_rng(seed)
        odd_days += len(fit(numeric(g, g.normal(0, 0.2, 61), 1)).odd)
    assert odd_days <= 4  # of 1200


def test_a_reference_that_jumped_is_compared_in_parts():
    """The second part of the reference is ordinary, a further change is not."""
    g = np.random.default_rng(3)
    shifts = np.concatenate([np.zeros(30), np.ones(30), np.ones(7)]) + g.normal(0, 0.1, 67)
    stays = fit(numeric(g, shifts, 7))
    assert stays.change_points == (30,)
    assert stays.p_value() > 0.05
    shifts[60:] += 1
    assert fit(numeric(g, shifts, 7)).p_value() < 1e-4


def test_a_trend_is_reported_and_continued():
    g = np.random.default_rng(4)
    trend = np.arange(37) * 0.05
    rising = fit(numeric(g, trend, 7))
    assert rising.trend > 0.3
    assert rising.follows_trend
    falling_back = fit(numeric(g, np.concatenate([trend[:30], np.full(7, trend[:30].mean())]), 7))
    assert falling_back.trend > 0.3
    assert not falling_back.follows_trend


def test_independent_days_have_no_trend():
    g = np.random.default_rng(5)
    assert max(fit(numeric(g, g.normal(0, 0.2, 37), 7)).trend for _ in range(30)) == 0


def test_independent_days_of_many_categories_have_no_trend():
    """The direction is estimated from the days themselves: among hundreds of categories, each lies along its own."""
    g = np.random.default_rng(5)
    for count, calendar in ((30, None), (30, days(30, 7)), (20, days(20, 7))):
        drawn = [np.bincount(g.integers(0, 600, 500), minlength=600) for _ in range(count + 7)]
        assert fit(Series(np.array(drawn[:count]), np.array(drawn[count:]), ordered=False), calendar).trend == 0
    rising = [
        np.bincount(np.append(g.integers(0, 600, 500), np.zeros(8 * day, dtype=int)), minlength=600)
        for day in range(37)
    ]
    trend = fit(Series(np.array(rising[:30]), np.array(rising[30:]), ordered=False))
    assert trend.trend > 0.2
    assert trend.trend_p < 1e-6
    assert trend.follows_trend


def test_a_trend_of_few_days_is_less_certain():
    g = np.random.default_rng(6)
    short, long = (fit(numeric(g, np.arange(count) * 0.5 / count, 2)).trend_p for count in (12, 60))
    assert long < short < 0.05


def test_a_trend_does_not_hide_a_larger_change():
    g = np.random.default_rng(5)
    shifts = np.concatenate([np.linspace(0, 0.5, 75), np.full(28, 1.5)]) + g.normal(0, 0.15, 103)
    assert fit(numeric(g, shifts, 28)).p_value() < 0.01


def weekly(g, count, shift=0.0):
    """Return the means of days, where weekends differ from other days."""
    return np.where(np.arange(count) % 7 < 2, 1.0, 0.0) + g.normal(0, 0.05, count) + shift


def test_a_weekly_pattern_does_not_hide_a_change():
    g = np.random.default_rng(3)
    moved = numeric(g, np.append(weekly(g, 75), weekly(g, 28, 0.2)), 28)
    assert fit(moved, days(75, 28)).p_value() < LEVEL
    assert fit(moved).p_value() > LEVEL


@pytest.mark.parametrize("dated", [True, False])
def test_the_weekend_is_not_odd(dated):
    g = np.random.default_rng(0)
    shifts = weekly(g, 71)
    assert np.arange(71)[70] % 7 == 0  # the current day is one of the two
    variation = fit(numeric(g, shifts, 1), days(70, 1) if dated else None)
    assert variation.odd == ()
    assert variation.p_value() > 0.05


def test_a_holiday_like_an_earlier_one_is_not_a_change():
    g = np.random.default_rng(0)
    shifts = g.normal(0, 0.05, 61)
    shifts[[10, 40]] = 3.0
    shifts[60] = 3.0
    holiday = fit(numeric(g, shifts, 1))
    assert holiday.odd == (10, 40)
    assert holiday.p_value() > LEVEL
    shifts[60] = 1.0
    assert fit(numeric(g, shifts, 1)).p_value() < LEVEL
    week = np.concatenate([shifts[:60], np.full(7, 3.0)])
    assert fit(numeric(g, week, 7)).p_value() < LEVEL


def test_another_mix_of_weekdays_is_not_a_change():
    """Thirty days have two weekdays more often than the others."""
    g = np.random.default_rng(0)
    pattern = np.where(np.arange(37) % 7 < 2, 2.0, 0.0) + g.normal(0, 0.02, 37)
    assert fit(numeric(g, pattern, 7, rows=5000), days(30, 7)).p_value() > 0.05


@pytest.mark.parametrize("days_before", [30, 60])
def test_a_slow_season_is_not_a_change(days_before):
    g = np.random.default_rng(days_before)
    alarms = 0
    for _ in range(20):
        level, shifts = g.normal(), []
        for _ in range(days_before + 7):
            shifts.append(0.15 * level)
            level = 0.8 * level + 0.6 * g.normal()
        alarms += fit(numeric(g, shifts, 7)).p_value() < 0.01
    assert alarms <= 2


def test_a_broken_day_is_unlike_those_of_the_reference():
    g = np.random.default_rng(0)
    shifts = g.normal(0, 0.05, 88)
    shifts[70] = 3.0
    variation = fit(numeric(g, shifts, 28))
    assert variation.odd_current(LEVEL, 0.15) == (10,)
    assert variation.odd_current(LEVEL, 0.9) == ()


def test_batches_without_rows_do_not_count():
    g = np.random.default_rng(0)
    series = numeric(g, g.normal(0, 0.1, 37), 7)
    expected = fit(series)
    empty = np.zeros((1, series.reference.shape[1]), dtype=np.int64)
    reference = np.concatenate([series.reference, empty])
    current = np.concatenate([series.current, empty])
    with_empty = fit(Series(reference, current, ordered=True))
    assert with_empty.current_batches == 7
    assert with_empty.limit(LEVEL) == pytest.approx(expected.limit(LEVEL), rel=0.05)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_series_of_one_bin_cannot_change(ordered):
    series = Series(np.full((30, 1), 400), np.full((2, 1), 400), ordered=ordered)
    variation = fit(series)
    assert variation.p_value() == 1
    assert np.isfinite(variation.limit(LEVEL))
    assert independent_rows(series).p_value() == 1


def test_days_are_assumed_to_vary_more_than_files():
    g = np.random.default_rng(0)
    series = numeric(g, [0.0, 0.0], 1)
    assert fit(series, days(1, 1)).between() > fit(series).between()


@pytest.mark.parametrize("batches", [(1, 1), (3, 7), (12, 1)])
def test_limits_are_distances(batches):
    g = np.random.default_rng(4)
    wild = fit(numeric(g, g.normal(0, 2.0, sum(batches)), batches[1]))
    assert 0 < wild.limit(LEVEL) <= 1 + wild.season


def test_files_of_the_same_names_are_pairs():
    """Parts of a table by region: regions differ, and each is what it was."""
    g = np.random.default_rng(0)
    regions = g.normal(0, 1.5, 6)
    series = numeric(g, [*regions, *regions], 6)
    paired = Calendar(np.full(6, -1), np.full(6, -1), paired=True)
    assert fit(series, paired).between() < 0.05 < fit(series).between()
    moved = numeric(g, [*regions, *(regions + 0.5)], 6)
    assert fit(moved, paired).p_value() < 0.05 < fit(moved).p_value()


def test_pairs_that_vary_raise_no_alarm():
    alarms = 0
    for seed in range(100):
        g = np.random.default_rng(seed)
        series = numeric(g, g.normal(0, 0.3, 12), 6)
        alarms += fit(series, Calendar(np.full(6, -1), np.full(6, -1), paired=True)).p_value() < 0.01
    assert alarms <= 4


def windows(*sides):
    """Return windows of files without rows, given by their paths."""
    return [WindowProfile(tuple(BatchProfile(Batch(uri, ()), 0, {}, {}) for uri in side), {}) for side in sides]


@pytest.mark.parametrize(
    ("before", "now", "paired"),
    [
        (["s3://b/ref/0.csv", "s3://b/ref/1.csv"], ["s3://b/cur/0.parquet", "s3://b/cur/1.snappy.parquet"], True),
        (["s3://b/ref/k=a/p.csv", "s3://b/ref/k=b/p.csv"], ["s3://b/cur/k=a/p.csv", "s3://b/cur/k=b/p.csv"], True),
        (["s3://b/ref/0.csv", "s3://b/ref/1.csv"], ["s3://b/cur/2.csv", "s3://b/cur/3.csv"], False),
        (["s3://b/v1.0/a.csv", "s3://b/v1.1/b.csv"], ["s3://b/v1.0/c.csv", "s3://b/v1.1/d.csv"], False),
        (["s3://b/ref/0.csv"], ["s3://b/cur/0.csv"], False),
    ],
)
def test_files_are_pairs_by_their_names(before, now, paired):
    assert Calendar.of_windows(*windows(before, now)).paired is paired


def missing(before, now, rows=500):
    """Return the missing and present rows of batches as a series."""
    reference, current = (np.stack([counts, rows - counts], axis=1) for counts in (np.asarray(before), np.asarray(now)))
    return Series(reference, current, ordered=False)


def test_a_rare_event_that_the_reference_lacks_by_chance_is_no_change():
    """One file without a NULL says little about how much their share varies: 3 % of another file may be ordinary."""
    variation = fit(missing([0], [15]))
    assert variation.p_value() > 0.05
    assert fit(missing([0] * 30, [15] * 5)).p_value() < LEVEL


def test_a_series_hidden_by_the_chance_of_its_rows_wanders_like_most_others():
    g = np.random.default_rng(3)

    def level():
        wander = np.zeros(37)
        for day in range(1, 37):
            wander[day] = 0.85 * wander[day - 1] + g.normal(0, 0.15)
        return wander

    series = [numeric(g, level(), 7) for _ in range(6)]
    hidden = numeric(g, np.zeros(37), 7, rows=20)
    calendar = undated(30, 7)
    *_, among = fit_variation([*series, hidden], calendar)
    *_, alone = fit_variation([series[0], *[numeric(g, np.zeros(37), 7) for _ in range(6)], hidden], calendar)
    assert among.baselines[0].spread > 2 * alone.baselines[0].spread


def test_days_of_many_categories_are_not_odd_by_chance():
    """Of 300 rows in 130 categories, a quarter is elsewhere by chance, and more beside the few days of a weekday."""
    g = np.random.default_rng(8)

    def day(odd=0):
        return np.bincount(np.append(g.integers(0, 130, 300 - odd), np.zeros(odd, dtype=int)), minlength=130)

    for calendar in (None, days(30, 7)):
        columns = [
            fit(
                Series(np.array([day() for _ in range(30)]), np.array([day() for _ in range(7)]), ordered=False),
                calendar,
            )
            for _ in range(40)
        ]
        assert not any(variation.odd_current(LEVEL, 0.15) for variation in columns)
    odd = Series(np.array([day() for _ in range(30)]), np.array([day(), day(180), day()]), ordered=False)
    assert fit(odd).odd_current(LEVEL, 0.15) == (1,)
