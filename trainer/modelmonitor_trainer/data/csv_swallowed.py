"""Rows of CSV within quotes: a quote that is not closed makes all rows up to the next one a part of one value.

Nothing is wrong with such an object as CSV, and the rows are missing without a sign of it. What gives them away are
their separators: each line within the value has as many as the header.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

#: Share of all rows from which on lines within quotes are rows, and not text that looks like them.
_MAX_SHARE = 0.01


class SwallowedRows:
    """Counts lines within values that look like rows.

    Parameters
    ----------
    header
        Names of all columns of the object.
    separator
        Character between values.
    nulls
        Words that mean a missing value.
    """

    def __init__(self, header: Sequence[str], separator: str, nulls: Collection[str]) -> None:
        self._header, self._separator, self._nulls = header, separator, nulls
        self._lines: dict[str, int] = {}

    def add(self, names: Sequence[str], batch: pa.RecordBatch) -> None:
        """Count the lines in the values of a batch whose columns have these names."""
        if len(self._header) < 2:
            return
        # Arrow reads all columns if none is wanted.
        others = {name: batch.column(index) for index, name in enumerate(names)}
        for name, values in others.items():
            if not pa.types.is_string(values.type) or not _may_have_lines(values):
                continue
            position = self._header.index(name)
            candidates = values.filter(pc.match_substring(values, "\n")).to_pylist()
            lines = [line for value in candidates for line in self._rows_within(value, position)]
            if lines and self._have_values_of(lines, others):
                self._lines[name] = self._lines.get(name, 0) + len(lines)

    def refuse(self, rows: int) -> None:
        """Refuse an object in which they are more than chance, of this many rows.

        Raises
        ------
        pyarrow.ArrowInvalid
            Naming the column with most of them.
        """
        if sum(self._lines.values()) > _MAX_SHARE * rows:
            name = max(self._lines, key=lambda name: self._lines[name])
            raise pa.ArrowInvalid(
                f"{self._lines[name]:,} lines within quoted values of {name!r} look like rows; close the quotes, and "
                "double those that belong to a value"
            )

    def _rows_within(self, value: str, position: int) -> Iterator[list[str]]:
        """Yield what the lines in a value hold, if all of them look like rows; of the last what precedes the value."""
        commas = len(self._header) - 1
        if value.count(self._separator) < position:
            return
        first, *others = (
            line.removesuffix("\r").split(self._separator) for line in value.removesuffix("\n").split("\n")
        )
        if not others or len(first) != len(self._header) - position:
            return
        *inner, last = others
        if any(len(line) != commas + 1 for line in inner) or len(last) not in {position + 1, commas + 1}:
            return
        yield from inner
        yield last if len(last) > commas else last[:position]

    def _have_values_of(self, lines: Sequence[Sequence[str]], columns: Mapping[str, pa.Array]) -> bool:
        """Whether the values of lines could be those of the columns: of their types, and of text partly the same."""
        known = []
        for index, name in enumerate(self._header):
            words = [line[index].strip() for line in lines if index < len(line)]
            if name not in columns or not words:
                continue
            kind, filled = (
                columns[name].type,
                pa.array([word for word in words if word not in self._nulls], pa.string()),
            )
            if pa.types.is_string(kind):
                known.append(pc.mean(pc.is_in(filled, value_set=columns[name])).as_py() or 0)
                continue
            try:
                filled.cast(kind)
            except pa.ArrowInvalid:
                return False
            known.append(1)
        return max(known, default=0) > 0.5


def _may_have_lines(values: pa.StringArray) -> bool:
    """Whether there is a line break in the bytes of values, which costs less to find out than value by value."""
    data = values.buffers()[2]
    return data is not None and b"\n" in data.to_pybytes()
