"""Column chunks of Parquet files: decoded one at a time, so that memory does not depend on rows or columns.

A large file is cut into parts, each of some column chunks in the order in which they lie, which may be read one after
another or at once, on several threads. How it is cut depends on the file alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_trainer.storage.base import Span, plan_reads

#: Rows of a column that are decoded at once, …
BATCH_ROWS = 1 << 17
#: … and of texts at most so many bytes, more or less: a row may hold a book.
BATCH_BYTES = 16 * 1024 * 1024
#: Compressed bytes of a part of a file, more or less.
PART_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Part:
    """Some column chunks of a file.

    Attributes
    ----------
    metadata
        The footer of the file.
    chunks
        (row group, column), in the order in which they are read.
    """

    metadata: pq.FileMetaData
    chunks: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Opened:
    """A file, and the first part of it.

    Attributes
    ----------
    schema, rows
        Of the whole file.
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
) -> Opened:
    """Open a file for reading column by column.

    Parameters
    ----------
    file
        Seekable; read by nobody else.
    columns
        Which columns; None is all. Those that are not there are left out.
    head
        How many rows at most; None is all.
    whole
        Whether all of it is one part.
    part
        Which part to read, of those that were found before; None is the first.
    """
    metadata = part.metadata if part else pq.read_metadata(file)
    schema = metadata.schema.to_arrow_schema()
    names = schema.names
    known = frozenset(names)
    present = [name for name in dict.fromkeys(names if columns is None else columns) if name in known]
    refuse_repeated(names, present)
    strings = [name for name in present if is_text(schema.field(name).type)]
    heavy = _heavy(metadata, strings)
    file.seek(0)
    parquet = pq.ParquetFile(
        file,
        metadata=metadata,
        # Arrow's dictionary of a column chunk holds every value that it has met, so not where there may be many.
        read_dictionary=[name for name in strings if name not in heavy],
        pre_buffer=False,
        # Checksums of pages where there are any: a damaged page could pass for values.
        page_checksum_verification=True,
    )
    if part:
        parts = [part]
        plan_reads(file, list(spans_of(metadata, names, part.chunks).values()))
    else:
        groups = _groups(metadata, head)
        chunks = [(group, name) for group in groups for name in present]
        spans = spans_of(metadata, names, chunks)
        parts = _cut(metadata, chunks, spans if not whole else {})
        plan_reads(file, [spans[chunk] for chunk in parts[0].chunks] if spans else [])
    return Opened(schema, metadata.num_rows, _values(parquet, parts[0], head, heavy), tuple(parts[1:]))


def refuse_repeated(names: Sequence[str], wanted: Collection[str]) -> None:
    """Refuse a file with two columns of a name that is wanted: which of them is meant, nobody can say.

    Raises
    ------
    pyarrow.ArrowInvalid
        As whatever else is wrong with a file.
    """
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen and name in wanted:
            raise pa.ArrowInvalid(f"it has more than one column named {name!r}")
        seen.add(name)


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, plain or as a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def spans_of(
    metadata: pq.FileMetaData, names: Sequence[str], chunks: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], Span]:
    """Return where column chunks lie in a file; nothing where columns are nested."""
    if metadata.num_columns != len(names):
        return {}
    places = {name: place for place, name in enumerate(names)}
    found = {}
    groups = {number: metadata.row_group(number) for number in dict.fromkeys(group for group, _ in chunks)}
    for chunk in chunks:
        column = groups[chunk[0]].column(places[chunk[1]])
        start = column.dictionary_page_offset or column.data_page_offset
        found[chunk] = (start, start + column.total_compressed_size)
    return found


def _groups(metadata: pq.FileMetaData, head: int | None) -> list[int]:
    """Return the row groups that have the first `head` rows."""
    if head is None:
        return list(range(metadata.num_row_groups))
    found: list[int] = []
    seen = 0
    for number in range(metadata.num_row_groups):
        if found and seen >= head:
            break
        found.append(number)
        seen += metadata.row_group(number).num_rows
    return found


def _cut(
    metadata: pq.FileMetaData, chunks: Sequence[tuple[int, str]], spans: dict[tuple[int, str], Span]
) -> list[Part]:
    """Return chunks as parts of about PART_BYTES; as one part where nothing is known of where they lie."""
    parts: list[list[tuple[int, str]]] = [[]]
    size = 0
    for chunk in chunks:
        start, end = spans.get(chunk, (0, 0))
        if parts[-1] and size + (end - start) // 2 > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(chunk)
        size += end - start
    return [Part(metadata, tuple(found)) for found in parts]


def _values(
    parquet: pq.ParquetFile, part: Part, head: int | None, heavy: Mapping[str, int]
) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield the values of a part; only the first part of a file has a head."""
    seen, before, rows = 0, -1, 0
    for group, name in part.chunks:
        if group != before:
            seen, before = seen + rows, group
            rows = part.metadata.row_group(group).num_rows
        wanted = rows if head is None else min(rows, head - seen)
        most = heavy.get(name, BATCH_ROWS)
        yield from ((name, values) for values in _read(parquet, group, name, rows, wanted, most))


def _heavy(metadata: pq.FileMetaData, strings: Sequence[str]) -> dict[str, int]:
    """Return columns of texts with a chunk of more than BATCH_BYTES, and how many of its rows are decoded at once."""
    found: dict[str, int] = {}
    if not strings:
        return found
    # By the paths of leaves: beside nested columns the places are not those of the columns.
    places = {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for name in strings:
            size = group.column(places[name]).total_uncompressed_size
            if size > BATCH_BYTES:
                most = max(1, min(BATCH_ROWS, BATCH_BYTES * group.num_rows // size))
                found[name] = min(most, found.get(name, BATCH_ROWS))
    return found


def _read(
    parquet: pq.ParquetFile, group: int, name: str, rows: int, wanted: int, most: int
) -> Iterator[pa.ChunkedArray]:
    """Yield the first `wanted` of the `rows` rows of a column of a row group, at most `most` at once."""
    if rows == wanted <= most:
        yield parquet.read_row_group(group, columns=[name], use_threads=False).column(name)
        return
    # A giant row group must not be decoded at once, nor a whole one where a few rows are wanted.
    batches = parquet.iter_batches(min(wanted, most), row_groups=[group], columns=[name], use_threads=False)
    for batch in batches:
        part = batch.column(name).slice(0, wanted)
        wanted -= len(part)
        yield pa.chunked_array([part], part.type)
        if wanted <= 0:
            return
