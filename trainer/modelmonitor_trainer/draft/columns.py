"""Columns of the data as a draft needs them: types, ranges, missing values, and the probable use of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import FeatureType
from modelmonitor_trainer.data.canonical import canonical
from modelmonitor_trainer.data.dates import are_dates
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.tables import read_table, scan
from modelmonitor_trainer.data.unread_dates import order_of
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Numbers of objects and rows that are sampled.
MAX_OBJECTS, MAX_ROWS = 8, 200_000
#: Categories beyond which a column of text is not a feature that a model can learn from.
_MAX_CATEGORIES = 1000
#: Different values of a column of text that show whether it holds dates.
_MAX_DATES = 1000
_TARGETS = re.compile(
    r"(^|_)(target|label|outcome|y|churn(ed)?|fraud|default(ed)?|converted|clicked|late|is_[a-z]+)$", re.IGNORECASE
)
_PREDICTIONS = re.compile(r"(^|_)(pred(iction|icted)?|score|proba(bility)?|y_hat)($|_)", re.IGNORECASE)
_KEYS = re.compile(r"(^|_)(id|key|uuid|guid)$", re.IGNORECASE)


class ColumnUse(StrEnum):
    """What a column seems to be used for."""

    FEATURE = "feature"
    KEY = "key"
    TARGET = "target"
    TIME = "time"
    PREDICTION = "prediction"
    UNIQUE = "unique"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Column:
    """A column of the sample.

    Attributes
    ----------
    name, kind
        Name, and type in the first object.
    type
        Type as a feature; None if it cannot be one.
    nulls, distinct
        Share of missing values, and number of different ones.
    unique
        Share of rows whose value no other row has.
    low, high
        Ends of the range of numbers; None for others.
    values
        Categories, the most frequent first; at most a few.
    is_time
        Whether the values are dates or times, in a type of their own or as text.
    """

    name: str
    kind: str
    type: FeatureType | None
    nulls: float
    distinct: int
    unique: float
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    is_time: bool = False

    @property
    def use(self) -> ColumnUse:
        """The probable use of the column, by its name and its values."""
        if self.type is None:
            return ColumnUse.TIME if self.is_time else ColumnUse.UNUSABLE
        categorical = self.type is FeatureType.CATEGORICAL
        uses = (
            (ColumnUse.KEY, _KEYS.search(self.name) and self.unique > 0.9),
            (ColumnUse.PREDICTION, _PREDICTIONS.search(self.name) and not categorical),
            (ColumnUse.TARGET, _TARGETS.search(self.name)),
            (ColumnUse.UNIQUE, self.unique > 0.99 and (categorical or self.kind.startswith("int"))),
            (ColumnUse.UNUSABLE, categorical and self.distinct > _MAX_CATEGORIES),
        )
        return next((use for use, fits in uses if fits), ColumnUse.FEATURE)


@dataclass(frozen=True)
class Sample:
    """A sample of the rows.

    Attributes
    ----------
    columns
        Its columns, in order.
    rows
        Number of rows.
    rows_per_object
        Median number of rows of an object.
    """

    columns: tuple[Column, ...]
    rows: int
    rows_per_object: float

    def find(self, name: str) -> Column | None:
        """Return a column; None if there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def used_as(self, use: ColumnUse) -> list[Column]:
        """Return the columns that seem to have this use."""
        return [column for column in self.columns if column.use is use]


def sample_rows(store: Store, objects: Sequence[ObjectInfo], fmt: AnyFormat) -> Sample:
    """Return a sample of the rows of some objects.

    Raises
    ------
    BadData
        If they cannot be read.
    """
    types: dict[str, pa.DataType] = {}
    counts = []
    for info in objects:
        with scan(store, info, None, fmt) as opened:
            types = {**dict(opened.types), **types}
            counts.append(opened.rows)
    # The newest objects first, until enough rows are read.
    chosen: list[ObjectInfo] = []
    for info, rows in zip(reversed(objects), reversed(counts), strict=True):
        if chosen and sum(counts[-len(chosen) :]) + rows > MAX_ROWS:
            break
        chosen.insert(0, info)
    complete = [info for info in chosen if _has_columns(store, info, fmt, types)] or chosen[-1:]
    names = [name for name in types if _is_readable(types[name])]
    with scan(store, complete[-1], None, fmt) as newest:
        names = [name for name in names if name in newest.types]
    table = read_table(store, complete, names, fmt)
    columns = tuple(
        _describe_column(name, types[name], table.column(name))
        if name in names
        else Column(name, str(types[name]), None, 0, 0, 0)
        for name in types
    )
    return Sample(columns, table.num_rows, float(np.median(counts)))


def _has_columns(store: Store, info: ObjectInfo, fmt: AnyFormat, types: dict[str, pa.DataType]) -> bool:
    with scan(store, info, None, fmt) as opened:
        return set(types) <= set(opened.types)


def _is_readable(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_null(kind))


def _describe_column(name: str, kind: pa.DataType, values: pa.ChunkedArray) -> Column:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    nulls = values.null_count / max(1, len(values))
    counted = pc.value_counts(canonical(values.drop_null()))
    frequencies = counted.field("counts").to_numpy(zero_copy_only=False)
    unique = float((frequencies == 1).sum()) / max(1, len(values))
    if pa.types.is_temporal(kind):
        is_time = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        return Column(name, str(kind), None, nulls, len(counted), unique, is_time=is_time)
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_decimal(values.type):
        ends = pc.min_max(values)
        low, high = (float(end.as_py()) if end.is_valid else None for end in (ends["min"], ends["max"]))
        return Column(name, str(kind), FeatureType.NUMERIC, nulls, len(counted), unique, low, high)
    words = [str(word) for word in counted.field("values")[:_MAX_DATES].to_pylist()]
    if are_dates(words) or order_of(words) is not None:
        # Each day has new ones, which would be drift on every day.
        return Column(name, str(kind), None, nulls, len(counted), unique, is_time=True)
    order = np.argsort(-frequencies, kind="stable")[:20]
    categories = tuple(str(word) for word in counted.field("values").take(pa.array(order)).to_pylist())
    return Column(name, str(kind), FeatureType.CATEGORICAL, nulls, len(counted), unique, values=categories)
