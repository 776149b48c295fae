"""Two views of the Kubernetes API: one of the cache alone, and one that keeps the cache up to date.

A pass of the reconcile loop first runs on the cache. If it gets to its end, the monitor is as it should be, and no
request was sent. If it needs more than the cache has, or wants to write anything, it raises :class:`Unsettled` and is
run again on the API server: every decision that has an effect is made on what was read from there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

from modelmonitor_api import names
from modelmonitor_operator.cache import Key, ObjectCache
from modelmonitor_operator.gateway import Change, Gateway, Kind, Object, Page


class Unsettled(Exception):
    """A pass cannot be completed with the cache alone."""


class CachedGateway:
    """The cache as a gateway that sends no requests.

    Parameters
    ----------
    cache
        The cache; complete for CronJobs and Jobs.
    """

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        """Return a monitor; Unsettled if it is not known, because it may exist all the same."""
        return self._known(Kind.MONITOR, (namespace, name))

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        """Return a CronJob; Unsettled if it is not known."""
        return self._known(Kind.CRON_JOB, (namespace, name))

    async def get_job(self, namespace: str, name: str) -> Object | None:
        """Return a Job; Unsettled if it is not known."""
        return self._known(Kind.JOB, (namespace, name))

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        """Return a Deployment; Unsettled if it is not known: only those with the operator's label are watched."""
        return self._known(Kind.DEPLOYMENT, (namespace, name))

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the Jobs of a monitor, which `selector` has to name with its UID."""
        labels = dict(part.split("=", 1) for part in selector.split(","))
        jobs = self._cache.jobs_of(labels[names.LABEL_MONITOR_UID])
        wanted = labels.items()
        return [job for job in jobs if job["metadata"]["namespace"] == namespace and wanted <= _labels(job).items()]

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        """Pods are not cached."""
        _stop(f"pods {selector} in {namespace}")

    async def list_events(self, namespace: str, uid: str) -> list[Object]:
        """Events are not cached."""
        _stop(f"events about {uid} in {namespace}")

    def list_pages(self, kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        """Lists are read from the API server."""
        _stop(f"list of {kind.plural} in {namespace}, metadata_only={metadata_only}")

    def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        """Changes are read from the API server."""
        _stop(f"watch of {kind.plural} in {namespace} since {version}")

    async def apply_deployment(self, fields: Object) -> Object:
        """Nothing is written."""
        _stop(f"Deployment {fields['metadata']['name']}")

    async def apply_cron_job(self, cron_job: Object) -> Object:
        """Nothing is written."""
        _stop(f"CronJob {cron_job['metadata']['name']}")

    async def create_job(self, job: Object) -> Object:
        """Nothing is written."""
        _stop(f"Job {job['metadata']['name']}")

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Nothing is written."""
        _stop(f"Job {namespace}/{name} with UID {uid}")

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        """Nothing is written."""
        _stop(f"status of {namespace}/{name} at {resource_version}: {sorted(patch)}")

    async def create_event(self, event: Object) -> None:
        """Nothing is written."""
        _stop(f"event {event['reason']}")

    def _known(self, kind: Kind, key: Key) -> Object:
        resource = self._cache.get(kind, key)
        if resource is None:
            _stop(f"{kind.kind} {key}")
        return resource


class RecordingGateway:
    """The API server, whose answers are stored in the cache, so that the watches bring nothing new of own writes.

    Parameters
    ----------
    gateway
        Access to the API server.
    cache
        Where answers are stored.
    new
        Whether the monitor has just been created, so that the cache is as good as a read: the monitor is what the watch
        has shown a moment ago, its status is written only at that version, and of Jobs there are none.

    Attributes
    ----------
    writes : int
        Number of objects that were written, events apart.
    """

    def __init__(self, gateway: Gateway, cache: ObjectCache, *, new: bool = False) -> None:
        self._gateway = gateway
        self._cache = cache
        self._new = new
        self.writes = 0

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        """Return a monitor, or None if it does not exist."""
        if self._new:
            return self._cache.get(Kind.MONITOR, (namespace, name))
        return self._read(Kind.MONITOR, (namespace, name), await self._gateway.get_monitor(namespace, name))

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        """Return a CronJob, or None if it does not exist.

        It is read only if the cache has none: a watch shows all those that the operator has made.
        """
        known = self._cache.get(Kind.CRON_JOB, (namespace, name))
        if known is not None:
            return known
        return self._read(Kind.CRON_JOB, (namespace, name), await self._gateway.get_cron_job(namespace, name))

    async def get_job(self, namespace: str, name: str) -> Object | None:
        """Return a Job, or None if it does not exist."""
        return await self._gateway.get_job(namespace, name)

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        """Return a Deployment, or None if it does not exist."""
        return await self._gateway.get_deployment(namespace, name)

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the Jobs of `namespace` (None: all) that match a label selector."""
        if self._new:
            return []
        jobs = await self._gateway.list_jobs(namespace, selector)
        for job in jobs:
            self._cache.put(Kind.JOB, job)
        return jobs

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        """Return the pods of `namespace` that match a label selector."""
        return await self._gateway.list_pods(namespace, selector)

    async def list_events(self, namespace: str, uid: str) -> list[Object]:
        """Return the events about the object with a UID."""
        return await self._gateway.list_events(namespace, uid)

    def list_pages(self, kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        """Return the objects of a kind, page by page."""
        return self._gateway.list_pages(kind, namespace, metadata_only=metadata_only)

    def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        """Return the changes of a kind."""
        return self._gateway.watch(kind, namespace, version)

    async def apply_deployment(self, fields: Object) -> Object:
        """Set some fields of a Deployment by server-side apply; return the Deployment."""
        self.writes += 1
        return await self._gateway.apply_deployment(fields)

    async def apply_cron_job(self, cron_job: Object) -> Object:
        """Create or update a CronJob by server-side apply; return it."""
        return self._written(Kind.CRON_JOB, await self._gateway.apply_cron_job(cron_job))

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it; Conflict if the name is taken."""
        return self._written(Kind.JOB, await self._gateway.create_job(job))

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job and its pods; no error if there is no Job of that UID."""
        await self._gateway.delete_job(namespace, name, uid)
        self.writes += 1
        self._cache.remove(Kind.JOB, (namespace, name))

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        """Merge `patch` into the status of a monitor; Conflict if it is no longer at `resource_version`."""
        patched = await self._gateway.patch_status(namespace, name, resource_version, patch)
        return self._written(Kind.MONITOR, patched)

    async def create_event(self, event: Object) -> None:
        """Create an event; no error if it already exists."""
        await self._gateway.create_event(event)

    def _read(self, kind: Kind, key: Key, resource: Object | None) -> Object | None:
        if resource is None:
            self._cache.remove(kind, key)
        elif kind is Kind.MONITOR or _is_watched(resource):
            self._cache.put(kind, resource)
        return resource

    def _written(self, kind: Kind, resource: Object) -> Object:
        self.writes += 1
        self._cache.put(kind, resource)
        return resource


def _is_watched(child: Object) -> bool:
    """Whether the watch of a kind shows an object: another owner's would stay in the cache for ever."""
    return _labels(child).get(names.LABEL_MANAGED_BY) == names.FIELD_MANAGER


def _labels(resource: Object) -> dict[str, str]:
    return resource["metadata"].get("labels") or {}


def _stop(what: str) -> NoReturn:
    raise Unsettled(what)
