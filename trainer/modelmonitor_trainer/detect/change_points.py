"""Change points of a sequence of batches: where the distribution of a column has jumped.

The batches are divided into the stretches with the least variation within them, by dynamic programming (W. D. Fisher,
On grouping for maximum homogeneity, 1958). The rule is strict: every jump between the means of two neighbouring
stretches must be JUMP times the standard deviation within them. Daily variation, autocorrelated days and straight
trends stay below that: a trend that is cut into equal parts has jumps of 2 sqrt(3) = 3.46 standard deviations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Floats

#: Smallest jump, in standard deviations within the stretches.
JUMP = 4.0
#: A stretch has at least this many batches.
MIN_STRETCH = 5
_MAX_STRETCHES = 4


def find_change_points(points: Floats) -> tuple[int, ...]:
    """Return the indices at which a new stretch begins, in increasing order.

    Parameters
    ----------
    points : (batches, bins)
        The batches in order.
    """
    batches = points.shape[0]
    if batches < 2 * MIN_STRETCH:
        return ()
    costs = _costs(points)
    paths = _best_divisions(costs, min(_MAX_STRETCHES, batches // MIN_STRETCH))
    for path in reversed(paths):
        if _all_jumps(points, path, costs):
            return path
    return ()


def _costs(points: Floats) -> Floats:
    """Return the sum of squares around the mean of every stretch [i, j), (batches + 1, batches + 1)."""
    batches = points.shape[0]
    products = np.zeros((batches + 1, batches + 1))
    products[1:, 1:] = np.cumsum(np.cumsum(points @ points.T, axis=0), axis=1)
    squares = np.concatenate([[0.0], np.cumsum(np.square(points).sum(axis=1))])
    edges = np.diag(products)
    sums = edges[None, :] - products - products.T + edges[:, None]
    sizes = np.maximum(np.arange(batches + 1)[None, :] - np.arange(batches + 1)[:, None], 1)
    return np.asarray((squares[None, :] - squares[:, None] - sums / sizes).clip(0))


def _best_divisions(costs: Floats, most: int) -> list[tuple[int, ...]]:
    """Return the best division into 2, 3, ... `most` stretches."""
    batches = costs.shape[0] - 1
    too_short = np.arange(batches + 1)[None, :] - np.arange(batches + 1)[:, None] < MIN_STRETCH
    allowed = np.where(too_short, np.inf, costs)
    best, choices, paths = allowed[0].copy(), list[npt.NDArray[np.int64]](), list[tuple[int, ...]]()
    for _ in range(2, most + 1):
        totals = best[:, None] + allowed
        choices.append(totals.argmin(axis=0))
        best = totals.min(axis=0)
        end, path = batches, list[int]()
        for choice in reversed(choices):
            end = int(choice[end])
            path.append(end)
        paths.append(tuple(reversed(path)))
    return paths


def _all_jumps(points: Floats, path: tuple[int, ...], costs: Floats) -> bool:
    bounds = np.array([0, *path, points.shape[0]])
    within = float(costs[bounds[:-1], bounds[1:]].sum()) / (points.shape[0] - len(path) - 1)
    means = np.add.reduceat(points, bounds[:-1], axis=0) / np.diff(bounds)[:, None]
    jumps = np.square(np.diff(means, axis=0)).sum(axis=1)
    # Without any variation, rounding errors would be jumps.
    return bool((jumps > max(JUMP**2 * within, 1e-12)).all())
