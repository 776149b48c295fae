"""A small Kubernetes API client for tests: objects are plain dicts, kinds are referred to by name."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from modelmonitor_api.names import API_VERSION, KIND, PLURAL

Object = dict[str, Any]

#: API version and plural of every kind that tests use, and whether it is namespaced.
_KINDS: Mapping[str, tuple[str, str, bool]] = {
    KIND: (API_VERSION, PLURAL, True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "ConfigMap": ("v1", "configmaps", True),
    "CronJob": ("batch/v1", "cronjobs", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "Deployment": ("apps/v1", "deployments", True),
    "Event": ("v1", "events", True),
    "Job": ("batch/v1", "jobs", True),
    "Namespace": ("v1", "namespaces", False),
    "Pod": ("v1", "pods", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "Secret": ("v1", "secrets", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "ValidatingAdmissionPolicy": ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": ("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", False),
}


_WRITING = frozenset({"APPLY", "DELETE", "DELETECOLLECTION", "PATCH", "POST", "PUT"})
_TEXT = "text/plain"


class ApiRefused(Exception):
    """The API server rejected a request or could not be reached.

    Attributes
    ----------
    status : int
        HTTP status, such as 404 or 422; 0 if there was no response.
    message : str
        Message of the server.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Credentials:
    """URL of an API server, and the token and CA certificate for it."""

    url: str
    token: str
    ca_file: Path

    def write_kubeconfig(self, path: Path, namespace: str = "default") -> Path:
        """Write a kubeconfig with these credentials, readable only by its owner, and return its path."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "test", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        return path


class Client:
    """Reads and writes objects on one API server."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        configuration = Configuration()
        configuration.host = credentials.url
        configuration.ssl_ca_cert = str(credentials.ca_file)
        configuration.retries = 1  # for a connection that the server has closed in the meantime
        self._api = ApiClient(configuration)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Any:
        """Send one request and return the JSON of the response.

        Raises
        ------
        ApiRefused
            If the response is not a success, or there is none.
        """
        url = f"{self._credentials.url}/{path.lstrip('/')}" + (f"?{urlencode(query)}" if query else "")
        headers = {
            "Authorization": f"Bearer {self._credentials.token}",
            "Content-Type": content_type,
            "Accept": accept,
        }
        try:
            response = self._api.call_api(method, url, headers, body, _request_timeout=120)
            text = bytes(response.read())
        except ApiException as error:
            raise _refused(error.status, error.body or error.reason) from error
        except HTTPError as error:
            raise ApiRefused(0, str(error)) from error
        if not 200 <= response.status < 300:
            raise _refused(response.status, text)
        if accept == _TEXT:
            return text.decode()
        return json.loads(text) if text else None

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """Return an object; raises ApiRefused with status 404 if there is none."""
        resource: Object = self.call("GET", _path(kind, namespace, name))
        return resource

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None if there is none."""
        try:
            return self.get(kind, name, namespace)
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, **labels: str) -> list[Object]:
        """Return the objects of a kind that have all `labels`, sorted by name."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        items: list[Object] = self.call("GET", _path(kind, namespace), labelSelector=selector)["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    def create(self, body: Object, namespace: str | None = None) -> Object:
        """Create an object, in `namespace` or in the namespace of its metadata."""
        created: Object = self.call("POST", _path(body["kind"], namespace or body["metadata"].get("namespace")), body)
        return created

    def patch(self, kind: str, name: str, namespace: str | None, change: Object, *, subresource: str = "") -> Object:
        """Merge `change` into an object, or into its subresource."""
        changed: Object = self.call(
            "PATCH",
            _path(kind, namespace, name, subresource),
            change,
            content_type="application/merge-patch+json",
        )
        return changed

    def replace(self, body: Object, *, subresource: str = "") -> Object:
        """Replace an object, or its subresource, with `body`."""
        metadata = body["metadata"]
        path = _path(body["kind"], metadata.get("namespace"), metadata["name"], subresource)
        replaced: Object = self.call("PUT", path, body)
        return replaced

    def apply(self, body: Object, *, manager: str = "tests", dry_run: bool = False) -> Object:
        """Apply an object server-side, taking over fields that other managers own."""
        metadata = body["metadata"]
        applied: Object = self.call(
            "PATCH",
            _path(body["kind"], metadata.get("namespace"), metadata["name"]),
            body,
            content_type="application/apply-patch+yaml",
            fieldManager=manager,
            force="true",
            **({"dryRun": "All"} if dry_run else {}),
        )
        return applied

    def delete(self, kind: str, name: str, namespace: str | None = None, *, policy: str = "Background") -> None:
        """Delete an object if it exists."""
        try:
            self.call("DELETE", _path(kind, namespace, name), {"propagationPolicy": policy})
        except ApiRefused as error:
            if error.status != 404:
                raise

    def token(self, service_account: str, namespace: str, *, seconds: int = 3600) -> str:
        """Request a token of a service account, as the kubelet does for a pod."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        answer = self.call("POST", _path("ServiceAccount", namespace, service_account, "token"), request)
        return str(answer["status"]["token"])

    def writes(self, namespaced: Iterable[str] = ("modelmonitors", "cronjobs", "jobs", "events")) -> int:
        """Return how many requests to write to some resources the server has answered since its start."""
        return self._requests(frozenset(namespaced), _WRITING)

    def lists(self, resource: str) -> int:
        """Return how many requests to list a resource the server has answered since its start."""
        return self._requests(frozenset({resource}), frozenset({"LIST"}))

    def _requests(self, resources: frozenset[str], verbs: frozenset[str]) -> int:
        counters = re.findall(
            r"^apiserver_request_total\{(.*)\} (\S+)$", self.call("GET", "/metrics", accept=_TEXT), re.MULTILINE
        )
        labels = [(dict(re.findall(r'(\w+)="([^"]*)"', text)), float(count)) for text, count in counters]
        return int(sum(n for each, n in labels if each["resource"] in resources and each["verb"] in verbs))

    def close(self) -> None:
        """Close the connections."""
        self._api.rest_client.pool_manager.clear()


def _path(kind: str, namespace: str | None, name: str = "", subresource: str = "") -> str:
    version, plural, namespaced = _KINDS[kind]
    parts = ["apis" if "/" in version else "api", version]
    if namespaced and namespace is not None:
        parts += ["namespaces", namespace]
    return "/".join([*parts, plural, *filter(None, (name, subresource))])


def _refused(status: int | None, body: str | bytes | None) -> ApiRefused:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    with contextlib.suppress(ValueError, KeyError, TypeError):  # otherwise not a Status object: keep the text
        text = json.loads(text)["message"]
    return ApiRefused(status or 0, text)
