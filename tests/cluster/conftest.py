"""A release of the chart on the kind cluster, and a restricted namespace with an S3 server.

``make test-cluster`` starts the cluster and loads the images first.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from string import Template

import pytest

from support.kind import RELEASE, ROOT, SYSTEM_NAMESPACE, ClusterS3, Kind
from support.lake import Lake

NAMESPACE = "modelmonitor-test"


@pytest.fixture(scope="session")
def kind() -> Iterator[Kind]:
    """The cluster, with a test namespace that enforces the restricted Pod Security level."""
    kind = Kind(NAMESPACE)
    kind.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    kind.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
    )
    yield kind
    kind.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
def release(kind: Kind) -> Iterator[Kind]:
    """The chart, installed with helm as a user would."""
    image = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", "modelmonitor/operator:dev"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    kind.run(
        *("helm", "upgrade", "--install", RELEASE, ROOT / "charts" / "modelmonitor"),
        *("--namespace", SYSTEM_NAMESPACE, "--create-namespace", "--wait", "--timeout", "600s"),
        *("--set-string", "image.tag=dev,trainerImage.tag=dev", "--set", f"watchNamespaces={{{NAMESPACE}}}"),
        *("--set", "rollouts.enabled=true"),
        # The tag stays the same, so a new image is recognised by its digest.
        *("--set-string", f"podAnnotations.modelmonitor\\.io/image={image}"),
    )
    yield kind
    kind.run("helm", "uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait")


@pytest.fixture(scope="session")
def s3(kind: Kind) -> Iterator[ClusterS3]:
    """An S3 server inside the cluster."""
    manifest = (ROOT / "hack" / "demo" / "s3.yaml").read_text().replace("namespace: demo", f"namespace: {NAMESPACE}")
    image = subprocess.run(
        [ROOT / "hack" / "images.sh", "versitygw"], capture_output=True, text=True, check=True
    ).stdout.strip()
    kind.kubectl("apply", "--filename", "-", text=Template(manifest).substitute(S3_IMAGE=image))
    kind.kubectl("rollout", "status", "deployment/s3", "--timeout=600s")
    with kind.forwarded("service/s3", 9000) as port:
        yield ClusterS3(kind, port)


@pytest.fixture(scope="module")
def lake(kind: Kind, s3: ClusterS3, request: pytest.FixtureRequest) -> Iterator[Lake]:
    """A data lake per test module. Its monitors are deleted afterwards, so that they do not load the cluster."""
    bucket = request.module.__name__.rpartition(".")[2].replace("_", "-")
    s3.client.create_bucket(Bucket=bucket)
    yield Lake(s3, bucket)
    kind.kubectl("delete", "modelmonitors", "--all", "--wait", "--timeout=600s")
