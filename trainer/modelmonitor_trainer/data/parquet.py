"""Column chunks of Parquet files, decoded one at a time so that memory does not depend on rows or columns.

A large file is cut into parts, each a run of column chunks in file order. Parts can be read in sequence or in parallel,
by any thread or process. How a file is cut depends on the file alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_trainer.data.arrow_types import is_text
from modelmonitor_trainer.storage.base import Span, plan_reads

#: Largest number of rows of a column that are decoded at once, …
BATCH_ROWS = 1 << 17
#: … and of text about so many bytes, because a single value can be large.
BATCH_BYTES = 16 * 1024 * 1024
#: Approximate compressed bytes of a part of a file.
PART_BYTES = 32 * 1024 * 1024
#: Row groups that a sample is drawn from at least, where there are as many.
SAMPLE_GROUPS = 8


@dataclass(frozen=True)
class Part:
    """Some column chunks of a file.

    Attributes
    ----------
    chunks
        (row group, column), in the order in which they are read.
    footer
        Metadata of the file, so that threads need not read it again. It is not pickled: another process reads it from
        the file.
    """

    chunks: tuple[tuple[int, str], ...]
    footer: pq.FileMetaData | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the part without the footer, which for wide data can be larger than all else that is sent."""
        return Part, (self.chunks,)


@dataclass(frozen=True)
class Opened:
    """A file, and the first part of it.

    Attributes
    ----------
    schema
        Schema of the file.
    rows
        Rows of the file; of a sample, rows of the row groups that are read.
    values
        (column, values) of the first part, some rows of a column at a time.
    others
        The other parts.
    """

    schema: pa.Schema
    rows: int
    values: Iterator[tuple[str, pa.ChunkedArray]]
    others: tuple[Part, ...] = ()


def open_file(
    file: BinaryIO,
    columns: Sequence[str] | None,
    head: int | None = None,
    *,
    whole: bool = True,
    part: Part | None = None,
    sample: int | None = None,
) -> Opened:
    """Open a file for reading column by column.

    Parameters
    ----------
    file
        Seekable and not shared.
    columns
        Columns to read; None for all. Those that the file lacks are left out.
    head
        Read at most this many rows.
    whole
        Whether to read the file as a single part.
    part
        Part to read, from the `others` of an earlier call; None for the first.
    sample
        Read only as many row groups, spread over the file, as a sample of this many rows needs.
    """
    metadata = part.footer if part and part.footer else pq.read_metadata(file)
    schema = metadata.schema.to_arrow_schema()
    names = schema.names
    known = frozenset(names)
    present = [name for name in dict.fromkeys(names if columns is None else columns) if name in known]
    refuse_repeated(names, present)
    strings = [name for name in present if is_text(kind := schema.field(name).type) or _is_variable_bytes(kind)]
    heavy = _heavy(metadata, strings)
    file.seek(0)
    parquet = pq.ParquetFile(
        file,
        metadata=metadata,
        # Arrow's dictionary of a column chunk holds every value seen so far: not for columns with many large values.
        read_dictionary=[name for name in strings if name not in heavy],
        pre_buffer=False,
        # Verify page checksums if there are any: a corrupted page can decode to plausible values.
        page_checksum_verification=True,
    )
    if part:
        parts = [part]
        plan_reads(file, list(spans_of(metadata, names, part.chunks).values()))
    else:
        groups = _head_groups(metadata, head) if sample is None else _sampled_groups(metadata, sample)
        chunks = [(group, name) for group in groups for name in present]
        spans = spans_of(metadata, names, chunks)
        parts = _cut(metadata, chunks, spans if not whole else {})
        plan_reads(file, [spans[chunk] for chunk in parts[0].chunks] if spans else [])
    rows = metadata.num_rows if sample is None else sum(metadata.row_group(group).num_rows for group in groups)
    return Opened(schema, rows, _values(parquet, parts[0], head, heavy), tuple(parts[1:]))


def refuse_repeated(names: Sequence[str], wanted: Collection[str]) -> None:
    """Refuse a file in which a wanted column name is ambiguous.

    Raises
    ------
    pyarrow.ArrowInvalid
        If two columns have that name.
    """
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen and name in wanted:
            raise pa.ArrowInvalid(f"it has more than one column named {name!r}")
        seen.add(name)


