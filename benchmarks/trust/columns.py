"""Seeded columns with a known distribution: every value is a monotone function of a latent normal variable.

A shift in standard deviations of the latent variable therefore means the same for every kind of column:
a day effect shifts the mean of a day, drift the mean of the current window. Categories shift towards
rarer ones, and the share of missing values changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import special, stats

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A column with a known distribution.

    Attributes
    ----------
    name
        Kind and number.
    image
        Function from latent variables to values; None for categories.
    cuts : (k - 1,)
        Boundaries of the latent variable between `k` categories; None for numbers.
    missing
        Share of NULLs.
    """

    name: str
    image: Callable[[Floats], Floats] | None = None
    cuts: Floats | None = None
    missing: float = 0.0

    @property
    def categorical(self) -> bool:
        """Whether the values are categories."""
        return self.cuts is not None


@dataclass(frozen=True)
class Change:
    """How rows differ from the distribution of their column.

    Attributes
    ----------
    shift
        Shift of the mean in standard deviations: one value, or one per row.
    missing
        Increase of the share of NULLs.
    moved
        Share of rows whose category changes to the second-rarest.
    """

    shift: float | Floats = 0.0
    missing: float = 0.0
    moved: float = 0.0


def draw(column: Column, rows: int, change: Change, generator: np.random.Generator) -> pa.ChunkedArray:
    """Return `rows` rows of a column."""
    latent = generator.standard_normal(rows) + change.shift
    absent = None
    if column.missing or change.missing:
        # Day effects apply to missing values too. Drawn independently, so that they are missing at random.
        bound = special.ndtri(column.missing + change.missing)
        absent = generator.standard_normal(rows) - change.shift < bound
    if column.cuts is not None:
        codes = np.searchsorted(column.cuts, latent).astype(np.int32)
        if change.moved:
            codes[generator.random(rows) < change.moved] = max(0, column.cuts.size - 1)
        names = names_of(column.cuts.size + 1)
        values = pa.DictionaryArray.from_arrays(pa.array(codes, mask=absent), names)
    else:
        assert column.image is not None
        values = pa.array(column.image(latent), mask=absent)
    return pa.chunked_array([values])


def shift_that_moves(column: Column, distance: float) -> float:
    """Return the shift of a column that moves its distribution by a distance, if nothing else varies.

    Kolmogorov-Smirnov for numbers, total variation for categories. Many equal values shift in steps, which is
    accounted for by simulating a large sample.
    """
    low, high = 0.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        if distance_moved(column, middle) < distance:
            low = middle
        else:
            high = middle
    return high


def distance_moved(column: Column, shift: float) -> float:
    """Return the distance that a shift moves the distribution of a column."""
    latent = special.ndtri((np.arange(200_000) + 0.5) / 200_000)
    return _distance(column, latent, latent + shift)


def missing_moved(column: Column, shift: float) -> float:
    """Return how much a shift changes the share of missing values of a column."""
    if not column.missing:
        return 0.0
    bound = special.ndtri(column.missing)
    return float(special.ndtr(bound + shift) - special.ndtr(bound))


def _distance(column: Column, before: Floats, now: Floats) -> float:
    if column.cuts is not None:
        shares = [np.bincount(np.searchsorted(column.cuts, x), minlength=column.cuts.size + 1) for x in (before, now)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2 / before.size)
    assert column.image is not None
    one, other = np.sort(column.image(before)), np.sort(column.image(now))
    at = np.unique(np.concatenate([one, other]))
    below = [np.searchsorted(side, at, side="right") / side.size for side in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


@cache
def names_of(categories: int) -> pa.Array:
    """Return the names of categories."""
    return pa.array([f"c{number}" for number in range(categories)])


def columns_of(kind: str) -> list[Column]:
    """Return the 20 columns of a kind of data set."""
    return [replace_name(column, f"{number:02d}-{column.name}") for number, column in enumerate(_KINDS[kind])]


def replace_name(column: Column, name: str) -> Column:
    """Return a column under another name."""
    return Column(name, column.image, column.cuts, column.missing)


def kinds() -> list[str]:
    """Return the kinds of data sets."""
    return list(_KINDS)


def _identity(latent: Floats) -> Floats:
    return latent


def _lognormal(latent: Floats) -> Floats:
    return np.exp(2 * latent)


def _student(latent: Floats) -> Floats:
    # Two degrees of freedom: the quantile function is (2p - 1) sqrt(2 / (4p(1 - p))).
    p = special.ndtr(latent)
    return np.asarray((2 * p - 1) * np.sqrt(2 / np.maximum(4 * p * (1 - p), 1e-300)))


def _pareto(latent: Floats) -> Floats:
    return np.asarray(np.maximum(special.ndtr(-latent), 1e-300) ** (-1 / 1.5))


def _poisson(mean: float) -> Callable[[Floats], Floats]:
    cuts = special.ndtri(stats.poisson.cdf(np.arange(int(mean * 4 + 12)), mean))
    return lambda latent: np.searchsorted(cuts, latent).astype(np.float64)


def _round_floats(latent: Floats) -> Floats:
    return np.round(latent * 2)


def _zero_inflated(latent: Floats) -> Floats:
    return np.maximum(latent, 0.0)


def _cuts(shares: Floats) -> Floats:
    return np.asarray(special.ndtri(np.minimum(np.cumsum(shares / shares.sum())[:-1], 1 - 1e-12)))


def _zipf(categories: int) -> Floats:
    return _cuts(1 / np.arange(1, categories + 1))


def _even(categories: int) -> Floats:
    return _cuts(np.ones(categories))


def _categories() -> list[Column]:
    zipf = [Column(f"zipf-{size}", cuts=_zipf(size)) for size in (20, 100, 1000, 10_000) for _ in range(3)]
    return zipf + [Column(f"even-{size}", cuts=_even(size)) for size in (20, 100, 1000, 10_000) for _ in range(2)]


_NORMAL = Column("normal", _identity)
_HEAVY = [Column("lognormal", _lognormal), Column("student", _student), Column("pareto", _pareto)]
_TIES = [
    Column("poisson", _poisson(3.0)),
    Column("rare-events", _poisson(0.1)),
    Column("rounded", _round_floats),
    Column("zero-inflated", _zero_inflated),
]
_NULLS = [Column(f"null-{share:g}", _identity, missing=share) for share in (0.001, 0.02, 0.1, 0.5)]
_KINDS: dict[str, list[Column]] = {
    "normal": [_NORMAL] * 20,
    "heavy tails": (_HEAVY * 7)[:20],
    "ties": _TIES * 5,
    "categories": _categories(),
    "NULLs": _NULLS * 5,
    "mixed": [
        *[_NORMAL] * 4,
        *_HEAVY,
        *_TIES,
        *_NULLS,
        *[Column(f"zipf-{size}", cuts=_zipf(size), missing=0.02) for size in (20, 100, 1000, 10_000)],
        Column("even-1000", cuts=_even(1000)),
    ],
}
