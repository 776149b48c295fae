"""Cross-moments: what correlations need to know of any number of rows, in space that depends on columns only.

Of every pair of columns, over the rows that have both values, the sums of u, v, u², v² and uv: of values
(clipped to the bulk of the reference, so that a few wild ones change nothing) and of their ranks in the
reference. Moments merge by addition, like profiles. Beside them stands the sum of the squared influence
of each row on the correlation, from which follows its sampling variance whatever the distribution:

    J. H. Steiger, A. R. Hakstian, The asymptotic distribution of elements of a correlation matrix, 1982.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.arrays import Array, Counts, Floats
from modelmonitor_trainer.data.tables import is_number, scan
from modelmonitor_trainer.profile.binning import NumericPlan, digest
from modelmonitor_trainer.profile.serialization import pack, unpack
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Columns that are looked at, at most: moments grow with the square of their number.
MAX_COLUMNS = 100
#: Rows of an object that are looked at, spread evenly over those that are read.
SAMPLE_ROWS = 20_000
#: Values are clipped to this share of the reference on either side.
CLIPPED = 0.01
#: Part of every key of the cache.
MOMENTS_VERSION = 2


@dataclass(frozen=True)
class Scale:
    """How the values of a column become comparable numbers.

    Attributes
    ----------
    name
        Column.
    edges, ranks : (k,), (k + 1,)
        Cuts between cells, and the middle rank of each cell in the reference, from -1/2 to 1/2.
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
        How many rows there are.
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
    """Return the scale of a column from its counts in the reference; None for a column that does not vary.

    Parameters
    ----------
    plan
        The column.
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
        # Most rows have one value: what varies is whether and how far a row lies beside it.
        low, high = plan.edges[0], plan.edges[-1]
    return Scale(plan.name, plan.edges, ranks, float(low), float(high))


def moments_of(columns: Sequence[Floats], scales: Sequence[Scale]) -> Moments:
    """Return the moments of some rows.

    Parameters
    ----------
    columns : p × (n,)
        Values, NaN where missing.
    scales
        One a column.
    """
    values = np.column_stack([_clipped(column, scale) for column, scale in zip(columns, scales, strict=True)])
    ranks = np.column_stack([_ranked(column, scale) for column, scale in zip(columns, scales, strict=True)])
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
    """Return correlations and the variances of them.

    Parameters
    ----------
    rows : (..., pairs)
        As in :class:`Moments`.
    sums : (..., 6, pairs)
        ``values`` or ``ranks`` of it.

    Returns
    -------
    r, variance : (..., pairs)
        NaN where a pair has fewer than two rows or a column does not vary.
    """
    u, v, uu, vv, uv, influence = (sums[..., place, :] for place in range(6))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread_u, spread_v = uu - u * u / rows, vv - v * v / rows
        # What rounding leaves of a column that does not vary is no variation.
        alive = (spread_u > 1e-10 * uu) & (spread_v > 1e-10 * vv) & (rows > 1)
        r = np.where(alive, (uv - u * v / rows) / np.sqrt(spread_u * spread_v), np.nan)
        return np.clip(r, -1, 1), np.where(alive, influence / rows**2, np.nan)


def _clipped(column: Floats, scale: Scale) -> Floats:
    middle, half = (scale.low + scale.high) / 2, (scale.high - scale.low) / 2
    found: Floats = (np.clip(column, scale.low, scale.high) - middle) / half
    return found


def _ranked(column: Floats, scale: Scale) -> Floats:
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

    The standardisation is that of each column's own rows here, missing ones left out of the sums: where
    few are missing that is the pairs' own, and it only estimates a variance.
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
    found: Floats = square_square - r * (cube + cube.T) + r * r / 4 * (fourth + fourth.T + 2 * square_square)
    return np.maximum(found, 0.0)


def moments_of_object(store: Store, info: ObjectInfo, scales: Sequence[Scale], fmt: DataFormat) -> Moments:
    """Return the moments of a sample of an object's rows, read now.

    Row groups are read from the first on until they have SAMPLE_ROWS rows, and of the rows read as many
    are taken, evenly. Columns that the object lacks, or that are no numbers, have no values.

    Raises
    ------
    Unreadable
        If it cannot be read.
    """
    wanted = [scale.name for scale in scales]
    parts: dict[str, list[Floats]] = {name: [] for name in wanted}
    last = ""
    with scan(store, info, wanted, fmt) as opened:
        present = [name for name in wanted if name in opened.types]
        last = present[-1] if present else ""
        for name, column in opened.chunks:
            parts[name].append(_numbers(column))
            if name == last and sum(part.size for part in parts[name]) >= SAMPLE_ROWS:
                break
    rows = sum(part.size for part in parts[last]) if last else 0
    chosen = np.linspace(0, rows - 1, min(rows, SAMPLE_ROWS)).astype(np.int64) if rows else np.empty(0, dtype=np.int64)
    columns = [np.concatenate(parts[name])[chosen] if parts[name] else np.full(chosen.size, np.nan) for name in wanted]
    return moments_of(columns, scales)


def _numbers(column: pa.ChunkedArray) -> Floats:
    """Return a column with NaN for what is missing, infinite or no number."""
    if not is_number(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    column = column.cast(pa.float64(), safe=False)
    found = [_floats(chunk) for chunk in column.chunks]
    return np.concatenate(found) if found else np.empty(0)


def _floats(array: pa.Array) -> Floats:
    validity, data = array.buffers()
    end = array.offset + len(array)
    values = np.frombuffer(data, dtype=np.float64, count=end)[array.offset :]
    usable = np.isfinite(values)
    if validity is not None and array.null_count:
        bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little", count=end)
        usable &= bits[array.offset :].astype(bool)
    return np.where(usable, values, np.nan)


def scales_key(scales: Sequence[Scale]) -> str:
    """Return what identifies `scales`: part of the name under which moments are kept."""
    parts: list[bytes] = [str(MOMENTS_VERSION).encode(), str(SAMPLE_ROWS).encode()]
    for scale in scales:
        parts += [scale.name.encode(), scale.edges.tobytes(), scale.ranks.tobytes()]
        parts.append(json.dumps([scale.low, scale.high]).encode())
    return digest(*parts)


def to_bytes(moments: Moments) -> bytes:
    """Return moments as bytes to keep."""
    return pack({}, {"rows": moments.rows, "values": moments.values, "ranks": moments.ranks})


def from_bytes(data: bytes, columns: int) -> Moments:
    """Return the moments in `data`.

    Raises
    ------
    ValueError
        If they are damaged, or of another number of columns.
    """
    _, found = unpack(data)
    like = empty(columns)
    for name in ("rows", "values", "ranks"):
        array = found.get(name)
        fits = array is not None and array.shape == getattr(like, name).shape and array.dtype == np.float64
        if array is None or not fits or not np.isfinite(array).all():
            raise ValueError(f"the {name} are damaged")
    return Moments(found["rows"], found["values"], found["ranks"])
