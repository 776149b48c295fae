"""Manifests: safe pods, complete requests, names and labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_api.messages import CheckRequest, PromoteRequest, RollbackRequest, TrainRequest, decode_request
from modelmonitor_api.names import Reason
from modelmonitor_operator.manifests import cron_job, job_of
from modelmonitor_policy import (
    AutoRollback,
    Intent,
    RollbackCause,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
)
from unit.operator.monitors import CUSTOM_TRAINER, SETTINGS, accepted

TRAINING = StartTraining(3, Reason.DRIFT_DETECTED, "Drift was found.")
AUTO_ROLLBACK = AutoRollback(
    "v1-11111111",
    instead_of="v2-22222222",
    cause=RollbackCause.WATCH,
    promotion="v2-22222222@2013-04-02T06:00:00Z",
    reason=Reason.WORSE_THAN_PREDECESSOR,
    message="v2 is worse.",
)


def objects() -> dict[str, dict[str, Any]]:
    """Return one Job of every kind, by what it is."""
    plain, custom = accepted(), accepted(retraining=CUSTOM_TRAINER)
    return {
        "scheduled check": {**cron_job(plain, SETTINGS)["spec"]["jobTemplate"], "kind": "Job"},
        "requested check": job_of(plain, SETTINGS, StartCheck("now", requested=True)),
        "training": job_of(plain, SETTINGS, TRAINING),
        "custom trainer": job_of(custom, SETTINGS, TRAINING),
        "rollback": job_of(plain, SETTINGS, StartRollback("previous", "previous")),
        "automatic rollback": job_of(plain, SETTINGS, AUTO_ROLLBACK),
        "promotion": job_of(plain, SETTINGS, StartPromotion("v3-0a1b2c3d", "v3-0a1b2c3d")),
    }


JOBS = objects()


def request_of(job: dict[str, Any]) -> Any:
    """Return the request in the pod template of a Job."""
    return decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])


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
def test_jobs_have_a_deadline_and_distinguish_bad_configuration_from_disruption(kind: str) -> None:
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
    template, request = JOBS[kind]["spec"]["template"], request_of(JOBS[kind])
    assert request.monitor.name == "flights"
    assert request.monitor.generation == 4
    [volume] = [volume for volume in template["spec"]["volumes"] if "downwardAPI" in volume]
    [item] = volume["downwardAPI"]["items"]
    assert item["fieldRef"]["fieldPath"] == f"metadata.annotations['{names.ANNOTATION_REQUEST}']"
    [main] = template["spec"]["containers"]
    assert main["name"] == names.CONTAINER_NAME
    assert main["args"][1:] == ["--request", "/etc/modelmonitor/request.json"]
    assert main["terminationMessagePolicy"] == "File"


def test_only_trusted_containers_receive_credentials() -> None:
    pod = JOBS["custom trainer"]["spec"]["template"]["spec"]
    by_name = {container["name"]: container for container in [*pod["initContainers"], *pod["containers"]]}
    assert list(by_name) == ["prepare", "train", "predict-challenger", "predict-champion", names.CONTAINER_NAME]
    assert [by_name[name]["args"] for name in list(by_name)[1:4]] == [
        ["train", "--request", "/work/train/request.json"],
        ["predict", "--request", "/work/predict-challenger/request.json"],
        ["predict", "--request", "/work/predict-champion/request.json"],
    ]
    for name, container in by_name.items():
        trusted = name in {"prepare", names.CONTAINER_NAME}
        assert container["image"] == (SETTINGS.trainer_image if trusted else "example/trainer:1")
        assert ("envFrom" in container) == trusted
        assert ("request" in {mount["name"] for mount in container["volumeMounts"]}) == trusted
    mounted = {name: {mount["name"] for mount in by_name[name]["volumeMounts"]} for name in by_name}
    for name in list(by_name)[1:4]:
        # A second shared volume would let custom code change files that the trusted containers read.
        assert mounted[name] & mounted[names.CONTAINER_NAME] == {"work"}
    rules = JOBS["custom trainer"]["spec"]["podFailurePolicy"]["rules"]
    assert {rule["onExitCodes"]["containerName"] for rule in rules[:-1]} == {"prepare", names.CONTAINER_NAME}


def test_the_training_request_says_why_and_with_what() -> None:
    request = request_of(JOBS["custom trainer"])
    assert isinstance(request, TrainRequest)
    assert (request.number, request.reason, request.message) == (3, "DriftDetected", "Drift was found.")
    assert request.trainer_image == "example/trainer:1"


def test_the_same_rollback_can_be_requested_again_with_another_token() -> None:
    intents = [StartRollback("previous", token) for token in ("previous", "previous#2")]
    jobs = [job_of(accepted(), SETTINGS, intent) for intent in intents]
    assert jobs[0]["metadata"]["name"] != jobs[1]["metadata"]["name"]
    for job in jobs:
        assert request_of(job) == RollbackRequest(monitor=accepted().ref, spec=accepted().spec, to="previous")


def test_an_automatic_rollback_says_why_and_instead_of_what() -> None:
    request = request_of(JOBS["automatic rollback"])
    assert isinstance(request, RollbackRequest)
    assert (request.to, request.instead_of) == ("v1-11111111", "v2-22222222")
    assert (request.reason, request.message) == ("WorseThanPredecessor", "v2 is worse.")
    annotations = JOBS["automatic rollback"]["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_TRIGGER] == "WorseThanPredecessor: v2 is worse."
    assert annotations[names.ANNOTATION_TOKEN] == AUTO_ROLLBACK.token


def test_a_promotion_names_its_version() -> None:
    request = request_of(JOBS["promotion"])
    assert isinstance(request, PromoteRequest)
    assert request.version == "v3-0a1b2c3d"


@pytest.mark.parametrize("intent", [StartCheck("now", requested=True), TRAINING, AUTO_ROLLBACK])
def test_the_same_intent_gives_the_same_job(intent: Intent) -> None:
    assert job_of(accepted(), SETTINGS, intent) == job_of(accepted(), SETTINGS, intent)


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
    manifest = cron_job(accepted(labels), SETTINGS)
    for metadata in (manifest["metadata"], manifest["spec"]["jobTemplate"]["metadata"]):
        assert metadata["labels"] == {
            "kueue.x-k8s.io/queue-name": "gpus",
            "team": "delays",
            names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
            names.LABEL_PART_OF: names.SINGULAR,
            names.LABEL_MONITOR: "flights",
            names.LABEL_MONITOR_UID: "00000000-0000-0000-0000-000000000001",
            names.LABEL_ROLE: "check",
        }


def test_names_fit_for_the_longest_monitor() -> None:
    longest = accepted(name="m" * names.MAX_MONITOR_NAME)
    token = "t" * 253
    intents = (
        StartTraining(99999, Reason.REQUESTED, "x"),
        StartCheck(token, requested=True),
        StartRollback("v", token),
        StartPromotion("v", token),
        dataclasses.replace(AUTO_ROLLBACK, promotion=token),
    )
    assert len(cron_job(longest, SETTINGS)["metadata"]["name"]) <= 52
    for intent in intents:
        assert len(job_of(longest, SETTINGS, intent)["metadata"]["name"]) <= 63


def test_the_same_monitor_gives_the_same_cron_job() -> None:
    one, other = (cron_job(accepted(), SETTINGS) for _ in range(2))
    assert one == other
    edited = cron_job(accepted(schedule_far=None, suspend=True), SETTINGS)
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
    monitor = accepted()
    monitor = dataclasses.replace(monitor, spec=monitor.spec.model_copy(update={"schedule": text}))
    manifest = cron_job(monitor, SETTINGS)
    assert manifest["spec"]["startingDeadlineSeconds"] == deadline
    request = request_of(manifest["spec"]["jobTemplate"])
    assert isinstance(request, CheckRequest)
    assert request.checks_per_day == pytest.approx(per_day, rel=0.01)
