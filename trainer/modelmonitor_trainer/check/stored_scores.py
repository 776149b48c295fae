"""Scores of the champion that checks keep in the object store, so that each labelled row is scored once.

An entry holds the scores of the labelled rows of one day. Its name covers everything that they depend on: the model and
the libraries that run it, the objects and how they are read, and which of their rows are scored. An entry is therefore
never stale: a row that gets its label late, or an object that is replaced, leads to another one. Labels are joined at
every check. An entry that cannot be read is computed again, and two pods that write one at once write the same.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.labelled_rows import ROW, LabelledBatch
from modelmonitor_trainer.check.predictor import Predictor
from modelmonitor_trainer.data.object_format import csv_options, format_at, marks_at
from modelmonitor_trainer.data.tables import read_table
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import ModelMonitorError, StorageUnavailable
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.profile.serialization import pack, unpack
from modelmonitor_trainer.storage.base import ObjectInfo

_LOG = logging.getLogger(__name__)

#: Version of what is stored, and of how rows become scores.
_VERSION = 1
#: Libraries between an object and its scores.
_LIBRARIES = ("modelmonitor-trainer", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")


class NotScored(Exception):
    """The model cannot be loaded, or the features of a day cannot be read.

    Attributes
    ----------
    error
        Why.
    """

    def __init__(self, error: ModelMonitorError) -> None:
        super().__init__(str(error))
        self.error = error


class StoredScores:
    """Scores of labelled rows: stored ones, and those of the model, which are then stored.

    Parameters
    ----------
    ctx
        How to read.
    folder
        Prefix of the stored scores of the version.
    predictor
        The model; it is loaded if a day has no stored scores, or if this image has not loaded it before.
    text
        Columns of the rows that are text.

    Raises
    ------
    UnusableModel
        If the model cannot be loaded.
    """

    def __init__(self, ctx: CheckContext, folder: str, predictor: Predictor, text: Sequence[str]) -> None:
        assert predictor.model is not None
        self._ctx, self._predictor, self._text = ctx, predictor, tuple(dict.fromkeys(text))
        versions = [f"{name} {version}" for name, version in _libraries().items()]
        self._folder = f"{folder}{digest([str(_VERSION), predictor.fingerprint], versions)}/"
        self._stored = {info.uri: info for info in ctx.store.list(self._folder)}
        self._known: dict[str, Array] = {}
        # Where there are stored scores, the same libraries have loaded the same model.
        if not self._stored:
            predictor.model()

    def without(self, absent: Collection[str]) -> None:
        """Take columns of the model as missing."""
        self._predictor = self._predictor.without(absent)

    def read(self, batches: Sequence[LabelledBatch]) -> None:
        """Read the stored scores of days, whose rows have their positions in the column :data:`ROW`."""
        rows = {self._uri(batch): batch.rows.num_rows for batch in batches if batch.rows.num_rows}
        stored = {self._stored[uri]: count for uri, count in rows.items() if uri in self._stored}
        with self._ctx.store.ahead(list(stored)):
            for info, count in stored.items():
                scores = self._read_entry(info, count)
                if scores is not None:
                    self._known[info.uri] = scores

    def of(self, batch: LabelledBatch) -> Array:
        """Return the scores of the labelled rows of a day, (n,) or (n, k).

        Raises
        ------
        NotScored
            If the model cannot be loaded, or the features of the day cannot be read.
        UnusableModel
            If the model fails.
        """
        uri = self._uri(batch)
        known = self._known.pop(uri, None)
        return self._score(batch, uri) if known is None else known

    def _score(self, batch: LabelledBatch, uri: str) -> Array:
        assert self._predictor.model is not None
        columns = self._predictor.columns
        try:
            self._predictor.model()
            rows = read_table(self._ctx.store, batch.batch.objects, columns, self._ctx.fmt, text=self._text)
        except StorageUnavailable:
            raise
        except ModelMonitorError as error:
            raise NotScored(error) from error
        scores = np.asarray(self._predictor.scores(rows.take(pa.array(positions_of(batch)))))
        # Nothing else is kept exactly.
        if scores.dtype == np.float64:
            self._ctx.store.write_behind(uri, pack({}, {"scores": scores}))
        return scores

    def _read_entry(self, info: ObjectInfo, rows: int) -> Array | None:
        """Return the scores in an entry; None if it cannot be read."""
        try:
            scores = unpack(self._ctx.store.read(info.uri))[1].get("scores", np.empty(0))
        except ValueError as error:
            _LOG.warning("the scores %s are corrupted and are computed again: %s", info.uri, error)
        except ModelMonitorError as error:
            _LOG.warning("the scores %s cannot be read and are computed again: %s", info.uri, error)
        else:
            if scores.dtype == np.float64 and scores.shape in {(rows,), (rows, len(self._predictor.classes))}:
                return scores
            _LOG.warning("the scores %s are not those of %s rows and are computed again", info.uri, rows)
        return None

    def _uri(self, batch: LabelledBatch) -> str:
        """Return the URI of the scores of a day; its name is a digest of what they depend on, apart from the model."""
        predictor, options = self._predictor, json.dumps(csv_options(self._ctx.fmt).to_wire(), sort_keys=True)
        settings = predictor.columns, predictor.absent, predictor.classes, self._text, [options]
        objects = [part for info in batch.batch.objects for part in self._object_key(info)]
        return f"{self._folder}{digest(*settings, objects, positions_of(batch).astype('<i8').tobytes())}.scores"

    def _object_key(self, info: ObjectInfo) -> tuple[str, ...]:
        marks = json.dumps(dict(marks_at(self._ctx.fmt, info.uri)), sort_keys=True)
        return info.uri, info.etag, str(info.size), format_at(self._ctx.fmt, info.uri).value, marks


def positions_of(batch: LabelledBatch) -> Ints:
    """Return the position of each labelled row within its day, (n,)."""
    return np.asarray(batch.rows.column(ROW).to_numpy(), dtype=np.int64)


def can_be_stored(days: Sequence[Batch], rows: Mapping[str, int], limit: int) -> bool:
    """Return whether scores of days can be kept: if all of their rows are scored.

    The sample of a larger day changes with the days before it, so its scores are of no use to the next check.

    Parameters
    ----------
    days
        The days.
    rows
        Name of a day → its number of rows.
    limit
        Maximum number of rows, in equal shares.
    """
    quota = limit // max(1, len(days))
    return all(rows.get(day.name, quota + 1) <= quota for day in days)


@functools.cache
def _libraries() -> Mapping[str, str]:
    """Return the versions of the libraries between an object and its scores."""
    from importlib import metadata

    return {name: metadata.version(name) for name in _LIBRARIES}
