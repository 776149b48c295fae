"""JSON Lines block by block, so that memory does not depend on the size of an object.

The types of the first block are tried on all others. Where fields appear or change later, Arrow infers them from the
object as a whole. A field that is text in some rows and a number or a truth value in others is text in all of them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.json

from modelmonitor_trainer.data import text_blocks
from modelmonitor_trainer.data.text_blocks import Batches, Opened, TextSource, count_rows, first_rows, values_of

#: Largest JSON object that is read as a whole because its fields change after the first block.
WHOLE_BYTES = 256 * 1024 * 1024

_FIRST_NULL = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*null\b")
_NULL_LINES = re.compile(rb"^[ \t\r]*null\b", re.MULTILINE)

#: Arrow names the field as a JSON pointer.
_CHANGED = re.compile(r"Column\(/(.+)\) changed from (\w+) to (\w+)")
_SCALARS = {"string", "number", "boolean"}

_Inferred = tuple[pa.Schema, Batches, int, pa.RecordBatch | None]


@dataclass(frozen=True)
class _Rows:
    """The rows of an object, with some fields as text."""

    source: TextSource
    as_text: frozenset[str] = frozenset()

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of whole lines."""
        for block in blocks_of(self.source):
            yield b"\n".join(_with_text(line, self.as_text) for line in block.splitlines()) if self.as_text else block


def open_json(source: TextSource, columns: Sequence[str] | None, text: Collection[str], head: int | None) -> Opened:
    """Open a JSON Lines object; the parameters are those of :func:`.csv_jsonl.open_text`."""
    rows = _Rows(source)
    while True:
        try:
            schema, batches, count, only = _infer_json(rows, columns, text, head)
        except pa.ArrowInvalid as error:
            rows = _Rows(source, rows.as_text | {_field_of_several_types(error, rows.as_text)})
            continue
        whole = iter([only]) if only is not None else source.with_progress(batches, second_pass=True)
        return Opened(schema, count, values_of(whole, schema.names))


def _field_of_several_types(error: pa.ArrowInvalid, known: frozenset[str]) -> str:
    """Return the field that has scalars of several types, according to an error of Arrow.

    Raises
    ------
    ArrowInvalid
        For any other error; with a sentence if a field is an object or a list in some rows only.
    """
    change = _CHANGED.search(str(error))
    if change is None:
        raise error
    name, *kinds = change.groups()
    if not {*kinds} <= _SCALARS or "/" in name or name in known:
        raise pa.ArrowInvalid(
            f"the type of {name!r} is {kinds[0]} in some rows and {kinds[1]} in others; write one of them"
        ) from error
    return name


def _with_text(line: bytes, names: frozenset[str]) -> bytes:
    """Return a row with scalars of some fields as text; a line that is no row is unchanged, and Arrow reports it."""
    try:
        row = json.loads(line)
    except ValueError:
        return line
    if not isinstance(row, dict):
        return line
    for name in names & row.keys():
        if isinstance(row[name], bool | int | float):
            row[name] = json.dumps(row[name])
    return json.dumps(row).encode()


def _infer_json(rows: _Rows, columns: Sequence[str] | None, text: Collection[str], head: int | None) -> _Inferred:
    source = rows.source
    start, _ = source.head()
    if start.lstrip()[:1] == b"[":
        raise pa.ArrowInvalid("it is a JSON array; write one object per line")
    # Arrow takes text that looks like a time for one.
    schema = pa.schema(
        [
            (field.name, pa.string() if field.name in text and pa.types.is_timestamp(field.type) else field.type)
            for field in _first_schema(rows)
        ]
    )
    for whole_numbers in (pa.int64(), pa.float64()):
        typed = pa.schema(
            [(field.name, whole_numbers if pa.types.is_integer(field.type) else field.type) for field in schema]
        )
        batches = _json_batches(rows, typed, columns, head)
        try:
            count, only = count_rows(source.with_progress(batches))
        except pa.ArrowInvalid:
            continue
        return _select_fields(typed, columns), batches, count, only
    # Fields appear or change after the first block: Arrow infers them only for an object as a whole.
    source.require_at_most(WHOLE_BYTES, "its fields change after the first rows, and it is too large to read at once")
    data = _NULL_LINES.sub(b"{}", b"".join(rows.blocks()))
    table = pyarrow.json.read_json(
        pa.BufferReader(data), read_options=pyarrow.json.ReadOptions(block_size=text_blocks.BLOCK_BYTES)
    )
    selected = _select_fields(table.schema, columns)
    parts = table.select(selected.names).slice(0, head).to_batches()
    return selected, lambda: iter(parts), sum(part.num_rows for part in parts), None


def _json_batches(rows: _Rows, schema: pa.Schema, columns: Sequence[str] | None, head: int | None) -> Batches:
    def batches() -> Iterator[pa.RecordBatch]:
        names = _select_fields(schema, columns).names
        return first_rows((batch.select(names) for batch in _json(rows, schema)), head)

    return batches


def _first_schema(rows: _Rows) -> pa.Schema:
    """Return the columns and types of the first block."""
    for table in _tables(rows, None):
        return table.schema
    raise pa.ArrowInvalid("it is empty")


def _json(rows: _Rows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for table in _tables(rows, schema):
        yield from table.combine_chunks().to_batches()


def _tables(rows: _Rows, schema: pa.Schema | None) -> Iterator[pa.Table]:
    """Yield the rows of each block.

    Blocks are parsed one by one. The streaming reader of Arrow would read ahead in the background, and its threads have
    crashed Python when a reader was abandoned.
    """
    options = pyarrow.json.ParseOptions(
        explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "error"
    )
    for block in rows.blocks():
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
