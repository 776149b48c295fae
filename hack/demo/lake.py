"""The demo's data lake: daily partitions on the cluster's S3 server."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pandas as pd
from botocore.config import Config
from flights import Day

BUCKETS = ("flights", "monitors")


class Lake:
    """An S3 client for the demo's buckets.

    Parameters
    ----------
    port
        Local port that is forwarded to the S3 server.
    access_key, secret_key
        Credentials of the S3 server.
    """

    def __init__(self, port: int, access_key: str, secret_key: str) -> None:
        self._s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(retries={"mode": "standard", "max_attempts": 5}),
        )
        existing = {bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]}
        for bucket in BUCKETS:
            if bucket not in existing:
                self._s3.create_bucket(Bucket=bucket)

    def land(self, days: Iterable[Day]) -> int:
        """Upload features and labels of the partitions that do not exist yet; return their number."""
        missing = self.missing(days)
        self.land_labels(missing)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda day: self._put(f"{_folder(day.date)}part-0.parquet", day.features), missing))
        return len(missing)

    def missing(self, days: Iterable[Day]) -> list[Day]:
        """Return the days whose flights are not on S3 yet."""
        return [day for day in days if not self._has(_folder(day.date))]

    def land_labels(self, days: Iterable[Day]) -> None:
        """Upload the labels of days."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda day: self._put(f"labels/date={day.date}/part-0.parquet", day.labels), days))

    def _put(self, key: str, rows: pd.DataFrame) -> None:
        body = io.BytesIO()
        rows.to_parquet(body, index=False, compression="zstd")
        self._s3.put_object(Bucket="flights", Key=key, Body=body.getvalue())

    def _has(self, key: str) -> bool:
        return bool(self._s3.list_objects_v2(Bucket="flights", Prefix=key, MaxKeys=1).get("Contents"))

    def reports(self) -> list[str]:
        """Return the URIs of all report pages, oldest first."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket="monitors")
        reports = [item for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".html")]
        return [f"s3://monitors/{item['Key']}" for item in sorted(reports, key=lambda item: item["LastModified"])]

    def fetch(self, uri: str, folder: Path) -> Path:
        """Save the report page at `uri` under `folder` and return its path."""
        parts = urlsplit(uri)
        key = parts.path.lstrip("/")
        kind, _, name = key.split("/")[-4:-1]
        path = folder / (f"training-{name}.html" if kind == "runs" else f"check-{name.split('-', 1)[0]}.html")
        path.write_bytes(self._s3.get_object(Bucket=parts.netloc, Key=key)["Body"].read())
        return path


def _folder(date: dt.date) -> str:
    return f"features/date={date}/"
