"""Fixtures for all test suites. Heavy modules are imported only when a test needs them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from support.apiserver import ApiServer
    from support.client import Client
    from support.s3 import S3Server

# Test workers already use all cores. On a busy machine, OpenMP threads that spin while they wait for a core make
# fitting a model many times slower. Set before NumPy and scikit-learn are imported, and inherited by child processes.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Tests must not fail because the machine is busy, and a change must not fail for an input that another one would have
# met as well: examples are the same in each run. --hypothesis-profile=random looks for new ones, each night.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A Kubernetes API server with its controllers and the CRD; one per test worker."""
    from support.apiserver import start_api_server
    from support.audit import audit_arguments

    server = start_api_server(tmp_path_factory.mktemp("api-server"), arguments=audit_arguments())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster(api_server: ApiServer) -> Client:
    """A client of the API server with administrator rights."""
    return api_server.client


@pytest.fixture
def namespace(cluster: Client) -> Iterator[str]:
    """A new namespace that enforces the restricted Pod Security level."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    cluster.delete("Namespace", name)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with a temporary folder; one per test worker."""
    from support.s3 import start_s3_server

    server = start_s3_server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """A new bucket."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    s3_server.client.create_bucket(Bucket=name)
    return name
