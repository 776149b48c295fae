"""A custom trainer on a real cluster: the LightGBM example, from its first model to the one after drift."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from modelmonitor_api.names import ANNOTATION_RETRAIN_REQUESTED
from support.kind import ROOT, Kind
from support.lake import Lake

NAME = "own"
LABELS = f"modelmonitor.io/monitor={NAME},modelmonitor.io/role=train"


@pytest.fixture(scope="module")
def image() -> str:
    """The example's image, built and in the cluster."""
    built = subprocess.run(
        [ROOT / "hack" / "images.sh", "example-lightgbm"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run([ROOT / "hack" / "cluster.sh", "load", built], capture_output=True, text=True, check=True)
    return built


@pytest.fixture(scope="module")
def own(release: Kind, lake: Lake, image: str) -> Kind:
    lake.add_days(100, 30)
    declared = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        data={"reference": None},
        storage={"credentialsSecretRef": {"name": "s3"}},
        retraining={
            "cooldownSeconds": 0,
            "trainer": {"image": image, "env": [{"name": "ROUNDS", "value": "60"}]},
        },
    )
    del declared["spec"]["retraining"]["estimator"]
    release.apply(declared)
    return release


def trained(kind: Kind, number: int) -> dict[str, Any]:
    """Wait until training `number` has ended, and return what the status says of it."""

    def last() -> dict[str, Any]:
        return dict(kind.get("modelmonitor", NAME).get("status", {}).get("lastTraining", {}))

    kind.wait(f"training {number}", lambda: last().get("number") == number and "completionTime" in last(), 300)
    return last()


def test_the_first_model(own: Kind) -> None:
    last = trained(own, 1)
    assert last["outcome"] == "Promoted", last
    assert last["version"].startswith("v1-")


def test_its_containers_get_neither_credentials_nor_a_token(own: Kind, image: str) -> None:
    pods = own.get("pods", "--selector", LABELS)["items"]
    containers = [item for pod in pods for item in pod["spec"]["initContainers"] if item["image"] == image]
    assert [container["name"] for container in containers[:3]] == ["train", "predict-challenger", "predict-champion"]
    for container in containers:
        assert not container.get("envFrom")
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/work", "/tmp"}
    assert all(pod["spec"]["automountServiceAccountToken"] is False for pod in pods)


def test_a_better_model_replaces_it(own: Kind, lake: Lake) -> None:
    lake.add_days(130, 20, slope=-0.15)
    own.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{ANNOTATION_RETRAIN_REQUESTED}=turned")
    last = trained(own, 2)
    assert last["outcome"] == "Promoted", last
    prefix = f"results/{own.namespace}/{NAME}/versions/{last['version']}/"
    assert f"{prefix}model/booster.txt" in lake.keys(prefix)
    record = json.loads(lake.read(f"{prefix}version.json"))
    assert record["kind"] == "Own"
    assert record["comparedWith"].startswith("v1-")
