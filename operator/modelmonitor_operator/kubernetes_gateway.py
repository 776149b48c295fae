"""Gateway to a Kubernetes API server, and the only module that imports the Kubernetes client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import stamina
import urllib3
from kubernetes import client, config
from kubernetes.config import incluster_config

from modelmonitor_api import GROUP, PLURAL, VERSION
from modelmonitor_api.names import FIELD_MANAGER, short_hash
from modelmonitor_operator.backoff import spread
from modelmonitor_operator.gateway import (
    Change,
    Conflict,
    Expired,
    Kind,
    NotFound,
    Object,
    Page,
    Unavailable,
)
from modelmonitor_operator.line_stream import LineStream
from modelmonitor_operator.responses import error_of, error_with, is_success, parse_change, parse_object

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
#: Limits of the retries of one request, after which its error is raised.
ATTEMPTS = 5
RETRY_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 20.0
#: Objects in a page of a list: whole ones, and their metadata alone.
PAGE_SIZE = 100
METADATA_PAGE_SIZE = 250
#: Connections that are kept open, and requests that are sent at the same time, watches apart.
POOL_SIZE = 16
THREADS = 12
#: The server ends a watch after about this time, and the client after it has been silent for the other: the server
#: sends a bookmark about every minute.
WATCH_SECONDS = 300
SILENT_SECONDS = 75.0

_MONITORS = f"/apis/{GROUP}/{VERSION}"
_BATCH = "/apis/batch/v1"
_APPS = "/apis/apps/v1"
_CORE = "/api/v1"
_JSON = "application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


def connect() -> client.ApiClient:
    """Return a client for the cluster that the pod runs in, or that KUBECONFIG names.

    Raises
    ------
    kubernetes.config.ConfigException
        If neither configures an API server.
    """
    configuration = client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        # The client would keep a token for a minute, and the API server may refuse the old one at once.
        config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
        configuration.refresh_api_key_hook = _read_token  # type: ignore[assignment]  # the client types it as None
    else:
        # Passed explicitly: the client keeps the value that KUBECONFIG had when it was imported.
        config.load_kube_config(config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration)
    configuration.retries = False  # retried by this module, which honours Retry-After
    configuration.connection_pool_maxsize = POOL_SIZE
    return client.ApiClient(configuration)


def _read_token(configuration: client.Configuration) -> None:
    """Read the token of the service account, before each request: the kubelet replaces its file now and then."""
    with contextlib.suppress(OSError):  # the former one may still be good
        token = Path(incluster_config.SERVICE_TOKEN_FILENAME).read_text(encoding="utf-8").strip()
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"


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
    on_request
        Is called with the verb and the status code of each request, ``error`` if there was no response, in any thread.
    """

    def __init__(self, api: client.ApiClient, on_request: Callable[[str, str], None] = lambda *_: None) -> None:
        self._api = api
        self._on_request = on_request
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway")

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False)
        self._api.close()

    async def list_pages(
        self, kind: Kind, namespace: str | None, *, metadata_only: bool = False
    ) -> AsyncIterator[Page]:
        """Return the objects of a kind in `namespace` (None: all), page by page; Expired if the pages have expired."""
        limit = METADATA_PAGE_SIZE if metadata_only else PAGE_SIZE
        accept = _METADATA_LIST if metadata_only else _JSON
        path = _path(f"/apis/{kind.api_version}", kind.plural, namespace)
        async for page in self._pages(path, kind.selector, limit=limit, accept=accept):
            version = page["metadata"].get("resourceVersion")
            if not version:
                raise Unavailable(f"GET {path}: the list has no version")
            yield Page(page["items"], version)

    async def watch(self, kind: Kind, namespace: str | None, version: str) -> AsyncIterator[Change]:
        """Return the changes since `version` until the server ends the watch; Expired if the version is too old.

        Unavailable if the connection fails, or nothing arrives for so long that it must have failed.
        """
        path = _path(f"/apis/{kind.api_version}", kind.plural, namespace)
        # Spread, so that the watches do not begin again at the same time.
        seconds = int(WATCH_SECONDS * spread(0.8, 1.2))
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
            **({"labelSelector": kind.selector} if kind.selector else {}),
        }
        async with LineStream(partial(self._open, path, query)) as lines:
            async for line in lines:
                change = parse_change(f"WATCH {path}", line)
                if change.type == "ERROR":
                    raise error_with(
                        f"WATCH {path}", change.resource.get("code", 0), change.resource.get("message", "")
                    )
                yield change

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
            return [item async for page in self._pages(path, selector, fields) for item in page["items"]]
        except Expired:
            return [item async for page in self._pages(path, selector, fields, 0) for item in page["items"]]

    async def _pages(
        self, path: str, selector: str, fields: str = "", limit: int = PAGE_SIZE, accept: str = _JSON
    ) -> AsyncIterator[Object]:
        token = ""
        while True:
            query = {"labelSelector": selector, "fieldSelector": fields, "limit": str(limit or ""), "continue": token}
            given = {key: value for key, value in query.items() if value}
            page = await self._request("GET", path, query=given, accept=accept)
            if not (isinstance(page.get("metadata"), dict) and isinstance(page.get("items", ""), list | None)):
                raise Unavailable(f"GET {path}: the response is not a list: {str(page)[:200]}")
            page["items"] = page["items"] or []  # of metadata, an empty list is null
            token = page["metadata"].get("continue", "")
            yield page
            page.clear()  # at most one page is in memory
            if not token:
                return

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        send = partial(self._send, method, path, query or {}, body, content_type, accept)
        loop = asyncio.get_running_loop()
        async for attempt in stamina.retry_context(on=_retry, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
            with attempt:
                return await loop.run_in_executor(self._threads, send)
        raise AssertionError("a retried block returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None,
        content_type: str,
        accept: str,
    ) -> Object:
        # Encoded here, because the client encodes bodies of content type JSON only, and that of an apply patch is YAML.
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": content_type}
        response = self._call(method, path, query, headers, READ_SECONDS, body=data)
        if is_success(response):
            return parse_object(f"{method} {path}", response.data)
        raise error_of(f"{method} {path}", response)

    def _open(self, path: str, query: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Begin a watch and return its response, whose body has yet to be read."""
        response = self._call("GET", path, query, {"Accept": _JSON}, SILENT_SECONDS, preload_content=False)
        if is_success(response):
            return response
        response.read(65536, cache_content=True)
        raise error_of(f"WATCH {path}", response)

    def _call(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], read: float, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        request = self._api.param_serialize(
            method, path, query_params=list(query.items()), header_params=dict(headers), auth_settings=["BearerToken"]
        )
        _, url, complete, _, _ = request
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read)
        try:
            response: urllib3.BaseHTTPResponse = self._api.rest_client.pool_manager.request(
                method, url, headers=complete, timeout=timeout, **options
            )
        except urllib3.exceptions.HTTPError as error:
            self._on_request(_verb(method, path, query), "error")
            raise Unavailable(f"{method} {path}: {error}") from error
        self._on_request(_verb(method, path, query), str(response.status))
        return response


def _path(root: str, plural: str, namespace: str | None, name: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


def _verb(method: str, path: str, query: Mapping[str, str]) -> str:
    """Return the verb of a request as RBAC has it; the API server's own metrics use the same."""
    if "watch" in query:
        return "watch"
    if method == "GET":
        # Without the version: PLURAL, PLURAL/NAME, or either after namespaces/NAMESPACE.
        parts = path.strip("/").split("/")[2 if path.startswith(_CORE) else 3 :]
        named = len(parts) % 2 == 0
        return "get" if named else "list"
    return _VERBS[method]


def _retry(error: Exception) -> bool | float:
    """Return whether to retry, or the number of seconds to wait first."""
    if not isinstance(error, Unavailable):
        return False
    if error.retry_after is None:
        return True
    return min(error.retry_after, MAX_RETRY_AFTER_SECONDS)
