"""Effects of days (or other batches) on a mean of rows, for fewer days than show how much they vary.

The variance of a mean is that of its rows and that of its days,

    SE² = τ² / N + s² · Σ n_g² / N²,

with the standard deviation τ of a row and s of the effect of a day. The days show s with G - 1 degrees of freedom by an
analysis of variance (W. G. Cochran, Sampling Techniques, 3rd edition, 1977, section 10.3). With a handful of days that
is next to nothing, so s² is moderated by the prior of columns (:mod:`~modelmonitor_trainer.detect.clustered`): there a
day effect of one standard deviation of a row is a distance of 0.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_trainer.detect.clustered import (
    alarm_freedom,
    alarm_variance,
    claim_half_width,
    tail_probability,
)

#: Distance that a day effect of one standard deviation of a row moves a distribution by.
DISTANCE_OF_DEVIATION = 0.4
_NORMAL_975 = 1.959963984540054


@dataclass(frozen=True)
class DayEffects:
    """The error of a mean whose rows are of few days.

    Attributes
    ----------
    row_variance
        Variance of the mean that is due to rows.
    row_deviation
        Standard deviation of a row.
    between
        Estimated variance of the effect of a day; not negative.
    sizes
        Rows of each day; at least one.
    """

    row_variance: float
    row_deviation: float
    between: float
    sizes: Sequence[int]

    @property
    def spread(self) -> float:
        """Sum of the squared weights of the days."""
        return sum(size**2 for size in self.sizes) / sum(self.sizes) ** 2

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the estimate."""
        return float(len(self.sizes) - 1)

    def alarm_error(self) -> tuple[float, float]:
        """Return the standard error to assume for alarms, and its degrees of freedom."""
        scale = (self.row_deviation / DISTANCE_OF_DEVIATION) ** 2
        of_days = self.spread * alarm_variance(self.between, self.freedom, scale)
        variance = self.row_variance + of_days
        if variance <= 0:
            return 0.0, max(1.0, self.freedom)
        return math.sqrt(variance), alarm_freedom(self.freedom, of_days / variance, len(self.sizes))

    def p_value(self, mean: float) -> float:
        """Return the probability of a mean as far from zero without an effect, as for columns."""
        error, freedom = self.alarm_error()
        if not error:
            return 0.0 if mean else 1.0
        return tail_probability((mean / error) ** 2, freedom)

    def claim_half_width(self, *, dated: bool) -> float:
        """Return half the width of the 95 % interval; `dated` is whether the batches are days."""
        unit = self.row_deviation / DISTANCE_OF_DEVIATION
        if not unit:
            return 0.0
        of_days = unit * claim_half_width(self.between / unit**2, self.freedom, self.spread, dated=dated)
        return math.hypot(of_days, _NORMAL_975 * math.sqrt(self.row_variance))


def between_days(squares: float, row_deviation: float, sizes: Sequence[int]) -> float:
    """Return the variance between days beyond the chance of rows; 0 for a single day.

    Parameters
    ----------
    squares
        Sum over days of n_g (m_g - m)², with the mean m_g of each day.
    row_deviation
        Standard deviation of a row.
    sizes
        Rows of each day.
    """
    rows = sum(sizes)
    reach = rows - sum(size**2 for size in sizes) / rows
    return max(0.0, (squares - (len(sizes) - 1) * row_deviation**2) / reach) if reach > 0 else 0.0
