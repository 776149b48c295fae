"""Tails and quantiles for differences between windows whose batches are clusters of rows.

With the variance of one batch estimated from `d` degrees of freedom,

    P(difference > e) = 2 (1 + z² / d) ** (-d / 2),   z² = e² / variance of the difference,

which is the expectation of the tail 2 exp(-z² / 2), that of Kolmogorov's distribution, over the chance in the estimate
(the Laplace transform of the chi-square distribution: M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions,
1964, 26.4). It bounds the two-sided tail of the normal distribution, too.

Variances are moderated by a prior, as those of genes in microarrays (G. K. Smyth, Linear models and empirical Bayes
methods, 2004): a handful of batches that happen to agree proves little.
"""

from __future__ import annotations

import math

#: Degrees of freedom of the prior, and the deviation of one batch that it assumes: for alarms, and for the claim that
#: nothing has changed, of days and of other batches, such as files. A day effect of one standard deviation moves a
#: distribution by 0.4.
ALARM_FREEDOM, ALARM_DEVIATION = 3.0, 0.045
CLAIM_FREEDOM, CLAIM_DEVIATION_DAYS, CLAIM_DEVIATION_FILES = 4.0, 0.05, 0.024
#: Effects of batches have heavier tails than the normal distribution: degrees of freedom for each current batch.
TAIL_FREEDOM = 10.0


def alarm_variance(variance: float, freedom: float, scale: float = 1.0) -> float:
    """Return the variance of one batch to assume for alarms; never less than the estimate.

    Parameters
    ----------
    variance, freedom
        Estimate of one batch.
    scale
        Share of the prior variance: that of rare events is smaller, as 4 p (1 - p) is for a share p.
    """
    prior = ALARM_FREEDOM * ALARM_DEVIATION**2 * scale
    return max(variance, (prior + freedom * variance) / (ALARM_FREEDOM + freedom))


def alarm_freedom(freedom: float, share: float, current_batches: int) -> float:
    """Return the degrees of freedom of the variance of a difference (F. E. Satterthwaite, 1946).

    Parameters
    ----------
    freedom
        Of the variance of one batch.
    share
        Share of the variance of the difference that is due to batches; the rest, due to rows, is known.
    current_batches
        Number of batches of the current window.
    """
    least = min(freedom + ALARM_FREEDOM, TAIL_FREEDOM * max(1, current_batches))
    return least / max(share**2, 1e-9)


def tail_probability(square: float, freedom: float) -> float:
    """Return the probability of a squared difference of `square` variances without a change."""
    return min(1.0, 2 * math.exp(-freedom / 2 * math.log1p(square / freedom)))


def tail_quantile(level: float, freedom: float) -> float:
    """Return the difference in standard deviations whose probability is `level`; infinite if it cannot be computed."""
    exponent = 2 / freedom * math.log(2 / level)
    return math.sqrt(freedom * math.expm1(exponent)) if exponent < 600 else math.inf


def claim_half_width(variance: float, freedom: float, spread: float, *, dated: bool) -> float:
    """Return the half-width of the 95 % interval of a difference that is due to batches.

    Parameters
    ----------
    variance, freedom
        Of one batch.
    spread
        Sum of the squared weights of the batches.
    dated
        Whether batches are days.
    """
    deviation = CLAIM_DEVIATION_DAYS if dated else CLAIM_DEVIATION_FILES
    moderated = (CLAIM_FREEDOM * deviation**2 + freedom * variance) / (CLAIM_FREEDOM + freedom)
    return t_quantile_975(freedom + CLAIM_FREEDOM) * math.sqrt(moderated * spread)


def t_quantile_975(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t distribution with at least four degrees of freedom.

    E. A. Cornish, R. A. Fisher, Moments and cumulants in the specification of distributions, 1938.

    >>> round(t_quantile_975(10), 2)
    2.23
    """
    z = 1.959963984540054
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
