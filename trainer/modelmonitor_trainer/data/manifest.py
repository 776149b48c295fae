"""Data manifest: the objects that a model is trained and evaluated on, frozen before training starts.

A manifest lists objects with their ETags, sizes and rows. Reads are pinned to the ETags: a replaced object is an error
that names it, instead of a training on other data than recorded.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import CSVOptions, DataFormat, FeatureType, ModelMonitorSpec, Task
from modelmonitor_api.times import format_time, parse_time
from modelmonitor_trainer.data.decimal_marks import Remarks, decide_marks, mark_by_itself
from modelmonitor_trainer.data.object_format import AnyFormat, FileFormat, csv_options, declared_format, format_at
from modelmonitor_trainer.data.tables import MissingColumn, Unreadable, refuse_undecided, scan
from modelmonitor_trainer.data.windows import Partition, TrainingWindows, Window, partitions
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class PinnedObject:
    """An object as it was when the manifest was written.

    Attributes
    ----------
    uri, etag, size, last_modified
        As listed.
    rows
        Number of rows.
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
        The day, in UTC.
    objects
        Objects, sorted by URI.
    """

    day: dt.date
    objects: tuple[PinnedObject, ...]

    @property
    def rows(self) -> int:
        """Rows of all its objects."""
        return sum(pinned.rows for pinned in self.objects)


@dataclass(frozen=True)
class LeftOutDay:
    """A day of a window whose rows are not used.

    Attributes
    ----------
    day
        The day, in UTC.
    reason
        Why.
    """

    day: dt.date
    reason: str


@dataclass(frozen=True)
class Manifest:
    """Objects and columns that a training reads.

    Attributes
    ----------
    fmt
        Encoding of all objects.
    train, holdout
        First and last day of the training and of the hold-out window.
    features
        Days of live rows, of both windows.
    labels
        Days of labels, through the last day on which a label of the hold-out window can arrive. Empty if the target
        is a column of the live rows.
    columns
        Column → Arrow type, of the columns of features and labels that are read.
    spec_sha256
        SHA-256 of the spec.
    left_out
        Days of both windows whose rows are not used, and not in `features`.
    begins_with
        Feature that no earlier day has, so that the training window begins later than declared; None if it does not.
    """

    fmt: AnyFormat
    train: Window
    holdout: Window
    features: tuple[PinnedDay, ...]
    labels: tuple[PinnedDay, ...]
    columns: tuple[tuple[str, str], ...]
    spec_sha256: str
    left_out: tuple[LeftOutDay, ...] = ()
    begins_with: str | None = None

    def to_json(self) -> bytes:
        """Return the manifest as canonical JSON: sorted keys, no spaces, UTF-8; equal manifests give equal bytes."""
        csv = csv_options(self.fmt).to_wire()
        return canonical_json(
            {
                "schemaVersion": SCHEMA_VERSION,
                "format": format_at(self.fmt, "").value,
                **({"csv": csv} if csv else {}),
                "columns": [{"name": name, "type": kind} for name, kind in self.columns],
                "specSHA256": self.spec_sha256,
                "train": _window_to_data(self.train),
                "holdout": _window_to_data(self.holdout),
                "features": [_day_to_data(pinned) for pinned in self.features],
                "labels": [_day_to_data(pinned) for pinned in self.labels],
                **({"leftOut": [_left_out_to_data(item) for item in self.left_out]} if self.left_out else {}),
                **({"beginsWith": self.begins_with} if self.begins_with else {}),
            }
        )

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Manifest:
        """Deserialize a manifest.

        Raises
        ------
        BadData
            If it is not a manifest of this schema version; names `where`.
        """
        try:
            read = json.loads(data)
            if read["schemaVersion"] != SCHEMA_VERSION:
                raise BadData(
                    f"{where} is a manifest of schema version {read['schemaVersion']}, this release supports "
                    f"{SCHEMA_VERSION}; use a newer trainer image"
                )
            return cls(
                fmt=_format_from_data(read),
                train=_window_from_data(read["train"]),
                holdout=_window_from_data(read["holdout"]),
                features=tuple(_day_from_data(item) for item in read["features"]),
                labels=tuple(_day_from_data(item) for item in read["labels"]),
                columns=tuple((column["name"], column["type"]) for column in read["columns"]),
                spec_sha256=read["specSHA256"],
                left_out=tuple(
                    LeftOutDay(dt.date.fromisoformat(item["day"]), str(item["reason"]))
                    for item in read.get("leftOut", ())
                ),
                begins_with=read.get("beginsWith"),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f"{where} is not a manifest ({error!r}); it is corrupted or was edited manually") from error


def canonical_json(data: Any) -> bytes:
    """Return plain data as JSON with sorted keys and no spaces; equal data give equal bytes."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def spec_digest(spec: ModelMonitorSpec) -> str:
    """Return the SHA-256 of a spec."""
    return hashlib.sha256(canonical_json(spec.to_wire())).hexdigest()


