"""Autocorrelation of batches, from the variogram: how much drift thresholds must be raised for it.

If neighbouring days are correlated (a slow season), windows drawn from the reference are closer to the rest than the
window that follows it. The variogram measures by how much: half the mean squared distance of two batches as a function
of the number of days between them. It does not need the mean of the reference, so it is not biased by one. The model

    gamma(h) = a + b (1 - phi ** h)

is fitted to it: independent variation of each batch, and an autoregressive process of order one. The mean squared
distance of weighted sums of batches with weights w that add up to 0 is then the quadratic form w' K w,
K(i, j) = a [i = j] + b phi ** abs(i - j)  (N. Cressie, Statistics for Spatial Data, 1993, section 2.3).
Only the shorter lags are fitted, because few pairs of days are far apart (at most half of the lags: A. G. Journel,
C. J. Huijbregts, Mining Geostatistics, 1978, section III.B.6). The largest PHI bounds the correlation length: anything
slower is a trend, which is what drift detection must find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Counts, Floats

#: Candidate correlations of neighbouring days; 0.85 falls to one half after four days.
_PHIS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85])
#: Share of the lags used for the fit.
_LAGS = 1 / 3


@dataclass(frozen=True)
class Autocorrelation:
    """The autocorrelation of the days of a reference.

    Attributes
    ----------
    own
        Variance that is independent between batches.
    shared
        Variance that is correlated between neighbours.
    phi
        Correlation of the latter with the next batch.
    """

    own: float
    shared: float
    phi: float

    def covariance(self, blocks: int) -> Floats:
        """Return K, (batches, batches)."""
        index = np.arange(blocks)
        kernel: Floats = self.shared * self.phi ** np.abs(index[:, None] - index)
        return kernel + self.own * np.eye(blocks)

    def stretch(self, chosen: npt.NDArray[np.bool_], current_blocks: int) -> float:
        """Return by what factor the window after the reference is farther away than the `chosen` ones; at least 1.

        Parameters
        ----------
        chosen : (windows, blocks)
            Batches of each pseudo-current window.
        current_blocks
            Number of batches of the window that follows the reference. The effect of the size of a window for
            independent batches is excluded: the thresholds already account for it.
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
        """Return the effective number of independent means; from 2 to all of them.

        Parameters
        ----------
        means : (means, blocks)
            Weight of each batch in each mean.
        """
        kernel = means @ self.covariance(means.shape[1]) @ means.T
        whole = float(kernel.sum())
        count = means.shape[0]
        return float(np.clip(float(np.trace(kernel)) * count / whole, 2, count)) if whole > 0 else float(count)


def variogram(counts: Counts, *, ordered: bool, weekdays: Counts | None = None) -> Floats:
    """Return half the mean squared distance of batches by lag, (lags,), in units of its mean.

    Parameters
    ----------
    counts : (blocks, cells)
        Rows in each bin, by batch.
    ordered
        Whether distances are of the distribution functions, or of the shares.
    weekdays : (blocks,)
        If given, the mean of each weekday is subtracted: a weekly pattern is not autocorrelation.
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
    gamma = np.array([np.diagonal(halves, lag).mean() for lag in lags]).clip(0)
    mean = float(np.average(gamma, weights=blocks - lags))
    return gamma / mean if mean > 1e-15 else np.zeros(lags.size)


def fit_autocorrelation(gamma: Floats) -> Autocorrelation:
    """Return the model closest to a variogram, (lags,), by nonnegative weighted least squares."""
    lags = np.arange(1, gamma.size + 1)
    weights = (gamma.size + 1 - lags).astype(np.float64)
    best, least = Autocorrelation(1.0, 0.0, 0.0), np.inf
    for phi in _PHIS:
        rise = 1 - phi**lags
        own, shared = _nonnegative_fit(rise, gamma, weights)
        error = float((weights * (gamma - own - shared * rise) ** 2).sum())
        # Of equal fits the shorter correlation wins.
        if error < least * (1 - 1e-9):
            best, least = Autocorrelation(own, shared, float(phi)), error
    return best


def _nonnegative_fit(rise: Floats, gamma: Floats, weights: Floats) -> tuple[float, float]:
    """Return own, shared >= 0 that minimise the weighted squares of gamma - own - shared * rise."""
    total = float(weights.sum())
    mean_rise, mean_gamma = float(weights @ rise) / total, float(weights @ gamma) / total
    spread = float(weights @ (rise - mean_rise) ** 2)
    shared = float(weights @ ((rise - mean_rise) * (gamma - mean_gamma))) / spread if spread > 0 else 0.0
    own = mean_gamma - shared * mean_rise
    if shared < 0:
        return mean_gamma, 0.0
    if own < 0:
        return 0.0, float(weights @ (rise * gamma)) / float(weights @ rise**2)
    return own, shared
