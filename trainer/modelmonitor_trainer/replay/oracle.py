"""The oracle: the cheapest schedule of trainings in hindsight. It bounds what any policy can reach.

The costs of a schedule are additive over evaluation periods: the price of each training, and the price of what the
served model loses. So dynamic programming finds the cheapest of all schedules exactly; see Yang and Mathioudakis,
"When to retrain a machine learning model" (ECML PKDD 2026), and Mahadevan and Mathioudakis, "Cost-aware retraining for
machine learning" (Knowledge-Based Systems 293, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.arrays import Floats, Ints


@dataclass(frozen=True)
class Schedule:
    """Which model serves when.

    Attributes
    ----------
    served : (n_periods,)
        Index of the model that serves in each period.
    trainings
        Number of trainings after the first model.
    cost
        Price of the trainings plus that of the losses.
    """

    served: Ints
    trainings: int
    cost: float


def cheapest_schedule(losses: Floats, first: Ints, price: float) -> Schedule:
    """Return the cheapest schedule.

    A model is trained when it begins to serve, in its first period, and serves until the next one does. The first model
    is one of those that can serve from the beginning. Every policy needs one, so its training costs nothing.

    Parameters
    ----------
    losses : (n_models, n_periods)
        Price of what each model loses in each period; what is before its first period is ignored.
    first : (n_models,)
        The first period in which each model can serve; 0 for those that can from the beginning.
    price
        Price of a training, in the unit of the losses.

    Raises
    ------
    ValueError
        If no model can serve from the beginning.
    """
    models, periods = losses.shape
    initial = np.flatnonzero(first <= 0)
    if not initial.size or not periods:
        raise ValueError("no model can serve from the beginning")
    to_go = np.zeros(models)
    successors = np.empty((periods, models), dtype=np.int64)
    for period in range(periods - 1, -1, -1):
        # Keep the model, or replace it by the best one whose first period this is.
        keep = np.where(first <= period, losses[:, period] + to_go, np.inf)
        new = np.flatnonzero(first == period) if period else np.empty(0, dtype=np.int64)
        choice = np.arange(models)
        if new.size:
            best = new[np.argmin(keep[new])]
            replaced = keep[best] + price < np.where(first < period, keep, np.inf)
            choice = np.where(replaced & (first < period), best, choice)
            keep = np.where(choice == best, np.where(first < period, keep[best] + price, keep), keep)
        successors[period], to_go = choice, keep
    start = initial[np.argmin(to_go[initial])]
    served = np.empty(periods, dtype=np.int64)
    model = start
    for period in range(periods):
        model = successors[period, model]
        served[period] = model
    return Schedule(served, int(np.count_nonzero(np.diff(served))), float(to_go[start]))


def schedule_cost(losses: Floats, served: Ints, trainings: int, price: float) -> float:
    """Return the cost of a schedule.

    Parameters
    ----------
    losses : (n_models, n_periods)
        As for :func:`cheapest_schedule`.
    served : (n_periods,)
        Index of the model that serves in each period.
    trainings, price
        Number of trainings after the first model, and the price of one.
    """
    return float(losses[served, np.arange(served.size)].sum()) + trainings * price
