"""An operator behind a proxy that bends the responses of the API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.apiserver import ApiServer
from support.bent_api import BentApi, bent_api
from support.operator import HURRIED_OPERATOR, OperatorProcess, install, unexpected_logs

#: Short enough that what hangs is given up within a test.
HURRIED = {"RESYNC_SECONDS": "1", "HURRIED_READ_SECONDS": "5", "HURRIED_SILENT_SECONDS": "5"}


@dataclass(frozen=True)
class Bent:
    """An operator behind a proxy."""

    api: BentApi
    operator: OperatorProcess


@contextmanager
def bent_operator(
    server: ApiServer, folder: Path, home: str, *, clean: bool = True, **environment: str
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
    **environment
        Environment variables; see also :mod:`support.hurried_operator`.
    """
    server.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    with bent_api(server) as api:
        installation = install(server, folder, home, api.url, watchAllNamespaces=True)
        operator = OperatorProcess(installation, folder, HURRIED_OPERATOR, **(HURRIED | environment))
        try:
            yield Bent(api, operator)
        finally:
            api.bend()
            operator.end()
    # Otherwise the operators of later modules would find more rights than their own chart gives them.
    server.client.delete("ClusterRoleBinding", "modelmonitor")
    server.client.delete("Namespace", home)
    assert not clean or unexpected_logs(operator.output()) == []
