"""Memory of blocks: how much farther the current window may lie, because neighbouring days are alike.

Windows cut from the reference at random, or from its middle, lie closer to the rest than the window that
follows it, where days remember those before them (a slow season). By how much is told by the variogram:
half the mean squared distance of two blocks as a function of how many days lie between them. It needs no
mean of the reference, so that it is not biased by one. To it is fitted

    gamma(h) = a + b (1 - phi ** h)

variation that each block has to itself, and an autoregressive process of order one. The mean squared
distance of weighted sums of blocks with weights w that add up to 0 is then the quadratic form w' K w,
K(i, j) = a [i = j] + b phi ** abs(i - j)  (N. Cressie, Statistics for Spatial Data, 1993, section 2.3).
Only the shorter lags are fitted, for few pairs of days are far apart (at most half of the lags: A. G. Journel,
C. J. Huijbregts, Mining Geostatistics, 1978, section III.B.6), and no memory is longer than that of the largest
PHI: what days share for longer is a trend, and to be told of a trend is what drift detection is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats

#: Correlations of neighbouring days that are tried; of 0.85 half is left after four days.
_PHIS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85])
#: Share of the lags that are fitted.
_LAGS = 1 / 3


@dataclass(frozen=True)
class Autocorrelation:
    """What the days of a reference remember.

    Attributes
    ----------
    own
        Variance that a block has to itself.
    shared
        Variance that it shares with its neighbours.
    phi
        Correlation of that with the next block.
    """

    own: float
    shared: float
    phi: float

    def covariance(self, blocks: int) -> Floats:
        """Return K, (blocks, blocks)."""
        places = np.arange(blocks)
        kernel: Floats = self.shared * self.phi ** np.abs(places[:, None] - places)
        return kernel + self.own * np.eye(blocks)

    def stretch(self, chosen: npt.NDArray[np.bool_], current_blocks: int) -> float:
        """Return how many times farther the window after the reference lies than the `chosen` ones; at least 1.

        Parameters
        ----------
        chosen : (windows, blocks)
            Blocks of each pseudo-current window.
        current_blocks
            Of the window that follows the reference. What windows of other sizes differ by for independent
            blocks is left out: calibration scales by it.
        """
        blocks = chosen.shape[1]
        kernel = self.covariance(blocks + current_blocks)
        after = np.concatenate([np.full(blocks, -1 / blocks), np.full(current_blocks, 1 / current_blocks)])
        size = int(chosen[0].sum())
        inside = np.where(chosen, 1 / size, -1 / (blocks - size))
        far = float(after @ kernel @ after) / (1 / current_blocks + 1 / blocks)
        near = np.einsum("wi,ij,wj->w", inside, kernel[:blocks, :blocks], inside, optimize=True)
        typical = float(near.mean()) / (1 / size + 1 / (blocks - size))
        return max(1.0, float(np.sqrt(far / typical))) if typical > 0 else 1.0

    def independent(self, means: Floats) -> float:
        """Return how many independent means say as much of their mean as these; from 2 to all of them.

        Parameters
        ----------
        means : (means, blocks)
            The weight of each block in each mean.
        """
        kernel = means @ self.covariance(means.shape[1]) @ means.T
        whole = float(kernel.sum())
        count = means.shape[0]
        return float(np.clip(float(np.trace(kernel)) * count / whole, 2, count)) if whole > 0 else float(count)


def variogram(counts: Counts, *, ordered: bool, weekdays: Counts | None = None) -> Floats:
    """Return half the mean squared distance of blocks by their lag, (lags,); in units of its mean.

    Parameters
    ----------
    counts : (blocks, cells)
        Rows of each cell, block by block.
    ordered
        Whether the distance is that of the distribution functions, or of the shares.
    weekdays : (blocks,)
        Where given, distances are those from the mean of each weekday: a weekly pattern is no memory.
    """
    blocks = counts.shape[0]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    points = np.cumsum(shares, axis=1) if ordered else shares
    if weekdays is not None:
        own = (weekdays[:, None] == weekdays).astype(np.float64)
        points = points - own @ points / own.sum(axis=1, keepdims=True)
    products = points @ points.T
    squares = np.diag(products)
    lags = np.arange(1, max(2, int((blocks - 1) * _LAGS)) + 1)
    halves = (squares[:, None] + squares) / 2 - products
    found = np.array([np.diagonal(halves, lag).mean() for lag in lags]).clip(0)
    mean = float(np.average(found, weights=blocks - lags))
    return found / mean if mean > 1e-15 else np.zeros(lags.size)


def fit_autocorrelation(found: Floats) -> Autocorrelation:
    """Return the memory whose variogram is nearest to the one found, (lags,); by least squares, none negative."""
    lags = np.arange(1, found.size + 1)
    weights = (found.size + 1 - lags).astype(np.float64)
    best, least = Autocorrelation(1.0, 0.0, 0.0), np.inf
    for phi in _PHIS:
        rise = 1 - phi**lags
        own, shared = _not_negative(rise, found, weights)
        error = float((weights * (found - own - shared * rise) ** 2).sum())
        # A memory must explain more than none does: equal fits are decided for the shorter one.
        if error < least * (1 - 1e-9):
            best, least = Autocorrelation(own, shared, float(phi)), error
    return best


def _not_negative(rise: Floats, found: Floats, weights: Floats) -> tuple[float, float]:
    """Return own, shared >= 0 that minimise the weighted squares of found - own - shared * rise."""
    total = float(weights.sum())
    mean_rise, mean_found = float(weights @ rise) / total, float(weights @ found) / total
    spread = float(weights @ (rise - mean_rise) ** 2)
    shared = float(weights @ ((rise - mean_rise) * (found - mean_found))) / spread if spread > 0 else 0.0
    own = mean_found - shared * mean_rise
    if shared < 0:
        return mean_found, 0.0
    if own < 0:
        return 0.0, float(weights @ (rise * found)) / float(weights @ rise**2)
    return own, shared
