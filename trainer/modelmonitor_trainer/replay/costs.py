"""Prices of trainings and of lost metric points, and the cost of a policy at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelmonitor_api.spec import Metric
from modelmonitor_policy.expected_gain import POINT
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.model.metrics import greater_is_better, in_units


@dataclass(frozen=True)
class Prices:
    """Prices in a currency of the user's choice.

    Attributes
    ----------
    training
        Price of a training.
    point_day
        Price of a metric point that the served model lacks for one day.
    currency
        Unit of both; for display.
    """

    training: float = 1.0
    point_day: float = 1.0
    currency: str = ""

    def describe(self, amount: float) -> str:
        """Return an amount with its currency."""
        # Costs that should be equal can differ by rounding errors; adding zero turns -0.0 into 0.0.
        text = f"{round(amount, 2) + 0.0:,.2f}" if abs(amount) < 100 else f"{amount:,.0f}"
        return f"{text} {self.currency}".strip()


def lost_points(metric: Metric, values: Floats, error: float) -> Floats:
    """Return how many points each value is away from the perfect one.

    Parameters
    ----------
    metric
        The metric.
    values
        Values of the metric; NaN where it is not defined.
    error
        Typical error of a model, for metrics in units of the target.
    """
    if greater_is_better(metric):
        return (1.0 - values) / POINT
    point = in_units(metric, POINT, error)
    return values / (point if np.isfinite(point) and point > 0 else POINT)
