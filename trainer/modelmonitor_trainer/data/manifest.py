"""The data manifest: which bytes a model was trained on and compared on, frozen before anything trains.

A manifest names objects with their ETags, sizes and rows. Reading it back is pinned to the ETags: an
object that was replaced fails by name instead of training on other data than recorded.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.spec import DataFormat, ModelMonitorSpec
from modelmonitor_api.status import format_time, parse_time
from modelmonitor_trainer.data.tables import MissingColumn, scan
from modelmonitor_trainer.data.windows import TrainingWindows, Window, partitions
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store

SCHEMA_VERSION = 1

#: With fewer rows nothing is trained.
MIN_TRAIN_ROWS = 100


@dataclass(frozen=True)
class PinnedObject:
    """One object as it was when the manifest was made.

    Attributes
    ----------
    uri, etag, size, last_modified
        As the store listed it.
    rows
        How many it holds.
    """

    uri: str
    etag: str
    size: int
    last_modified: dt.datetime
    rows: int

    @property
    def info(self) -> ObjectInfo:
        """The object for reading, pinned to its ETag."""
        return ObjectInfo(self.uri, self.etag, self.size, self.last_modified)


@dataclass(frozen=True)
class PinnedDay:
    """The objects of one day's partition.

    Attributes
    ----------
    day
        Which day, in UTC.
    objects
        By URI.
    """

    day: dt.date
    objects: tuple[PinnedObject, ...]

    @property
    def rows(self) -> int:
        """Rows of all its objects."""
        return sum(pinned.rows for pinned in self.objects)


@dataclass(frozen=True)
class Manifest:
    """What a training reads.

    Attributes
    ----------
    fmt
        Encoding of all objects.
    train, holdout
        First and last day to train on, and the later ones to compare on.
    features
        Days of live rows, of both windows.
    labels
        Days of labels, until the last one on which a label of the hold-out may come. None where the target is a
        column of the live rows.
    columns
        Column → Arrow type, of what is read of the features and labels.
    spec_sha256
        SHA-256 of the spec that asked for it.
    """

    fmt: DataFormat
    train: Window
    holdout: Window
    features: tuple[PinnedDay, ...]
    labels: tuple[PinnedDay, ...]
    columns: tuple[tuple[str, str], ...]
    spec_sha256: str

    def to_json(self) -> bytes:
        """Return the manifest as canonical JSON: sorted keys, no spaces, UTF-8; equal manifests give equal bytes."""
        return canonical_json(
            {
                "schemaVersion": SCHEMA_VERSION,
                "format": self.fmt.value,
                "columns": [{"name": name, "type": kind} for name, kind in self.columns],
                "specSHA256": self.spec_sha256,
                "train": _window_to_data(self.train),
                "holdout": _window_to_data(self.holdout),
                "features": [_day_to_data(pinned) for pinned in self.features],
                "labels": [_day_to_data(pinned) for pinned in self.labels],
            }
        )

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Manifest:
        """Return the manifest in `data`.

        Raises
        ------
        BadData
            If it is not one that this version knows; names `where`.
        """
        try:
            read = json.loads(data)
            if read["schemaVersion"] != SCHEMA_VERSION:
                raise BadData(
                    f"{where} is a manifest of schema version {read['schemaVersion']}, this release knows "
                    f"{SCHEMA_VERSION}; use a newer trainer image"
                )
            return cls(
                fmt=DataFormat(read["format"]),
                train=_window_from_data(read["train"]),
                holdout=_window_from_data(read["holdout"]),
                features=tuple(_day_from_data(item) for item in read["features"]),
                labels=tuple(_day_from_data(item) for item in read["labels"]),
                columns=tuple((column["name"], column["type"]) for column in read["columns"]),
                spec_sha256=read["specSHA256"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f"{where} is not a manifest ({error!r}); it was damaged or written by hand") from error


def canonical_json(data: Any) -> bytes:
    """Return plain data as JSON with sorted keys and no spaces; the same data always give the same bytes."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def spec_digest(spec: ModelMonitorSpec) -> str:
    """Return the SHA-256 of a spec."""
    return hashlib.sha256(canonical_json(spec.to_wire())).hexdigest()


