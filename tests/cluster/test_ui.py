"""The pages in the cluster, run by the chart with an account that can read monitors and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kind import RELEASE, ROOT, SYSTEM_NAMESPACE, Kind
from support.lake import Lake

NAME = "browsed"
SERVICE = f"{RELEASE}-ui"


@pytest.fixture(scope="module")
def pages(release: Kind, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kind]:
    """The pages, enabled in the release, with the credentials of the test's store."""
    secret = release.get("secret", "s3")
    copied = {"apiVersion": "v1", "kind": "Secret", "data": secret["data"]}
    copied["metadata"] = {"name": "results-reader"}
    in_system = ("kubectl", "--namespace", SYSTEM_NAMESPACE)
    release.run(*in_system, "apply", "--filename", "-", text=json.dumps(copied))
    storage = lake.server.storage(lake.bucket)
    ui = {
        "enabled": True,
        "results": [storage["resultsURI"]],
        "endpoint": storage["endpoint"],
        "credentialsSecret": "results-reader",
    }
    values = tmp_path_factory.mktemp("values") / "ui.json"
    values.write_text(json.dumps({"ui": ui}))
    upgrade(release, "--values", values)
    yield release
    upgrade(release, "--set", "ui.enabled=false")
    release.run(*in_system, "delete", "secret", "results-reader")


def upgrade(release: Kind, *arguments: str | Path) -> None:
    """Upgrade the release, and wait for its pods."""
    chart = ROOT / "charts" / "modelmonitor"
    options = ("--namespace", SYSTEM_NAMESPACE, "--reuse-values", "--wait", "--timeout", "600s")
    release.run("helm", "upgrade", RELEASE, chart, *options, *arguments)


def fetch(port: int, path: str, host: str = SERVICE) -> tuple[int, str]:
    """Return the status and the text of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()


def test_the_pages_show_a_monitor_and_its_check(pages: Kind, lake: Lake) -> None:
    lake.add_days(0, 28)
    pages.apply(
        lake.monitor(
            name=NAME,
            namespace=pages.namespace,
            storage={"credentialsSecretRef": {"name": "s3"}},
            retraining={"mode": "Manual"},
        )
    )
    check = pages.wait("a verdict", lambda: pages.get("modelmonitor", NAME).get("status", {}).get("lastCheck"))
    page = f"/monitors/{pages.namespace}/{NAME}/"
    with pages.forwarded(f"service/{SERVICE}", 80, SYSTEM_NAMESPACE) as port:
        status, fleet = fetch(port, "/")
        assert (status, f'href="{page[1:]}"' in fleet, check["verdict"] in fleet) == (http.client.OK, True, True)
        status, monitor = fetch(port, page)
        folder = check["reportURI"].split("/")[-2]
        assert (status, f'href="checks/{folder}"' in monitor) == (http.client.OK, True)
        status, report = fetch(port, f"{page}checks/{folder}")
        assert (status, report.startswith("<!doctype html>")) == (http.client.OK, True)
        assert fetch(port, "/", "evil.example")[0] == http.client.MISDIRECTED_REQUEST
