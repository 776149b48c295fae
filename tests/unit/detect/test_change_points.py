"""Change points: jumps are found, ordinary variation and trends are not taken for jumps."""

import numpy as np
import pytest

from modelmonitor_trainer.detect.change_points import MIN_STRETCH, find_change_points


def noise(g, batches, bins=8):
    return g.normal(0, 0.02, (batches, bins))


@pytest.mark.parametrize("where", [MIN_STRETCH, 17, 55])
def test_one_jump(where):
    points = noise(np.random.default_rng(0), 60)
    points[where:] += 0.3
    assert find_change_points(points) == (where,)


def test_several_jumps_in_order():
    points = noise(np.random.default_rng(1), 80)
    points[20:] += 0.3
    points[50:] -= 0.5
    assert find_change_points(points) == (20, 50)


@pytest.mark.parametrize("batches", [0, 1, 2 * MIN_STRETCH - 1])
def test_too_few_batches(batches):
    points = noise(np.random.default_rng(0), batches)
    points[batches // 2 :] += 1.0
    assert find_change_points(points) == ()


@pytest.mark.parametrize("kind", ["constant", "independent", "correlated", "trend", "weekly"])
def test_no_jump(kind):
    days = np.arange(60)
    for seed in range(30):
        g = np.random.default_rng(seed)
        level = np.zeros(60)
        if kind == "correlated":
            for day in days[1:]:
                level[day] = 0.8 * level[day - 1] + 0.6 * g.normal(0, 0.1)
        elif kind == "trend":
            level += days * 0.01
        elif kind == "weekly":
            level += 0.3 * (days % 7 > 4)
        points = level[:, None] + (0.0 if kind == "constant" else noise(g, 60))
        assert find_change_points(points) == ()
