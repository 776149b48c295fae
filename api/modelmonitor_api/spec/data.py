"""Where the data are: storage, partitions, labels, and the windows over them."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from modelmonitor_api.resource import ColumnName, Fraction, ObjectName, Resource, Rule


class DataFormat(StrEnum):
    """How the objects of a partition are encoded."""

    PARQUET = "Parquet"
    CSV = "CSV"
    JSON_LINES = "JSONLines"


class WindowEnd(StrEnum):
    """What the last day of the live window is."""

    LATEST_PARTITION = "LatestPartition"
    NOW = "Now"


_DIRECTIVE = re.compile(r"%(.)")


def _only_time_directives(uri: Any) -> Any:
    """Say which directive is wrong, where the pattern would only say that something is."""
    for found in _DIRECTIVE.finditer(uri) if isinstance(uri, str) else ():
        if found[1] not in "YmdH":
            raise ValueError(f"{found[0]} is not a known part of a time; use %Y, %m, %d and %H")
    return uri


#: A URI whose %Y, %m, %d and %H are the day (or hour) of a partition.
PartitionedURI = Annotated[
    str,
    Field(min_length=6, max_length=512, pattern=r"^(s3|file)://([^%]|%[YmdH])+$"),
    BeforeValidator(_only_time_directives),
]
#: A prefix that results are written under; names are added to it.
ResultsURI = Annotated[str, Field(min_length=6, max_length=512, pattern=r"^(s3|file)://.+")]


class LocalObjectReference(Resource):
    """A reference to an object in the same namespace."""

    name: ObjectName = Field(description="Name of the object.")


class Storage(Resource):
    """The object store that holds the data and takes the results."""

    endpoint: str | None = Field(
        None,
        description="Endpoint of an S3-compatible store, for example http://s3.demo.svc:9000. Absent: AWS.",
        max_length=512,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/.*)?$",
    )
    region: str = Field(
        "us-east-1", description="Region of the store.", min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$"
    )
    credentials_secret_ref: LocalObjectReference | None = Field(
        None,
        description="Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if "
        "there is one. Absent: the identity of the service account.",
    )
    service_account_name: ObjectName | None = Field(
        None,
        description="Service account of the pods, for workload identity. Its Kubernetes token is not mounted. "
        "Absent: the namespace's default account.",
    )
    results_uri: ResultsURI = Field(
        description="Prefix for everything that this monitor writes: profiles, reports, models, the champion pointer."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.resultsURI.endsWith('/')",
            message="resultsURI must end with a slash, it is a prefix",
            holds=lambda self: self.results_uri.endswith("/"),
        ),
    )


def _one_day_each(field: str) -> Rule:
    """Return the rule that a URI of partitions tells one day from another."""
    return Rule(
        cel=" && ".join(f"self.uri.contains('%{part}')" for part in "Ymd"),
        message=f"{field} must hold %Y, %m and %d: a partition is one day",
        holds=lambda self: all(f"%{part}" in self.uri for part in "Ymd"),
    )


class LiveData(Resource):
    """The rows that the model sees in production, as partitions that arrive over time."""

    uri: PartitionedURI = Field(
        description="URI of a partition; %Y, %m, %d and %H stand for its time in UTC. "
        "A partition is every object under it. For example s3://flights/features/date=%Y-%m-%d/."
    )
    window_days: int = Field(28, description="How many days a check looks at, the last one included.", ge=1, le=366)
    end: WindowEnd = Field(
        WindowEnd.LATEST_PARTITION,
        description="Last day of the window: LatestPartition (the newest that has arrived) or Now (yesterday, "
        "whether it has arrived or not, so that data that stop arriving are noticed).",
    )

    rules: ClassVar[tuple[Rule, ...]] = (_one_day_each("live.uri"),)


class Labels(Resource):
    """The true outcomes, which arrive later than the rows they belong to."""

    uri: PartitionedURI = Field(description="URI of a partition of labels, as in live.uri.")
    join_key: ColumnName = Field(description="Column that both sides carry and that names a row.")
    delay_days: int = Field(
        0, description="How many days after its row a label is expected; younger rows are not scored.", ge=0, le=366
    )
    min_share: Fraction = Field(
        "0.5",
        description="Share of rows that must have a label: outcomes that arrive first are not like the others. Days "
        "with fewer are not scored yet, and a training whose rows or hold-out have fewer is Inconclusive. Lower it "
        "where labels are given to a sample of rows.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (_one_day_each("labels.uri"),)


class ReferencePeriod(Resource):
    """The period that the live window is compared with until there is a champion."""

    start: dt.date = Field(description="First day, included.")
    end: dt.date = Field(description="Last day, included.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.start <= self.end",
            message="reference.end must not be before reference.start",
            holds=lambda self: self.start <= self.end,
        ),
    )


class Data(Resource):
    """The data of a model: live rows, their labels, and what to compare them with."""

    format: DataFormat = Field(
        DataFormat.PARQUET, description="Encoding of the objects; CSV and JSONLines may be gzipped."
    )
    live: LiveData = Field(description="Rows that the model sees in production.")
    labels: Labels | None = Field(None, description="True outcomes. Absent: the target is a column of the live rows.")
    reference: ReferencePeriod | None = Field(
        None,
        description="What the live window is compared with until there is a champion; from then on it is the "
        "champion's training window. Absent: there is no drift verdict before the first champion.",
    )
