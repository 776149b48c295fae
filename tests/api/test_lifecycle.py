"""A monitor from its creation to its deletion, and what people do to its objects meanwhile."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import CheckRequest, decode_request
from modelmonitor_api.names import ConditionType, Reason, Role
from modelmonitor_api.times import parse_time
from support.client import Client, Object
from support.jobs import pod_of, request_of
from support.monitors import monitor, schedule_far_away
from support.operator import OperatorProcess
from support.scene import Scene


def test_a_new_monitor_gets_a_cron_job_a_first_check_and_all_conditions(scene: Scene) -> None:
    created = scene.create(monitor(timeZone="America/New_York"))
    ready = scene.wait_ready()
    conditions = {each["type"]: each for each in ready["status"]["conditions"]}
    assert {kind: conditions[kind]["status"] for kind in conditions} == {
        "Ready": "True",
        "Stalled": "False",
        "Reconciling": "False",
        "DriftDetected": "Unknown",
        "Training": "False",
        "Suspended": "False",
    }
    assert conditions["DriftDetected"]["reason"] == Reason.NOT_CHECKED_YET
    assert all(each["observedGeneration"] == 1 and each["message"] for each in conditions.values())
    assert ready["status"]["observedGeneration"] == 1
    assert parse_time(ready["status"]["nextCheckTime"]) > dt.datetime.now(dt.UTC)

    cron_job = scene.cron_job()
    assert cron_job["spec"]["schedule"] == created["spec"]["schedule"]
    assert cron_job["spec"]["timeZone"] == "America/New_York"
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    assert cron_job["spec"]["suspend"] is False
    assert 0 < cron_job["spec"]["startingDeadlineSeconds"] <= 12 * 3600
    owner = {key: cron_job["metadata"]["ownerReferences"][0][key] for key in ("kind", "name", "uid", "controller")}
    assert owner == {"kind": names.KIND, "name": "flights", "uid": created["metadata"]["uid"], "controller": True}
    request = request_of(cron_job["spec"]["jobTemplate"], CheckRequest)
    assert (request.monitor.namespace, request.monitor.name) == (scene.namespace, "flights")
    assert request.spec.time_zone == "America/New_York"
    assert request.checks_per_day == pytest.approx(1, abs=0.01)

    job = scene.running_job(Role.CHECK)
    assert job["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
    assert request_of(job, CheckRequest) == request
    assert len(scene.jobs()) == 1


def test_an_operator_without_monitors_goes_on(own_scene: Scene) -> None:
    """The list of the metadata of no objects is null."""
    own_scene.wait_resyncs(3)
    own_scene.create(monitor())
    own_scene.wait_ready()


def test_pods_are_restricted_know_no_token_and_carry_their_request(scene: Scene) -> None:
    scene.create(monitor())
    pod = pod_of(scene.cluster, scene.running_job(Role.CHECK))  # the namespace admits restricted pods only
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["restartPolicy"] == "Never"
    decode_request(pod["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    [container] = pod["spec"]["containers"]
    assert container["terminationMessagePolicy"] == "File"
    assert container["args"] == ["check", "--request", "/etc/modelmonitor/request.json"]
    assert container["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert container["image"].startswith("modelmonitor/trainer:")
    assert not [each for each in container["volumeMounts"] if "serviceaccount" in each["mountPath"]]


def test_an_edit_reaches_the_cron_job(scene: Scene) -> None:
    scene.create(monitor())
    scene.wait_ready()
    before = scene.cron_job()
    scene.patch({"spec": {"schedule": "15 3 * * 1", "data": {"live": {"windowDays": 7}}}})
    scene.wait_condition(ConditionType.READY, "True")
    after = scene.cron_job()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["schedule"] == "15 3 * * 1"
    request = request_of(after["spec"]["jobTemplate"], CheckRequest)
    assert request.spec.data.live.window_days == 7
    assert request.monitor.generation == 2
    assert request.checks_per_day == pytest.approx(1 / 7, rel=0.02)
    assert len(scene.jobs()) == 1, "an edit must not check again by itself"


def test_labels_of_the_user_reach_the_jobs(scene: Scene) -> None:
    declared = monitor()
    declared["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "night", "app.kubernetes.io/managed-by": "Helm"}
    scene.create(declared)
    job = scene.running_job(Role.CHECK)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    assert job["metadata"]["labels"][names.LABEL_MANAGED_BY] == names.FIELD_MANAGER
    template = scene.cron_job()["spec"]["jobTemplate"]
    assert template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"


def test_suspend_and_resume(scene: Scene) -> None:
    scene.create(monitor(suspend=True))
    scene.wait_condition(ConditionType.SUSPENDED, "True", Reason.SUSPENDED)
    scene.wait_condition(ConditionType.READY, "True")
    assert scene.cron_job()["spec"]["suspend"] is True
    scene.settle()
    assert scene.jobs() == [], "a suspended monitor must not check"
    scene.patch({"spec": {"suspend": False}})
    scene.wait_condition(ConditionType.SUSPENDED, "False", Reason.ACTIVE)
    scene.wait(lambda: scene.cron_job()["spec"]["suspend"] is False, "resumed CronJob")
    scene.running_job(Role.CHECK)


def test_children_go_with_their_monitor(scene: Scene) -> None:
    scene.create(monitor())
    scene.wait_ready()
    pod_of(scene.cluster, scene.running_job(Role.CHECK))
    assert "finalizers" not in scene.monitor()["metadata"]
    scene.cluster.delete(names.KIND, "flights", scene.namespace)

    def gone() -> bool:
        kinds = (names.KIND, "CronJob", "Job", "Pod")
        left = {kind: len(scene.cluster.list(kind, scene.namespace)) for kind in kinds}
        assert not any(left.values()), left
        return True

    scene.wait(gone, "empty namespace")


def test_a_new_monitor_of_the_same_name_starts_without_history(scene: Scene) -> None:
    first = scene.create(monitor())
    scene.wait_ready()
    scene.cluster.delete(names.KIND, "flights", scene.namespace)
    second = scene.create(monitor())

    def owned() -> bool:
        owner = scene.cron_job()["metadata"]["ownerReferences"][0]["uid"]
        assert owner == second["metadata"]["uid"]
        return True

    scene.wait(owned, "CronJob of the second monitor")
    scene.wait_condition(ConditionType.READY, "True")
    job = scene.running_job(Role.CHECK)
    assert job["metadata"]["labels"][names.LABEL_MONITOR_UID] == second["metadata"]["uid"] != first["metadata"]["uid"]
    reasons = {event["reason"] for event in scene.events()}
    assert Reason.NAME_COLLISION not in reasons, "a predecessor that is being deleted is no other owner"


def test_a_deleted_cron_job_is_created_again(scene: Scene) -> None:
    scene.create(monitor())
    scene.wait_ready()
    before = scene.cron_job()
    scene.cluster.delete("CronJob", before["metadata"]["name"], scene.namespace)
    after = scene.wait(
        lambda: (cron_job := scene.cron_job())["metadata"]["uid"] != before["metadata"]["uid"] and cron_job,
        "new CronJob",
    )
    assert after["spec"] == before["spec"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"schedule": "* * 30 2 *"}, id="schedule"),
        pytest.param({"suspend": True}, id="suspend"),
        pytest.param({"jobTemplate": {"spec": {"activeDeadlineSeconds": 1}}}, id="template"),
        pytest.param(
            {"jobTemplate": {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}}, id="pod"
        ),
    ],
)
def test_an_edited_cron_job_is_restored(scene: Scene, change: dict[str, Any]) -> None:
    scene.create(monitor())
    scene.wait_ready()
    before = scene.cron_job()
    scene.cluster.patch("CronJob", before["metadata"]["name"], scene.namespace, {"spec": change})

    def right() -> bool:
        assert scene.cron_job()["spec"] == before["spec"]
        return True

    scene.wait(right, "CronJob as it was")


def test_fields_that_others_add_to_a_cron_job_are_kept(scene: Scene) -> None:
    scene.create(monitor())
    scene.wait_ready()
    name = scene.cron_job()["metadata"]["name"]
    change = {"metadata": {"annotations": {"backup.example.com/skip": "true"}, "labels": {"team": "models"}}}
    changed = scene.cluster.patch("CronJob", name, scene.namespace, change)
    scene.settle()
    after = scene.cron_job()
    assert after["metadata"]["annotations"]["backup.example.com/skip"] == "true"
    assert after["metadata"]["labels"]["team"] == "models"
    assert after["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"schedule": "61 * * * *"}, "spec.schedule", id="minute 61"),
        pytest.param({"schedule": "0 6 * * * *"}, "five fields", id="six fields"),
        pytest.param({"schedule": "@daily"}, "five fields", id="macro"),
        pytest.param({"timeZone": "Europe/Nowhere"}, "spec.timeZone", id="time zone"),
    ],
)
def test_errors_that_the_api_server_cannot_detect_are_a_condition(
    scene: Scene, changes: dict[str, Any], sentence: str
) -> None:
    scene.create(monitor(**changes))
    stalled = scene.wait_condition(ConditionType.STALLED, "True", Reason.INVALID_SPEC)
    assert sentence in stalled["message"]
    assert scene.condition(ConditionType.READY)["status"] == "False"
    scene.wait_event(Reason.INVALID_SPEC)
    before = scene.settle()
    assert scene.cluster.list("CronJob", scene.namespace) == []
    assert scene.jobs() == []
    assert scene.monitor()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "endless retry"
    # An invalid monitor must not stop others, and a valid spec must be enough to resume it.
    scene.create(monitor("healthy"))
    scene.wait_ready("healthy")
    scene.patch({"spec": {"schedule": schedule_far_away(), "timeZone": "Europe/Berlin"}})
    scene.wait_condition(ConditionType.STALLED, "False")
    scene.wait_ready()
    scene.running_job(Role.CHECK)


@pytest.mark.parametrize(("length", "fits"), [(150, True), (253, False)])
def test_five_hundred_features(scene: Scene, length: int, fits: bool) -> None:
    """The request is an annotation. A request that does not fit into one is reported, and not retried for ever."""
    values = ["a", "b", "c"] if fits else [f"{number:0>40}" for number in range(8)]
    features = [
        {"name": f"{number:0>{length}}", "type": "Categorical", "allowedValues": values} for number in range(500)
    ]
    scene.create(monitor(model={"features": features}))
    if fits:
        scene.wait_ready()
        pod = pod_of(scene.cluster, scene.running_job(Role.CHECK))
        assert len(pod["metadata"]["annotations"][names.ANNOTATION_REQUEST]) > 100_000
    else:
        stalled = scene.wait_condition(ConditionType.STALLED, "True", Reason.INVALID_SPEC)
        assert "features" in stalled["message"]
        assert scene.jobs() == []


def test_an_edit_that_breaks_the_spec_leaves_the_last_good_cron_job(scene: Scene) -> None:
    scene.create(monitor())
    scene.wait_ready()
    before = scene.cron_job()
    scene.patch({"spec": {"timeZone": "Europe/Nowhere"}})
    scene.wait_condition(ConditionType.STALLED, "True", Reason.INVALID_SPEC)
    scene.settle()
    assert scene.cron_job()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def foreign_owner(scene: Scene) -> Object:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stranger"}}
    owner = scene.cluster.create(body, scene.namespace)
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": "stranger", "uid": owner["metadata"]["uid"]}


@pytest.mark.parametrize("owned", [True, False], ids=["of another controller", "of nobody"])
def test_a_cron_job_of_another_owner_with_the_same_name_is_not_changed(scene: Scene, owned: bool) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "theirs", "image": "theirs:1"}]}
    references = [foreign_owner(scene) | {"controller": True}] if owned else []
    theirs = scene.cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": names.cron_job_name("flights"), "ownerReferences": references},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
        },
        scene.namespace,
    )
    scene.create(monitor())
    stalled = scene.wait_condition(ConditionType.STALLED, "True", Reason.NAME_COLLISION)
    assert "flights-check" in stalled["message"]
    assert scene.condition(ConditionType.READY)["status"] == "False"
    scene.settle()
    existing = scene.cluster.get("CronJob", names.cron_job_name("flights"), scene.namespace)
    assert existing["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
    # Once the other CronJob is deleted, the monitor creates its own.
    scene.cluster.delete("CronJob", names.cron_job_name("flights"), scene.namespace)
    scene.patch({"metadata": {"labels": {"touched": "true"}}})
    scene.wait_ready()


def test_an_invalid_status_does_not_stop_the_operator(scene: Scene) -> None:
    scene.create(monitor())
    scene.wait_ready()
    garbage = {"history": [{"time": "2013-01-01T00:00:00Z", "action": "?"}], "champion": None, "lastCheck": None}
    scene.cluster.patch(names.KIND, "flights", scene.namespace, {"status": garbage}, subresource="status")
    scene.create(monitor("healthy"))
    scene.wait_ready("healthy")
    scene.wait_ready()


def test_the_operator_has_no_more_rights_than_it_needs(
    scene: Scene, shared_operator: OperatorProcess, cluster: Client
) -> None:
    bindings = cluster.list("ClusterRoleBinding")
    [binding] = [each for each in bindings if each["metadata"]["name"] == "modelmonitor"]
    [subject] = binding["subjects"]
    user = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"

    def allowed(verb: str, group: str, resource: str, subresource: str = "") -> bool:
        attributes = {
            "namespace": scene.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        answer = cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    assert allowed("create", "batch", "jobs")
    assert not allowed("get", "", "secrets")
    assert not allowed("get", "", "pods", "log")
    assert not allowed("create", "", "pods", "exec")
    assert not allowed("create", "", "pods")
    assert allowed("delete", "batch", "jobs")  # those of an older spec that have not started
    assert not allowed("deletecollection", "batch", "jobs")
    assert not allowed("delete", "batch", "cronjobs")
    assert not allowed("update", names.GROUP, names.PLURAL)
    assert not allowed("delete", names.GROUP, names.PLURAL)


def test_a_burst_of_events_checks_once_and_the_status_stays_small(scene: Scene) -> None:
    scene.create(monitor())
    for token in range(5):
        scene.patch({"metadata": {"labels": {"touched": str(token)}}})
    scene.wait_ready()
    settled = scene.settle()
    assert len(scene.jobs(Role.CHECK)) == 1
    assert len(json.dumps(settled["status"])) < 8192, "the status is a cache and must stay small"
