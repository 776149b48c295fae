"""Tables of several objects in one form: text, doubles and integers, whatever types the objects have."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa

from modelmonitor_trainer.data.arrow_floats import doubles_of
from modelmonitor_trainer.data.arrow_types import is_bytes, is_number, is_text, plain_type
from modelmonitor_trainer.data.canonical import canonical
from modelmonitor_trainer.data.text_numbers import are_numbers, numbers_of
from modelmonitor_trainer.errors import BadData


def plain_table(table: pa.Table, text: Collection[str]) -> pa.Table:
    """Return `table` in canonical form and without metadata, so that tables of several objects agree."""
    names = table.column_names
    return pa.table({name: plain_column(table.column(name), text=name in text) for name in names})


def plain_column(column: pa.ChunkedArray, *, text: bool) -> pa.ChunkedArray:
    """Return a column in canonical form: text if it is declared as that, fractions as doubles, no dictionaries."""
    kind = plain_type(column.type)
    if pa.types.is_null(kind) or pa.types.is_nested(kind):
        return column
    if text or is_bytes(kind):
        return canonical(column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(kind):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return pa.chunked_array([doubles_of(chunk) for chunk in column.chunks], pa.float64())
    return column


def join_chunks(parts: Sequence[pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    """Return the chunks of a column, without dictionaries, as one column; of type `kind` if there are none."""
    decoded = [part.dictionary_decode() if pa.types.is_dictionary(part.type) else part for part in parts]
    return pa.chunked_array(decoded, decoded[0].type if decoded else kind)


def concatenate(whole: pa.Table, part: pa.Table, uri: str) -> pa.Table:
    """Return the rows of both tables.

    Raises
    ------
    BadData
        If a column has incompatible types; the message names `uri`, the object of `part`.
    """
    for name in whole.column_names:
        # Arrow unifies numbers of all widths, but not truth values or numbers in text with numbers.
        kinds = {table.schema.field(name).type for table in (whole, part)}
        if pa.bool_() in kinds and any(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
            whole, part = (_with_integers(table, name) for table in (whole, part))
        elif any(map(is_text, kinds)) and any(map(is_number, kinds)):
            whole, part = (_with_numbers(table, name) for table in (whole, part))
    try:
        return pa.concat_tables([whole, part], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        for name in whole.column_names:
            before, here = whole.schema.field(name).type, part.schema.field(name).type
            try:
                pa.unify_schemas([pa.schema([(name, before)]), pa.schema([(name, here)])], promote_options="permissive")
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                raise BadData(
                    f"{uri}: column {name!r} is {here}, and {before} in earlier objects. "
                    "Write it again with the same type"
                ) from error
        raise


def _with_integers(table: pa.Table, name: str) -> pa.Table:
    """Return a table with the truth values of a column as 0 and 1."""
    column = table.column(name)
    if not pa.types.is_boolean(column.type):
        return table
    return table.set_column(table.column_names.index(name), name, column.cast(pa.int64()))


def _with_numbers(table: pa.Table, name: str) -> pa.Table:
    """Return a table with the text of a column as numbers, if all of it is numbers, as checks read it."""
    column = table.column(name)
    if not is_text(column.type) or not are_numbers(column.chunks):
        return table
    numbers = pa.array(numbers_of(column), pa.float64(), from_pandas=True)
    return table.set_column(table.column_names.index(name), name, pa.chunked_array([numbers]))
