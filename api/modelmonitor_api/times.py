"""Times as Kubernetes writes them, and days."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer


def format_time(time: dt.datetime) -> str:
    """Return `time` in the format of Kubernetes: UTC, whole seconds."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> dt.datetime:
    """Return the time in `text`, which is in the format of Kubernetes."""
    return dt.datetime.fromisoformat(text)


def day_before(end: dt.datetime | None) -> dt.date | None:
    """Return the last day before a time at which days end."""
    return None if end is None else (end - dt.timedelta(microseconds=1)).astimezone(dt.UTC).date()


def _time(value: Any) -> Any:
    """Return a time with its time zone; without one, it is taken for UTC, as the API server does."""
    time = parse_time(value) if isinstance(value, str) else value
    return time.replace(tzinfo=dt.UTC) if isinstance(time, dt.datetime) and time.tzinfo is None else time


#: A time, serialized in UTC and whole seconds.
Time = Annotated[
    dt.datetime,
    BeforeValidator(_time),
    PlainSerializer(format_time, return_type=str),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]
