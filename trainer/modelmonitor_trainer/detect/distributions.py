"""Tail probabilities of two distributions that every check needs.

scipy.special has them, but its import takes half as long as a small check. These are the textbook formulas, and tests
compare them with SciPy.

* Kolmogorov's distribution: N. V. Smirnov, Table for estimating the goodness of fit of empirical distributions, 1948;
* the incomplete gamma function: NIST Digital Library of Mathematical Functions, 8.7.1 (series) and 8.9.2 (continued
  fraction), the latter by the method of W. J. Lentz, 1976.
"""

from __future__ import annotations

import math

_SMALL = 1e-300
_EPSILON = 2.0**-52


def kolmogorov(distance: float) -> float:
    """Return the probability that Kolmogorov's statistic, scaled by the square root of the rows, exceeds `distance`.

    >>> round(kolmogorov(1.3581), 4)
    0.05
    """
    if distance < 0.04:  # the difference from 1 is below double precision
        return 1.0
    if distance < 1:
        # The other form of the series, which converges fast for small distances.
        exponents = (-((2 * k - 1) ** 2) * math.pi**2 / (8 * distance**2) for k in range(1, 6))
        return 1 - math.sqrt(2 * math.pi) / distance * sum(math.exp(exponent) for exponent in exponents)
    terms = (math.exp(-2 * (k * distance) ** 2) * (1 if k % 2 else -1) for k in range(1, 8))
    return 2 * sum(terms)


def chi_square_tail(freedom: int, statistic: float) -> float:
    """Return the probability that a chi-square variable of `freedom` degrees exceeds `statistic`.

    >>> round(chi_square_tail(1, 3.8415), 4)
    0.05
    """
    a, x = freedom / 2, statistic / 2
    if x <= 0:
        return 1.0
    if math.isinf(x):
        return 0.0
    logarithm = a * math.log(x) - x - math.lgamma(a)
    scale = math.exp(logarithm) if logarithm > -745 else 0.0
    return 1 - scale * _series(a, x) if x < a + 1 else scale * _continued_fraction(a, x)


def _series(a: float, x: float) -> float:
    """Return the lower incomplete gamma function of (a, x) over x^a e^-x."""
    term = total = 1 / a
    k = 0
    while term > total * _EPSILON:
        k += 1
        term *= x / (a + k)
        total += term
    return total


def _continued_fraction(a: float, x: float) -> float:
    """Return the upper incomplete gamma function of (a, x) over x^a e^-x."""
    b = x + 1 - a
    c, d = 1 / _SMALL, 1 / b
    fraction, k = d, 0
    factor = 0.0
    while abs(factor - 1) > _EPSILON and k < 10_000:
        k += 1
        numerator = -k * (k - a)
        b += 2
        d = numerator * d + b
        d = 1 / (d if abs(d) > _SMALL else _SMALL)
        c = b + numerator / c
        c = c if abs(c) > _SMALL else _SMALL
        factor = c * d
        fraction *= factor
    return fraction
