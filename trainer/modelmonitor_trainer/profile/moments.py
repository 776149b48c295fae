"""Cross-moments of pairs of columns: sufficient statistics of correlations, in space that depends on columns only.

For every pair, over the rows that have both values, the sums of u, v, u², v² and uv: of values (clipped to quantiles
of the reference, so that outliers have no effect) and of their ranks in the reference. Moments merge by addition, like
profiles. They also hold the sum of the squared influence of each row on the correlation, which gives its sampling
variance for any distribution:

    J. H. Steiger, A. R. Hakstian, The asymptotic distribution of elements of a correlation matrix, 1982.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from modelmonitor_trainer.arrays import Array, Counts, Floats
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.row_sampling import sample_object
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.profile.plans import NumericPlan
from modelmonitor_trainer.profile.serialization import pack, unpack
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Largest number of columns: moments grow with its square.
MAX_COLUMNS = 100
#: Largest number of rows of an object that are used, spread over all of it.
SAMPLE_ROWS = 20_000
#: Values are clipped to this quantile of the reference on either side.
CLIPPED = 0.01
#: Part of every key of the cache.
MOMENTS_VERSION = 4


@dataclass(frozen=True)
class Scale:
    """How the values of a column are scaled by the reference.

    Attributes
    ----------
    name
        Name of the column.
    edges, ranks : (k,), (k + 1,)
        Edges of the cells, and the middle rank of each cell in the reference, from -1/2 to 1/2.
    low, high
        Values are clipped to these, then mapped to -1 … 1.
    """

    name: str
    edges: Floats
    ranks: Floats
    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """Sums over the rows that have both values of a pair; pairs are those of ``numpy.triu_indices(p, 1)``.

    Attributes
    ----------
    rows : (pairs,)
        Number of rows.
    values, ranks : (6, pairs)
        Sums of u, v, u², v², uv and of the squared influence on the correlation.
    """

    rows: Floats
    values: Floats
    ranks: Floats

    def merged(self, other: Moments) -> Moments:
        """Return the moments of the rows of both."""
        return Moments(self.rows + other.rows, self.values + other.values, self.ranks + other.ranks)


def scale_of(plan: NumericPlan, reference: Counts) -> Scale | None:
    """Return the scale of a column from its counts in the reference; None for a constant column.

    Parameters
    ----------
    plan
        Plan of the column.
    reference : (cells,)
        Rows in each cell.
    """
    total = int(reference.sum())
    if not total or np.count_nonzero(reference) < 2 or plan.edges.size < 2:
        return None
    below = np.cumsum(reference)
    ranks = (below - reference / 2) / total - 0.5
    low = plan.edges[min(plan.edges.size - 1, int(np.searchsorted(below, CLIPPED * total)))]
    high = plan.edges[min(plan.edges.size - 1, int(np.searchsorted(below, (1 - CLIPPED) * total)))]
    if not low < high:
        # Most rows have one value: the variation is in the few rows that differ from it.
        low, high = plan.edges[0], plan.edges[-1]
    return Scale(plan.name, plan.edges, ranks, float(low), float(high))


def moments_of(columns: Sequence[Floats], scales: Sequence[Scale]) -> Moments:
    """Return the moments of some rows.

    Parameters
    ----------
    columns : p × (n,)
        Values, NaN where missing.
    scales
        One per column.
    """
    values = np.column_stack([_clip(column, scale) for column, scale in zip(columns, scales, strict=True)])
    ranks = np.column_stack([_rank(column, scale) for column, scale in zip(columns, scales, strict=True)])
    pairs = np.triu_indices(len(scales), 1)
    mask = (~np.isnan(values)).astype(np.float64)
    return Moments((mask.T @ mask)[pairs], _sums(values, mask, pairs), _sums(ranks, mask, pairs))


def empty(columns: int) -> Moments:
    """Return the moments of no rows."""
    pairs = columns * (columns - 1) // 2
    return Moments(np.zeros(pairs), np.zeros((6, pairs)), np.zeros((6, pairs)))


def total(moments: Iterable[Moments], columns: int) -> Moments:
    """Return the moments of all rows, added in the given order (the last bits depend on it)."""
    return reduce(Moments.merged, moments, empty(columns))


def correlations(rows: Floats, sums: Floats) -> tuple[Floats, Floats]:
    """Return correlations and their sampling variances.

    Parameters
    ----------
    rows : (..., pairs)
        As in :class:`Moments`.
    sums : (..., 6, pairs)
        ``values`` or ``ranks`` of it.

    Returns
    -------
    r, variance : (..., pairs)
        NaN if a pair has fewer than two rows or a column is constant.
    """
    u, v, uu, vv, uv, influence = (sums[..., index, :] for index in range(6))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread_u, spread_v = uu - u * u / rows, vv - v * v / rows
        # Rounding errors of a constant column are not variation.
        varies = (spread_u > 1e-10 * uu) & (spread_v > 1e-10 * vv) & (rows > 1)
        r = np.where(varies, (uv - u * v / rows) / np.sqrt(spread_u * spread_v), np.nan)
        return np.clip(r, -1, 1), np.where(varies, influence / rows**2, np.nan)


def _clip(column: Floats, scale: Scale) -> Floats:
    # Halves first: sums of the largest doubles are infinite.
    middle, half = scale.low / 2 + scale.high / 2, scale.high / 2 - scale.low / 2
    if not half:  # half of the smallest double is zero
        return np.where(np.isnan(column), np.nan, 0.0)
    clipped: Floats = (np.clip(column, scale.low, scale.high) - middle) / half
    return clipped


def _rank(column: Floats, scale: Scale) -> Floats:
    missing = np.isnan(column)
    cells = np.searchsorted(scale.edges, np.where(missing, scale.low, column), side="right")
    return np.where(missing, np.nan, scale.ranks[cells])


def _sums(values: Floats, mask: Floats, pairs: tuple[Array, Array]) -> Floats:
    filled = np.where(mask > 0, values, 0.0)
    first, second = filled.T @ mask, (filled * filled).T @ mask
    product = filled.T @ filled
    sums = [first[pairs], first.T[pairs], second[pairs], second.T[pairs], product[pairs]]
    return np.stack([*sums, _influence(values, mask)[pairs]])


def _influence(values: Floats, mask: Floats) -> Floats:
    """Return Σ (ab - r (a² + b²) / 2)² of every pair, a and b standardised; (p, p).

    Each column is standardised over its own rows without missing values. That is the standardisation of the pair if few
    values are missing, and it only estimates a variance.
    """
    count = np.maximum(mask.sum(axis=0), 1.0)
    mean = np.where(mask > 0, values, 0.0).sum(axis=0) / count
    centred = np.where(mask > 0, values - mean, 0.0)
    deviation = np.sqrt((centred * centred).sum(axis=0) / count)
    z = centred / np.where(deviation > 0, deviation, 1.0)
    squares, cubes = z * z, z * z * z
    both = np.maximum(mask.T @ mask, 1.0)
    r = np.clip(z.T @ z / both, -1, 1)
    square_square, fourth = squares.T @ squares, (squares * squares).T @ mask
    cube = cubes.T @ z
    influence: Floats = square_square - r * (cube + cube.T) + r * r / 4 * (fourth + fourth.T + 2 * square_square)
    return np.maximum(influence, 0.0)


def moments_of_object(store: Store, info: ObjectInfo, scales: Sequence[Scale], fmt: AnyFormat) -> Moments:
    """Return the moments of a sample of an object's rows, spread over all of the object.

    At most SAMPLE_ROWS rows are used. Columns that the object lacks, or that are not numbers, have no values.

    Raises
    ------
    Unreadable
        If the object cannot be decoded.
    """
    columns = sample_object(store, info, [scale.name for scale in scales], fmt, SAMPLE_ROWS)
    return moments_of([numbers_of(columns[scale.name]) for scale in scales], scales)


def scales_key(scales: Sequence[Scale]) -> str:
    """Return the digest of `scales`, the key under which moments are cached."""
    parts: list[bytes] = [str(MOMENTS_VERSION).encode(), str(SAMPLE_ROWS).encode()]
    for scale in scales:
        parts += [scale.name.encode(), scale.edges.tobytes(), scale.ranks.tobytes()]
        parts.append(json.dumps([scale.low, scale.high]).encode())
    return digest(*parts)


def to_bytes(moments: Moments) -> bytes:
    """Serialize moments."""
    return pack({}, {"rows": moments.rows, "values": moments.values, "ranks": moments.ranks})


def from_bytes(data: bytes, columns: int) -> Moments:
    """Deserialize moments.

    Raises
    ------
    ValueError
        If they are corrupted or have another number of columns.
    """
    _, arrays = unpack(data)
    template = empty(columns)
    for name in ("rows", "values", "ranks"):
        array = arrays.get(name)
        fits = array is not None and array.shape == getattr(template, name).shape and array.dtype == np.float64
        if array is None or not fits or not np.isfinite(array).all():
            raise ValueError(f"the {name} are corrupted")
    return Moments(arrays["rows"], arrays["values"], arrays["ranks"])
