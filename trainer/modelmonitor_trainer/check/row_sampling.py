"""A sample of the rows of some files, all columns of a row together: what relations between columns are looked for in.

Rows are drawn at random and without repetition over the whole of every file, in proportion to its rows: the head of a
file that is sorted is not like the rest of it. Only the rows that are drawn are kept in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.arrays import Floats, Ints
from modelmonitor_trainer.data.tables import scan
from modelmonitor_trainer.profile.arrow_values import doubles_of
from modelmonitor_trainer.profile.window import Batch
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_SEED = 20130101


def sample_blocks(
    store: Store,
    blocks: Sequence[tuple[Batch, int]],
    columns: Sequence[str],
    fmt: DataFormat,
    limit: int,
    *,
    text: Collection[str] = (),
) -> Iterator[pa.Table]:
    """Yield the sampled rows of each block, in their order.

    Parameters
    ----------
    store, columns, fmt, text
        What to read, and how.
    blocks
        Each with how many rows it has.
    limit
        How many rows to draw from all of them.

    Raises
    ------
    BadData
        If an object cannot be read.
    """
    total = sum(rows for _, rows in blocks)
    share = min(1.0, limit / max(1, total))
    generator = np.random.default_rng(_SEED)
    for block, _ in blocks:
        parts = [_sample(store, info, columns, fmt, share, generator, text) for info in block.objects]
        yield pa.concat_tables(parts, promote_options="permissive")


def _sample(
    store: Store,
    info: ObjectInfo,
    columns: Sequence[str],
    fmt: DataFormat,
    share: float,
    generator: np.random.Generator,
    text: Collection[str],
) -> pa.Table:
    """Return the sampled rows of an object; columns that it lacks are NULL."""
    with scan(store, info, columns, fmt, text=text) as opened:
        chosen = np.sort(generator.choice(opened.rows, round(share * opened.rows), replace=False))
        taken: dict[str, list[pa.Array]] = {name: [] for name in columns}
        passed = dict.fromkeys(columns, 0)
        for name, part in opened.chunks:
            start = passed[name]
            passed[name] += len(part)
            taken[name] += _taken(part, chosen, start)
    made = {name: pa.chunked_array(parts) if parts else pa.nulls(chosen.size) for name, parts in taken.items()}
    return pa.table(made)


def _taken(part: pa.ChunkedArray, chosen: Ints, start: int) -> list[pa.Array]:
    """Return the chosen rows of a part that begins at row `start`, dictionaries decoded."""
    found = []
    for chunk in part.chunks:
        first, last = np.searchsorted(chosen, [start, start + len(chunk)])
        rows = chunk.take(_places(chosen[first:last] - start))
        found.append(rows.dictionary_decode() if pa.types.is_dictionary(rows.type) else rows)
        start += len(chunk)
    return found


def _places(rows: Ints) -> pa.Int64Array:
    # Without pa.array, which would import pandas.
    return pa.Array.from_buffers(pa.int64(), rows.size, [None, pa.py_buffer(rows)])


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """Return a numeric column with NaN for what is missing or not finite; (n,).

    Without ``to_numpy``, which would import pandas.
    """
    found = [_floats(chunk) for chunk in column.chunks]
    return np.concatenate([np.empty(0), *found])


def _floats(array: pa.Array) -> Floats:
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    array = doubles_of(array)
    validity, data = array.buffers()
    end = array.offset + len(array)
    values = np.frombuffer(data, dtype=np.float64, count=end)[array.offset :]
    usable = np.isfinite(values)
    if validity is not None and array.null_count:
        bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little", count=end)
        usable &= bits[array.offset :].astype(bool)
    return np.where(usable, values, np.nan)
