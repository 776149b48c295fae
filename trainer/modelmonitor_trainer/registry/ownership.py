"""The owner of a results prefix: monitors of two clusters with the same namespace and name would share a champion."""

from __future__ import annotations

import datetime as dt
import json

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.times import format_time, parse_time
from modelmonitor_trainer.errors import BadConfiguration, NotFound, PreconditionFailed
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.storage.base import JSON, Store

#: How often the owner notes that it is alive.
REFRESH = dt.timedelta(days=1)
#: After this time without a sign of the owner, a monitor of another cluster takes over.
ABANDONED = dt.timedelta(days=35)


def claim(store: Store, layout: ResultsLayout, monitor: MonitorRef, now: dt.datetime) -> None:
    """Record that a monitor writes below its results prefix, unless a monitor of another cluster does.

    A monitor that was deleted and created again in the same cluster continues with the results of its name.

    Raises
    ------
    BadConfiguration
        If another cluster's monitor of the same name has written here in the last days.
    """
    if monitor.cluster is None:  # a command line
        return
    record = {"uid": monitor.uid, "cluster": monitor.cluster, "seen": format_time(now)}
    data = json.dumps(record, indent=1).encode()
    try:
        try:
            # Not a HEAD request first: its refusal would not say what is wrong with the credentials.
            content, etag = store.read_versioned(layout.owner)
        except NotFound:
            store.write(layout.owner, data, if_absent=True, content_type=JSON)
            return
        owner, seen = _parse(content)
        mine = {monitor.uid, monitor.cluster} & set(owner)
        if not mine and now - seen < ABANDONED:
            raise BadConfiguration(
                f"{layout.root} belongs to the monitor of the same namespace and name in another cluster, which last "
                f"wrote on {seen.date()}; give each cluster its own storage.resultsURI, or delete {layout.owner} if "
                "that monitor does not exist any more"
            )
        if owner != (monitor.uid, monitor.cluster) or now - seen >= REFRESH:
            store.write(layout.owner, data, if_match=etag, content_type=JSON)
    except PreconditionFailed:
        return  # another pod has written it at the same moment: the next one compares


def _parse(content: bytes) -> tuple[tuple[str, str], dt.datetime]:
    """Return UID and cluster of the owner, and when it last wrote; a damaged record has no owner."""
    try:
        record = json.loads(content)
        return (str(record["uid"]), str(record["cluster"])), parse_time(record["seen"])
    except (ValueError, KeyError, TypeError):
        return ("", ""), dt.datetime.min.replace(tzinfo=dt.UTC)
