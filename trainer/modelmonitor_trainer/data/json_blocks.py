"""JSON Lines block by block, so that memory does not depend on the size of an object.

The types of the first block are tried on all others. Where fields appear or change later, Arrow infers them from the
object as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.json

from modelmonitor_trainer.data import text_blocks
from modelmonitor_trainer.data.text_blocks import Batches, Opened, TextSource, count_rows, first_rows, values_of

#: Largest JSON object that is read as a whole because its fields change after the first block.
WHOLE_BYTES = 256 * 1024 * 1024

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
            for field in _json(source, None).schema
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
        return _selected(typed, columns), batches, rows, only
    # Fields appear or change after the first block: Arrow infers them only for an object as a whole.
    source.require_at_most(WHOLE_BYTES, "its fields change after the first rows, and it is too large to read at once")
    table = pyarrow.json.read_json(
        source.stream(), read_options=pyarrow.json.ReadOptions(block_size=text_blocks.BLOCK_BYTES)
    )
    selected = _selected(table.schema, columns)
    parts = table.select(selected.names).slice(0, head).to_batches()
    return selected, lambda: iter(parts), sum(part.num_rows for part in parts), None


def _json_batches(source: TextSource, schema: pa.Schema, columns: Sequence[str] | None, head: int | None) -> Batches:
    def batches() -> Iterator[pa.RecordBatch]:
        names = _selected(schema, columns).names
        return first_rows((batch.select(names) for batch in _json(source, schema)), head)

    return batches


def _json(source: TextSource, schema: pa.Schema | None) -> pyarrow.json.JSONStreamingReader:
    return pyarrow.json.open_json(
        source.stream(),
        read_options=pyarrow.json.ReadOptions(block_size=text_blocks.BLOCK_BYTES, use_threads=False),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "error"
        ),
    )


def _selected(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    return pa.schema([schema.field(name) for name in dict.fromkeys(columns) if name in schema.names])
