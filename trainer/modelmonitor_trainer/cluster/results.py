"""Access to the results of a monitor from the caller's machine: endpoint, port and credentials."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Missing
from modelmonitor_trainer.cluster.kubectl import Kubectl
from modelmonitor_trainer.errors import BadConfiguration, CredentialsRefused, StorageUnavailable

if TYPE_CHECKING:
    from modelmonitor_api.spec import Storage
    from modelmonitor_trainer.storage.base import Store

#: Keys of a Secret that are used. Others could name files or programs of the caller's machine.
KEYS = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
    }
)
REQUIRED_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
#: Variables of the caller that would take precedence over the keys of a Secret, or be mixed with them.
_REPLACED = KEYS | {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class MissingSecret(Missing):
    """The Secret that the spec refers to does not exist."""


@dataclass(frozen=True)
class ServiceAddress:
    """A Service of the cluster in an endpoint URL.

    Attributes
    ----------
    name, namespace, port
        The Service.
    scheme
        http or https.
    certain
        Whether the host can only be a Service, and not a name outside of the cluster.
    """

    name: str
    namespace: str
    port: int
    scheme: str
    certain: bool


def service_of(endpoint: str | None, namespace: str) -> ServiceAddress | None:
    """Return the Service that an endpoint names; None for an address outside of the cluster.

    >>> service_of("http://s3.demo.svc:9000", "ml")
    ServiceAddress(name='s3', namespace='demo', port=9000, scheme='http', certain=True)
    >>> service_of("https://s3.eu-central-1.amazonaws.com", "ml")
    """
    if endpoint is None:
        return None
    url = urlsplit(endpoint)
    labels = (url.hostname or "").split(".")
    is_service = len(labels) <= 2 or labels[2] == "svc"
    if not is_service or labels == ["localhost"] or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    port = url.port or _PORTS.get(url.scheme, 80)
    return ServiceAddress(
        labels[0], labels[1] if len(labels) > 1 else namespace, port, url.scheme, certain=len(labels) != 2
    )


def credentials_in(secret: Mapping[str, Any]) -> dict[str, str]:
    """Return the credentials in a Secret as environment variables.

    Raises
    ------
    BadConfiguration
        If a key is missing, or is no text.
    """
    name, data = secret["metadata"]["name"], secret.get("data") or {}
    missing = [key for key in REQUIRED_KEYS if not data.get(key)]
    if missing:
        raise BadConfiguration(f"the Secret {name!r} lacks the key {' and the key '.join(missing)}")
    try:
        return {key: base64.b64decode(value).decode() for key, value in data.items() if key in KEYS}
    except ValueError as error:
        raise BadConfiguration(f"the Secret {name!r} has a key that is not text") from error


@dataclass(frozen=True)
class Access:
    """Access to the object store of a monitor.

    Attributes
    ----------
    store
        The store.
    endpoint
        How it is reached, for messages.
    credentials
        Whose credentials are used, for messages.
    as_pods
        Whether they are those of the pods.
    """

    store: Store
    endpoint: str
    credentials: str
    as_pods: bool = False


@contextlib.contextmanager
def open_results(kubectl: Kubectl, namespace: str, storage: Storage, endpoint: str | None = None) -> Iterator[Access]:
    """Open the object store of a monitor with the credentials of its Secret; yield it while a port is forwarded.

    Without a Secret in the spec, or without a right to read it, the caller's own AWS credentials are used.

    Parameters
    ----------
    kubectl
        The cluster.
    namespace
        Namespace of the monitor.
    storage
        Storage of its spec.
    endpoint
        An endpoint that replaces that of the spec.

    Raises
    ------
    ClusterError, BadConfiguration, CredentialsRefused, StorageUnavailable
        With what is missing.
    """
    variables, source = _credentials(kubectl, namespace, storage)
    with contextlib.ExitStack() as stack:
        declared = storage.endpoint or _endpoint_in(variables or {})
        url, how = endpoint or declared, endpoint or declared or "Amazon S3"
        service = None if endpoint else _forwarded_service(kubectl, declared, namespace)
        if service is not None:
            port = stack.enter_context(_forward(kubectl, service))
            url, how = f"{service.scheme}://127.0.0.1:{port}", f"{declared} (forwarded to port {port})"
        with _environment(variables):
            store = _connect(url, storage.region)
        yield Access(store, how, source, as_pods=variables is not None)


def explain_access(error: Exception, access: Access) -> Exception:
    """Return an error of the object store with how it was accessed."""
    if isinstance(error, CredentialsRefused | StorageUnavailable):
        return type(error)(f"{error} (endpoint: {access.endpoint}; credentials: {access.credentials})")
    return error


def _credentials(kubectl: Kubectl, namespace: str, storage: Storage) -> tuple[dict[str, str] | None, str]:
    """Return the variables of the monitor's Secret, or None to use the caller's own; and whose they are."""
    reference = storage.credentials_secret_ref
    if reference is None:
        return None, "your own, because the monitor uses the identity of a service account"
    try:
        secret = kubectl.get(f"/api/v1/namespaces/{namespace}/secrets/{quote(reference.name, safe='')}")
    except Missing:
        raise MissingSecret(
            f"the Secret {reference.name!r} of spec.storage.credentialsSecretRef does not exist in namespace "
            f"{namespace}; create it, or correct the spec"
        ) from None
    except Denied:
        return None, f"your own, because you may not read the Secret {reference.name!r}"
    return credentials_in(secret), f"Secret {reference.name!r}"


def _endpoint_in(variables: Mapping[str, str]) -> str | None:
    """Return the endpoint that a Secret sets for the AWS library, where the spec declares none."""
    return variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL")


def _forwarded_service(kubectl: Kubectl, endpoint: str | None, namespace: str) -> ServiceAddress | None:
    """Return the Service to forward a port to; None for an endpoint that can be reached directly."""
    service = service_of(endpoint, namespace)
    if service is None or service.certain:
        return service
    try:
        kubectl.get(f"/api/v1/namespaces/{service.namespace}/services/{service.name}")
    except ClusterError:
        return None
    return service


@contextlib.contextmanager
def _forward(kubectl: Kubectl, service: ServiceAddress) -> Iterator[int]:
    if service.scheme == "https":
        raise BadConfiguration(
            f"the endpoint is the Service {service.name!r} in namespace {service.namespace} with TLS, whose "
            "certificate does not hold for a forwarded port; make it reachable, and give its address with --endpoint"
        )
    try:
        with kubectl.forward(service.namespace, service.name, service.port) as port:
            yield port
    except Denied as error:
        raise Denied(
            f"{error}; you need the verb create on pods/portforward in namespace {service.namespace}, or an address "
            "that you can reach, with --endpoint"
        ) from None


@contextlib.contextmanager
def _environment(variables: Mapping[str, str] | None) -> Iterator[None]:
    """Set the credentials in the environment, where the AWS library looks for them; None leaves it as it is."""
    if variables is None:
        yield
        return
    before = {name: os.environ.pop(name) for name in _REPLACED if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)


def _connect(endpoint: str | None, region: str | None) -> Store:
    from modelmonitor_trainer.storage.s3 import RetryPolicy, S3Store

    # A person waits: half a minute at most for a store that does not respond.
    return S3Store(endpoint, region, patience=RetryPolicy(connect_seconds=3, read_seconds=15, attempts=2))
