"""Row samples of objects, drawn from all of their rows, all columns of a row together.

The head of a sorted object is not representative, so rows are drawn from everywhere. Only the drawn rows are kept in
memory. The draw depends on the number of rows alone, so every process draws the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_trainer.arrays import Ints
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.tables import Scan, scan
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_SEED = 20130101


def sample_batches(
    store: Store,
    batches: Sequence[tuple[Batch, int]],
    columns: Sequence[str],
    fmt: AnyFormat,
    limit: int,
    *,
    text: Collection[str] = (),
) -> Iterator[pa.Table]:
    """Yield the sampled rows of each batch, in order.

    Rows are drawn at random without replacement, from every object in proportion to its rows.

    Parameters
    ----------
    store, columns, fmt, text
        As in :func:`~modelmonitor_trainer.data.tables.scan`.
    batches
        Each with its number of rows.
    limit
        Number of rows to draw from all batches together.

    Raises
    ------
    BadData
        If an object cannot be decoded, or a column has incompatible types in two objects of a batch.
    """
    total = sum(rows for _, rows in batches)
    share = min(1.0, limit / max(1, total))
    generator = np.random.default_rng(_SEED)
    for batch, _ in batches:
        tables = []
        with store.ahead(batch.objects):
            for info in batch.objects:
                with scan(store, info, columns, fmt, text=text) as opened:
                    chosen = np.sort(generator.choice(opened.rows, round(share * opened.rows), replace=False))
                    tables.append(take_rows(opened, columns, chosen))
        try:
            yield pa.concat_tables(tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadData(f"the objects of {batch.name} have columns of different types: {error}") from error


def sample_object(
    store: Store, info: ObjectInfo, columns: Sequence[str], fmt: AnyFormat, limit: int
) -> dict[str, pa.ChunkedArray]:
    """Return at most `limit` rows of an object, spread over all of it.

    Of a Parquet object with many row groups only some are decoded, spread over the object. Columns that the object
    lacks are NULL.

    Raises
    ------
    BadData
        If the object cannot be read.
    """
    with scan(store, info, columns, fmt, sample=limit) as opened:
        table = take_rows(opened, columns, spread_rows(opened.rows, limit))
    return {name: table.column(name) for name in columns}


def spread_rows(rows: int, limit: int) -> Ints:
    """Return the sorted indices of `limit` of so many rows: a random one from each of `limit` equal runs.

    Equal steps would miss whole groups of rows where these alternate, for example hours or shops.
    """
    if rows <= limit:
        return np.arange(rows)
    bounds = np.arange(limit + 1) * rows // limit
    offsets = np.random.default_rng(_SEED).random(limit) * np.diff(bounds)
    indices: Ints = bounds[:-1] + offsets.astype(np.int64)
    return indices


def take_rows(opened: Scan, columns: Sequence[str], chosen: Ints) -> pa.Table:
    """Return the chosen rows of an open object, dictionaries decoded; columns that it lacks are NULL.

    Parameters
    ----------
    opened
        The object.
    columns
        Columns of the result.
    chosen : (n,)
        Sorted row indices.
    """
    arrays: dict[str, list[pa.Array]] = {name: [] for name in columns}
    starts = dict.fromkeys(columns, 0)
    for name, values in opened.chunks:
        for chunk in values.chunks:
            start, end = starts[name], starts[name] + len(chunk)
            first, last = np.searchsorted(chosen, [start, end])
            taken = chunk.take(_int64_array(chosen[first:last] - start))
            arrays[name].append(taken.dictionary_decode() if pa.types.is_dictionary(taken.type) else taken)
            starts[name] = end
    return pa.table(
        {name: pa.chunked_array(parts) if parts else pa.nulls(chosen.size) for name, parts in arrays.items()}
    )


def _int64_array(indices: Ints) -> pa.Int64Array:
    # Without pa.array, which would import pandas.
    return pa.Array.from_buffers(pa.int64(), indices.size, [None, pa.py_buffer(indices)])
