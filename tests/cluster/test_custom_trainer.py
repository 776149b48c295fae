"""A custom trainer on a real cluster: the LightGBM example, from its first model to the one after drift."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from modelmonitor_api.names import ANNOTATION_RETRAIN_REQUESTED
from support.kind import ROOT, Kind
from support.lake import Lake

NAME = "custom"
LABELS = f"modelmonitor.io/monitor={NAME},modelmonitor.io/role=train"


@pytest.fixture(scope="module")
def image() -> str:
    """The example's image, built and loaded into the cluster."""
    image = subprocess.run(
        [ROOT / "hack" / "images.sh", "example-lightgbm"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run([ROOT / "hack" / "cluster.sh", "load", image], capture_output=True, text=True, check=True)
    return image


@pytest.fixture(scope="module")
def custom(release: Kind, lake: Lake, image: str) -> Kind:
    """A monitor with the example as its custom trainer."""
    lake.add_days(100, 30)
    monitor = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        data={"reference": None},
        storage={"credentialsSecretRef": {"name": "s3"}},
        retraining={
            "cooldownSeconds": 0,
            "trainer": {"image": image, "env": [{"name": "ROUNDS", "value": "60"}]},
        },
    )
    del monitor["spec"]["retraining"]["estimator"]
    release.apply(monitor)
    return release


def wait_training(kind: Kind, number: int) -> dict[str, Any]:
    """Wait until training `number` has ended, and return its part of the status."""

    def last() -> dict[str, Any]:
        return dict(kind.get("modelmonitor", NAME).get("status", {}).get("lastTraining", {}))

    kind.wait(f"training {number}", lambda: last().get("number") == number and "completionTime" in last())
    return last()


def test_the_first_model_is_promoted(custom: Kind) -> None:
    last = wait_training(custom, 1)
    assert last["outcome"] == "Promoted", last
    assert last["version"].startswith("v1-")


def test_custom_containers_get_neither_credentials_nor_a_token(custom: Kind, image: str) -> None:
    pods = custom.get("pods", "--selector", LABELS)["items"]
    containers = [item for pod in pods for item in pod["spec"]["initContainers"] if item["image"] == image]
    assert [container["name"] for container in containers[:3]] == ["train", "predict-challenger", "predict-champion"]
    for container in containers:
        assert not container.get("envFrom")
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/work", "/tmp"}
    assert all(pod["spec"]["automountServiceAccountToken"] is False for pod in pods)


def test_a_better_model_replaces_the_champion(custom: Kind, lake: Lake) -> None:
    lake.add_days(130, 20, slope=-0.15)
    custom.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{ANNOTATION_RETRAIN_REQUESTED}=reversed")
    last = wait_training(custom, 2)
    assert last["outcome"] == "Promoted", last
    prefix = f"results/{custom.namespace}/{NAME}/versions/{last['version']}/"
    assert f"{prefix}model/booster.txt" in lake.keys(prefix)
    record = json.loads(lake.read(f"{prefix}version.json"))
    assert record["kind"] == "Custom"
    assert record["comparedWith"].startswith("v1-")
