"""The gateway to a real API server: the only module that imports the Kubernetes client."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import stamina
import urllib3
from kubernetes import client, config

from modelmonitor_api import GROUP, PLURAL, VERSION
from modelmonitor_api.names import FIELD_MANAGER
from modelmonitor_operator.gateway import Conflict, Forbidden, GatewayError, Invalid, NotFound, Object, Unavailable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
#: A request is tried so often and so long before the error goes to whoever asked.
ATTEMPTS = 5
PATIENCE_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 20.0
PAGE = 500
#: Connections kept open; there are not more workers than that.
POOL = 16

_MONITORS = f"/apis/{GROUP}/{VERSION}"
_BATCH = "/apis/batch/v1"
_APPS = "/apis/apps/v1"
_CORE = "/api/v1"

_ERRORS: Mapping[int, type[GatewayError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
}


def connect() -> client.ApiClient:
    """Return a client for the cluster that the pod runs in, or that KUBECONFIG names.

    Raises
    ------
    kubernetes.config.ConfigException
        Where neither says how to reach an API server.
    """
    configuration = client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=configuration)
    else:
        # Read now: the client remembers what KUBECONFIG was when it was imported.
        config.load_kube_config(config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration)
    configuration.retries = False  # retried here, with what the server says about when
    configuration.connection_pool_maxsize = POOL
    return client.ApiClient(configuration)


class KubernetesGateway:
    """A Kubernetes API behind the official client; requests run in threads and are retried.

    Parameters
    ----------
    api
        The client that all requests share.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    async def list_monitors(self, namespace: str | None) -> list[Object]:
        """Return the monitors of `namespace`, or of all namespaces."""
        return await self._list(_path(_MONITORS, PLURAL, namespace), "")

    async def list_cron_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the CronJobs of `namespace` (None: all) that match a label selector."""
        return await self._list(_path(_BATCH, "cronjobs", namespace), selector)

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the Jobs of `namespace` (None: all) that match a label selector."""
        return await self._list(_path(_BATCH, "jobs", namespace), selector)

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        """Return the pods of `namespace` that match a label selector."""
        return await self._list(_path(_CORE, "pods", namespace), selector)

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        """Return a monitor, or None where there is none."""
        return await self._get(_path(_MONITORS, PLURAL, namespace, name))

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        """Return a CronJob, or None where there is none."""
        return await self._get(_path(_BATCH, "cronjobs", namespace, name))

    async def get_job(self, namespace: str, name: str) -> Object | None:
        """Return a Job, or None where there is none."""
        return await self._get(_path(_BATCH, "jobs", namespace, name))

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        """Return a Deployment, or None where there is none."""
        return await self._get(_path(_APPS, "deployments", namespace, name))

    async def apply_deployment(self, fields: Object) -> Object:
        """Make some fields of a Deployment those of `fields`, by server-side apply; return what is there now."""
        return await self._apply(_APPS, "deployments", fields)

    async def apply_cron_job(self, cron_job: Object) -> Object:
        """Make the fields of a CronJob those of `cron_job`, by server-side apply; return what is there now."""
        return await self._apply(_BATCH, "cronjobs", cron_job)

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it; Conflict where the name is taken.

        A request that was lost on its way back is sent again and meets its own Job: the
        caller asks whose Job it is.
        """
        return await self._request(
            "POST",
            _path(_BATCH, "jobs", job["metadata"]["namespace"]),
            query={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
            body=job,
        )

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        """Merge `patch` into the status of a monitor; Conflict where it is not at `resource_version` any more."""
        return await self._request(
            "PATCH",
            _path(_MONITORS, PLURAL, namespace, name) + "/status",
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"resourceVersion": resource_version}, "status": patch},
            content_type="application/merge-patch+json",
        )

    async def create_event(self, event: Object) -> None:
        """Create an event; an event that is there already is fine."""
        try:
            await self._request("POST", _path(_CORE, "events", event["metadata"]["namespace"]), body=event)
        except Conflict:
            return

    async def _apply(self, root: str, plural: str, fields: Object) -> Object:
        meta = fields["metadata"]
        return await self._request(
            "PATCH",
            _path(root, plural, meta["namespace"], meta["name"]),
            query={"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"},
            body=fields,
            content_type="application/apply-patch+yaml",
        )

    async def _get(self, path: str) -> Object | None:
        try:
            return await self._request("GET", path)
        except NotFound:
            return None

    async def _list(self, path: str, selector: str) -> list[Object]:
        """Return all items in pages; a list whose pages have expired is read once more as a whole."""
        try:
            return [item async for item in self._pages(path, selector, PAGE)]
        except _Expired:
            return [item async for item in self._pages(path, selector, 0)]

    async def _pages(self, path: str, selector: str, limit: int) -> Any:
        token = ""
        while True:
            query = {"labelSelector": selector, "limit": str(limit or ""), "continue": token}
            page = await self._request("GET", path, query={key: value for key, value in query.items() if value})
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        async for attempt in stamina.retry_context(on=_wait, attempts=ATTEMPTS, timeout=PATIENCE_SECONDS):
            with attempt:
                return await asyncio.to_thread(self._send, method, path, query or {}, body, content_type)
        raise AssertionError("a retried block ends or raises")

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str) -> Object:
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        _, url, headers, _, _ = request
        # Encoded here: the client encodes only what calls itself JSON, and an apply patch calls itself YAML.
        data = None if body is None else json.dumps(body).encode()
        try:
            response = self._api.rest_client.pool_manager.request(
                method,
                url,
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{method} {path}: {error}") from error
        if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            found: Object = json.loads(response.data)
            return found
        raise _error(f"{method} {path}", response)


class _Expired(GatewayError):
    """The rest of a list is not to be had any more."""


def _path(root: str, plural: str, namespace: str | None, name: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


def _error(what: str, response: urllib3.BaseHTTPResponse) -> GatewayError:
    """Return what the API server's refusal means to us."""
    try:
        said = json.loads(response.data).get("message", "")
    except (ValueError, AttributeError):  # a proxy on the way answers with a page
        said = response.data[:200].decode(errors="replace")
    message = f"{what}: {response.status} {said or response.reason}"
    if response.status == HTTPStatus.GONE:
        return _Expired(message)
    kind = _ERRORS.get(response.status)
    if kind is not None:
        return kind(message)
    after = response.headers.get("Retry-After", "")
    return Unavailable(message, float(after) if after.isdigit() else None)


def _wait(error: Exception) -> bool | float:
    """Return whether to try again, or after how many seconds."""
    if not isinstance(error, Unavailable):
        return False
    if error.retry_after is None:
        return True
    return min(error.retry_after, MAX_RETRY_AFTER_SECONDS)
