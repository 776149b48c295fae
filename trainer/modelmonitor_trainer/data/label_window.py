"""Labels of a window, joined day by day with their rows, from the last day to the first.

In this order a label belongs to the latest row with its key that is not later than the label's partition, as in
:func:`~modelmonitor_trainer.data.labels.join` of a whole window. Labels that have found their row are forgotten, so
memory holds those that are still to be joined.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import KeyScope
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.join_keys import KeyReader, meet
from modelmonitor_trainer.data.label_owners import EARLY_DAYS
from modelmonitor_trainer.data.label_table import LabelColumns, LabelTable, read_labels
from modelmonitor_trainer.data.labels import Dataset, days_since_1970, join
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.storage.base import Store


class LabelWindow:
    """Labels of the partitions of a window that have not found their row yet.

    Attributes
    ----------
    reader
        Types of the keys that have been read.
    read
        Day → number of labels with an outcome that have been read.
    matched
        Number of labels that have met a row.
    ambiguous
        Number of these that could be those of an earlier row as well.
    """

    def __init__(
        self,
        store: Store,
        batches: Sequence[Batch],
        columns: LabelColumns,
        fmt: AnyFormat,
        *,
        scope: KeyScope | None = None,
        delay_days: int = 0,
    ) -> None:
        self.reader = KeyReader(columns.key)
        self.read: dict[dt.date, int] = {}
        self.matched = self.ambiguous = 0
        self._store, self._columns, self._fmt = store, columns, fmt
        self._scope, self._delay = scope, delay_days
        #: Labels that have found their row, and are young enough to be those of an earlier row.
        self._taken: LabelTable | None = None
        self._unread = sorted(((batch.day, batch) for batch in batches if batch.day), key=lambda item: item[0])
        self._left: LabelTable | None = None
        self._early: list[Array] = []

    def take(self, keys: pa.ChunkedArray, reader: KeyReader, day: dt.date) -> list[LabelTable]:
        """Return the labels of some rows in the partitions from `day` on, and forget them.

        Parameters
        ----------
        keys, reader
            Keys of the rows, and what converted them.
        day
            Day of the rows; earlier than at the call before.
        """
        self._read_from(day)
        if self._left is None:
            return []
        today = days_since_1970(day)
        same_day = self._scope is KeyScope.PARTITION
        wanted = self._left.days == today if same_day else self._left.days >= today
        self._left, mask = _among(self._left, keys, reader, wanted)
        taken = self._left.filter(mask)
        self.matched += len(taken)
        self._left = self._left.filter(self._left.days < today if same_day else ~mask)
        if self._scope is None and self._delay:
            self._count_ambiguous(keys, reader, today, taken)
        return [taken] if len(taken) else []

    def _count_ambiguous(self, keys: pa.ChunkedArray, reader: KeyReader, today: int, taken: LabelTable) -> None:
        """Count the labels of later rows that could be those of the rows of this day."""
        if self._taken is not None:
            recent = self._taken.filter(self._taken.days <= today + self._delay)
            recent, mask = _among(recent, keys, reader, np.ones(len(recent), dtype=bool))
            self.ambiguous += int(mask.sum())
            # Each label counts once.
            self._taken = recent.filter(~mask)
        self._taken = LabelTable.concatenated([part for part in (self._taken, taken) if part is not None])

    def early(self, keys: pa.ChunkedArray, reader: KeyReader, day: dt.date) -> list[LabelTable]:
        """Return the labels of some rows in the partitions shortly before `day`, unless rows of these days have them.

        Call it after :meth:`take` for the day before.
        """
        first = day - dt.timedelta(days=EARLY_DAYS)
        if self._scope is KeyScope.PARTITION:
            return []
        self._read_from(first)
        if self._left is None:
            return []
        recent = (self._left.days >= days_since_1970(first)) & (self._left.days < days_since_1970(day))
        if not recent.any():
            return []
        labels, mask = _among(self._left, keys, reader, recent)
        self._early.append(labels.days[mask])
        return [labels.filter(mask)]

    def unmatched(self, first: dt.date, last: dt.date) -> int:
        """Return the number of labels of some partitions that have been read and have not found their row."""
        if self._left is None:
            return 0
        start, end = days_since_1970(first), days_since_1970(last)
        # Those that were early stay, because rows of other days can have the same key.
        counts = [int(((days >= start) & (days <= end)).sum()) for days in (self._left.days, *self._early)]
        return max(0, counts[0] - sum(counts[1:]))

    def _read_from(self, day: dt.date) -> None:
        while self._unread and self._unread[-1][0] >= day:
            partition, batch = self._unread.pop()
            days = [(partition, batch.objects)]
            table = read_labels(self._store, days, self._columns, self._fmt, self.reader)
            self.read[partition] = len(table)
            self._left = LabelTable.concatenated([part for part in (self._left, table) if part is not None])


def join_day(
    rows: pa.Table,
    reader: KeyReader,
    labels: Sequence[LabelTable],
    day: dt.date,
    min_share: float,
    scope: KeyScope | None = None,
) -> Dataset:
    """Return the labelled rows of a day; none if fewer than `min_share` of them have a label.

    Parameters
    ----------
    rows
        Rows of one day, with their key as text in the column :data:`~modelmonitor_trainer.data.label_table.KEY`.
    reader
        What converted the key.
    labels
        Labels of these rows.
    day, min_share
        The day, and the smallest share.
    scope
        What a key identifies.
    """
    days = np.full(rows.num_rows, days_since_1970(day), dtype=np.int64)
    whole = LabelTable.concatenated(labels)
    return join(rows, whole, days, kinds=reader.kinds, min_share=min_share, scope=scope)


def _among(labels: LabelTable, keys: pa.ChunkedArray, reader: KeyReader, wanted: Array) -> tuple[LabelTable, Array]:
    """Return labels with their keys as those of some rows are written, and which of the wanted ones have a row."""
    left, right = meet(keys, labels.keys, labels.kinds | reader.kinds)
    mask: Array = wanted & pc.is_in(right, value_set=pc.unique(left.drop_null())).to_numpy()
    return replace(labels, keys=right), mask