def freeze(store: Store, spec: ModelMonitorSpec, windows: TrainingWindows) -> Manifest:
    """Return a manifest of the objects that are in `windows` now.

    Objects are listed and opened for their row counts; of Parquet objects only the footer is read. Days that cannot be
    opened or lack a column are left out. The training window begins on the first day that has all columns.

    Raises
    ------
    MissingColumn
        If all objects lack a column that the training reads.
    Unreadable
        If no object can be opened.
    """
    types: dict[str, str] = {}
    features: list[PinnedDay] = []
    problems: dict[dt.date, BadData] = {}
    for window in (windows.train, windows.holdout):
        pinned = _pin(store, spec, spec.data.live.uri, window, feature_columns(spec), types, problems)
        if not pinned and problems:
            raise next(iter(problems.values()))
        features += pinned
    train, begins_with = _from_first_complete_day(windows.train, features, problems)
    labels: list[PinnedDay] = []
    if spec.data.labels is not None:
        # A label is in the partition of its row's day, or in that of the day on which it arrived.
        period = windows.train[0], windows.holdout[1] + dt.timedelta(days=spec.data.labels.delay_days)
        labels = _pin(store, spec, spec.data.labels.uri, period, label_columns(spec), types)
    return Manifest(
        declared_format(spec.data),
        train,
        windows.holdout,
        tuple(features),
        tuple(labels),
        tuple(sorted(types.items())),
        spec_digest(spec),
        tuple(LeftOutDay(day, str(problem)) for day, problem in sorted(problems.items()) if day >= train[0]),
        begins_with,
    )


def _from_first_complete_day(
    train: Window, features: Sequence[PinnedDay], problems: Mapping[dt.date, BadData]
) -> tuple[Window, str | None]:
    """Return the training window from the first day that has all columns, and the column that earlier days lack."""
    first = min((pinned.day for pinned in features), default=train[0])
    before = [problem for day, problem in sorted(problems.items()) if day < first]
    if not before or not all(isinstance(problem, MissingColumn) for problem in before):
        return train, None
    assert isinstance(before[-1], MissingColumn)
    return (first, train[1]), before[-1].column


def days_within(days: Iterable[PinnedDay], window: Window) -> list[PinnedDay]:
    """Return the days that are in a window."""
    return [pinned for pinned in days if window[0] <= pinned.day <= window[1]]


def objects_of(days: Iterable[PinnedDay], window: Window) -> list[ObjectInfo]:
    """Return the objects of the days that are in a window, pinned to their ETags."""
    return [pinned.info for day in days_within(days, window) for pinned in day.objects]


def feature_columns(spec: ModelMonitorSpec) -> list[str]:
    """Return the columns of the live rows that a training reads, each once."""
    model, labels = spec.model, spec.data.labels
    key = [labels.join_key] if labels else [model.target]
    group = [spec.data.group_column] if spec.data.group_column else []
    return list(dict.fromkeys([*(feature.name for feature in model.features), *model.slices, *group, *key]))