def freeze(store: Store, spec: ModelMonitorSpec, windows: TrainingWindows) -> Manifest:
    """Return a manifest of the objects that are in `windows` now.

    Objects are listed and opened for their row counts; values are not read from Parquet.

    Raises
    ------
    MissingColumn
        If an object lacks a column that will be read.
    """
    types: dict[str, str] = {}
    features: list[PinnedDay] = []
    for window in (windows.train, windows.holdout):
        features += _pin(store, spec, spec.data.live.uri, window, feature_columns(spec), types)
    labels: list[PinnedDay] = []
    if spec.data.labels is not None:
        # A label lies in the partition of its row's day, or in that of the day on which it came.
        period = windows.train[0], windows.holdout[1] + dt.timedelta(days=spec.data.labels.delay_days)
        labels = _pin(store, spec, spec.data.labels.uri, period, label_columns(spec), types)
    return Manifest(
        spec.data.format,
        windows.train,
        windows.holdout,
        tuple(features),
        tuple(labels),
        tuple(sorted(types.items())),
        spec_digest(spec),
    )


def days_within(days: Iterable[PinnedDay], window: Window) -> list[PinnedDay]:
    """Return the days that are in a window."""
    return [pinned for pinned in days if window[0] <= pinned.day <= window[1]]


def objects_of(days: Iterable[PinnedDay], window: Window) -> list[ObjectInfo]:
    """Return the objects of the days that are in a window, pinned to their ETags."""
    return [pinned.info for day in days_within(days, window) for pinned in day.objects]


def feature_columns(spec: ModelMonitorSpec) -> list[str]:
    """Return the columns that a training reads of the live rows, each once."""
    model, labels = spec.model, spec.data.labels
    key = [labels.join_key] if labels else [model.target]
    return list(dict.fromkeys([*(feature.name for feature in model.features), *model.slices, *key]))


def label_columns(spec: ModelMonitorSpec) -> list[str]:
    """Return the columns that a training reads of the labels; none where the target is among the live rows."""
    return [spec.data.labels.join_key, spec.model.target] if spec.data.labels else []


def _pin(
    store: Store,
    spec: ModelMonitorSpec,
    uri: str,
    window: Window,
    columns: Sequence[str],
    types: dict[str, str],
) -> list[PinnedDay]:
    """Return the days of a window with their objects; adds the types of `columns` to `types`."""
    if window[1] < window[0]:
        return []
    days = []
    for partition in partitions(store, uri, *window):
        found = []
        for info in partition.objects:
            with scan(store, info, columns, spec.data.format) as opened:
                for name in columns:
                    if name not in opened.types:
                        raise MissingColumn(info.uri, name, list(opened.types))
                    # A column that is NULL throughout one object has its type in the others.
                    if types.get(name, "null") == "null":
                        types[name] = str(opened.types[name])
                rows = opened.rows
            # In whole seconds, as it is written.
            modified = info.last_modified.replace(microsecond=0)
            found.append(PinnedObject(info.uri, info.etag, info.size, modified, rows))
        days.append(PinnedDay(partition.day, tuple(found)))
    return days


def _window_to_data(window: Window) -> dict[str, str]:
    return {"start": window[0].isoformat(), "end": window[1].isoformat()}


def _window_from_data(data: dict[str, str]) -> Window:
    return dt.date.fromisoformat(data["start"]), dt.date.fromisoformat(data["end"])


def _day_to_data(pinned: PinnedDay) -> dict[str, Any]:
    objects = [
        {
            "uri": item.uri,
            "etag": item.etag,
            "size": item.size,
            "lastModified": format_time(item.last_modified),
            "rows": item.rows,
        }
        for item in pinned.objects
    ]
    return {"day": pinned.day.isoformat(), "objects": objects}


def _day_from_data(data: dict[str, Any]) -> PinnedDay:
    objects = tuple(
        PinnedObject(
            uri=str(item["uri"]),
            etag=str(item["etag"]),
            size=int(item["size"]),
            last_modified=parse_time(item["lastModified"]),
            rows=int(item["rows"]),
        )
        for item in data["objects"]
    )
    return PinnedDay(dt.date.fromisoformat(data["day"]), objects)
