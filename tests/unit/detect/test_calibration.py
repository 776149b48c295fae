"""Calibration: limits that ordinary variation keeps, whatever its shape, and that drift passes."""

import numpy as np
import pytest

from modelmonitor_trainer.detect.calibration import Series, calibrate, gumbel_quantile, pseudo_windows


def numeric(g, shifts, rows=400, split=None, cells=64):
    """Return a series of normal days; those from `split` on are the current window."""
    split = len(shifts) - 1 if split is None else split
    cuts = np.linspace(-2.5, 2.5, cells - 1)
    days = np.stack([np.bincount(np.searchsorted(cuts, g.normal(shift, 1, rows)), minlength=cells) for shift in shifts])
    return Series(days[:split], days[split:].sum(axis=0), ordered=True)


def test_a_series_that_cannot_vary_leaves_the_others_their_limits():
    """A column of identifiers, all of them rare, is pooled to one cell."""
    g = np.random.default_rng(0)
    alone = [numeric(g, [*g.normal(0, 0.1, 30), 2.0])]
    constant = Series(np.full((30, 1), 400), np.array([400]), ordered=False)
    with_it = calibrate([*alone, constant], 1, 0.01)
    assert np.isfinite(with_it.limits).all()
    assert with_it.limits[0] == pytest.approx(calibrate(alone, 1, 0.01).limits[0])
    assert with_it.exceeded().tolist() == [True, False]


@pytest.mark.parametrize("blocks", [0, 1, 19])
def test_too_few_blocks_calibrate_nothing(blocks):
    series = Series(np.ones((blocks, 3), dtype=np.int64), np.ones(3, dtype=np.int64), ordered=False)
    found = calibrate([series], 1, 0.01)
    assert found.method == "None"
    assert found.limits.tolist() == [0.0]


def test_no_series_and_no_current_blocks_calibrate_nothing():
    assert calibrate([], 1, 0.01).method == "None"
    series = Series(np.ones((30, 3), dtype=np.int64), np.zeros(3, dtype=np.int64), ordered=False)
    assert calibrate([series], 0, 0.01).method == "None"


@pytest.mark.parametrize(
    ("blocks", "size", "method", "windows"),
    [(30, 1, "Contiguous", 30), (90, 7, "Contiguous", 12), (30, 7, "Random", 200), (20, 19, "Random", 200)],
)
def test_pseudo_windows_are_as_long_as_the_current_one(blocks, size, method, windows):
    found, chosen = pseudo_windows(blocks, size)
    assert (found, chosen.shape) == (method, (windows, blocks))
    assert set(chosen.sum(axis=1).tolist()) == {min(size, blocks // 2)}


def test_smaller_levels_are_extrapolated_and_few_blocks_widen():
    g = np.random.default_rng(0)
    largest = g.gumbel(2.0, 0.3, 4000)
    assert gumbel_quantile(largest, 0.01, 10**9) == pytest.approx(2.0 - 0.3 * np.log(-np.log(0.99)), rel=0.03)
    assert gumbel_quantile(largest, 0.001, 30) > gumbel_quantile(largest, 0.01, 30) > gumbel_quantile(largest, 0.01, 90)


@pytest.mark.parametrize(("shift", "expected"), [(0.1, False), (1.5, True)])
def test_what_days_do_by_themselves_is_ordinary(shift, expected):
    g = np.random.default_rng(1)
    quiet = [numeric(g, [*g.normal(0, 0.15, 30), 0.1]) for _ in range(9)]
    found = calibrate([*quiet, numeric(g, [*g.normal(0, 0.15, 30), shift])], 1, 0.011)
    assert found.exceeded()[:-1].sum() == 0
    assert bool(found.exceeded()[-1]) is expected
