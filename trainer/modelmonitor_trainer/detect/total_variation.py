"""The total variation distance between two samples of categories: what chance adds to it, and what it rules out.

A distance grows with the number of categories even if nothing changes. Given the rows of a category on both sides
together, t, those of one side are binomial with t trials and the share q of that side in all rows. So the expected
distance without a change needs no estimated shares, and is exact for rare categories, too:

    E|X - tq| = 2 k C(t, k) q^k (1 - q)^(t - k + 1),  k = floor(tq) + 1

    P. Diaconis and S. Zabell, Closed form summation for classical distributions, Statistical Science 6(3), 1991,

times sqrt(1 - t / N) because the N rows of both sides include those of the other categories: exact for the variance,
and for the mean deviation of rare categories and of common ones.

A change of a category's share from q to q + d increases it by half of its second derivative times d². That is less than
a change adds to a sum of squares, and less still for rare categories, so the distance less the part of chance can
be smaller than the true one; the upper end of its interval takes the worst case.
"""

from __future__ import annotations

import math

import numpy as np

from modelmonitor_trainer.arrays import Counts, Floats


def distance_by_chance(reference: Counts, current: Counts) -> float:
    """Return the expected total variation distance of two samples from one distribution, given their totals.

    Parameters
    ----------
    reference, current : (k,)
        Rows of each category; both sides have rows.
    """
    return float(_by_chance(reference, current).sum()) / 2


def distance_without_chance(distance: float, by_chance: float) -> float:
    """Return a distance less the part that chance adds to it."""
    return math.sqrt(max(0.0, distance**2 - by_chance**2))


def largest_distance(reference: Counts, current: Counts, z: float) -> float:
    """Return the upper end of the interval of the total variation distance.

    Parameters
    ----------
    reference, current : (k,)
        Rows of each category; both sides have rows.
    z
        Quantile of the normal distribution for the confidence.

    Notes
    -----
    The smaller of two bounds. The distance is at least the difference of the rows in one set of categories, that in
    which the true distance is reached, and the standard deviation of that is at most half of ``sqrt(1 / n + 1 / m)``.
    The other one is for many categories: if chance adds c_i to the difference of a category, and a change by s_i
    increases its expectation to at least sqrt(c_i² + w s_i²), then the sum over all is at least
    sqrt((Σ c_i)² + w (Σ s_i)²) by the inequality of Minkowski. The variance of the distance lies between that of
    absolute values of normal variables without a change, (1 - 2 / π) / 4 of ``1 / n + 1 / m``, and a fourth; that of
    few categories, whose sum is not normal, is taken to be nearer to the latter.
    """
    n, m = int(reference.sum()), int(current.sum())
    root = math.sqrt(1 / n + 1 / m)
    distance = float(np.abs(reference / n - current / m).sum() / 2)
    chances = _by_chance(reference, current)
    by_chance = float(chances.sum()) / 2
    one_set = distance + z / 2 * root
    weight = _smallest_weight(reference + current, n / (n + m))
    if not weight or not by_chance:
        return min(1.0, one_set)
    changed = 1 - min(1.0, by_chance / distance) ** 2 if distance else 0.0
    few = 2 * float(np.square(chances).sum()) / float(chances.sum()) ** 2
    least, most = (1 - 2 / math.pi) / 4, 1 / 4
    high = distance + z * root * math.sqrt(least + (most - least) * min(1.0, changed + few))
    return min(1.0, one_set, distance_without_chance(high, by_chance) / math.sqrt(weight))


def mean_absolute_deviations(totals: Counts, share: float) -> Floats:
    """Return the mean absolute deviations of binomial variables.

    Parameters
    ----------
    totals : (k,)
        Numbers of trials, at least 1.
    share
        Probability of a success, between 0 and 1.
    """
    least = np.floor(totals * share) + 1
    powers = least * math.log(share) + (totals - least + 1) * math.log1p(-share)
    return np.where(least > totals, 0.0, 2 * least * np.exp(_log_choose(totals, np.minimum(least, totals)) + powers))


def _by_chance(reference: Counts, current: Counts) -> Floats:
    """Return the expected difference of the shares of each category that has rows."""
    n, m = int(reference.sum()), int(current.sum())
    totals = reference + current
    totals = totals[totals > 0]
    of_all = totals / (n + m)
    return mean_absolute_deviations(totals, n / (n + m)) * np.sqrt(1 - of_all) * (1 / n + 1 / m)


def _smallest_weight(totals: Counts, share: float) -> float:
    """Return the smallest weight w of all categories that have rows; 0 if one shows no change at all.

    Half of the second derivative of the mean absolute deviation c of ``totals`` trials is ``totals² w / 2c``.
    """
    totals = totals[totals > 0]
    if not totals.size or int(totals.min()) < 2:
        return 0.0
    # The second derivative of E f(X) is t (t - 1) E[f(Z + 2) - 2 f(Z + 1) + f(Z)], where Z has t - 2 trials; the second
    # difference of |x - tq| is zero but beside the corner.
    corner = np.floor(totals * share)
    beyond = totals * share - corner
    trials = totals - 2
    beside = (1 - beyond) * _binomial(corner - 1, trials, share) + beyond * _binomial(corner, trials, share)
    weights = 2 * beside * (totals - 1) / totals * mean_absolute_deviations(totals, share)
    return float(weights.min())


def _binomial(successes: Floats, trials: Counts, share: float) -> Floats:
    """Return binomial probabilities."""
    inside = np.clip(successes, 0, trials)
    powers = inside * math.log(share) + (trials - inside) * math.log1p(-share)
    return np.where(inside == successes, np.exp(_log_choose(trials, inside) + powers), 0.0)


def _log_choose(trials: Counts, successes: Floats) -> Floats:
    return _log_factorial(trials) - _log_factorial(successes) - _log_factorial(trials - successes)


def _log_factorial(values: Counts | Floats) -> Floats:
    return np.fromiter(map(math.lgamma, (values + 1).tolist()), np.float64, values.size)
