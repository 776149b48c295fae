"""What the operator asks of a Kubernetes API, and what can go wrong with it.

Objects are plain dictionaries as they are on the wire. Nothing here knows a client library;
:mod:`~modelmonitor_operator.kubernetes_gateway` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

#: An object of the Kubernetes API, as JSON.
Object = dict[str, Any]


class GatewayError(Exception):
    """The Kubernetes API did not do what it was asked to; the text says what and why."""


class NotFound(GatewayError):
    """There is no such object, or no such kind."""


class Conflict(GatewayError):
    """The object is there already, or it has changed since it was read."""


class Invalid(GatewayError):
    """The API server refuses the object."""


class Forbidden(GatewayError):
    """The operator may not do this: its role, a quota or an admission policy is in the way."""


class Unavailable(GatewayError):
    """The API server did not answer, or not yet; trying again may help.

    Parameters
    ----------
    message
        What was asked, and what came of it.
    retry_after
        How many seconds the server asked us to wait.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Verb:
    """A right that the operator needs: the roles in the chart grant these and no others."""

    group: str
    resource: str
    verb: str


#: Every right that the gateway uses. Watches are Kopf's, with the same identity.
RIGHTS = (
    Verb("modelmonitor.io", "modelmonitors", "get"),
    Verb("modelmonitor.io", "modelmonitors", "list"),
    Verb("modelmonitor.io", "modelmonitors", "watch"),
    Verb("modelmonitor.io", "modelmonitors/status", "patch"),
    Verb("batch", "cronjobs", "get"),
    Verb("batch", "cronjobs", "list"),
    Verb("batch", "cronjobs", "watch"),
    Verb("batch", "cronjobs", "create"),  # server-side apply of what is not there yet
    Verb("batch", "cronjobs", "patch"),
    Verb("batch", "jobs", "get"),
    Verb("batch", "jobs", "list"),
    Verb("batch", "jobs", "watch"),
    Verb("batch", "jobs", "create"),
    Verb("", "pods", "list"),
    Verb("", "events", "create"),
)


#: What the gateway uses besides where champions are rolled out to Deployments.
ROLLOUT_RIGHTS = (
    Verb("apps", "deployments", "get"),
    Verb("apps", "deployments", "list"),
    Verb("apps", "deployments", "watch"),
    Verb("apps", "deployments", "patch"),
)


class Gateway(Protocol):
    """A Kubernetes API; every method may raise a GatewayError."""

    async def list_monitors(self, namespace: str | None) -> list[Object]:
        """Return the monitors of `namespace`, or of all namespaces."""

    async def list_cron_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the CronJobs of `namespace` (None: all) that match a label selector."""

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the Jobs of `namespace` (None: all) that match a label selector."""

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        """Return the pods of `namespace` that match a label selector."""

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        """Return a monitor, or None where there is none."""

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        """Return a CronJob, or None where there is none."""

    async def get_job(self, namespace: str, name: str) -> Object | None:
        """Return a Job, or None where there is none."""

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        """Return a Deployment, or None where there is none."""

    async def apply_deployment(self, fields: Object) -> Object:
        """Make some fields of a Deployment those of `fields`, by server-side apply; return what is there now."""

    async def apply_cron_job(self, cron_job: Object) -> Object:
        """Make the fields of a CronJob those of `cron_job`, by server-side apply; return what is there now."""

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it; Conflict where the name is taken."""

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        """Merge `patch` into the status of a monitor; Conflict where it is not at `resource_version` any more."""

    async def create_event(self, event: Object) -> None:
        """Create an event; an event that is there already is fine."""
