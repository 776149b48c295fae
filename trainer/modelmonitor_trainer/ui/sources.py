"""Where the pages get monitors and results from: the caller's cluster, or the cluster in which the program runs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from modelmonitor_api.spec import Storage
from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Missing, Unreachable
from modelmonitor_trainer.cluster.kubectl import Kubectl, monitors_path
from modelmonitor_trainer.cluster.observed import ObservedMonitor, observe_monitor
from modelmonitor_trainer.cluster.report_page import layout_of
from modelmonitor_trainer.cluster.results import Access, open_results
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.storage.base import Store

#: Files of the identity of a pod.
IDENTITY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 30.0


@dataclass(frozen=True)
class Listing:
    """The monitors that can be seen.

    Attributes
    ----------
    monitors
        The monitors.
    note
        What limits the view, in a sentence; empty if nothing does.
    """

    monitors: tuple[ObservedMonitor, ...]
    note: str = ""


class MonitorSource(Protocol):
    """Reads monitors, and opens their results."""

    def list(self) -> Listing:
        """Return the monitors that can be seen.

        Raises
        ------
        ClusterError
            If none can be.
        """

    def find(self, namespace: str, name: str) -> ObservedMonitor:
        """Return a monitor.

        Raises
        ------
        ClusterError
            If it cannot be seen, or does not exist.
        """

    def results(self, monitor: ObservedMonitor) -> Store:
        """Return the store of a monitor's results.

        Raises
        ------
        ModelMonitorError
            If it cannot be opened.
        """

    def close(self) -> None:
        """End what was opened."""


class ParsedMonitors:
    """Monitors as they were listed last, so that only those that have changed since are parsed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], ObservedMonitor] = {}

    def observe(self, items: Sequence[Any]) -> tuple[ObservedMonitor, ...]:
        """Return the monitors of a list of resources."""
        known = self._known
        self._known = {key: known.get(key) or observe_monitor(item) for item in items for key in [_version_of(item)]}
        return tuple(self._known.values())


def _version_of(resource: Any) -> tuple[str, str]:
    metadata = resource["metadata"]
    return str(metadata["uid"]), str(metadata["resourceVersion"])


class CallersCluster:
    """A cluster as the caller's kubectl accesses it, and results with the credentials of the monitors' Secrets.

    Stores stay open, and ports forwarded, until :meth:`close`.

    Parameters
    ----------
    kubectl
        The cluster.
    namespace
        Namespace that is shown; None is all, or that of the context if the caller may not list all.
    endpoint
        Endpoint of all object stores instead of those of the specs.
    """

    def __init__(self, kubectl: Kubectl, namespace: str | None = None, endpoint: str | None = None) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._open = contextlib.ExitStack()
        self._accesses: dict[tuple[str, str], Access] = {}
        self._parsed = ParsedMonitors()

    def list(self) -> Listing:
        """Return the monitors of the namespace, or of all namespaces."""
        try:
            return Listing(self._parsed.observe(self._kubectl.items(monitors_path(self._namespace))))
        except Denied as error:
            if self._namespace is not None:
                raise
            own = self._kubectl.current_namespace()
            items = self._kubectl.items(monitors_path(own))
            return Listing(self._parsed.observe(items), f"Only namespace {own} is shown: {error}")

    def find(self, namespace: str, name: str) -> ObservedMonitor:
        """Return a monitor."""
        if self._namespace not in {None, namespace}:
            raise Missing(f"only the monitors of namespace {self._namespace} are shown")
        return observe_monitor(self._kubectl.monitor(namespace, name))

    def results(self, monitor: ObservedMonitor) -> Store:
        """Return the store of a monitor's results, with the credentials of its Secret or the caller's own."""
        layout_of(monitor)
        assert monitor.spec is not None
        storage: Storage = monitor.spec.storage
        key = (monitor.namespace, storage.model_dump_json())
        # One at a time: credentials pass through the environment while a store is opened.
        with self._lock:
            if key not in self._accesses:
                opened = open_results(self._kubectl, monitor.namespace, storage, self._endpoint)
                self._accesses[key] = self._open.enter_context(opened)
            return self._accesses[key].store

    def close(self) -> None:
        """Stop forwarding ports."""
        self._open.close()


@dataclass
class OwnCluster:
    """The cluster in which the program runs, with its service account; results with the credentials of its environment.

    A resource decides neither which address is called nor what the credentials of this program read: the endpoint is
    that of the environment, and only results below the permitted prefixes are opened.

    Attributes
    ----------
    namespaces
        Namespaces that are shown; empty is all.
    prefixes
        URI prefixes below which results may be read.
    """

    namespaces: Sequence[str]
    prefixes: Sequence[str]
    identity: Path = IDENTITY
    _store: Store | None = None
    _parsed: ParsedMonitors = field(default_factory=ParsedMonitors)

    def list(self) -> Listing:
        """Return the monitors of the namespaces."""
        paths = [monitors_path(namespace) for namespace in self.namespaces or (None,)]
        return Listing(self._parsed.observe([item for path in paths for item in self._get(path).get("items") or []]))

    def find(self, namespace: str, name: str) -> ObservedMonitor:
        """Return a monitor."""
        if self.namespaces and namespace not in self.namespaces:
            raise Missing(f"namespace {namespace} is not shown")
        return observe_monitor(self._get(f"{monitors_path(namespace)}/{quote(name, safe='')}"))

    def results(self, monitor: ObservedMonitor) -> Store:
        """Return the store of a monitor's results."""
        root = layout_of(monitor).root
        if not any(root.startswith(f"{prefix.rstrip('/')}/") for prefix in self.prefixes):
            raise BadConfiguration(
                f"results below {root} are not shown; an administrator can permit them with ui.results of the chart"
            )
        if self._store is None:
            from modelmonitor_trainer.storage.s3 import RetryPolicy, S3Store

            patience = RetryPolicy(connect_seconds=3, read_seconds=15, attempts=2)
            self._store = S3Store(None, None, patience=patience)
        return self._store

    def close(self) -> None:
        """Do nothing: no port is forwarded."""

    def _get(self, path: str) -> dict[str, Any]:
        """Return what the API server has at a path."""
        try:
            token = (self.identity / "token").read_text().strip()
            context = ssl.create_default_context(cafile=str(self.identity / "ca.crt"))
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        except (OSError, KeyError, ValueError) as error:
            raise ClusterError(f"this is no pod with a service account: {error}") from error
        with contextlib.closing(_connect(host, port, context)) as connection:
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
                response = connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"the API server does not respond: {error}") from error
        return parse_response(response.status, data)


def _connect(host: str, port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)


def parse_response(status: int, data: bytes) -> dict[str, Any]:
    """Return the document of a response of the API server, or raise the error that it is."""
    try:
        document: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise ClusterError(f"the API server returned no JSON (status {status})") from error
    if status == http.client.OK:
        return document
    message = str(document.get("message", "no message"))
    match status:
        case http.client.NOT_FOUND:
            raise Missing(message)
        case http.client.FORBIDDEN | http.client.UNAUTHORIZED:
            raise Denied(message)
        case http.client.TOO_MANY_REQUESTS:
            raise Unreachable(message)
    raise Unreachable(message) if status >= http.client.INTERNAL_SERVER_ERROR else ClusterError(message)
