"""Specs that the API server rejects, with a message that states what to change."""

from __future__ import annotations

from typing import Any

import pytest

from modelmonitor_api.names import MAX_MONITOR_NAME
from support.client import ApiRefused, Client
from support.monitors import monitor

ESTIMATOR: dict[str, Any] = {"name": "HistGradientBoostingClassifier"}


def feature(**fields: Any) -> dict[str, Any]:
    return {"features": [{"name": "temp", "type": "Numeric"} | fields]}


def test_the_monitor_of_the_tests_is_accepted_with_defaults(cluster: Client, namespace: str) -> None:
    created = cluster.create(monitor(), namespace)
    spec = created["spec"]
    assert spec["timeZone"] == "Etc/UTC"
    assert spec["retraining"]["windowDays"] == 90
    assert spec["retraining"]["trainer"]["resources"]["limits"] == {"memory": "2Gi"}
    assert spec["sensitivity"]["falseAlarms"] == {"count": 1, "perDays": 90}
    assert "status" not in created


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"schedule": "TZ=UTC 0 6 * * *"}, "set spec.timeZone instead", id="zone in schedule"),
        pytest.param({"storage": {"resultsURI": "file:///tmp/"}}, "must start with s3://", id="results on disk"),
        pytest.param({"data": {"live": {"uri": "file:///tmp/%Y/"}}}, "must start with s3://", id="data on disk"),
        pytest.param({"data": {"labels": {"uri": "file:///tmp/%Y/"}}}, "must start with s3://", id="labels on disk"),
        pytest.param({"data": {"live": {"uri": "s3://f/%Y-%m/"}}}, "live.uri must contain %Y, %m and %d", id="months"),
        pytest.param(
            {"model": {"predictionColumn": "temp"}}, "predictionColumn must be neither", id="prediction is feature"
        ),
        pytest.param({"storage": {"resultsURI": "s3://monitors"}}, "must end with a slash", id="no prefix"),
        pytest.param(
            {"data": {"reference": {"start": "2013-02-01", "end": "2013-01-01"}}},
            "must not be before reference.start",
            id="reference backwards",
        ),
        pytest.param(
            {"promotion": {"metric": "R2"}}, "promotion.metric does not fit model.task", id="metric of regression"
        ),
        pytest.param(
            {"model": {"task": "MulticlassClassification"}, "promotion": {"metric": "BrierScore"}},
            "promotion.metric does not fit model.task",
            id="metric of two classes",
        ),
        pytest.param(
            {"detectors": [{"name": "error", "type": "Performance", "metric": "R2"}]},
            "the metric of a detector does not fit model.task",
            id="metric of detector",
        ),
        pytest.param(
            {"detectors": [{"name": "features", "type": "FeatureDrift", "maxDrop": "0.1"}]},
            "are for detectors of type Performance",
            id="drop of features",
        ),
        pytest.param(
            {"detectors": [{"name": "target", "type": "TargetDrift", "columns": ["temp"]}]},
            "columns is for detectors of type FeatureDrift, DataQuality",
            id="columns of target",
        ),
        pytest.param(
            {"retraining": {"estimator": {"name": "Ridge"}}}, "estimator does not fit model.task", id="estimator"
        ),
        pytest.param(
            {"retraining": {"trainer": {"image": "registry.invalid/trainer:1"}}},
            "set either retraining.estimator",
            id="two trainers",
        ),
        pytest.param(
            {
                "retraining": {"estimator": None, "trainer": {"image": "registry.invalid/trainer:1"}},
                "storage": {"serviceAccountName": "model-monitors"},
            },
            "share the identity of its service account",
            id="identity for another's image",
        ),
        pytest.param({"retraining": {"estimator": None}}, "set either retraining.estimator", id="no trainer"),
        pytest.param(
            {"model": {"target": "temp"}}, "the target must not be one of the features", id="target is feature"
        ),
        pytest.param({"model": feature(allowedValues=["a"])}, "allowedValues is for Categorical", id="values"),
        pytest.param(
            {"model": feature(type="Categorical", minimum="1")}, "are for Numeric features", id="minimum of category"
        ),
        pytest.param({"model": feature(minimum="2", maximum="-1.5")}, "must not be greater than maximum", id="range"),
        pytest.param(
            {"model": {"features": [{"name": "temp", "type": "Numeric"}] * 2}}, "Duplicate value", id="feature twice"
        ),
        pytest.param({"model": {"features": []}}, "at least 1 items", id="no features"),
        pytest.param({"sensitivity": {"minimumEffect": "5%"}}, "minimumEffect", id="not a fraction"),
        pytest.param(
            {"sensitivity": {"minimumEffect": "0.2"}},
            "detectableEffect must not be smaller than minimumEffect",
            id="blind to what counts",
        ),
        pytest.param({"retraining": {"cooldownSeconds": -1}}, "greater than or equal to 0", id="negative"),
        pytest.param({"retraining": {"mode": "Sometimes"}}, 'supported values: "Auto"', id="unknown mode"),
        pytest.param({"retraining": {"windowDays": 1.5}}, "windowDays", id="float"),
        pytest.param({"data": None}, "spec.data: Required value", id="no data"),
    ],
)
def test_invalid_specs_are_rejected(cluster: Client, namespace: str, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiRefused) as refused:
        cluster.create(monitor(**changes), namespace)
    assert refused.value.status == 422
    assert sentence in refused.value.message


def test_names_that_are_too_long_for_jobs_are_rejected(cluster: Client, namespace: str) -> None:
    longest = "a" * MAX_MONITOR_NAME
    cluster.create(monitor(longest), namespace)
    with pytest.raises(ApiRefused, match=f"at most {MAX_MONITOR_NAME} characters"):
        cluster.create(monitor(longest + "a"), namespace)


def test_an_edit_is_checked_like_a_creation(cluster: Client, namespace: str) -> None:
    cluster.create(monitor(), namespace)
    with pytest.raises(ApiRefused, match=r"promotion\.metric does not fit"):
        cluster.patch("ModelMonitor", "flights", namespace, {"spec": {"model": {"task": "Regression"}}})


def test_status_is_a_subresource(cluster: Client, namespace: str) -> None:
    cluster.create(monitor() | {"status": {"observedGeneration": 7}}, namespace)
    created = cluster.get("ModelMonitor", "flights", namespace)
    assert "status" not in created
    changed = cluster.patch(
        "ModelMonitor",
        "flights",
        namespace,
        {"spec": {"suspend": True}, "status": {"observedGeneration": 1}},
        subresource="status",
    )
    assert changed["spec"]["suspend"] is False
    assert changed["status"] == {"observedGeneration": 1}


def test_kubectl_shows_the_columns_that_people_need(cluster: Client, namespace: str) -> None:
    cluster.create(monitor(), namespace)
    path = f"/apis/modelmonitor.io/v1alpha1/namespaces/{namespace}/modelmonitors"
    table = cluster.call("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    shown = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert shown == ["Name", "Ready", "Drift", "Last-Check", "Champion", "Last-Trained", "Suspended", "Age"]
    wide = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 1]
    assert wide == ["Schedule", "Next", "Reason"]
