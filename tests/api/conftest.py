"""Operators for the tests of this folder, and the namespaces that they look after."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from support.apiserver import ApiServer
from support.client import Client, Credentials
from support.lake import Lake
from support.operator import OperatorProcess, install, unexpected_logs
from support.plugin import Plugin, bind
from support.s3 import S3Server
from support.scene import Scene

#: Role of a user of the plugin.
USER = Path(__file__).parents[2] / "manifests" / "samples" / "mmon-user.yaml"


def _end(operator: OperatorProcess) -> None:
    """Stop an operator; it must never have been surprised by anything."""
    operator.end()
    assert unexpected_logs(operator.output()) == []


@pytest.fixture(scope="module")
def shared_operator(
    api_server: ApiServer, cluster: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that looks after all namespaces, for tests that leave it alone."""
    home = f"operator-{uuid.uuid4().hex[:8]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    folder = tmp_path_factory.mktemp(home)
    operator = OperatorProcess(
        install(api_server, folder, home, **{"watchAllNamespaces": True, "rollouts.enabled": True}), folder
    )
    operator.start()
    yield operator
    _end(operator)
    # Otherwise the operators of later modules would find more rights than their own chart gives them.
    cluster.delete("ClusterRoleBinding", "modelmonitor")
    cluster.delete("Namespace", home)


@pytest.fixture
def scene(shared_operator: OperatorProcess, cluster: Client, namespace: str) -> Scene:
    """A namespace that the shared operator looks after."""
    return Scene(cluster, namespace, f"(log: {shared_operator.log})")


@pytest.fixture
def make_operator(api_server: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Makes operators for the test's namespace alone, with nothing but a Role in it; they are not started."""
    operators: list[OperatorProcess] = []

    def make(**environment: str) -> OperatorProcess:
        folder = tmp_path / f"operator-{len(operators)}"
        folder.mkdir()
        operator = OperatorProcess(install(api_server, folder, namespace), folder, **environment)
        operators.append(operator)
        return operator

    yield make
    for operator in operators:
        _end(operator)


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """An operator for the test's namespace alone, started; the test may stop, kill and start it."""
    operator = make_operator()
    operator.start()
    return operator


@pytest.fixture
def own_scene(operator: OperatorProcess, cluster: Client, namespace: str) -> Scene:
    """A namespace that the test's own operator looks after."""
    return Scene(cluster, namespace, f"(log: {operator.log})")


@pytest.fixture
def mmon(api_server: ApiServer, namespace: str, tmp_path: Path) -> Plugin:
    """The plugin of an administrator."""
    return Plugin(api_server.kubeconfig, namespace, tmp_path)


@pytest.fixture
def of_user(api_server: ApiServer, cluster: Client, namespace: str, tmp_path: Path) -> Plugin:
    """The plugin of a service account that has the rules of the sample, and nothing else."""
    role = next(item for item in yaml.safe_load_all(USER.read_text()) if item["metadata"]["name"] == "mmon-user")
    bind(cluster, namespace, "ann", role["rules"])
    credentials = Credentials(api_server.url, cluster.token("ann", namespace), api_server.credentials.ca_file)
    return Plugin(credentials.write_kubeconfig(tmp_path / "ann.kubeconfig"), namespace, tmp_path)


@pytest.fixture
def lake(s3_server: S3Server, bucket: str) -> Lake:
    """Four weeks of flights."""
    created = Lake(s3_server, bucket)
    created.add_days(0, 28)
    return created
