"""What the watches and lists have shown of monitors and their children, in a form that takes little memory."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_api.times import parse_time
from modelmonitor_operator.gateway import Kind, Object
from modelmonitor_operator.untrusted import conditions_of, mapping, status_of
from modelmonitor_policy import TrainingTurn

#: Namespace and name.
Key = tuple[str, str]
#: Deletions that are remembered: those of the last minutes, even if a namespace with many monitors is deleted.
MAX_DELETIONS = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object: its version, the UID of its monitor, and its fields as compressed JSON."""

    version: int
    monitor_uid: str
    fields: bytes


class ObjectCache:
    """The newest known version of each object.

    Objects are kept as JSON that is compressed with the first object of their kind as the dictionary: the objects of a
    kind resemble each other, so that ten thousand of them take a few megabytes.
    """

    def __init__(self) -> None:
        self._entries: dict[Kind, dict[Key, _Entry]] = {kind: {} for kind in Kind}
        self._dictionaries: dict[Kind, bytes] = {}
        self._jobs: dict[str, dict[Key, None]] = {}
        self._deleted: OrderedDict[tuple[Kind, Key], int] = OrderedDict()
        self._running: dict[Key, Key] = {}
        self._queued: dict[Key, TrainingTurn] = {}

    def put(self, kind: Kind, resource: Object) -> bool:
        """Store an object, unless a newer version is known; return whether anything that matters has changed."""
        key, version = key_of(resource), int(resource["metadata"]["resourceVersion"])
        before = self._entries[kind].get(key)
        known = before.version if before is not None else self._deleted.get((kind, key), -1)
        if known >= version:
            return False
        fields = self._pack(kind, _trim(kind, resource))
        uid = (resource["metadata"].get("labels") or {}).get(names.LABEL_MONITOR_UID, "")
        self._entries[kind][key] = _Entry(version, uid, fields)
        if kind is Kind.JOB:
            self._jobs.setdefault(uid, {})[key] = None
        self._index(kind, key, resource)
        return before is None or before.fields != fields

    def delete(self, kind: Kind, key: Key, version: int) -> None:
        """Forget an object that was deleted at a version; no late answer to an earlier request brings it back.

        A successor of the same name that is known already stays.
        """
        entry = self._entries[kind].get(key)
        if entry is None or entry.version <= version:
            self.remove(kind, key)
        self._deleted[kind, key] = version
        self._deleted.move_to_end((kind, key))
        while len(self._deleted) > MAX_DELETIONS:
            self._deleted.popitem(last=False)

    def remove(self, kind: Kind, key: Key) -> None:
        """Forget an object: what is known of it is not certain."""
        entry = self._entries[kind].pop(key, None)
        self._unindex(kind, key)
        if entry is not None and kind is Kind.JOB:
            keys = self._jobs[entry.monitor_uid]
            del keys[key]
            if not keys:
                del self._jobs[entry.monitor_uid]

    def get(self, kind: Kind, key: Key) -> Object | None:
        """Return an object, without the fields that the operator never reads; None if it is not known."""
        entry = self._entries[kind].get(key)
        return None if entry is None else self._unpack(kind, entry)

    def version(self, kind: Kind, key: Key) -> int | None:
        """Return the version of an object; None if it is not known."""
        entry = self._entries[kind].get(key)
        return None if entry is None else entry.version

    def keys(self, kind: Kind, namespace: str | None = None) -> Collection[Key]:
        """Return the keys of a kind in a namespace (None: all)."""
        keys = self._entries[kind]
        return list(keys) if namespace is None else [key for key in keys if key[0] == namespace]

    def jobs_of(self, monitor_uid: str) -> Iterator[Object]:
        """Return the Jobs of a monitor."""
        for key in self._jobs.get(monitor_uid, ()):
            yield self._unpack(Kind.JOB, self._entries[Kind.JOB][key])

    def running_trainings(self) -> list[Key]:
        """Return the monitor of each training Job that has not ended."""
        return list(self._running.values())

    def queued_trainings(self) -> list[TrainingTurn]:
        """Return the trainings that wait for others to end."""
        return list(self._queued.values())

    def _index(self, kind: Kind, key: Key, resource: Object) -> None:
        """Keep what the queue of trainings needs to know of an object."""
        self._unindex(kind, key)
        if kind is Kind.JOB:
            monitor = monitor_of(resource)
            trains = (resource["metadata"].get("labels") or {}).get(names.LABEL_ROLE) == Role.TRAIN
            if trains and monitor is not None and not has_ended(resource):
                self._running[key] = monitor
        elif kind is Kind.MONITOR:
            queued = mapping(status_of(resource).get("queuedTraining"))
            if isinstance(queued.get("time"), str):
                with contextlib.suppress(ValueError):  # a status that somebody has broken is rebuilt by the next pass
                    self._queued[key] = TrainingTurn(parse_time(queued["time"]), *key)

    def _unindex(self, kind: Kind, key: Key) -> None:
        if kind is Kind.JOB:
            self._running.pop(key, None)
        elif kind is Kind.MONITOR:
            self._queued.pop(key, None)

    def _pack(self, kind: Kind, resource: Object) -> bytes:
        text = json.dumps(resource, separators=(",", ":"), sort_keys=True).encode()
        packer = zlib.compressobj(6, zdict=self._dictionaries.setdefault(kind, text))
        return packer.compress(text) + packer.flush()

    def _unpack(self, kind: Kind, entry: _Entry) -> Object:
        unpacker = zlib.decompressobj(zdict=self._dictionaries[kind])
        resource: Object = json.loads(unpacker.decompress(entry.fields) + unpacker.flush())
        resource["metadata"]["resourceVersion"] = str(entry.version)
        return {"apiVersion": kind.api_version, "kind": kind.kind, **resource}


def key_of(resource: Object) -> Key:
    """Return the namespace and the name of an object."""
    return resource["metadata"]["namespace"], resource["metadata"]["name"]


def has_ended(job: Object) -> bool:
    """Whether a Job has completed or failed."""
    conditions = conditions_of(job)
    return "True" in {conditions.get("Complete"), conditions.get("Failed")}


def monitor_of(child: Object) -> Key | None:
    """Return the namespace and the name of the monitor that a child belongs to, by its label."""
    monitor = (child["metadata"].get("labels") or {}).get(names.LABEL_MONITOR)
    return (child["metadata"]["namespace"], monitor) if monitor else None


def _trim(kind: Kind, resource: Object) -> dict[str, Any]:
    """Return an object without its version, the book-keeping of the API server, and what changes without effect."""
    metadata = {k: v for k, v in resource["metadata"].items() if k not in {"managedFields", "resourceVersion"}}
    dropped = {"apiVersion", "kind", "metadata"}  # the items of a list lack the first two
    if kind is Kind.CRON_JOB:
        dropped.add("status")  # the time of its last run
    return {"metadata": metadata, **{k: v for k, v in resource.items() if k not in dropped}}
