"""The jackknife compared with known formulas."""

import numpy as np
import pytest

from modelmonitor_trainer.model.jackknife import jackknife_variance


@pytest.mark.parametrize("rows", [2, 10, 500])
def test_of_a_mean_it_is_the_squared_standard_error(rows):
    values = np.random.default_rng(rows).normal(size=rows)
    without_each = (values.sum() - values) / (rows - 1)
    assert jackknife_variance(without_each) == pytest.approx(values.var(ddof=1) / rows)


def test_equal_estimates_have_no_variance():
    assert jackknife_variance(np.full(7, 0.25)) == 0
