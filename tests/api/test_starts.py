"""Pods that never start, on a real API server: the status names the cause while they wait, and what to change."""

from __future__ import annotations

from modelmonitor_api.names import CONTAINER_NAME, ConditionType, FailureReason, Reason, Role
from support import monitors
from support.client import Client, Object
from support.jobs import pod_of
from support.monitors import monitor
from support.scene import Scene


def keep_waiting(cluster: Client, pod: Object, reason: str, message: str) -> None:
    """Write the status of a pod whose container waits, as the kubelet does."""
    state = {"waiting": {"reason": reason, "message": message}}
    container = {"name": CONTAINER_NAME, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    metadata, status = pod["metadata"], {"phase": "Pending", "containerStatuses": [container]}
    cluster.patch("Pod", metadata["name"], metadata["namespace"], {"status": status}, subresource="status")


def test_a_missing_secret_is_named_while_the_pod_waits_for_it(scene: Scene) -> None:
    scene.create(monitor())
    job = scene.running_job(Role.CHECK)
    keep_waiting(scene.cluster, pod_of(scene.cluster, job), "CreateContainerConfigError", 'secret "s3" not found')
    condition = scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.CHECK_NOT_STARTED)
    assert "the Secret 's3' does not exist; create it" in condition["message"]
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "False", Reason.NO_DRIFT)
    assert [job["role"] for job in scene.status().get("waitingJobs", ())] == [Role.TRAIN]


def test_a_training_whose_image_cannot_be_pulled_says_that_nothing_runs(scene: Scene) -> None:
    scene.create(monitor())
    scene.finish(Role.CHECK, monitors.check("NoDrift"))
    pod = pod_of(scene.cluster, scene.running_job(Role.TRAIN))
    running = scene.wait_condition(ConditionType.TRAINING, "True", Reason.NO_CHAMPION)
    assert "no container runs" in running["message"]
    keep_waiting(scene.cluster, pod, "ImagePullBackOff", "Back-off: manifest unknown")
    condition = scene.wait_condition(ConditionType.TRAINING, "False", FailureReason.IMAGE_NOT_PULLED)
    assert "(there is no such image)" in condition["message"]


def test_a_quota_that_refuses_every_pod_is_named(scene: Scene) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    scene.cluster.create(quota, scene.namespace)
    # No controller computes the status of a quota here.
    status = {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}
    scene.cluster.patch("ResourceQuota", "none", scene.namespace, status, subresource="status")
    scene.create(monitor())
    condition = scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.CHECK_NOT_STARTED)
    assert "PodRefused" in condition["message"]
    assert "exceeded quota: none" in condition["message"]
    assert "raise the ResourceQuota" in condition["message"]


def test_a_corrected_spec_replaces_a_check_that_waits_for_a_secret(scene: Scene) -> None:
    scene.create(monitor(storage={"credentialsSecretRef": {"name": "wrong"}}))
    old = scene.running_job(Role.CHECK)
    keep_waiting(scene.cluster, pod_of(scene.cluster, old), "CreateContainerConfigError", 'secret "wrong" not found')
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.CHECK_NOT_STARTED)
    scene.patch({"spec": {"storage": {"credentialsSecretRef": {"name": "s3"}}}})
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.NOT_CHECKED_YET)
    new = scene.running_job(Role.CHECK)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    [container] = new["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "s3"}}]
    scene.finish(Role.CHECK, monitors.failure(FailureReason.CREDENTIALS_REFUSED))
    scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", Reason.CHECK_FAILED)
    scene.patch({"spec": {"storage": {"credentialsSecretRef": {"name": "other"}}}})
    assert scene.running_job(Role.CHECK)["metadata"]["uid"] != new["metadata"]["uid"]
