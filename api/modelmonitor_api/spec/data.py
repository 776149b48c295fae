"""Data of the monitor: object store, partitions, labels and windows."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from modelmonitor_api.resource import ColumnName, Fraction, ObjectName, Resource, Rule


class DataFormat(StrEnum):
    """File format of the objects in a partition."""

    PARQUET = "Parquet"
    CSV = "CSV"
    JSON_LINES = "JSONLines"


class CSVOptions(Resource):
    """How CSV objects are written, where that cannot be recognized or is recognized wrongly."""

    separator: str | None = Field(
        None,
        description="Character between the values of a row. If omitted, a comma, semicolon, tab or vertical bar is "
        "recognized in each object.",
        min_length=1,
        max_length=1,
    )
    encoding: str | None = Field(
        None,
        description="Character encoding, such as cp1252, iso8859-2 or shift_jis. If omitted, UTF-8, UTF-16 and Western "
        "European text (cp1252) are recognized in each object.",
        min_length=1,
        max_length=40,
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    decimal: str | None = Field(
        None,
        description="Decimal mark of numbers: a point or a comma. If omitted, it is recognized from all objects.",
        min_length=1,
        max_length=1,
        pattern=r"^[.,]$",
    )
    null_values: list[Annotated[str, Field(max_length=64)]] | None = Field(
        None,
        description="Words that mean a missing value, besides the empty one. If omitted, those that pandas knows: NA, "
        "N/A, NULL, None, nan and others; among numbers also -, n.a. and others.",
        max_length=64,
    )


class WindowEnd(StrEnum):
    """Last day of the live window."""

    LATEST_PARTITION = "LatestPartition"
    NOW = "Now"


_DIRECTIVE = re.compile(r"%(.)")


def _only_time_directives(uri: Any) -> Any:
    """Refuse unknown time directives by name; the pattern alone would not say which one is wrong."""
    for directive in _DIRECTIVE.finditer(uri) if isinstance(uri, str) else ():
        if directive[1] not in "YmdH":
            raise ValueError(f"{directive[0]} is not a supported time directive; use %Y, %m, %d and %H")
    return uri


#: A URI template; %Y, %m, %d and %H are replaced by the day (or hour) of a partition.
PartitionedURI = Annotated[
    str,
    Field(min_length=6, max_length=512, pattern=r"^(s3|file)://([^%]|%[YmdH])+$"),
    BeforeValidator(_only_time_directives),
]
#: A URI prefix for results; names are appended to it.
ResultsURI = Annotated[str, Field(min_length=6, max_length=512, pattern=r"^(s3|file)://.+")]


class LocalObjectReference(Resource):
    """A reference to an object in the same namespace."""

    name: ObjectName = Field(description="Name of the object.")


class Storage(Resource):
    """Object store of the data and the results."""

    endpoint: str | None = Field(
        None,
        description="Endpoint URL of an S3-compatible object store, for example http://s3.demo.svc:9000. Defaults to "
        "AWS S3.",
        max_length=512,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/.*)?$",
    )
    region: str = Field(
        "us-east-1", description="Region of the object store.", min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$"
    )
    credentials_secret_ref: LocalObjectReference | None = Field(
        None,
        description="Secret with the keys AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, optionally, AWS_SESSION_TOKEN. "
        "If omitted, pods use the identity of their service account.",
    )
    service_account_name: ObjectName | None = Field(
        None,
        description="Service account of the pods, for workload identity. Its Kubernetes token is not mounted. "
        "Defaults to the default service account of the namespace.",
    )
    results_uri: ResultsURI = Field(
        description="URI prefix for all results of the monitor: profiles, reports, model versions and the champion "
        "pointer. Must end with a slash."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.resultsURI.endsWith('/')",
            message="resultsURI must end with a slash, because it is a prefix",
            holds=lambda self: self.results_uri.endswith("/"),
        ),
    )


def _one_day_each(field: str) -> Rule:
    """Return the rule that a URI template has one partition per day or hour."""
    return Rule(
        cel=" && ".join(f"self.uri.contains('%{part}')" for part in "Ymd"),
        message=f"{field} must contain %Y, %m and %d, because a partition is one day or hour",
        holds=lambda self: all(f"%{part}" in self.uri for part in "Ymd"),
    )


class LiveData(Resource):
    """Rows that the model sees in production, in partitions that arrive over time."""

    uri: PartitionedURI = Field(
        description="URI template of a partition, for example s3://flights/features/date=%Y-%m-%d/. %Y, %m, %d and %H "
        "are replaced by the partition's time in UTC. All objects with this prefix belong to the partition."
    )
    window_days: int = Field(28, description="Length of the live window in days, including the last day.", ge=1, le=366)
    end: WindowEnd = Field(
        WindowEnd.LATEST_PARTITION,
        description="Last day of the live window. LatestPartition: the day of the newest partition. Now: yesterday, "
        "even if its partition is missing, so that a check reports data that stop arriving.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (_one_day_each("live.uri"),)


class KeyScope(StrEnum):
    """Rows among which a join key identifies one."""

    PARTITION = "Partition"
    WINDOW = "Window"


class Labels(Resource):
    """True outcomes, which arrive later than the rows they belong to."""

    uri: PartitionedURI = Field(description="URI template of a label partition, as in live.uri.")
    join_key: ColumnName = Field(
        description="Column that identifies a row, present in both the live rows and the labels."
    )
    key_scope: KeyScope | None = Field(
        None,
        description="Rows among which joinKey identifies one. Partition: the rows of one day, so rows of other days "
        "with the same key are other rows, and a label is in the partition of its row's day. Window: all rows, so "
        "later rows with the same key are repetitions, and a label can be in any partition from its row's day on. If "
        "omitted, a label belongs to the latest row with its key that is not after the label's partition; if more than "
        "1 % of the labels could be those of an earlier row within the label delay as well, no labels are used, and "
        "the message asks for this field.",
    )
    delay_days: int = Field(
        0,
        description="Label delay in days: labels are expected this long after their rows. Younger rows are not scored.",
        ge=0,
        le=366,
    )
    min_share: Fraction = Field(
        "0.5",
        description="Minimum share of rows with a label, from 0 to 1. Days below it are not scored yet, and a training "
        "whose training window or hold-out is below it is Inconclusive, because early labels are not representative. "
        "Lower it if only a sample of rows is labelled.",
    )
    version_column: ColumnName | None = Field(
        None,
        description="Column of the labels that orders the labels of a key, such as a time of change or a number: the "
        "greatest counts. If omitted, the label that arrived last counts: that of the latest partition and, within a "
        "partition, of the object that was written last.",
    )
    max_contradictions: Fraction = Field(
        "0.01",
        description="Maximum share of labelled rows with contradicting labels, from 0 to 1: different labels of one "
        "key that neither versionColumn nor their arrival puts in order. Such rows are left out. Above the share, the "
        "data are Corrupted, and a training fails.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        _one_day_each("labels.uri"),
        Rule(
            cel="!has(self.versionColumn) || self.versionColumn != self.joinKey",
            message="labels.versionColumn must not be labels.joinKey",
            holds=lambda self: self.version_column is None or self.version_column != self.join_key,
        ),
    )


class ReferencePeriod(Resource):
    """Reference window of checks until there is a champion."""

    start: dt.date = Field(description="First day, inclusive.")
    end: dt.date = Field(description="Last day, inclusive.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.start <= self.end",
            message="reference.end must not be before reference.start",
            holds=lambda self: self.start <= self.end,
        ),
    )


class Data(Resource):
    """Data of the model: live rows, labels and the reference window."""

    format: DataFormat = Field(
        DataFormat.PARQUET, description="File format of the objects. CSV and JSONLines objects can be gzipped."
    )
    csv: CSVOptions | None = Field(
        None,
        description="How CSV objects are written. If omitted, it is recognized from the data, and the report says what "
        "was recognized.",
    )
    live: LiveData = Field(description="Rows that the model sees in production.")
    labels: Labels | None = Field(
        None, description="True outcomes. If omitted, the target is a column of the live rows."
    )
    group_column: ColumnName | None = Field(
        None,
        description="Column of the live rows that names what several rows belong to, such as a customer or a machine. "
        "Rows of the hold-out whose group was trained on are left out of the comparison, so that a model cannot pass "
        "because it remembers them. If omitted, only copies of training rows are left out.",
    )
    reference: ReferencePeriod | None = Field(
        None,
        description="Reference window until there is a champion. From then on, the champion's training window is the "
        "reference. If omitted, checks have no drift verdict before the first champion.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.csv) || self.format == 'CSV'",
            message="csv is for objects in CSV; set format to CSV, or remove csv",
            holds=lambda self: self.csv is None or self.format is DataFormat.CSV,
        ),
    )
