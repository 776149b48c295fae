"""CloudEvents about what has happened to a monitor, derived from its status alone.

So nothing is lost that the status still has, whatever happens to the operator or the sink. An event that is sent again
has the same id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.outcomes import Verdict
from modelmonitor_api.status import FAILED, MAX_RECENT_CHECKS, ModelMonitorStatus, Notified
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.pages import page_url
from modelmonitor_operator.untrusted import mappings, status_of
from modelmonitor_operator.words import known_word

#: Prefix of the type of each event, before the word for what has happened.
TYPE_PREFIX = "io.modelmonitor"
#: Version of the data of an event, the last part of its type.
TYPE_VERSION = "v1"
CHECK_FAILED = names.Reason.CHECK_FAILED.value


@dataclass(frozen=True)
class Notification:
    """Something that has happened to a monitor.

    Attributes
    ----------
    word
        What has happened, in one CamelCase word: a verdict, or an action of the history.
    mark
        The newest notification of each kind once this one has been delivered.
    event
        The CloudEvent as JSON data.
    """

    word: str
    mark: Notified
    event: dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """Where notifications come from, and where people can read more.

    Attributes
    ----------
    cluster
        Identifies the cluster; None if it is unknown.
    pages
        Address of the pages over the monitors, without a slash at its end; empty if there are none.
    """

    cluster: str | None = None
    pages: str = ""

    def source_of(self, metadata: Object) -> str:
        """Return the source of a monitor's events, a URI reference."""
        cluster = f"/clusters/{self.cluster}" if self.cluster else ""
        return f"{cluster}/namespaces/{metadata['namespace']}/{names.PLURAL}/{metadata['name']}"


def newest(status: ModelMonitorStatus) -> Notified:
    """Return the mark of a monitor about which everything has been delivered."""
    wire = status.to_wire()
    history, checks = wire.get("history", []), wire.get("recentChecks", [])
    return Notified(
        entry=_key_of_entry(history[0]) if history else None, check=_key_of_check(checks[0]) if checks else None
    )


def pending(resource: Object, mark: Notified, origin: Origin) -> list[Notification]:
    """Return what has happened to a monitor after a mark, the oldest of each kind first.

    Parameters
    ----------
    resource
        The ModelMonitor as the API server returned it.
    mark
        What has been delivered.
    origin
        Where the notifications come from.
    """
    result = []
    for check in _changed_verdicts(resource, mark):
        mark = mark.model_copy(update={"check": _key_of_check(check)})
        word = CHECK_FAILED if check["verdict"] == FAILED else check["verdict"]
        data = {"jobName": check["jobName"], "verdict": word, "largestEffect": check.get("largestEffect")}
        result.append(_notification(resource, word, mark, f"check/{mark.check}", check["time"], data, origin))
    for entry in _new_entries(resource, mark):
        mark = mark.model_copy(update={"entry": _key_of_entry(entry)})
        data = {key: entry.get(key) for key in ("reason", "message", "version")}
        result.append(_notification(resource, entry["action"], mark, mark.entry or "", entry["time"], data, origin))
    return result


def _changed_verdicts(resource: Object, mark: Notified) -> Iterator[Object]:
    """Yield the new checks with another verdict than the one before, oldest first. A first NoDrift is no news."""
    checks = mappings(status_of(resource).get("recentChecks"))[::-1]
    # What came before the oldest one of a full list is not known.
    before = checks[0]["verdict"] if len(checks) >= MAX_RECENT_CHECKS else Verdict.NO_DRIFT.value
    for check in checks:
        is_news = check["verdict"] != before and _key_of_check(check) > (mark.check or "")
        before = check["verdict"]
        if is_news:
            yield check


def _new_entries(resource: Object, mark: Notified) -> list[Object]:
    """Return the entries of the history above the marked one, oldest first; all if it is no longer there."""
    history = mappings(status_of(resource).get("history"))
    keys = [_key_of_entry(entry) for entry in history]
    new = history[: keys.index(mark.entry)] if mark.entry in keys else history
    return new[::-1]


def _key_of_entry(entry: Object) -> str:
    version = entry.get("version")
    return f"{entry['time']}/{entry['action']}" + (f"/{version}" if version else "")


def _key_of_check(check: Object) -> str:
    """Return a key that sorts as the checks do."""
    return f"{check['time']}/{check['jobName']}"


def _notification(
    resource: Object, word: str, mark: Notified, key: str, time: str, data: dict[str, Any], origin: Origin
) -> Notification:
    metadata, word = resource["metadata"], known_word(word)
    about = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    data = about | data | {"page": page_url(origin.pages, metadata["namespace"], metadata["name"])}
    event = {
        "specversion": "1.0",
        "id": f"{metadata['uid']}/{key}",
        "source": origin.source_of(metadata),
        "type": f"{TYPE_PREFIX}.{word}.{TYPE_VERSION}",
        "subject": metadata["name"],
        "time": time,
        "datacontenttype": "application/json",
        "data": {name: value for name, value in data.items() if value is not None},
    }
    return Notification(word, mark, event)
