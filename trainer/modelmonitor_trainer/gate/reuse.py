"""Hold-outs that are used again: what earlier comparisons on the same rows cost.

Each comparison on the same rows is another chance for a worse model to pass. The error probability alpha = 1 -
confidence is spent over them: the j-th comparison gets the two-sided interval at the level 2 alpha / (j (j + 1)).
A worse model passes by one side of the interval, with the probability alpha / (j (j + 1)). The sum of 1 / (j (j + 1))
over all j is 1, so by Bonferroni's inequality all comparisons together let a worse model pass with a probability of at
most alpha, however many there are. The first comparison keeps the declared confidence.

Hold-outs that overlap in part count in proportion: an earlier comparison that used 12 of 14 days counts as 12 / 14.
This is an interpolation between rows that are the same and rows that are new.

References
----------
K. K. G. Lan, D. L. DeMets: Discrete sequential boundaries for clinical trials. Biometrika 70 (1983), 659-663.
D. P. Foster, R. A. Stine: Alpha-investing. Journal of the Royal Statistical Society B 70 (2008), 429-444.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

_Window = tuple[dt.date, dt.date]


def spent_confidence(confidence: float, earlier: float) -> float:
    """Return the confidence of a comparison on rows on which there were earlier ones.

    Parameters
    ----------
    confidence
        The declared confidence.
    earlier
        Number of earlier comparisons on the same rows.

    >>> [round(spent_confidence(0.95, earlier), 4) for earlier in (0, 1, 2)]
    [0.95, 0.9833, 0.9917]
    """
    number = 1 + earlier
    return 1 - 2 * (1 - confidence) / (number * (number + 1))


def count_earlier(holdout: _Window, others: Iterable[_Window]) -> float:
    """Return the number of earlier comparisons on the rows of a hold-out; each counts by the share of its days.

    >>> days = [dt.date(2013, 1, day) for day in range(1, 31)]
    >>> count_earlier((days[2], days[11]), [(days[0], days[9]), (days[2], days[11]), (days[20], days[29])])
    1.8
    """
    length = (holdout[1] - holdout[0]).days + 1
    shared = sum(max(0, (min(holdout[1], other[1]) - max(holdout[0], other[0])).days + 1) for other in others)
    return shared / length if length > 0 else 0.0
