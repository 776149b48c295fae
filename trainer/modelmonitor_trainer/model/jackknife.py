"""Variance of a score by the delete-a-group jackknife.

References
----------
B. Efron, R. Tibshirani: An introduction to the bootstrap (1993), chapter 11.
P. S. Kott: The delete-a-group jackknife. Journal of Official Statistics 17 (2001), 521-526.
"""

from __future__ import annotations

import numpy as np

from modelmonitor_trainer.arrays import Floats


def jackknife_variance(estimates: Floats) -> float:
    """Return the variance of an estimate, from its values without each group.

    Parameters
    ----------
    estimates : (g,)
        The estimate on all rows but those of one group, for each of g groups, at least two.

    Returns
    -------
    float
        (g - 1) / g times the sum of the squared deviations from their mean.
    """
    groups = len(estimates)
    return (groups - 1) / groups * float(np.sum((estimates - estimates.mean()) ** 2))
