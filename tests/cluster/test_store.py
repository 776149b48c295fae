"""An object store that rejects credentials or is unreachable: the condition reports it, and a later check recovers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from modelmonitor_api.names import ANNOTATION_CHECK_REQUESTED, ConditionType, Reason
from support.kind import Kind
from support.lake import Lake

NAME = "unreliable-store"


@pytest.fixture(scope="module")
def unreliable(release: Kind, lake: Lake) -> Iterator[Kind]:
    """A monitor whose Secret has the wrong key."""
    lake.add_days(0, 30)
    release.kubectl(
        *("create", "secret", "generic", "expired"),
        *("--from-literal=AWS_ACCESS_KEY_ID=demo-access", "--from-literal=AWS_SECRET_ACCESS_KEY=of-last-year"),
    )
    monitor = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        storage={"credentialsSecretRef": {"name": "expired"}, "resultsURI": f"s3://{lake.bucket}/unreliable/"},
        retraining={"mode": "DryRun"},
    )
    release.apply(monitor)
    yield release
    release.kubectl("delete", "modelmonitor", NAME, "--wait", "--timeout=600s")


def _drift(kind: Kind) -> dict[str, Any]:
    conditions = kind.get("modelmonitor", NAME).get("status", {}).get("conditions", [])
    return next((dict(c) for c in conditions if c["type"] == ConditionType.DRIFT_DETECTED), {})


def _check(kind: Kind, token: str) -> None:
    kind.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{ANNOTATION_CHECK_REQUESTED}={token}")


@contextmanager
def _without_endpoints(kind: Kind, service: str) -> Iterator[None]:
    """Remove the endpoints of a Service, so that connections to it are refused."""

    def select(app: str) -> None:
        change = json.dumps({"spec": {"selector": {"app": app}}})
        kind.kubectl("patch", "service", service, "--type=merge", "--patch", change)

    select("none")
    try:
        yield
    finally:
        select(service)


def test_rejected_credentials_are_reported(unreliable: Kind) -> None:
    unreliable.wait("the failure", lambda: _drift(unreliable).get("reason") == Reason.CHECK_FAILED)
    condition = _drift(unreliable)
    assert condition["status"] == "Unknown"
    assert condition["message"].startswith("CredentialsRefused: ")
    assert "Secret" in condition["message"]


def test_a_check_with_valid_credentials_succeeds(unreliable: Kind) -> None:
    change = json.dumps({"spec": {"storage": {"credentialsSecretRef": {"name": "s3"}}}})
    unreliable.kubectl("patch", "modelmonitor", NAME, "--type=merge", "--patch", change)
    _check(unreliable, "renewed")
    unreliable.wait("a verdict", lambda: _drift(unreliable).get("reason") in {Reason.NO_DRIFT, Reason.INCONCLUSIVE})


def test_an_unreachable_store_is_reported_and_a_later_check_succeeds(unreliable: Kind) -> None:
    with _without_endpoints(unreliable, "s3"):
        _check(unreliable, "unreachable")
        unreliable.wait("the failure", lambda: _drift(unreliable).get("reason") == Reason.CHECK_FAILED)
        assert _drift(unreliable)["message"].startswith("StorageUnavailable: ")
        assert f"s3.{unreliable.namespace}.svc" in _drift(unreliable)["message"]
    _check(unreliable, "reachable")
    unreliable.wait("a verdict", lambda: _drift(unreliable).get("reason") in {Reason.NO_DRIFT, Reason.INCONCLUSIVE})
