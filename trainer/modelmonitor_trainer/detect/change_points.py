"""Change points of a sequence of batches: where the distribution of a column has jumped, once and for all.

Binary segmentation (A. J. Scott, M. Knott, A cluster analysis method for grouping means in the analysis of variance,
1974) with a strict rule: the jump between the means of two neighbouring stretches must be JUMP times the standard
deviation within them. Daily variation, autocorrelated days and straight trends stay below that: a trend that is cut in
the middle has a jump of 2 sqrt(3) = 3.46 standard deviations.
"""

from __future__ import annotations

import numpy as np

from modelmonitor_trainer.arrays import Floats

#: Smallest jump, in standard deviations within the stretches.
JUMP = 4.0
#: A stretch has at least this many batches.
MIN_STRETCH = 5
_MAX_DEPTH = 2


def find_change_points(points: Floats, depth: int = _MAX_DEPTH) -> tuple[int, ...]:
    """Return the indices at which a new stretch begins, in increasing order.

    Parameters
    ----------
    points : (batches, bins)
        The batches in order.
    depth
        How often stretches are divided again; at most 2 ** (depth + 1) - 1 points are found.
    """
    batches = points.shape[0]
    if batches < 2 * MIN_STRETCH:
        return ()
    sums = np.cumsum(points, axis=0)
    cuts = np.arange(MIN_STRETCH, batches - MIN_STRETCH + 1)
    before, after = sums[cuts - 1], sums[-1] - sums[cuts - 1]
    explained = np.square(before).sum(axis=1) / cuts + np.square(after).sum(axis=1) / (batches - cuts)
    best = int(np.argmax(explained))
    cut = int(cuts[best])
    within = max(0.0, float(np.square(points).sum() - explained[best])) / (batches - 2)
    jump = float(np.square(before[best] / cut - after[best] / (batches - cut)).sum())
    # The product of a jump without any variation and zero would accept rounding errors.
    if jump <= JUMP**2 * within or jump < 1e-12:
        return ()
    if not depth:
        return (cut,)
    left = find_change_points(points[:cut], depth - 1)
    right = find_change_points(points[cut:], depth - 1)
    return (*left, cut, *(cut + index for index in right))
