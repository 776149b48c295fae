"""Text objects block by block: what the readers of CSV and of JSON Lines share."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa

from modelmonitor_trainer.data.arrow_types import is_text
from modelmonitor_trainer.data.csv_dialect import HEAD_BYTES
from modelmonitor_trainer.progress import ProgressCallback

#: Bytes that are decoded at once; no line may be longer.
BLOCK_BYTES = 8 * 1024 * 1024

Batches = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Opened:
    """A text object whose column types are known.

    Attributes
    ----------
    schema
        The requested columns that the object has.
    rows
        Number of rows; of a head, number of rows read.
    values
        (column, values) block by block.
    recognized
        What was recognized of how it is written, unless it is usual.
    remarks
        Column → remarks on how its values are written (:mod:`~modelmonitor_trainer.data.remarks`).
    """

    schema: pa.Schema
    rows: int
    values: Iterator[tuple[str, pa.ChunkedArray]]
    recognized: tuple[str, ...] = ()
    remarks: Mapping[str, frozenset[str]] = field(default_factory=dict)


class TextSource:
    """An object that can be read from the start more than once.

    Every reader has its own file: Arrow reads ahead in the background even for an abandoned reader, and closes the file
    when it frees the stream.
    """

    def __init__(self, opener: Callable[[], BinaryIO], *, gzipped: bool, size: int, progress: ProgressCallback) -> None:
        self._opener, self._gzipped, self._size, self._progress = opener, gzipped, size, progress
        self._newest: BinaryIO | None = None
        self._unread: BinaryIO | None = None

    def head(self) -> tuple[bytes, bool]:
        """Return the first bytes of the object, decompressed, and whether that is all of it."""
        file = self._opener()
        data = file.read(HEAD_BYTES + 1)
        whole = len(data) <= HEAD_BYTES
        self._gzipped |= data.startswith(b"\x1f\x8b")
        if self._gzipped:
            decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                data = decompressor.decompress(data, HEAD_BYTES + 1)
            except zlib.error as error:
                raise pa.ArrowInvalid(f"it is not gzip: {error}") from error
            whole &= decompressor.eof and len(data) <= HEAD_BYTES
        file.seek(0)
        self._unread = file
        return data[:HEAD_BYTES], whole

    def stream(self) -> BinaryIO | pa.CompressedInputStream:
        """Return a decompressed stream from the start of the object."""
        file = self._newest = self._unread or self._opener()
        self._unread = None
        return pa.CompressedInputStream(file, "gzip") if self._gzipped else file

    def not_utf8(self) -> bytes:
        """Return bytes around the first ones that are not UTF-8; none if all are."""
        stream, decoder, before = self.stream(), codecs.getincrementaldecoder("utf-8")(), b""
        while data := stream.read(BLOCK_BYTES):
            try:
                decoder.decode(data)
            except UnicodeDecodeError as error:
                at = max(0, len(before) + error.start - HEAD_BYTES // 2)
                return (before + data)[at : at + HEAD_BYTES]
            before = data[-HEAD_BYTES:]
        return b""

    def with_progress(self, batches: Batches, *, second_pass: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield batches and report the progress of this pass of two."""
        for batch in batches():
            file = self._newest
            if file is not None:
                # Arrow closes a file that it has read to its end.
                read = self._size if file.closed else file.tell()
                self._progress((self._size * second_pass + read) // 2)
            yield batch

    def require_at_most(self, size: int, why: str) -> None:
        """Raise an error with the text `why` if the stream has more than `size` bytes."""
        stream = self.stream()
        while size >= 0:
            read = len(stream.read(BLOCK_BYTES))
            if not read:
                return
            size -= read
        raise pa.ArrowInvalid(why)


def first_rows(batches: Iterable[pa.RecordBatch], head: int | None) -> Iterator[pa.RecordBatch]:
    """Yield the batches of the first `head` rows; None for all."""
    for batch in batches:
        part = batch if head is None else batch.slice(0, head)
        yield part
        if head is not None:
            head -= part.num_rows
            if head <= 0:
                return


def count_rows(batches: Iterator[pa.RecordBatch]) -> tuple[int, pa.RecordBatch | None]:
    """Return the number of rows, and the batch if there is only one."""
    rows = number = 0
    first = None
    for batch in batches:
        rows, number = rows + batch.num_rows, number + 1
        first = batch if number == 1 else None
    return rows, first


def values_of(batches: Iterator[pa.RecordBatch], names: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield (column, values) of batches, text dictionary-encoded."""
    for batch in batches:
        for index, name in enumerate(names):
            column = batch.column(index)
            array = column.dictionary_encode() if is_text(column.type) else column
            yield name, pa.chunked_array([array], array.type)
