"""A store that refuses or does not answer: the condition says so, and the next check finds it mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from modelmonitor_api.names import ANNOTATION_CHECK_REQUESTED, ConditionType, Reason
from support.kind import Kind
from support.lake import Lake

NAME = "stormy"


@pytest.fixture(scope="module")
def stormy(release: Kind, lake: Lake) -> Iterator[Kind]:
    """A monitor whose Secret has the wrong key."""
    lake.add_days(0, 30)
    release.kubectl(
        *("create", "secret", "generic", "expired"),
        *("--from-literal=AWS_ACCESS_KEY_ID=demo-access", "--from-literal=AWS_SECRET_ACCESS_KEY=of-last-year"),
    )
    declared = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        storage={"credentialsSecretRef": {"name": "expired"}, "resultsURI": f"s3://{lake.bucket}/stormy/"},
        retraining={"mode": "DryRun"},
    )
    release.apply(declared)
    yield release
    release.kubectl("delete", "modelmonitor", NAME, "--wait", "--timeout=600s")


def _drift(kind: Kind) -> dict[str, Any]:
    found = kind.get("modelmonitor", NAME).get("status", {}).get("conditions", [])
    return next((dict(c) for c in found if c["type"] == ConditionType.DRIFT_DETECTED), {})


def _check(kind: Kind, token: str) -> None:
    kind.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{ANNOTATION_CHECK_REQUESTED}={token}")


@contextmanager
def _without_endpoints(kind: Kind, service: str) -> Iterator[None]:
    """Take a Service's pods away from it: whoever connects is refused."""

    def select(app: str) -> None:
        change = json.dumps({"spec": {"selector": {"app": app}}})
        kind.kubectl("patch", "service", service, "--type=merge", "--patch", change)

    select("nobody")
    try:
        yield
    finally:
        select(service)


def test_refused_credentials_are_named(stormy: Kind) -> None:
    stormy.wait("the failure", lambda: _drift(stormy).get("reason") == Reason.CHECK_FAILED)
    condition = _drift(stormy)
    assert condition["status"] == "Unknown"
    assert condition["message"].startswith("CredentialsRefused: ")
    assert "Secret" in condition["message"]


def test_the_right_credentials_mend_it(stormy: Kind) -> None:
    change = json.dumps({"spec": {"storage": {"credentialsSecretRef": {"name": "s3"}}}})
    stormy.kubectl("patch", "modelmonitor", NAME, "--type=merge", "--patch", change)
    _check(stormy, "renewed")
    stormy.wait("a verdict", lambda: _drift(stormy).get("reason") in {Reason.NO_DRIFT, Reason.INCONCLUSIVE})


def test_a_store_that_does_not_answer_is_named_and_found_again(stormy: Kind) -> None:
    with _without_endpoints(stormy, "s3"):
        _check(stormy, "unreachable")
        stormy.wait("the failure", lambda: _drift(stormy).get("reason") == Reason.CHECK_FAILED)
        assert _drift(stormy)["message"].startswith("StorageUnavailable: ")
        assert f"s3.{stormy.namespace}.svc" in _drift(stormy)["message"]
    _check(stormy, "reachable")
    stormy.wait("a verdict", lambda: _drift(stormy).get("reason") in {Reason.NO_DRIFT, Reason.INCONCLUSIVE})