def label_columns(spec: ModelMonitorSpec) -> list[str]:
    """Return the columns of the labels that a training reads; none if the target is a column of the live rows."""
    labels = spec.data.labels
    if labels is None:
        return []
    version = [labels.version_column] if labels.version_column else []
    return list(dict.fromkeys([labels.join_key, spec.model.target, *version]))


def _pin(
    store: Store,
    spec: ModelMonitorSpec,
    uri: str,
    window: Window,
    columns: Sequence[str],
    types: dict[str, str],
    problems: dict[dt.date, BadData] | None = None,
) -> list[PinnedDay]:
    """Return the days of a window with their objects; adds the types of `columns` to `types`.

    Days that cannot be used are added to `problems`; without that, they raise.
    """
    if window[1] < window[0]:
        return []
    days, fmt = [], declared_format(spec.data)
    remarks: dict[str, Remarks] = {}
    numeric = {feature.name for feature in spec.model.features if feature.type is FeatureType.NUMERIC}
    numeric |= {spec.model.target} if spec.model.task is Task.REGRESSION else set()
    for partition in partitions(store, uri, *window):
        try:
            day = _pin_day(store, partition, fmt, columns, numeric, types, remarks)
            days += [day] if day.objects else []
        except (MissingColumn, Unreadable) as problem:
            if problems is None:
                raise
            problems[partition.day] = problem
    _refuse_unsure_marks(fmt, remarks)
    return days


def _pin_day(
    store: Store,
    partition: Partition,
    fmt: AnyFormat,
    columns: Sequence[str],
    numeric: Collection[str],
    types: dict[str, str],
    remarks: dict[str, Remarks],
) -> PinnedDay:
    """Return a day with its objects; adds to the types of `columns`, and to the remarks on the `numeric` ones."""
    pinned = []
    for info in partition.objects:
        with scan(store, info, columns, fmt) as opened:
            lacking = [name for name in columns if name not in opened.types]
            if lacking and not opened.rows:  # an empty object has no header
                continue
            if lacking:
                raise MissingColumn(info.uri, lacking[0], list(opened.types))
            for name in columns:
                # A column that is entirely NULL in one object takes its type from the others.
                if types.get(name, "null") == "null":
                    types[name] = str(opened.types[name])
            remarks[info.uri] = {n: of for n, of in opened.remarks.items() if n in numeric}
            rows = opened.rows
        # In whole seconds, as in the JSON.
        modified = info.last_modified.replace(microsecond=0)
        pinned.append(PinnedObject(info.uri, info.etag, info.size, modified, rows))
    return PinnedDay(partition.day, tuple(pinned))


def _refuse_unsure_marks(fmt: AnyFormat, remarks: Mapping[str, Remarks]) -> None:
    """Refuse CSV objects that would be read with other decimal marks than those that all objects together show.

    Raises
    ------
    Unreadable
        Naming the object, the column, and what to declare.
    """
    decided = decide_marks([*remarks.values()])
    for (uri, own), marks in zip(remarks.items(), decided, strict=True):
        wrong = {name: None for name, mark in marks.items() if mark != mark_by_itself(own.values())}
        refuse_undecided(fmt, {uri: wrong})


def _format_from_data(data: dict[str, Any]) -> AnyFormat:
    kind = DataFormat(data["format"])
    return FileFormat(kind, parse(CSVOptions, data["csv"])) if "csv" in data else kind


def _window_to_data(window: Window) -> dict[str, str]:
    return {"start": window[0].isoformat(), "end": window[1].isoformat()}


def _window_from_data(data: dict[str, str]) -> Window:
    return dt.date.fromisoformat(data["start"]), dt.date.fromisoformat(data["end"])


def _left_out_to_data(item: LeftOutDay) -> dict[str, str]:
    return {"day": item.day.isoformat(), "reason": item.reason}


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
