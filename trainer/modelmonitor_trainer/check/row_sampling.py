"""Random samples of whole rows, for relationships between columns.

Rows are drawn without replacement from the whole of every object, in proportion to its number of rows: the head of a
sorted object is not representative. Only the sampled rows are kept in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.arrays import Floats, Ints
from modelmonitor_trainer.data.tables import scan
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.arrow_values import doubles_of
from modelmonitor_trainer.profile.window import Batch
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_SEED = 20130101


def sample_batches(
    store: Store,
    batches: Sequence[tuple[Batch, int]],
    columns: Sequence[str],
    fmt: DataFormat,
    limit: int,
    *,
    text: Collection[str] = (),
) -> Iterator[pa.Table]:
    """Yield the sampled rows of each batch, in their order.

    Parameters
    ----------
    store, columns, fmt, text
        What to read, and how.
    batches
        Each with its number of rows.
    limit
        Maximum number of rows of all batches together.

    Raises
    ------
    BadData
        If an object cannot be read.
    """
    total = sum(rows for _, rows in batches)
    share = min(1.0, limit / max(1, total))
    generator = np.random.default_rng(_SEED)
    for batch, _ in batches:
        with store.ahead(batch.objects):
            tables = [_sample(store, info, columns, fmt, share, generator, text) for info in batch.objects]
        try:
            yield pa.concat_tables(tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadData(f"the objects of {batch.name} have columns of different types: {error}") from error


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
        parts: dict[str, list[pa.Array]] = {name: [] for name in columns}
        position = dict.fromkeys(columns, 0)
        for name, chunk in opened.chunks:
            start = position[name]
            position[name] += len(chunk)
            parts[name] += _take(chunk, chosen, start)
    arrays = {name: pa.chunked_array(chunks) if chunks else pa.nulls(chosen.size) for name, chunks in parts.items()}
    return pa.table(arrays)


def _take(part: pa.ChunkedArray, chosen: Ints, start: int) -> list[pa.Array]:
    """Return the chosen rows of a part that begins at row `start`, with dictionaries decoded."""
    arrays = []
    for chunk in part.chunks:
        first, last = np.searchsorted(chosen, [start, start + len(chunk)])
        rows = chunk.take(_indices(chosen[first:last] - start))
        arrays.append(rows.dictionary_decode() if pa.types.is_dictionary(rows.type) else rows)
        start += len(chunk)
    return arrays


def _indices(rows: Ints) -> pa.Int64Array:
    # pa.array would import pandas.
    return pa.Array.from_buffers(pa.int64(), rows.size, [None, pa.py_buffer(rows)])


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """Return a numeric column with NaN for missing and infinite values; (n,).

    ``to_numpy`` would import pandas.
    """
    arrays = [_floats(chunk) for chunk in column.chunks]
    return np.concatenate([np.empty(0), *arrays])


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
