"""``kubectl mmon ui`` on a real API server, with a real kubectl and a real S3 server."""

from __future__ import annotations

import contextlib
import http.client
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from modelmonitor_api.messages import CheckRequest
from modelmonitor_api.names import Role
from modelmonitor_trainer.cluster.errors import Denied
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.ui.sources import OwnCluster
from support import jobs
from support.apiserver import ApiServer
from support.client import Client, Credentials
from support.lake import Lake
from support.plugin import Plugin, bind, with_secret
from support.pods import Pod
from support.s3 import S3Server
from support.scene import Scene


class Pages:
    """The pages of a running program, as a browser gets them."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._host = url.netloc
        status, headers, _ = self._request(f"/?{url.query}", {})
        assert status == http.client.SEE_OTHER
        self._cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}

    def get(self, path: str) -> tuple[int, str]:
        status, _, body = self._request(path, self._cookie)
        return status, body

    def _request(self, path: str, headers: Mapping[str, str]) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection(self._host, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()


@contextlib.contextmanager
def opened(plugin: Plugin, *arguments: str) -> Iterator[Pages]:
    """Run the program; yield its pages."""
    process = plugin.start("ui", "--no-browser", *arguments)
    try:
        assert process.stdout is not None
        yield Pages(process.stdout.readline().strip())
    finally:
        process.terminate()
        output, errors = process.communicate(timeout=60)
    assert "Traceback" not in output + errors


def checked_monitor(scene: Scene, lake: Lake, s3_server: S3Server, folder: Path) -> str:
    """Create a monitor and run its first check as a pod; return the name of the folder of its results."""
    with_secret(scene, s3_server.environment)
    scene.create(lake.monitor(storage={"credentialsSecretRef": {"name": "s3"}}, retraining={"mode": "Manual"}))
    job = scene.running_job(Role.CHECK)
    name = job["metadata"]["name"]
    scene.finish(Role.CHECK, Pod(jobs.request_of(job, CheckRequest), folder, s3_server.environment, job=name).wait())
    location: str = scene.status()["lastCheck"]["reportURI"]
    return location.split("/")[-2]


def test_a_fleet_a_monitor_and_the_page_of_its_check(
    scene: Scene, of_user: Plugin, lake: Lake, s3_server: S3Server, tmp_path: Path
) -> None:
    (tmp_path / "pods").mkdir()
    folder = checked_monitor(scene, lake, s3_server, tmp_path / "pods")
    with opened(of_user) as pages:
        status, fleet = pages.get("/")
        assert (status, f'href="monitors/{scene.namespace}/flights/"' in fleet) == (http.client.OK, True)
        assert scene.status()["lastCheck"]["verdict"] in fleet
        status, page = pages.get(f"/monitors/{scene.namespace}/flights/")
        assert (status, f'href="checks/{folder}"' in page) == (http.client.OK, True)
        assert "cannot be" not in page
        status, report = pages.get(f"/monitors/{scene.namespace}/flights/checks/{folder}")
        assert (status, report.startswith("<!doctype html>")) == (http.client.OK, True)
        assert pages.get(f"/monitors/{scene.namespace}/other/")[0] == http.client.NOT_FOUND
        assert pages.get("/monitors/kube-system/flights/")[0] == http.client.NOT_FOUND


def test_a_user_without_rights_sees_nothing(
    api_server: ApiServer, cluster: Client, namespace: str, tmp_path: Path
) -> None:
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bob"}}, namespace)
    credentials = Credentials(api_server.url, cluster.token("bob", namespace), api_server.credentials.ca_file)
    bob = Plugin(credentials.write_kubeconfig(tmp_path / "bob.kubeconfig", namespace), namespace, tmp_path)
    process = bob.start("ui", "--no-browser")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (2, "")
    assert "cannot list resource" in errors


@pytest.fixture
def identity(
    api_server: ApiServer, cluster: Client, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The files of a pod's identity, and the variables with the address of the API server."""
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ui"}}, namespace)
    folder = tmp_path / "identity"
    folder.mkdir()
    (folder / "token").write_text(cluster.token("ui", namespace))
    shutil.copy(str(api_server.credentials.ca_file), folder / "ca.crt")
    url = urlsplit(api_server.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(url.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(url.port))
    return folder


def test_in_a_pod_the_service_account_decides_what_is_shown(
    scene: Scene, cluster: Client, namespace: str, lake: Lake, identity: Path
) -> None:
    scene.create(lake.monitor(suspend=True))
    source = OwnCluster((namespace,), ("s3://elsewhere/",), identity=identity)
    with pytest.raises(Denied, match="cannot list resource"):
        source.list()
    rules = [{"apiGroups": ["modelmonitor.io"], "resources": ["modelmonitors"], "verbs": ["get", "list"]}]
    bind(cluster, namespace, "ui-reader", rules)
    (identity / "token").write_text(cluster.token("ui-reader", namespace))
    [monitor] = source.list().monitors
    assert source.find(namespace, "flights").uid == monitor.uid
    with pytest.raises(BadConfiguration, match="an administrator can permit them"):
        source.results(monitor)
