"""Interface to the Kubernetes API: the calls that the operator makes, and the errors that they raise.

Objects are plain dictionaries, as on the wire. The client library is used in
:mod:`~modelmonitor_operator.kubernetes_gateway` only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

from modelmonitor_api import names

#: An object of the Kubernetes API, as JSON.
Object = dict[str, Any]


class Kind(Enum):
    """A kind of object that is listed and watched: its API version, kind, plural, and the label selector."""

    MONITOR = (names.API_VERSION, names.KIND, names.PLURAL, "")
    CRON_JOB = ("batch/v1", "CronJob", "cronjobs", f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}")
    JOB = ("batch/v1", "Job", "jobs", f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}")
    DEPLOYMENT = ("apps/v1", "Deployment", "deployments", names.LABEL_MONITOR)

    def __init__(self, api_version: str, kind: str, plural: str, selector: str) -> None:
        self.api_version = api_version
        self.kind = kind
        self.plural = plural
        self.selector = selector


class Page(NamedTuple):
    """A part of a list, with the version of the whole list."""

    items: list[Object]
    version: str


class Change(NamedTuple):
    """An event of a watch: its type (ADDED, MODIFIED, DELETED, BOOKMARK) and the object."""

    type: str
    resource: Object


class GatewayError(Exception):
    """A call to the Kubernetes API failed; the text says which one and why."""


class NotFound(GatewayError):
    """The object, or its kind, does not exist."""


class Conflict(GatewayError):
    """The object already exists, or it has changed since it was read."""


class Expired(GatewayError):
    """The version to continue from is too old: the list must be read again from its start."""


class Invalid(GatewayError):
    """The API server rejects the object."""


class Forbidden(GatewayError):
    """The operator is not allowed to do this, because of its role, a quota or an admission policy."""


class Unavailable(GatewayError):
    """The API server is temporarily unavailable; the call can be retried.

    Parameters
    ----------
    message
        The call and its outcome.
    retry_after
        Seconds to wait, as requested by the server.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Verb:
    """A permission that the operator needs: the roles in the chart grant these and no others."""

    group: str
    resource: str
    verb: str


#: All permissions that the gateway uses.
RIGHTS = (
    Verb("modelmonitor.io", "modelmonitors", "get"),
    Verb("modelmonitor.io", "modelmonitors", "list"),
    Verb("modelmonitor.io", "modelmonitors", "watch"),
    Verb("modelmonitor.io", "modelmonitors/status", "patch"),
    Verb("batch", "cronjobs", "get"),
    Verb("batch", "cronjobs", "list"),
    Verb("batch", "cronjobs", "watch"),
    Verb("batch", "cronjobs", "create"),  # server-side apply of a new object
    Verb("batch", "cronjobs", "patch"),
    Verb("batch", "jobs", "get"),
    Verb("batch", "jobs", "list"),
    Verb("batch", "jobs", "watch"),
    Verb("batch", "jobs", "create"),
    Verb("batch", "jobs", "delete"),  # of a Job that has not started, and was created for an older spec
    Verb("", "pods", "list"),
    Verb("", "events", "create"),
    Verb("", "events", "list"),
)

#: Additional permissions where champions are rolled out to Deployments.
ROLLOUT_RIGHTS = (
    Verb("apps", "deployments", "get"),
    Verb("apps", "deployments", "list"),
    Verb("apps", "deployments", "watch"),
    Verb("apps", "deployments", "patch"),
)


class Gateway(Protocol):
    """A Kubernetes API; every method can raise a GatewayError."""

    def list_pages(self, kind: Kind, namespace: str | None, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        """Return the objects of a kind in `namespace` (None: all), page by page; Expired if the pages have expired."""

    def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        """Return the changes since `version` until the server ends the watch; Expired if the version is too old.

        Unavailable if the connection fails, or nothing arrives for so long that it must have failed.
        """

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the Jobs of `namespace` (None: all) that match a label selector."""

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        """Return the pods of `namespace` that match a label selector."""

    async def list_events(self, namespace: str, uid: str) -> list[Object]:
        """Return the events about the object with a UID."""

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        """Return a monitor, or None if it does not exist."""

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        """Return a CronJob, or None if it does not exist."""

    async def get_job(self, namespace: str, name: str) -> Object | None:
        """Return a Job, or None if it does not exist."""

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        """Return a Deployment, or None if it does not exist."""

    async def apply_deployment(self, fields: Object) -> Object:
        """Set some fields of a Deployment by server-side apply; return the Deployment."""

    async def apply_cron_job(self, cron_job: Object) -> Object:
        """Create or update a CronJob by server-side apply; return it."""

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it; Conflict if the name is taken."""

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job and its pods; no error if there is no Job of that UID."""

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        """Merge `patch` into the status of a monitor; Conflict if it is no longer at `resource_version`."""

    async def create_event(self, event: Object) -> None:
        """Create an event; no error if it already exists."""
