"""Gateway to a Kubernetes API server, and the only module that imports the Kubernetes client."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import stamina
import urllib3
from kubernetes import client, config

from modelmonitor_api import GROUP, PLURAL, VERSION
from modelmonitor_api.names import FIELD_MANAGER, short_hash
from modelmonitor_operator.gateway import Conflict, Forbidden, GatewayError, Invalid, NotFound, Object, Unavailable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
#: Limits of the retries of one request, after which its error is raised.
ATTEMPTS = 5
RETRY_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 20.0
PAGE_SIZE = 500
#: Connections that are kept open; more than the work queue has workers.
POOL_SIZE = 16

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
        If neither configures an API server.
    """
    configuration = client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=configuration)
    else:
        # Passed explicitly: the client keeps the value that KUBECONFIG had when it was imported.
        config.load_kube_config(config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration)
    configuration.retries = False  # retried by this module, which honours Retry-After
    configuration.connection_pool_maxsize = POOL_SIZE
    return client.ApiClient(configuration)


def identify_cluster(api: client.ApiClient) -> str:
    """Return an identifier of the cluster that stays the same: a hash of its certificate authority, or of its URL."""
    authority = api.configuration.ssl_ca_cert
    if not authority:
        return short_hash(str(api.configuration.host))
    return short_hash(Path(authority).read_text(encoding="utf-8", errors="replace").strip())


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

    async def list_jobs(self, namespace: str | None, selector: str) -> list[Object]:
        """Return the Jobs of `namespace` (None: all) that match a label selector."""
        return await self._list(_path(_BATCH, "jobs", namespace), selector)

    async def list_pods(self, namespace: str, selector: str) -> list[Object]:
        """Return the pods of `namespace` that match a label selector."""
        return await self._list(_path(_CORE, "pods", namespace), selector)

    async def list_events(self, namespace: str, uid: str) -> list[Object]:
        """Return the events about the object with a UID."""
        return await self._list(_path(_CORE, "events", namespace), "", f"involvedObject.uid={uid}")

    async def get_monitor(self, namespace: str, name: str) -> Object | None:
        """Return a monitor, or None if it does not exist."""
        return await self._get(_path(_MONITORS, PLURAL, namespace, name))

    async def get_cron_job(self, namespace: str, name: str) -> Object | None:
        """Return a CronJob, or None if it does not exist."""
        return await self._get(_path(_BATCH, "cronjobs", namespace, name))

    async def get_job(self, namespace: str, name: str) -> Object | None:
        """Return a Job, or None if it does not exist."""
        return await self._get(_path(_BATCH, "jobs", namespace, name))

    async def get_deployment(self, namespace: str, name: str) -> Object | None:
        """Return a Deployment, or None if it does not exist."""
        return await self._get(_path(_APPS, "deployments", namespace, name))

    async def apply_deployment(self, fields: Object) -> Object:
        """Set some fields of a Deployment by server-side apply; return the Deployment."""
        return await self._apply(_APPS, "deployments", fields)

    async def apply_cron_job(self, cron_job: Object) -> Object:
        """Create or update a CronJob by server-side apply; return it."""
        return await self._apply(_BATCH, "cronjobs", cron_job)

    async def create_job(self, job: Object) -> Object:
        """Create a Job and return it; Conflict if the name is taken.

        If the response to a request is lost, the retry conflicts with the Job that the request created. The caller
        therefore has to check who owns the Job.
        """
        return await self._request(
            "POST",
            _path(_BATCH, "jobs", job["metadata"]["namespace"]),
            query={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
            body=job,
        )

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job and its pods; no error if there is no Job of that UID."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._request("DELETE", _path(_BATCH, "jobs", namespace, name), body=options)
        except (NotFound, Conflict):
            return

    async def patch_status(self, namespace: str, name: str, resource_version: str, patch: Object) -> Object:
        """Merge `patch` into the status of a monitor; Conflict if it is no longer at `resource_version`."""
        return await self._request(
            "PATCH",
            _path(_MONITORS, PLURAL, namespace, name) + "/status",
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"resourceVersion": resource_version}, "status": patch},
            content_type="application/merge-patch+json",
        )

    async def create_event(self, event: Object) -> None:
        """Create an event; no error if it already exists."""
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

    async def _list(self, path: str, selector: str, fields: str = "") -> list[Object]:
        """Return all items, page by page; if the pages have expired, read the list again in one piece."""
        try:
            return [item async for item in self._pages(path, selector, fields, PAGE_SIZE)]
        except _Expired:
            return [item async for item in self._pages(path, selector, fields, 0)]

    async def _pages(self, path: str, selector: str, fields: str, limit: int) -> Any:
        token = ""
        while True:
            query = {"labelSelector": selector, "fieldSelector": fields, "limit": str(limit or ""), "continue": token}
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
        async for attempt in stamina.retry_context(on=_retry, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
            with attempt:
                return await asyncio.to_thread(self._send, method, path, query or {}, body, content_type)
        raise AssertionError("a retried block returns or raises")

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str) -> Object:
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        _, url, headers, _, _ = request
        # Encoded here, because the client encodes bodies of content type JSON only, and that of an apply patch is YAML.
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
            answer: Object = json.loads(response.data)
            return answer
        raise _error(f"{method} {path}", response)


class _Expired(GatewayError):
    """The remaining pages of a list have expired."""


def _path(root: str, plural: str, namespace: str | None, name: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


def _error(call: str, response: urllib3.BaseHTTPResponse) -> GatewayError:
    """Return the error for an unsuccessful response."""
    try:
        details = json.loads(response.data).get("message", "")
    except (ValueError, AttributeError):  # not from the API server, but a page of a proxy in between
        details = response.data[:200].decode(errors="replace")
    message = f"{call}: {response.status} {details or response.reason}"
    if response.status == HTTPStatus.GONE:
        return _Expired(message)
    kind = _ERRORS.get(response.status)
    if kind is not None:
        return kind(message)
    after = response.headers.get("Retry-After", "")
    return Unavailable(message, float(after) if after.isdigit() else None)


def _retry(error: Exception) -> bool | float:
    """Return whether to retry, or the number of seconds to wait first."""
    if not isinstance(error, Unavailable):
        return False
    if error.retry_after is None:
        return True
    return min(error.retry_after, MAX_RETRY_AFTER_SECONDS)
