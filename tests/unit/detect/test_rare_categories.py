"""Columns with many rare values: what of a change among them is hidden."""

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_trainer.detect.rare_categories import hidden_distance, spread_rare
from modelmonitor_trainer.profile.binning import MAX_CATEGORIES
from modelmonitor_trainer.profile.categories import BUCKETS
from modelmonitor_trainer.profile.columns import CategoricalProfile
from modelmonitor_trainer.profile.plans import CategoricalPlan
from modelmonitor_trainer.profile.tasks import Counters
from modelmonitor_trainer.profile.window import ColumnWindow


def window(plan, codes):
    counter = Counters((plan,)).counter(plan.name)
    counter.add(pa.chunked_array([pa.array([f"v{code}" for code in codes])]))
    profile = counter.profile()
    assert isinstance(profile, CategoricalProfile)
    return ColumnWindow(
        profile,
        profile.counts[None],
        np.array([profile.rows]),
        np.array([profile.missing]),
        profile.buckets[None],
    )


def hidden(reference, current):
    """Return the hidden distance of two samples of numbered values."""
    counts = np.bincount(reference)
    known = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
    many = int((counts > 0).sum()) > MAX_CATEGORIES
    plan = CategoricalPlan("x", tuple(f"v{code}" for code in known if counts[code]), buckets=BUCKETS if many else 0)
    return hidden_distance(plan, *spread_rare(plan, window(plan, reference), window(plan, current)))


@pytest.mark.parametrize(
    ("values", "reference", "current", "least", "most"),
    [
        (20, 5000, 5000, 0, 0),
        (1000, 20_000, 20_000, 0, 0),
        (1000, 1000, 1000, 0.9, 1),  # one row of each
        (1000, 20_000, 500, 0.9, 1),  # half a row of each in the current window
        (20_000, 20_000, 20_000, 0.5, 1),
        (1200, 500_000, 500_000, 0, 0.05),
        (20_000, 500_000, 500_000, 0.01, 0.15),  # many rows: a change would show in its groups
    ],
)
def test_rows_that_rare_values_need(values, reference, current, least, most):
    g = np.random.default_rng(0)
    assert least <= hidden(g.integers(0, values, reference), g.integers(0, values, current)) <= most


def test_one_rare_value_hides_nothing():
    assert hidden(np.array([0] * 1000 + [1]), np.array([0] * 1000)) == 0


@pytest.mark.parametrize("distance", [0.15, 0.4])
def test_the_hidden_distance_is_an_upper_bound(distance):
    """Half of twelve thousand values become more frequent: their groups of ninety hardly show it."""
    g = np.random.default_rng(0)
    values = 12_000
    up = g.random(values) < 0.5
    shares = np.where(up, 1 + distance / up.mean(), 1 - distance / (1 - up.mean())) / values
    for _ in range(5):
        current = g.choice(values, 100_000, p=shares / shares.sum())
        assert hidden(g.integers(0, values, 200_000), current) > distance
