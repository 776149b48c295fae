"""ROC AUC as a mean over pairs of rows: DeLong's variance of a difference, and leave-one-day-out values.

References
----------
E. DeLong, D. DeLong, D. Clarke-Pearson: Comparing the areas under two or more correlated receiver operating
characteristic curves: a nonparametric approach. Biometrics 44 (1988), 837-845.
X. Sun, W. Xu: Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver
operating characteristic curves. IEEE Signal Processing Letters 21 (2014), 1389-1393.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.model.metrics import Undefined


def delong_components(truth: Array, scores: Floats) -> tuple[Floats, Floats]:
    """Return DeLong's structural components of the ROC AUC.

    Parameters
    ----------
    truth : (n,)
        1 for the positive class, 0 for the other.
    scores : (n,)
        Scores, larger for the positive class.

    Returns
    -------
    positive : (m,), negative : (n - m,)
        For each positive row the share of negative rows that score lower (ties count one half), and for each
        negative row the share of positive rows that score higher. The mean of either is the AUC.

    Raises
    ------
    Undefined
        If the rows are all of one class.

    Notes
    -----
    Sun & Xu (2014), equations 11 to 13: midranks among all rows minus midranks within a class, in O(n log n).
    """
    positive, negative = scores[truth == 1], scores[truth == 0]
    m, n = positive.size, negative.size
    if m == 0 or n == 0:
        raise Undefined("ROC AUC needs rows of both classes")
    together = stats.rankdata(np.concatenate([positive, negative]))
    of_positive = (together[:m] - stats.rankdata(positive)) / n
    of_negative = 1.0 - (together[m:] - stats.rankdata(negative)) / m
    return of_positive, of_negative


def delong_variance(truth: Array, champion: Floats, challenger: Floats) -> float:
    """Return the variance of the difference of two ROC AUCs on the same rows.

    Parameters
    ----------
    truth : (n,)
        1 for the positive class, 0 for the other.
    champion, challenger : (n,)
        Scores, larger for the positive class.

    Raises
    ------
    Undefined
        If a class has fewer than two rows.
    """
    old, new = delong_components(truth, champion), delong_components(truth, challenger)
    total = 0.0
    for before, after in zip(old, new, strict=True):
        if before.size < 2:
            raise Undefined("ROC AUC needs two rows of each class for an interval")
        total += float(np.var(after - before, ddof=1)) / before.size
    return total


def auc_without_each_day(truth: Array, scores: Floats, days: Ints) -> Floats:
    """Return the ROC AUC of all rows but those of each day.

    Parameters
    ----------
    truth : (n,)
        1 for the positive class, 0 for the other.
    scores : (n,)
        Scores, larger for the positive class.
    days : (n,)
        Day number of each row.

    Returns
    -------
    (days,)
        In the order of the day numbers.

    Raises
    ------
    Undefined
        If the remaining rows are all of one class.

    Notes
    -----
    The AUC is the share of pairs of a positive and a negative row in which the positive one scores higher. Leaving a
    day out removes the pairs of its positive rows and those of its negative rows; pairs within the day are in both.
    So all rows are ranked once and those of each day once more, instead of all rows for every day.
    """
    of_positive, of_negative = delong_components(truth, scores)
    positive, negative = truth == 1, truth == 0
    m, n = of_positive.size, of_negative.size
    numbers, codes = np.unique(days, return_inverse=True)
    won_by = np.bincount(codes[positive], weights=of_positive, minlength=numbers.size) * n
    lost_by = np.bincount(codes[negative], weights=of_negative, minlength=numbers.size) * m
    m_day = np.bincount(codes[positive], minlength=numbers.size)
    n_day = np.bincount(codes[negative], minlength=numbers.size)
    pairs = (m - m_day) * (n - n_day)
    if (pairs == 0).any():
        raise Undefined("ROC AUC needs rows of both classes")
    within = np.zeros(numbers.size)
    for day in np.flatnonzero((m_day > 0) & (n_day > 0)):
        rows = codes == day
        within[day] = float(delong_components(truth[rows], scores[rows])[0].mean()) * m_day[day] * n_day[day]
    return np.asarray((of_positive.sum() * n - won_by - lost_by + within) / pairs)
