"""Distances between windows: what the chance of rows adds to them."""

import numpy as np
import pytest

from modelmonitor_trainer.detect.distances import noise_deviation, points_of


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("bins", [2, 5, 40])
def test_the_deviation_of_noise_is_that_of_samples(ordered, bins):
    g = np.random.default_rng(bins)
    shares = g.dirichlet(np.ones(bins))
    expected = np.cumsum(shares)[:-1] if ordered else shares
    samples = points_of(g.multinomial(400, shares, size=20_000), ordered=ordered)
    lengths = np.square(samples - expected).sum(axis=1)
    assert noise_deviation(expected, ordered=ordered) == pytest.approx(lengths.std() / lengths.mean(), rel=0.05)


def test_a_column_of_one_value_has_no_noise():
    assert noise_deviation(np.array([1.0]), ordered=False) == 0.0
