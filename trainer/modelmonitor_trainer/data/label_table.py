"""Labels in the order in which they replace each other: by a version that they carry, or else by their arrival."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.data.arrow_types import is_text
from modelmonitor_trainer.data.classes import class_texts
from modelmonitor_trainer.data.join_keys import KeyKind, KeyReader, utc_times
from modelmonitor_trainer.data.model_arrays import outcome_numbers
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.plain_tables import plain_column
from modelmonitor_trainer.data.recent_values import RecentValues, objects_key
from modelmonitor_trainer.data.tables import Converter, read_table
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Names of derived columns, which no column of the data has.
KEY, _TARGET, _VERSION_COLUMN = "\0key", "\0target", "\0version"
_EPOCH = dt.date(1970, 1, 1)
#: Version of labels without one, below any other.
_NO_VERSION = decimal.Decimal(-(10**28))
_VERSION = pa.decimal128(38, 9)


@dataclass(frozen=True)
class LabelColumns:
    """Columns of the labels.

    Attributes
    ----------
    key, target
        Join key, and outcome.
    task
        Task of the model.
    version
        Column that orders the labels of a key; None if their arrival does.
    """

    key: str
    target: str
    task: Task
    version: str | None = None

    @classmethod
    def of(cls, spec: ModelMonitorSpec) -> LabelColumns:
        """Return the columns of a monitor with labels."""
        labels = spec.data.labels
        assert labels is not None
        return cls(labels.join_key, spec.model.target, spec.model.task, labels.version_column)


@dataclass(frozen=True)
class LabelTable:
    """Labels with a key and an outcome.

    Attributes
    ----------
    keys : (n,)
        Join keys as text.
    values : (n,)
        Classes as text, or the values of a regression.
    days : (n,)
        Day of the partition, as days since 1970.
    arrival : (n,)
        Grows with the day of the partition, and within it with the second in which the object was written.
    versions : (n,)
        Decimals; None if no column orders the labels.
    read
        Number of labels read, with those that lack a key or an outcome.
    kinds
        Kinds of the keys.
    """

    keys: pa.ChunkedArray
    values: pa.ChunkedArray
    days: Ints
    arrival: Ints
    versions: pa.ChunkedArray | None = None
    read: int = 0
    kinds: frozenset[KeyKind] = field(default_factory=frozenset)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        arrays = [self.keys, self.values, self.days, self.arrival, *([] if self.versions is None else [self.versions])]
        return sum(int(array.nbytes) for array in arrays)

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.keys)

    def filter(self, chosen: Array) -> LabelTable:
        """Return some of the labels.

        Parameters
        ----------
        chosen : (n,)
            Booleans.
        """
        mask = pa.array(chosen)
        versions = self.versions.filter(mask) if self.versions is not None else None
        parts = self.keys.filter(mask), self.values.filter(mask), self.days[chosen], self.arrival[chosen]
        return LabelTable(*parts, versions, self.read, self.kinds)

    @classmethod
    def concatenated(cls, parts: Sequence[LabelTable]) -> LabelTable:
        """Return the labels of several tables; at least one."""
        versions = [part.versions for part in parts if part.versions is not None]
        return cls(
            _join_chunks([part.keys for part in parts]),
            _join_chunks([part.values for part in parts]),
            np.concatenate([part.days for part in parts]),
            np.concatenate([part.arrival for part in parts]),
            _join_chunks(versions) if versions else None,
            sum(part.read for part in parts),
            frozenset().union(*(part.kinds for part in parts)),
        )

    def versions_in_order(self) -> Ints:
        """Return the rank of each label's version, equal ones with the same rank; (n,)."""
        if self.versions is None or not len(self):
            return np.zeros(len(self), dtype=np.int64)
        filled = pc.fill_null(self.versions, pa.scalar(_NO_VERSION, _VERSION)).combine_chunks()
        ranks: Ints = pc.rank(filled, sort_keys="ascending", tiebreaker="dense").to_numpy(zero_copy_only=False)
        return ranks.astype(np.int64)


#: Join keys of rows, and labels, that this process has read.
_RECENT_KEYS: RecentValues[tuple[pa.Table, KeyReader]] = RecentValues(lambda keys: int(keys[0].nbytes))
_RECENT_LABELS: RecentValues[tuple[LabelTable, KeyReader]] = RecentValues(lambda labels: labels[0].nbytes)


def read_keys(store: Store, objects: Sequence[ObjectInfo], key: str, fmt: AnyFormat) -> tuple[pa.Table, KeyReader]:
    """Return the join keys of rows as text, in the column :data:`KEY`, and what converted them.

    Keys that this process has read lately are taken from memory.

    Raises
    ------
    BadData, BadConfiguration
        If an object cannot be read, or the key cannot be used.
    """

    def read() -> tuple[pa.Table, KeyReader]:
        reader = KeyReader(key)
        return read_table(store, objects, [], fmt, text=[key], derive={KEY: (key, reader)}), reader

    return _RECENT_KEYS.get((key, objects_key(objects, fmt)), read)


