"""Autocorrelation of batches, from the variogram: how much farther apart windows are for it.

If neighbouring days are correlated (a slow season), the batches of the reference are closer to each other than to the
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

from modelmonitor_trainer.arrays import Floats

#: Candidate correlations of neighbouring days; 0.85 falls to one half after four days.
_PHIS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85])
#: Share of the lags used for the fit.
_LAGS = 1 / 3
#: Batches that vary by less than this share of the chance of their rows do not vary ...
_LEAST = 0.05
#: ... nor those for which this many standard deviations of it explain it.
_SIGNIFICANT = 2.0


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

    def covariance(self, positions: npt.NDArray[np.int64]) -> Floats:
        """Return K, (batches, batches), for batches at these positions in time."""
        kernel: Floats = self.shared * self.phi ** np.abs(positions[:, None] - positions).astype(np.float64)
        return kernel + self.own * np.eye(positions.size)


def independent_batches(covariance: Floats) -> float:
    """Return the effective number of independent batches; from 2 to all of them."""
    whole, count = float(covariance.sum()), covariance.shape[0]
    return float(np.clip(float(np.trace(covariance)) * count / whole, 2, count)) if whole > 0 else float(count)


def expected_variance(covariance: Floats) -> float:
    """Return the expected sample variance of batches with such a covariance."""
    count = covariance.shape[0]
    within = float(np.trace(covariance)) - float(covariance.sum()) / count
    return max(1e-9, float(within / (count - 1)))


def variogram(
    points: Floats, noise: Floats, noise_deviation: float, positions: npt.NDArray[np.int64], batches: int
) -> tuple[Floats, float] | None:
    """Return half the mean squared distance of batches by lag, (lags,), in units of that of all, and its reliability.

    The latter is the share of the distances that is not due to the chance of rows. None if batches are alike. All pairs
    decide about that, because neighbours of a slow season are alike, too.

    Parameters
    ----------
    points : (batches, bins)
        The batches, without a season.
    noise : (batches,)
        Squared length that the chance of rows adds to each; it is subtracted.
    noise_deviation
        Standard deviation of it, as a share.
    positions : (batches,)
        Their positions in time.
    batches
        Number of batches of the window; some may be left out.
    """
    products = points @ points.T
    squares = np.diag(products)
    halves = (squares[:, None] + squares) / 2 - products - (noise[:, None] + noise) / 2
    rows, columns = np.triu_indices(points.shape[0], 1)
    lags = np.abs(positions[rows] - positions[columns])
    most = max(2, int((batches - 1) * _LAGS))
    near = lags <= most
    pairs = np.bincount(lags[near], minlength=most + 1)[1:]
    sums = np.bincount(lags[near], halves[rows[near], columns[near]], minlength=most + 1)[1:]
    mean = float(halves[rows, columns].mean())
    least = max(_LEAST, _SIGNIFICANT * noise_deviation / np.sqrt(points.shape[0] - 1))
    if mean <= max(1e-15, least * float(noise.mean())):
        return None
    return np.asarray((sums / np.maximum(pairs, 1) / mean).clip(0)), mean / (mean + float(noise.mean()))


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
