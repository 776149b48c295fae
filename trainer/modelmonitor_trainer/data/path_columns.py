"""Columns that are not in an object but in its path: ``key=value`` folders, as Hive and Spark write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from modelmonitor_trainer.data.object_names import folder_keys

#: Rows of a chunk, as of a chunk of a Parquet column.
_CHUNK_ROWS = 1 << 17


def path_columns(
    uri: str, columns: Sequence[str] | None, present: Collection[str], text: Collection[str]
) -> dict[str, pa.Scalar]:
    """Return the wanted columns that an object lacks and its path has; a column of the object itself goes first.

    Parameters
    ----------
    uri
        The object.
    columns
        Columns to read; None for those of the object only.
    present
        Columns of the object.
    text
        Columns to return as text. Others are float64 if the value is a number.
    """
    missing = [name for name in dict.fromkeys(columns or ()) if name not in present]
    keys = folder_keys(uri) if missing else {}
    return {name: _scalar(keys[name], as_text=name in text) for name in missing if name in keys}


def _scalar(value: str | None, *, as_text: bool) -> pa.Scalar:
    if value is None:
        return pa.scalar(None, pa.string() if as_text else pa.null())
    try:
        return pa.scalar(value, pa.string()) if as_text else pa.scalar(float(value), pa.float64())
    except ValueError:
        return pa.scalar(value, pa.string())


def repeated(name: str, value: pa.Scalar, rows: int) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield a column of one value in chunks, text dictionary-encoded, as :attr:`.tables.Scan.chunks`."""
    for start in range(0, rows, _CHUNK_ROWS):
        array = pa.repeat(value, min(_CHUNK_ROWS, rows - start))
        if pa.types.is_string(value.type):
            array = array.dictionary_encode()
        yield name, pa.chunked_array([array], array.type)
