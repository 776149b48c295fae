"""The distance of each batch: it shows when a change began, and compares like with like."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.batch_distances import distances_of_batches
from modelmonitor_trainer.detect.drift import MISSING
from unit.detect.test_drift import comparison, drift


def days(first, count):
    """Return batches of consecutive days."""
    start = dt.date(2013, 1, 1) + dt.timedelta(days=first)
    return tuple(Batch(f"{start + dt.timedelta(days=n)}", (), start + dt.timedelta(days=n)) for n in range(count))


def apart(reference, current, what=None):
    """Return the distances of the batches of a column, one after the other in time."""
    compared = replace(
        comparison("x", reference, current), batches=(days(0, len(reference)), days(len(reference), len(current)))
    )
    (column,) = drift([compared]).columns
    test = next(test for test in column.tests if test.what == what) if what else column.decisive
    return distances_of_batches(column, test)


def normal(g, mean, count, rows=2000):
    return [g.normal(mean, 1, rows) for _ in range(count)]


def test_a_change_is_seen_on_the_days_that_have_it():
    g = np.random.default_rng(0)
    seen = apart(normal(g, 0, 20), normal(g, 0, 4) + normal(g, 1, 3))
    assert seen.usual < 0.05
    assert max(seen.reference) < 0.06
    assert max(seen.current[:4]) < 0.06
    assert min(seen.current[4:]) > 0.3


def test_an_odd_day_of_the_reference_is_far_from_the_others_and_raises_nothing():
    g = np.random.default_rng(1)
    reference = normal(g, 0, 20)
    reference[3] = g.normal(5, 1, 2000)
    seen = apart(reference, normal(g, 0, 5))
    assert seen.reference[3] > 0.9
    assert seen.usual < 0.05
    assert max(seen.current) < 0.06


def test_a_day_is_not_compared_with_itself():
    """Of two days, each is half of both together."""
    g = np.random.default_rng(2)
    seen = apart([g.normal(0, 1, 2000), g.normal(3, 1, 2000)], normal(g, 0, 1))
    assert seen.reference == pytest.approx([0.87, 0.87], abs=0.03)


def test_weekends_are_compared_with_weekends():
    g = np.random.default_rng(3)

    def week(first, count):
        weekdays = [day.day.weekday() for day in days(first, count)]
        return [g.normal(2 if weekday >= 5 else 0, 1, 2000) for weekday in weekdays]

    seen = apart(week(0, 28), week(28, 7))
    assert max(*seen.reference, *seen.current) < 0.1


def test_missing_values_are_a_difference_of_shares():
    g = np.random.default_rng(4)
    with_gaps = [np.where(g.random(2000) < share, np.nan, g.normal(size=2000)) for share in (0.1,) * 10 + (0.1, 0.6)]
    seen = apart(with_gaps[:10], with_gaps[10:], MISSING)
    assert seen.current == pytest.approx([0, 0.5], abs=0.04)


def test_a_batch_without_rows_has_no_distance():
    g = np.random.default_rng(5)
    seen = apart([*normal(g, 0, 5), np.empty(0)], [np.empty(0), *normal(g, 0, 2)])
    assert np.isnan([seen.reference[5], seen.current[0]]).all()
    assert np.isfinite([*seen.reference[:5], *seen.current[1:]]).all()


def test_categories():
    g = np.random.default_rng(6)
    words = [g.choice(list("abcdefgh"), 300) for _ in range(12)]
    changed = np.full(300, "a")
    seen = apart(words[:10], [*words[10:], changed])
    assert max(seen.current[:2]) <= max(0.1, seen.usual)
    assert seen.current[2] == pytest.approx(7 / 8, abs=0.05)