def read_labels(
    store: Store,
    days: Sequence[tuple[dt.date, Sequence[ObjectInfo]]],
    columns: LabelColumns,
    fmt: AnyFormat,
    reader: KeyReader | None = None,
) -> LabelTable:
    """Return the labels of some partitions.

    Parameters
    ----------
    store, fmt
        As in :func:`~modelmonitor_trainer.data.tables.read_table`.
    days
        Days with the objects of their partitions.
    columns
        Columns to read.
    reader
        Collects the types of the keys.

    Raises
    ------
    BadData, BadConfiguration
        If an object cannot be read, or a column cannot be used.
    """
    objects = [info for _, infos in days for info in infos]
    dates = tuple(day for day, infos in days for _ in infos)
    identity = (columns, dates, objects_key(objects, fmt))
    labels, key = _RECENT_LABELS.get(identity, lambda: _read_labels(store, days, columns, fmt))
    if reader is not None:
        reader.merge(key)
    return labels


def _read_labels(
    store: Store, days: Sequence[tuple[dt.date, Sequence[ObjectInfo]]], columns: LabelColumns, fmt: AnyFormat
) -> tuple[LabelTable, KeyReader]:
    key = KeyReader(columns.key)
    derive: dict[str, tuple[str, Converter]] = {
        KEY: (columns.key, key),
        _TARGET: (columns.target, outcome_converter(columns.target, columns.task)),
    }
    if columns.version is not None:
        derive[_VERSION_COLUMN] = (columns.version, _Versions(columns.version))
    objects = [(day, info) for day, infos in days for info in infos]
    table = read_table(store, [info for _, info in objects], [], fmt, text=[columns.key], derive=derive)
    numbers = np.array([(day - _EPOCH).days for day, _ in objects], dtype=np.int64)
    # In whole seconds, as in the manifest of a training.
    written = np.array([int(info.last_modified.timestamp()) for _, info in objects], dtype=np.int64)
    rows = np.array(key.rows, dtype=np.int64)
    kind = pa.float64() if columns.task is Task.REGRESSION else pa.string()
    whole = LabelTable(
        table.column(KEY).cast(pa.string()),
        table.column(_TARGET).cast(kind),
        np.repeat(numbers, rows),
        np.repeat((numbers << 33) + written, rows),
        table.column(_VERSION_COLUMN).cast(_VERSION) if columns.version is not None else None,
        table.num_rows,
        frozenset(key.kinds),
    )
    usable = pc.and_(pc.is_valid(whole.keys), has_value(whole.values))
    return whole.filter(usable.to_numpy()), key


def outcome_converter(name: str, task: Task) -> Converter:
    """Return the function that converts a target to classes as text, or to the values of a regression."""
    if task is Task.REGRESSION:
        return lambda values: outcome_numbers(plain_column(values, text=False), name)
    return lambda values: class_texts(plain_column(values, text=False), name)


def has_value(outcomes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether each label is present: neither NULL nor NaN, which some writers use instead."""
    return pc.invert(pc.is_null(outcomes, nan_is_null=True))


@dataclass(frozen=True)
class _Versions:
    """Converts a version to a decimal: a number, or a time in nanoseconds since 1970.

    Raises
    ------
    BadData
        If it is neither.
    """

    name: str

    def __call__(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        values = plain_column(values, text=False)
        kind = values.type
        try:
            if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
                return values.cast(pa.timestamp("ns")).cast(pa.int64()).cast(_VERSION)
            if is_text(kind):
                return _versions_in_text(values)
            if pa.types.is_boolean(kind):
                values = values.cast(pa.int8())
            if pa.types.is_floating(kind):
                finite = pc.is_finite(values)
                values = pc.if_else(finite, values, pa.scalar(None, kind)).cast(pa.float64())
            return values.cast(_VERSION, safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            example = next((str(value) for value in values.to_pylist() if value is not None), "")
            raise BadData(
                f"column {self.name!r} of data.labels.versionColumn is {kind} with values such as {example[:60]!r}, "
                "which cannot be ordered; write numbers or times"
            ) from error


def _versions_in_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = pc.utf8_trim_whitespace(values.cast(pa.string()))
    texts = pc.if_else(pc.equal(pc.binary_length(texts), 0), pa.scalar(None, pa.string()), texts)
    try:
        return texts.cast(_VERSION)
    except pa.ArrowInvalid:
        times = [None if text is None else utc_times([text])[0] for text in texts.to_pylist()]
        return (
            pa.chunked_array([pa.array(times, pa.timestamp("us"))])
            .cast(pa.timestamp("ns"))
            .cast(pa.int64())
            .cast(_VERSION)
        )


def _join_chunks(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)
