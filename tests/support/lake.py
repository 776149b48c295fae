"""A small data lake of flights on an S3 server: one object per day of features, and one of labels."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.monitors import Object, merged, monitor

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST_DAY = dt.date(2013, 1, 1)


class ObjectServer(Protocol):
    """An S3 server, on this machine or in a cluster."""

    @property
    def client(self) -> S3Client:
        """A client of the server."""
        ...

    def storage(self, bucket: str) -> Object:
        """Return ``spec.storage`` of a monitor that uses the server."""
        ...


@dataclass(frozen=True)
class Lake:
    """Daily flights whose delay depends on the temperature, plus noise.

    Labels are ``late`` (0 or 1), ``delay`` (one of three classes) and ``minutes``.

    Attributes
    ----------
    server, bucket
        Server and bucket of the objects.
    rows_per_day
        Number of flights per day.
    seed
        Seed of the random generator.
    """

    server: ObjectServer
    bucket: str
    rows_per_day: int = 200
    seed: int = 0
    carriers: tuple[str, ...] = field(default=("AA", "B6", "UA"))

    def add_days(self, start: int, count: int, *, shift: float = 0.0, slope: float = 0.15) -> None:
        """Write the objects of `count` days, the first of which is `start` days after 1 January 2013.

        Parameters
        ----------
        start, count
            First day, and number of days.
        shift
            Shift of the mean temperature in degrees.
        slope
            Effect of the temperature on the delay; a negative slope reverses the relationship.
        """
        for number in range(start, start + count):
            generator = np.random.default_rng([self.seed, number])
            temperature = generator.normal(50 + shift, 15, self.rows_per_day)
            late = generator.random(self.rows_per_day) < 1 / (1 + np.exp(-slope * (temperature - 50)))
            ids = [f"{number}-{row}" for row in range(self.rows_per_day)]
            carrier = generator.choice(self.carriers, self.rows_per_day)
            self.put("features", number, {"id": ids, "temp": temperature, "carrier": carrier})
            minutes = 100 * slope * (temperature - 50) + generator.normal(0, 60, self.rows_per_day)
            delay = np.select([minutes < -120, minutes < 120], ["early", "punctual"], "late")
            self.put("labels", number, {"id": ids, "late": late.astype(int), "delay": delay, "minutes": minutes})

    def put(self, kind: str, number: int, columns: Mapping[str, object]) -> None:
        """Write the Parquet object of one day."""
        buffer = io.BytesIO()
        pq.write_table(pa.table(dict(columns)), buffer)
        self.put_bytes(kind, number, buffer.getvalue())

    def put_bytes(self, kind: str, number: int, data: bytes) -> None:
        """Write the object of one day with arbitrary content."""
        day = FIRST_DAY + dt.timedelta(days=number)
        self.server.client.put_object(Bucket=self.bucket, Key=f"{kind}/date={day}/part-0.parquet", Body=data)

    def monitor(self, **changes: object) -> Object:
        """Return a monitor of this data with short windows; see :func:`support.monitors.monitor`."""
        spec = {
            "storage": self.server.storage(self.bucket) | {"credentialsSecretRef": None},
            "data": {
                "live": {"uri": f"s3://{self.bucket}/features/date=%Y-%m-%d/", "windowDays": 7},
                "labels": {"uri": f"s3://{self.bucket}/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": 0},
                "reference": {"start": "2013-01-01", "end": "2013-01-20"},
            },
            "retraining": {
                "windowDays": 14,
                "minNewShare": "0",  # what waits for data is tested without a cluster
                "estimator": {"name": "LogisticRegression"},
            },
            "model": {
                "features": [
                    {"name": "temp", "type": "Numeric", "minimum": "-100", "maximum": "200"},
                    {"name": "carrier", "type": "Categorical"},
                ]
            },
            "promotion": {"holdoutDays": 5, "minHoldoutRows": 200},
        }
        preprocessing = {"numericImputation": "Median", "scaling": "Standard", "categoricalEncoding": "OneHot"}
        spec["retraining"]["estimator"]["preprocessing"] = preprocessing
        return monitor(**merged(spec, changes))

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects that begin with `prefix`."""
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        return self.server.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def etags(self) -> dict[str, str]:
        """Return the ETag of every object."""
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}
