"""The objects that are made: safe pods, complete requests, names and labels; and when they count as unchanged."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api import names
from modelmonitor_api.messages import CheckRequest, RollbackRequest, TrainRequest, decode_request
from modelmonitor_api.names import Role
from modelmonitor_api.resource import InvalidSpec
from modelmonitor_operator import manifests
from modelmonitor_operator.diff import amount, is_up_to_date, merge_patch
from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.settings import Settings
from modelmonitor_operator.validation import validate_monitor
from modelmonitor_policy import schedule
from support.monitors import merged, monitor

SETTINGS = Settings(trainer_image="modelmonitor/trainer:test", image_pull_secrets=("pull",), image_pull_policy="Always")
OWN_TRAINER = {
    "estimator": None,
    "trainer": {"image": "example/trainer:1", "env": [{"name": "EPOCHS", "value": "3"}], "backoffLimit": 1},
}


def accepted(labels: dict[str, str] | None = None, **changes: Any) -> Monitor:
    """Return an accepted monitor."""
    made = monitor("flights", "demo", schedule="0 6 * * *", **changes)
    made["metadata"] |= {"uid": "00000000-0000-0000-0000-000000000001", "generation": 4, "labels": labels or {}}
    return validate_monitor(made)


def objects() -> dict[str, dict[str, Any]]:
    """Return one Job of every kind, by what it is."""
    plain, own = accepted(), accepted(retraining=OWN_TRAINER)
    cron_job = manifests.cron_job(plain, SETTINGS)
    return {
        "scheduled check": {**cron_job["spec"]["jobTemplate"], "kind": "Job"},
        "requested check": manifests.requested_job(plain, SETTINGS, Role.CHECK, "now"),
        "training": manifests.training_job(plain, SETTINGS, 3, "DriftDetected", "Drift was found."),
        "own trainer": manifests.training_job(own, SETTINGS, 3, "DriftDetected", "Drift was found."),
        "rollback": manifests.requested_job(plain, SETTINGS, Role.ROLLBACK, "previous"),
        "promotion": manifests.requested_job(plain, SETTINGS, Role.PROMOTE, "v3-0a1b2c3d"),
    }


JOBS = objects()


@pytest.mark.parametrize("kind", JOBS)
def test_pods_are_restricted_and_have_no_token(kind: str) -> None:
    pod = JOBS[kind]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    for volume in pod["volumes"]:
        assert {"downwardAPI", "emptyDir"} & set(volume)
        assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("kind", JOBS)
def test_jobs_end_and_tell_bad_configuration_from_disruption(kind: str) -> None:
    spec = JOBS[kind]["spec"]
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["backoffLimit"] >= 0
    *fail, ignore = spec["podFailurePolicy"]["rules"]
    assert {rule["action"] for rule in fail} == {"FailJob"}
    assert all(rule["onExitCodes"]["values"] == [2] for rule in fail)
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert spec.get("ttlSecondsAfterFinished", 604800) == 604800


@pytest.mark.parametrize("kind", JOBS)
def test_the_request_is_in_the_pod_and_can_be_read(kind: str) -> None:
    template = JOBS[kind]["spec"]["template"]
    request = decode_request(template["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    assert request.monitor.name == "flights"
    assert request.monitor.generation == 4
    [volume] = [volume for volume in template["spec"]["volumes"] if "downwardAPI" in volume]
    [item] = volume["downwardAPI"]["items"]
    assert item["fieldRef"]["fieldPath"] == f"metadata.annotations['{names.ANNOTATION_REQUEST}']"
    [main] = template["spec"]["containers"]
    assert main["name"] == names.CONTAINER_NAME
    assert main["args"][1:] == ["--request", "/etc/modelmonitor/request.json"]
    assert main["terminationMessagePolicy"] == "File"


def test_only_our_containers_are_given_credentials() -> None:
    pod = JOBS["own trainer"]["spec"]["template"]["spec"]
    by_name = {container["name"]: container for container in [*pod["initContainers"], *pod["containers"]]}
    assert list(by_name) == ["prepare", "train", "predict-challenger", "predict-champion", names.CONTAINER_NAME]
    assert [by_name[name]["args"] for name in list(by_name)[1:4]] == [
        ["train", "--request", "/work/train/request.json"],
        ["predict", "--request", "/work/predict-challenger/request.json"],
        ["predict", "--request", "/work/predict-champion/request.json"],
    ]
    for name, container in by_name.items():
        ours = name in {"prepare", names.CONTAINER_NAME}
        assert container["image"] == (SETTINGS.trainer_image if ours else "example/trainer:1")
        assert ("envFrom" in container) == ours
        assert ("request" in {mount["name"] for mount in container["volumeMounts"]}) == ours
    mounted = {name: {mount["name"] for mount in by_name[name]["volumeMounts"]} for name in by_name}
    for name in list(by_name)[1:4]:
        # What else they could write to is read by ours, which has the credentials: the home of its libraries.
        assert mounted[name] & mounted[names.CONTAINER_NAME] == {"work"}
    rules = JOBS["own trainer"]["spec"]["podFailurePolicy"]["rules"]
    assert {rule["onExitCodes"]["containerName"] for rule in rules[:-1]} == {"prepare", names.CONTAINER_NAME}


def test_the_training_request_says_why_and_with_what() -> None:
    request = decode_request(
        JOBS["own trainer"]["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST]
    )
    assert isinstance(request, TrainRequest)
    assert (request.number, request.reason, request.message) == (3, "DriftDetected", "Drift was found.")
    assert request.trainer_image == "example/trainer:1"


def test_the_same_rollback_can_be_asked_for_again_with_another_token() -> None:
    jobs = [manifests.requested_job(accepted(), SETTINGS, Role.ROLLBACK, token) for token in ("previous", "previous#2")]
    assert jobs[0]["metadata"]["name"] != jobs[1]["metadata"]["name"]
    for job in jobs:
        request = decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])
        assert isinstance(request, RollbackRequest)
        assert request.to == "previous"


def test_labels_of_users_go_through_and_those_of_tools_do_not() -> None:
    labels = {
        "kueue.x-k8s.io/queue-name": "gpus",
        "team": "delays",
        "app.kubernetes.io/instance": "argo-tracks-by-this",
        "argocd.argoproj.io/instance": "so-does-this",
        "helm.sh/chart": "flights-1",
        "kustomize.toolkit.fluxcd.io/name": "flux",
        names.LABEL_MONITOR: "forged",
    }
    made = manifests.cron_job(accepted(labels), SETTINGS)
    for found in (made["metadata"], made["spec"]["jobTemplate"]["metadata"]):
        assert found["labels"] == {
            "kueue.x-k8s.io/queue-name": "gpus",
            "team": "delays",
            names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
            names.LABEL_PART_OF: names.SINGULAR,
            names.LABEL_MONITOR: "flights",
            names.LABEL_MONITOR_UID: "00000000-0000-0000-0000-000000000001",
            names.LABEL_ROLE: "check",
        }


def test_names_fit_for_the_longest_monitor() -> None:
    made = monitor("m" * names.MAX_MONITOR_NAME, "demo")
    made["metadata"]["uid"] = "00000000-0000-0000-0000-000000000001"
    longest = validate_monitor(made)
    assert len(manifests.cron_job(longest, SETTINGS)["metadata"]["name"]) <= 52
    assert len(manifests.training_job(longest, SETTINGS, 99999, "x", "y")["metadata"]["name"]) <= 63
    for role in (Role.CHECK, Role.ROLLBACK, Role.PROMOTE):
        assert len(manifests.requested_job(longest, SETTINGS, role, "t" * 253)["metadata"]["name"]) <= 63
    made["metadata"]["name"] += "m"
    with pytest.raises(InvalidSpec, match=r"metadata\.name"):
        validate_monitor(made)


def test_a_spec_that_does_not_fit_into_a_pod_is_refused() -> None:
    values = [f"{number:0250d}" for number in range(250)]
    features = [{"name": f"f{n}", "type": "Categorical", "allowedValues": values} for n in range(4)]
    with pytest.raises(InvalidSpec, match="shorten the list of features"):
        accepted(model={"features": features})


def test_the_same_monitor_gives_the_same_cron_job() -> None:
    one, other = (manifests.cron_job(accepted(), SETTINGS) for _ in range(2))
    assert one == other
    edited = manifests.cron_job(accepted(schedule_far=None, suspend=True), SETTINGS)
    assert edited["metadata"]["annotations"] != one["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("text", "per_day", "deadline"),
    [
        ("* * * * *", 1440, 30),
        ("*/5 * * * *", 288, 150),
        ("0 6 * * *", 1, 3600),
        ("0 6 * * 1", 53 / 366, 3600),  # 2024 has 53 Mondays
        ("0 6,7 * * *", 2, 1800),
        ("0 0 1 1 *", 1 / 366, 3600),
        ("0 0 29 2 *", 1 / 366, 3600),
    ],
)
def test_what_follows_from_a_schedule(text: str, per_day: float, deadline: int) -> None:
    made = accepted()
    made = Monitor(**{**made.__dict__, "spec": made.spec.model_copy(update={"schedule": text})})
    cron_job = manifests.cron_job(made, SETTINGS)
    assert cron_job["spec"]["startingDeadlineSeconds"] == deadline
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    request = decode_request(template["metadata"]["annotations"][names.ANNOTATION_REQUEST])
    assert isinstance(request, CheckRequest)
    assert request.checks_per_day == pytest.approx(per_day, rel=0.01)


def test_the_next_check_is_in_the_time_zone_of_the_monitor() -> None:
    now = dt.datetime(2013, 3, 9, 12, tzinfo=dt.UTC)  # clocks go forward in New York on the 10th
    times = [schedule.next_time("0 6 * * *", "America/New_York", now + dt.timedelta(days=d)) for d in (0, 1)]
    assert [time.hour for time in times] == [10, 10]
    assert schedule.next_time("0 6 * * *", "America/New_York", now - dt.timedelta(days=1)).hour == 11


def test_what_the_server_adds_is_no_difference_and_what_people_change_is() -> None:
    wanted = manifests.cron_job(accepted(check={"resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}}}), SETTINGS)
    live = copy.deepcopy(wanted)
    pod = live["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30}
    pod["containers"][0] |= {"terminationMessagePath": "/dev/termination-log"}
    pod["containers"][0]["resources"]["limits"] = {"memory": "1Gi", "cpu": "500m"}
    live["status"] = {"lastScheduleTime": "2013-04-02T06:00:00Z"}
    assert is_up_to_date(live, wanted)
    changes: list[dict[str, Any]] = [
        {"spec": {"schedule": "0 0 * * *"}},
        {"spec": {"suspend": True}},
        {"metadata": {"annotations": {names.ANNOTATION_APPLIED: "older"}}},
        {"metadata": {"ownerReferences": []}},
    ]
    for change in changes:
        assert not is_up_to_date(merged(live, change), wanted)
    pod["containers"][0]["resources"]["limits"]["memory"] = "2Gi"
    assert not is_up_to_date(live, wanted)


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("500m", "0.5"), ("0.5", "0.5"), ("1Gi", 2**30), ("1024Mi", 2**30), ("1G", 10**9), ("2", 2)],
)
def test_amounts(quantity: str, number: Any) -> None:
    assert amount(quantity) == amount(str(number))


documents = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from("abcd"), documents, max_size=4),
    st.dictionaries(st.sampled_from("abcd"), documents, max_size=4),
)
def test_a_merge_patch_leads_from_the_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = merge_patch(before, after)
    assert merged(before, patch) == after
    assert (patch == {}) == (before == after)


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_schedule_is_valid_or_refused_with_a_sentence(text: str, zone: str) -> None:
    try:
        schedule.validate_schedule(text, zone)
    except InvalidSpec as error:
        assert str(error).startswith("spec.")  # noqa: PT017 - an example may also be valid
