"""An operator behind a proxy that bends the responses of the API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from support.apiserver import ApiServer
from support.bent_api import BentApi, bent_api
from support.operator import HURRIED_OPERATOR, Installation, OperatorProcess, install, unexpected_logs

#: Short enough that what hangs is given up within a test.
HURRIED = {"RESYNC_SECONDS": "1", "HURRIED_READ_SECONDS": "5", "HURRIED_SILENT_SECONDS": "5"}


@dataclass(frozen=True)
class Bent:
    """An operator behind a proxy, and the namespace of its service account."""

    api: BentApi
    operator: OperatorProcess
    home: str


@contextmanager
def bent_operator(
    server: ApiServer, folder: Path, home: str, *, clean: bool = True, account: Path | None = None, **environment: str
) -> Iterator[Bent]:
    """Yield an operator behind a proxy, not yet started, that looks after all namespaces.

    Parameters
    ----------
    server
        The API server.
    folder
        Folder for its log and its kubeconfig.
    home
        A new namespace for its service account.
    clean
        Whether its log must have no errors.
    account
        Folder that gets the credentials of the operator, in the files that a pod has; by default they are in a
        kubeconfig.
    **environment
        Environment variables; see also :mod:`support.hurried_operator`.
    """
    server.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    with bent_api(server) as api:
        installation = install(server, folder, home, api.url, watchAllNamespaces=True)
        if account is not None:
            environment |= _in_a_pod(installation, server, account, api.url)
        operator = OperatorProcess(installation, folder, HURRIED_OPERATOR, **(HURRIED | environment))
        try:
            yield Bent(api, operator, home)
        finally:
            api.bend()
            operator.end()
    # Otherwise the operators of later modules would find more rights than their own chart gives them.
    server.client.delete("ClusterRoleBinding", "modelmonitor")
    server.client.delete("Namespace", home)
    assert not clean or unexpected_logs(operator.output()) == []


def _in_a_pod(installation: Installation, server: ApiServer, account: Path, url: str) -> dict[str, str]:
    """Write the credentials of an installation into the files of a pod, and return the environment of a pod."""
    [user] = json.loads(installation.kubeconfig.read_text())["users"]
    replace(account / "token", user["user"]["token"])
    replace(account / "ca.crt", server.credentials.ca_file.read_text())
    address = urlsplit(url)
    return {
        "KUBECONFIG": "",
        "KUBERNETES_SERVICE_HOST": address.hostname or "",
        "KUBERNETES_SERVICE_PORT": str(address.port),
        "HURRIED_ACCOUNT": str(account),
    }


def replace(path: Path, text: str) -> None:
    """Replace a file at once, as the kubelet does."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.rename(path)
