"""The oracle: no schedule is cheaper."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.replay.oracle import cheapest_schedule, schedule_cost


def every_schedule(first, periods):
    """Yield each way to serve: a first model, and at each period either the same model or one that begins there."""
    begin = [index for index, start in enumerate(first) if start <= 0]
    options = [[index for index, start in enumerate(first) if start == period] for period in range(periods)]
    for start in begin:
        for choices in itertools.product(*([None, *options[period]] for period in range(1, periods))):
            served = [start]
            for choice in choices:
                served.append(served[-1] if choice is None else choice)
            yield np.array(served)


@given(st.data())
def test_no_schedule_is_cheaper(data):
    periods = data.draw(st.integers(1, 5))
    first = np.array([0, *data.draw(st.lists(st.integers(0, 4), max_size=4))])
    costs = st.floats(0, 10, allow_nan=False).map(lambda value: round(value, 3))
    losses = np.array(data.draw(st.lists(st.lists(costs, min_size=5, max_size=5), min_size=5, max_size=5)))
    losses, price = losses[: first.size, :periods], data.draw(costs)
    best = cheapest_schedule(losses, first, price)
    trainings = [int(np.count_nonzero(np.diff(served))) for served in every_schedule(first, periods)]
    expected = min(
        schedule_cost(losses, served, count, price)
        for served, count in zip(every_schedule(first, periods), trainings, strict=True)
    )
    assert best.cost == pytest.approx(expected)
    assert schedule_cost(losses, best.served, best.trainings, price) == pytest.approx(best.cost)


@pytest.mark.parametrize("seed", range(20))
def test_the_cost_is_that_of_retrainopt(seed):
    """The library of the authors of the dynamic programme finds the same costs."""
    from retrainopt.core.dp import solve_exact_schedule

    random = np.random.default_rng(seed)
    steps = int(random.integers(1, 12))
    losses, price = 3 * random.random((steps + 1, steps)), float(2 * random.random())
    costs: dict[tuple[int, int], dict[str, Any]] = {(-1, 0): {"future_losses": dict(enumerate(losses[0]))}}
    for step in range(steps):
        future = {later: losses[step + 1, later] for later in range(step, steps)}
        costs[step, 1] = {"training_cost": price, "future_losses": future}
    expected, _, _, _ = solve_exact_schedule(steps, costs)
    # Theirs can train in the first step already: a step without losses before it.
    padded = np.concatenate([np.zeros((steps + 1, 1)), losses], axis=1)
    first = np.array([0, *range(1, steps + 1)])
    assert cheapest_schedule(padded, first, price).cost == pytest.approx(expected)


def test_training_for_nothing_is_done_when_it_helps_and_at_no_price_too_high():
    losses = np.array([[1.0, 1.0, 1.0], [9.0, 0.5, 0.5]])
    first = np.array([0, 1])
    free, dear = cheapest_schedule(losses, first, 0.0), cheapest_schedule(losses, first, 2.0)
    assert (list(free.served), free.trainings, free.cost) == ([0, 1, 1], 1, 2.0)
    assert (list(dear.served), dear.trainings, dear.cost) == ([0, 0, 0], 0, 3.0)


def test_a_first_model_is_needed():
    with pytest.raises(ValueError, match="no model can serve from the beginning"):
        cheapest_schedule(np.ones((1, 2)), np.array([1]), 1.0)
