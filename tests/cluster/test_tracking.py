"""Trainings recorded on a real MLflow server in the cluster, and the message when that fails."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from string import Template
from typing import Any

import pytest

from modelmonitor_api.names import ANNOTATION_RETRAIN_REQUESTED, ANNOTATION_ROLLBACK_TO, Reason
from support.kind import RELEASE, ROOT, SYSTEM_NAMESPACE, Kind
from support.lake import Lake
from support.live import Monitor

NAME = "tracked"


def _build_image(name: str) -> str:
    """Build an image, load it into the cluster, and return its name."""
    image = subprocess.run(
        [ROOT / "hack" / "images.sh", name], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run([ROOT / "hack" / "cluster.sh", "load", image], capture_output=True, text=True, check=True)
    return image


@pytest.fixture(scope="module")
def server(kind: Kind) -> Kind:
    """An MLflow server in the namespace, and a Secret with its address."""
    manifest = Template((ROOT / "hack" / "mlflow" / "server.yaml").read_text())
    kind.kubectl("apply", "--filename", "-", text=manifest.substitute(MLFLOW_IMAGE=_build_image("mlflow-server")))
    kind.kubectl("rollout", "status", "deployment/mlflow", "--timeout=600s")
    keys = {"AWS_ACCESS_KEY_ID": "demo-access", "AWS_SECRET_ACCESS_KEY": "demo-secret-for-this-cluster-only"}
    address = f"http://mlflow.{kind.namespace}.svc:5000"
    kind.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "tracked"},
            "stringData": {**keys, "MLFLOW_TRACKING_URI": address},
        }
    )
    return kind


@pytest.fixture(scope="module")
def tracked(release: Kind, server: Kind, lake: Lake) -> Iterator[Monitor]:
    """A monitor whose trainings run in the image of the MLflow example."""
    lake.add_days(0, 30)
    _use_image(release, _build_image("example-mlflow"))
    secret = {"credentialsSecretRef": {"name": "tracked"}}
    yield Monitor(release, lake, NAME, storage=secret, retraining={"cooldownSeconds": 0})
    _use_image(release, "modelmonitor/trainer:dev")


def _use_image(release: Kind, image: str) -> None:
    """Configure the operator to start pods with another trainer image."""
    repository, _, tag = image.rpartition(":")
    values = f"trainerImage.repository={repository},trainerImage.tag={tag}"
    release.run(
        *("helm", "upgrade", RELEASE, ROOT / "charts" / "modelmonitor", "--namespace", SYSTEM_NAMESPACE),
        *("--reuse-values", "--set-string", values, "--wait", "--timeout", "600s"),
    )


def _query(kind: Kind, path: str) -> dict[str, Any]:
    """Query the REST API of the MLflow server."""
    with kind.forwarded("service/mlflow", 5000) as port:
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/{path}"
        with urllib.request.urlopen(url, timeout=120) as response:
            return dict(json.load(response))


def _champion(monitor: Monitor) -> str:
    """Return the version whose MLflow model version has the alias `champion`."""
    path = f"registered-models/alias?name={monitor.kind.namespace}.{NAME}&alias=champion"
    tags = _query(monitor.kind, path)["model_version"]["tags"]
    return next(str(tag["value"]) for tag in tags if tag["key"] == "modelmonitor.version")


def test_the_champion_alias_is_set_after_the_first_training(tracked: Monitor) -> None:
    last = tracked.wait_training(1)
    assert last["outcome"] == "Promoted", last
    assert "MLflow" not in last["message"]
    assert _champion(tracked) == last["version"]


def test_the_alias_follows_a_rollback(tracked: Monitor, lake: Lake) -> None:
    lake.add_days(30, 20, slope=-0.15)
    tracked.annotate(ANNOTATION_RETRAIN_REQUESTED, "reversed")
    second = tracked.wait_training(2)
    assert second["outcome"] == "Promoted", second
    assert _champion(tracked) == second["version"]
    tracked.annotate(ANNOTATION_ROLLBACK_TO, "previous")
    tracked.kind.wait("the rollback", lambda: tracked.status()["champion"]["version"].startswith("v1-"))
    assert _champion(tracked).startswith("v1-")
    assert "MLflow" not in tracked.status()["history"][0]["message"]


def test_a_server_that_is_down_is_reported_and_does_not_affect_the_promotion(tracked: Monitor, lake: Lake) -> None:
    tracked.kind.kubectl("scale", "deployment/mlflow", "--replicas=0")
    tracked.kind.kubectl("wait", "pod", "--selector", "app=mlflow", "--for=delete", "--timeout=600s")
    lake.add_days(50, 6, slope=-0.15)
    tracked.annotate(ANNOTATION_RETRAIN_REQUESTED, "server-down")
    third = tracked.wait_training(3)
    assert third["outcome"] == "Promoted", third
    address = f"http://mlflow.{tracked.kind.namespace}.svc:5000"
    assert f"MLflow at {address} was not updated with version {third['version']}: " in third["message"]
    newest = tracked.status()["history"][0]
    assert (newest["action"], newest["message"]) == (Reason.PROMOTED, third["message"])


def test_a_trainer_image_without_the_package_is_reported(tracked: Monitor, lake: Lake) -> None:
    _use_image(tracked.kind, "modelmonitor/trainer:dev")
    lake.add_days(56, 6, slope=-0.15)
    tracked.annotate(ANNOTATION_RETRAIN_REQUESTED, "without-package")
    fourth = tracked.wait_training(4)
    assert fourth["outcome"] in {"Promoted", "Rejected"}, fourth
    assert fourth["message"].endswith("the package mlflow-skinny is not in the trainer image.")
