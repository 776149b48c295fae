"""CSV and JSON Lines objects, opened for reading block by block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import BinaryIO

import pyarrow as pa

from modelmonitor_api.spec import CSVOptions, DataFormat
from modelmonitor_trainer.data.csv_blocks import CsvReader
from modelmonitor_trainer.data.csv_dialect import recognize
from modelmonitor_trainer.data.decimal_marks import Marks
from modelmonitor_trainer.data.json_blocks import open_json
from modelmonitor_trainer.data.text_blocks import Opened, TextSource
from modelmonitor_trainer.progress import ProgressCallback, no_progress


def open_text(
    opener: Callable[[], BinaryIO],
    uri: str,
    columns: Sequence[str] | None,
    fmt: DataFormat,
    text: Collection[str],
    head: int | None = None,
    *,
    options: CSVOptions | None = None,
    size: int = 0,
    progress: ProgressCallback = no_progress,
    marks: Marks | None = None,
) -> Opened:
    """Open a text object for reading block by block; an object of several blocks is read twice.

    Parameters
    ----------
    opener, uri
        Opens the object; a name that ends in .gz is decompressed.
    columns
        Columns to read; None for all. Those that the object lacks are left out.
    fmt
        CSV or JSON Lines.
    text
        Columns to read as text even if they look like numbers ("007") or times.
    head
        Read at most this many rows.
    options
        What is declared of CSV objects.
    marks
        Decimal marks that were decided from all objects, of columns that do not show theirs.
    size, progress
        Bytes of the object, and the callback for how many have been processed; the first of two passes is half.
    """
    source = TextSource(opener, gzipped=uri.endswith(".gz"), size=size, progress=progress)
    if _is_empty(source):
        return Opened(pa.schema([]), 0, iter(()))
    if fmt is DataFormat.CSV:
        return CsvReader(source, columns, text, head, options or CSVOptions(), marks or {}).opened()
    return open_json(source, columns, text, head)


def csv_header(opener: Callable[[], BinaryIO], uri: str, options: CSVOptions) -> list[str]:
    """Return the names of the columns of a CSV object, repeated ones too."""
    source = TextSource(opener, gzipped=uri.endswith(".gz"), size=0, progress=no_progress)
    if _is_empty(source):
        return []
    data, whole = source.head()
    return list(recognize(data, options, None, whole=whole).names)


def _is_empty(source: TextSource) -> bool:
    """Return whether an object has no text, as the parts that Spark writes of partitions without rows."""
    data, whole = source.head()
    return whole and not data.strip(b"\r\n \t\xef\xbb\xbf")
