"""The distance of categories: what chance adds to it, and the upper end of its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelmonitor_trainer.detect.total_variation import (
    distance_by_chance,
    distance_without_chance,
    largest_distance,
    mean_absolute_deviations,
)

_Z = 1.959963984540054


@given(st.lists(st.integers(1, 400), min_size=1, max_size=10), st.floats(0.01, 0.99))
def test_the_mean_absolute_deviation_is_that_of_the_binomial_distribution(totals, share):
    expected = [
        float(np.abs(np.arange(t + 1) - t * share) @ stats.binom.pmf(np.arange(t + 1), t, share)) for t in totals
    ]
    assert mean_absolute_deviations(np.array(totals), share) == pytest.approx(expected, rel=1e-6)


def shares_of(kind, categories):
    shares = np.ones(categories) if kind == "even" else 1 / np.arange(1, categories + 1)
    return shares / shares.sum()


def moved_by(shares, distance):
    """Move half of the categories up and the others down, in proportion."""
    up = np.arange(shares.size) % 2 == 0
    return shares * np.where(up, 1 + distance / shares[up].sum(), 1 - distance / shares[~up].sum())


@pytest.mark.parametrize(("n", "m"), [(15_000, 3500), (1000, 1000), (300, 3000), (200, 50)])
@pytest.mark.parametrize(("kind", "categories"), [("even", 2), ("even", 30), ("even", 2000), ("zipf", 300)])
def test_chance_is_expected_without_a_change(kind, categories, n, m):
    g = np.random.default_rng(0)
    shares = shares_of(kind, categories)
    distances, chances = [], []
    for _ in range(100):
        reference, current = g.multinomial(n, shares), g.multinomial(m, shares)
        distances.append(np.abs(reference / n - current / m).sum() / 2)
        chances.append(distance_by_chance(reference, current))
    error = float(np.std(np.array(distances) - chances)) / 10
    # Where all rows have one of two values, the product of both corrections is an approximation.
    assert np.mean(distances) == pytest.approx(np.mean(chances), abs=4 * error, rel=0.01)


@pytest.mark.parametrize("distance", [0.05, 0.15, 0.4])
@pytest.mark.parametrize(
    ("kind", "categories", "n", "m"),
    [
        ("even", 2, 400, 400),
        ("even", 30, 3000, 1000),
        ("zipf", 100, 5000, 5000),
        ("even", 100, 30_000, 500),
        ("even", 1000, 15_000, 3500),
    ],
)
def test_the_interval_holds_with_its_confidence(kind, categories, n, m, distance):
    """A change that is spread over all categories is the worst case: chance hides most of it."""
    g = np.random.default_rng(0)
    shares = shares_of(kind, categories)
    now = moved_by(shares, distance)
    highs = [largest_distance(g.multinomial(n, shares), g.multinomial(m, now), _Z) for _ in range(200)]
    # 2.5 % of 200, and three standard deviations.
    assert sum(high < distance for high in highs) <= 11


def test_many_rows_rule_out_a_change_of_many_categories():
    g = np.random.default_rng(0)
    shares = shares_of("even", 1000)
    assert largest_distance(g.multinomial(100_000, shares), g.multinomial(100_000, shares), _Z) < 0.05


def test_categories_with_one_row_show_nothing():
    once = np.ones(500, dtype=np.int64)
    nothing = np.zeros(500, dtype=np.int64)
    reference, current = np.concatenate([once, nothing]), np.concatenate([nothing, once])
    assert distance_by_chance(reference, current) == pytest.approx(1, abs=1e-3)
    assert largest_distance(reference, current, _Z) == 1


@pytest.mark.parametrize(("reference", "current"), [([1], [1]), ([5], [0, 5]), ([0, 3], [2, 0]), ([1, 0], [10**9, 1])])
def test_few_rows(reference, current):
    size = max(len(reference), len(current))
    before, now = (np.array(side + [0] * (size - len(side))) for side in (reference, current))
    distance = np.abs(before / before.sum() - now / now.sum()).sum() / 2
    assert 0 <= distance_by_chance(before, now) <= 1
    assert distance - 1e-12 <= largest_distance(before, now, _Z) <= 1


def test_a_distance_within_chance_is_none():
    assert distance_without_chance(0.1, 0.2) == 0
    assert distance_without_chance(0.5, 0.3) == pytest.approx(0.4)
