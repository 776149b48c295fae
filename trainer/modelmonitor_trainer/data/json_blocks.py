"""JSON Lines block by block, so that memory does not depend on the size of an object.

The types of the first block are tried on all others. Where fields appear or change later, Arrow infers them from the
object as a whole.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.json

from modelmonitor_trainer.data import text_blocks
from modelmonitor_trainer.data.text_blocks import Batches, Opened, TextSource, count_rows, first_rows, values_of

#: Largest JSON object that is read as a whole because its fields change after the first block.
WHOLE_BYTES = 256 * 1024 * 1024

_FIRST_NULL = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*null\b")
_NULL_LINES = re.compile(rb"^[ \t\r]*null\b", re.MULTILINE)

_Inferred = tuple[pa.Schema, Batches, int, pa.RecordBatch | None]


def open_json(source: TextSource, columns: Sequence[str] | None, text: Collection[str], head: int | None) -> Opened:
    """Open a JSON Lines object; the parameters are those of :func:`.csv_jsonl.open_text`."""
    schema, batches, rows, only = _infer_json(source, columns, text, head)
    whole = iter([only]) if only is not None else source.with_progress(batches, second_pass=True)
    return Opened(schema, rows, values_of(whole, schema.names))


def _infer_json(
    source: TextSource, columns: Sequence[str] | None, text: Collection[str], head: int | None
) -> _Inferred:
    start, _ = source.head()
    if start.lstrip()[:1] == b"[":
        raise pa.ArrowInvalid("it is a JSON array; write one object per line")
    # Arrow takes text that looks like a time for one.
    schema = pa.schema(
        [
            (field.name, pa.string() if field.name in text and pa.types.is_timestamp(field.type) else field.type)
            for field in _first_schema(source)
        ]
    )
    for whole_numbers in (pa.int64(), pa.float64()):
        typed = pa.schema(
            [(field.name, whole_numbers if pa.types.is_integer(field.type) else field.type) for field in schema]
        )
        batches = _json_batches(source, typed, columns, head)
        try:
            rows, only = count_rows(source.with_progress(batches))
        except pa.ArrowInvalid:
            continue
        return _select_fields(typed, columns), batches, rows, only
    # Fields appear or change after the first block: Arrow infers them only for an object as a whole.
    source.require_at_most(WHOLE_BYTES, "its fields change after the first rows, and it is too large to read at once")
    data = _NULL_LINES.sub(b"{}", b"".join(blocks_of(source)))
    table = pyarrow.json.read_json(
        pa.BufferReader(data), read_options=pyarrow.json.ReadOptions(block_size=text_blocks.BLOCK_BYTES)
    )
    selected = _select_fields(table.schema, columns)
    parts = table.select(selected.names).slice(0, head).to_batches()
    return selected, lambda: iter(parts), sum(part.num_rows for part in parts), None


def _json_batches(source: TextSource, schema: pa.Schema, columns: Sequence[str] | None, head: int | None) -> Batches:
    def batches() -> Iterator[pa.RecordBatch]:
        names = _select_fields(schema, columns).names
        return first_rows((batch.select(names) for batch in _json(source, schema)), head)

    return batches


def _first_schema(source: TextSource) -> pa.Schema:
    """Return the columns and types of the first block."""
    for table in _tables(source, None):
        return table.schema
    raise pa.ArrowInvalid("it is empty")


def _json(source: TextSource, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for table in _tables(source, schema):
        yield from table.combine_chunks().to_batches()


def _tables(source: TextSource, schema: pa.Schema | None) -> Iterator[pa.Table]:
    """Yield the rows of each block.

    Blocks are parsed one by one. The streaming reader of Arrow would read ahead in the background, and its threads have
    crashed Python when a reader was abandoned.
    """
    options = pyarrow.json.ParseOptions(
        explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "error"
    )
    for block in blocks_of(source):
        # One block of Arrow for one of ours, so that types cannot differ within it.
        read = pyarrow.json.ReadOptions(block_size=len(block) + 1, use_threads=False)
        yield pyarrow.json.read_json(pa.BufferReader(block), read_options=read, parse_options=options)


def blocks_of(source: TextSource) -> Iterator[bytes]:
    """Yield the object in blocks of whole lines, without those that are blank.

    A row that is null becomes one without fields, if it is the first: Arrow crashes Python on such a block.
    """
    with contextlib.closing(source.stream()) as stream:
        rest = b""
        while data := stream.read(text_blocks.BLOCK_BYTES):
            end = data.rfind(b"\n") + 1
            if not end and len(rest) + len(data) > text_blocks.BLOCK_BYTES:
                raise pa.ArrowInvalid(f"a line is longer than {text_blocks.BLOCK_BYTES / 2**20:.0f} MiB")
            block, rest = (rest + data[:end], data[end:]) if end else (b"", rest + data)
            if block.strip():
                yield _FIRST_NULL.sub(b"{}", block)
        if rest.strip():
            yield _FIRST_NULL.sub(b"{}", rest)


def _select_fields(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    return pa.schema([schema.field(name) for name in dict.fromkeys(columns) if name in schema.names])
