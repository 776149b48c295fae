"""When the objects of a partition arrived: as the monitor declares, or by their modification times."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.partition_template import PartitionTemplate
from modelmonitor_trainer.data.windows import last_whole_day
from modelmonitor_trainer.storage.base import ObjectInfo


class Arrival(StrEnum):
    """What determines when an object arrived.

    ``Declared``: rows with the end of their partition's day, labels ``data.labels.delayDays`` later. ``Partition``:
    labels with the end of their partition's day, too, for labels that are partitioned by the day of their arrival.
    ``Modified``: the modification time of the object.
    """

    DECLARED = "Declared"
    PARTITION = "Partition"
    MODIFIED = "Modified"


@dataclass(frozen=True)
class Feed:
    """Partitions that arrive day by day.

    Attributes
    ----------
    uri
        Their template.
    delay_days
        Days from the end of a partition's day to its arrival.
    """

    uri: str
    delay_days: int = 0

    @property
    def folder(self) -> str:
        """The folder that holds all partitions."""
        return PartitionTemplate.parse(self.uri).folder


def list_feeds(spec: ModelMonitorSpec, arrival: Arrival) -> tuple[Feed, ...]:
    """Return the feeds of a monitor: its live rows, and its labels if it has any."""
    labels = spec.data.labels
    live = Feed(spec.data.live.uri)
    if labels is None:
        return (live,)
    return live, Feed(labels.uri, labels.delay_days if arrival is Arrival.DECLARED else 0)


def has_arrived(info: ObjectInfo, feed: Feed, arrival: Arrival, now: dt.datetime) -> bool:
    """Return whether an object of a feed had arrived at a time.

    Objects that belong to no day, such as documents next to the partitions, have always arrived, unless modification
    times decide.
    """
    if arrival is Arrival.MODIFIED:
        return info.last_modified <= now
    location = _template(feed.uri).locate(info.uri)
    return location is None or location.day <= last_whole_day(now) - dt.timedelta(days=feed.delay_days)


@lru_cache(maxsize=16)
def _template(uri: str) -> PartitionTemplate:
    return PartitionTemplate.parse(uri)