def pandas_index(schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns that pandas wrote as the index of its rows, according to the metadata of a file."""
    try:
        described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        names = [name for name in described.get("index_columns", []) if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError):
        return ()
    # With an index of several levels, the metadata have the names of the columns of the file.
    return tuple(name for name in names if name in schema.names)


def spans_of(
    metadata: pq.FileMetaData, names: Sequence[str], chunks: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], Span]:
    """Return the byte range of each column chunk; none if the file has nested columns."""
    if metadata.num_columns != len(names):
        return {}
    indices = {name: index for index, name in enumerate(names)}
    spans = {}
    groups = {number: metadata.row_group(number) for number in dict.fromkeys(group for group, _ in chunks)}
    for chunk in chunks:
        column = groups[chunk[0]].column(indices[chunk[1]])
        start = column.dictionary_page_offset or column.data_page_offset
        spans[chunk] = (start, start + column.total_compressed_size)
    return spans


def _is_variable_bytes(kind: pa.DataType) -> bool:
    """Whether a type is bytes of any length, which are read as text is."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _head_groups(metadata: pq.FileMetaData, head: int | None) -> list[int]:
    """Return the row groups that hold the first `head` rows."""
    if head is None:
        return list(range(metadata.num_row_groups))
    groups: list[int] = []
    seen = 0
    for number in range(metadata.num_row_groups):
        if groups and seen >= head:
            break
        groups.append(number)
        seen += metadata.row_group(number).num_rows
    return groups


def _sampled_groups(metadata: pq.FileMetaData, sample: int) -> list[int]:
    """Return row groups spread evenly over the rows of a file, enough for a sample of so many rows.

    A row group cannot be decoded from its middle on, so what is saved are whole row groups.
    """
    sizes = np.array([metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)], dtype=np.int64)
    rows = int(sizes.sum())
    count = max(SAMPLE_GROUPS, -(-sample * sizes.size // max(1, rows)))
    if rows <= sample or sizes.size <= count:
        return list(range(sizes.size))
    middles = (2 * np.arange(count) + 1) * rows // (2 * count)
    groups: list[int] = np.unique(np.searchsorted(np.cumsum(sizes), middles, side="right")).tolist()
    return groups


def _cut(
    metadata: pq.FileMetaData, chunks: Sequence[tuple[int, str]], spans: dict[tuple[int, str], Span]
) -> list[Part]:
    """Return chunks as parts of about PART_BYTES; as one part if their byte ranges are unknown."""
    parts: list[list[tuple[int, str]]] = [[]]
    size = 0
    for chunk in chunks:
        start, end = spans.get(chunk, (0, 0))
        if parts[-1] and size + (end - start) // 2 > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(chunk)
        size += end - start
    return [Part(tuple(part), metadata) for part in parts]


def _values(
    parquet: pq.ParquetFile, part: Part, head: int | None, heavy: Mapping[str, int]
) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield the values of a part; `head` applies to the first part only."""
    seen, before, rows = 0, -1, 0
    for group, name in part.chunks:
        if group != before:
            seen, before = seen + rows, group
            rows = parquet.metadata.row_group(group).num_rows
        wanted = rows if head is None else min(rows, head - seen)
        limit = heavy.get(name, BATCH_ROWS)
        yield from ((name, values) for values in _read(parquet, group, name, rows, wanted, limit))


def _heavy(metadata: pq.FileMetaData, strings: Sequence[str]) -> dict[str, int]:
    """Return text columns with a chunk of more than BATCH_BYTES, and how many of its rows are decoded at once."""
    heavy: dict[str, int] = {}
    if not strings:
        return heavy
    # By the paths of leaves: nested columns shift the indices of the columns after them.
    indices = {metadata.schema.column(index).path: index for index in range(metadata.num_columns)}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for name in strings:
            size = group.column(indices[name]).total_uncompressed_size
            if size > BATCH_BYTES:
                limit = max(1, min(BATCH_ROWS, BATCH_BYTES * group.num_rows // size))
                heavy[name] = min(limit, heavy.get(name, BATCH_ROWS))
    return heavy


def _read(
    parquet: pq.ParquetFile, group: int, name: str, rows: int, wanted: int, limit: int
) -> Iterator[pa.ChunkedArray]:
    """Yield the first `wanted` of the `rows` rows of a column chunk, at most `limit` at once."""
    if rows == wanted <= limit:
        yield parquet.read_row_group(group, columns=[name], use_threads=False).column(name)
        return
    # Neither decode a giant row group at once, nor a whole one if a few rows are wanted.
    batches = parquet.iter_batches(min(wanted, limit), row_groups=[group], columns=[name], use_threads=False)
    for batch in batches:
        part = batch.column(name).slice(0, wanted)
        wanted -= len(part)
        yield pa.chunked_array([part], part.type)
        if wanted <= 0:
            return
