"""What ``kubectl mmon doctor`` finds: each of the usual mistakes, with the command that fixes it."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest

from modelmonitor_api.names import ConditionType, Role
from modelmonitor_api.status import LastCheckFailure, LastTraining, Rollout, WaitingJob
from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.doctor.cluster_findings import find_in_cluster
from modelmonitor_trainer.cluster.doctor.evidence import Evidence
from modelmonitor_trainer.cluster.doctor.findings import Finding, Severity, finding_blocks, finding_document, is_healthy
from modelmonitor_trainer.cluster.doctor.job_findings import find_in_jobs
from modelmonitor_trainer.cluster.doctor.store_findings import explain_refusal
from modelmonitor_trainer.cluster.errors import Denied, Missing
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import render
from modelmonitor_trainer.cluster.results import MissingSecret
from modelmonitor_trainer.errors import (
    BadConfiguration,
    CredentialsRefused,
    ModelMonitorError,
    NotFound,
    StorageUnavailable,
)
from unit.cluster.observed import DAY, HOSTILE, HOUR, NOW, READY, condition, job, last_check, observed

CALLER = Caller("ml", context="prod")
PROBLEM, WARNING, UNKNOWN, FINE = Severity.PROBLEM, Severity.WARNING, Severity.UNKNOWN, Severity.FINE


def operator(watched: str = "", available: int = 1, replicas: int = 1) -> dict[str, Any]:
    env = [{"name": "WATCH_NAMESPACES", "value": watched}]
    return {
        "metadata": {"name": "modelmonitor", "namespace": "system"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"env": env}]}}},
        "status": {"availableReplicas": available},
    }


def secret(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "s3"}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


def evidence(**fields: Any) -> Evidence:
    """Return evidence in which nothing is wrong, apart from what is given."""
    cron_job = {"metadata": {"name": "flights-check"}, "spec": {}, "status": {"lastScheduleTime": NOW.isoformat()}}
    defaults = {"operators": [operator()], "secret": secret(**KEYS), "cron_job": cron_job}
    return Evidence(**(defaults | fields))


def find(monitor: ObservedMonitor, given: Evidence) -> list[Finding]:
    return [*find_in_cluster(monitor, given, NOW, CALLER), *find_in_jobs(monitor, given, NOW, CALLER)]


def quota(**used: str) -> dict[str, Any]:
    hard = {key.replace("_", "."): "2" for key in used}
    return {
        "metadata": {"name": "small"},
        "status": {"hard": hard, "used": {key.replace("_", "."): value for key, value in used.items()}},
    }


def test_a_healthy_monitor_has_no_findings_but_fine_ones() -> None:
    findings = find(observed(last_check=last_check()), evidence(permissions={"check": True}))
    assert {finding.severity for finding in findings} == {FINE}
    assert is_healthy(findings)


@pytest.mark.parametrize(
    ("given", "severity", "message", "fix"),
    [
        ({"operators": []}, PROBLEM, "No Deployment of the operator exists", "helm install modelmonitor "),
        (
            {"operators": [operator("a,b")]},
            PROBLEM,
            "It does not watch the namespace ml, only a, b.",
            "helm upgrade modelmonitor charts/modelmonitor -n system --reuse-values --set watchNamespaces='{a,b,ml}'",
        ),
        (
            {"operators": [operator(replicas=0, available=0)]},
            PROBLEM,
            "It has been scaled to zero",
            "kubectl scale deployment/modelmonitor --replicas=1 -n system --context prod",
        ),
        (
            {"operators": [operator(available=0)]},
            PROBLEM,
            "None of its pods is available",
            "kubectl describe deployment/modelmonitor -n system --context prod",
        ),
        ({"operators": Denied("deployments is forbidden")}, UNKNOWN, "It has processed the newest spec", ""),
        ({"cron_job": Missing("no")}, PROBLEM, "The CronJob of the checks does not exist", "kubectl describe mmon"),
        (
            {"secret": Missing("no")},
            PROBLEM,
            "The Secret 's3' does not exist in namespace ml.",
            "kubectl create secret generic s3 --from-literal=AWS_ACCESS_KEY_ID=VALUE --from-literal=AWS_SECRET_ACCESS_",
        ),
        (
            {"secret": secret(AWS_ACCESS_KEY_ID="k", accessKey="x")},
            PROBLEM,
            "The Secret 's3' has no key AWS_SECRET_ACCESS_KEY. It has accessKey, which pods do not read",
            """kubectl patch secret s3 -p '{"stringData": {"AWS_SECRET_ACCESS_KEY": "VALUE"}}' -n ml --context prod""",
        ),
        (
            {"secret": secret(AWS_ACCESS_KEY_ID="k\n", AWS_SECRET_ACCESS_KEY="s")},
            PROBLEM,
            "AWS_ACCESS_KEY_ID of the Secret 's3' begins or ends with blanks or a line break",
            """kubectl patch secret s3 -p '{"stringData": {"AWS_ACCESS_KEY_ID": "VALUE"}}'""",
        ),
        ({"secret": Denied("secrets is forbidden")}, UNKNOWN, "The Secret 's3' cannot be read", ""),
        (
            {"quotas": [quota(pods="2", services="2")]},
            WARNING,
            "The ResourceQuota 'small' is used up: pods.",
            "kubectl describe resourcequota small",
        ),
        ({"quotas": [quota(services="2", requests_cpu="1")]}, FINE, "The ResourceQuota 'small' has room.", ""),
        (
            {"permissions": {"pause": False}},
            WARNING,
            "You may not pause: that needs the verb patch",
            "kubectl create rolebinding",
        ),
        (
            {
                "pods": [
                    {
                        "metadata": {"name": "flights-check-1-x", "labels": {"batch.kubernetes.io/job-name": "j"}},
                        "status": {
                            "containerStatuses": [
                                {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
                            ]
                        },
                    }
                ]
            },
            PROBLEM,
            "It cannot start (ImagePullBackOff). not found.",
            "kubectl describe pod flights-check-1-x",
        ),
        (
            {
                "cron_job": {
                    "metadata": {"name": "flights-check"},
                    "status": {"lastScheduleTime": (NOW - 3 * DAY).isoformat()},
                }
            },
            PROBLEM,
            "and the CronJob has not started it",
            "kubectl describe cronjob flights-check",
        ),
    ],
)
def test_what_is_wrong_around_a_monitor(given: dict[str, Any], severity: Severity, message: str, fix: str) -> None:
    findings = find(observed(last_check=last_check(), spec={"schedule": "0 6 * * *"}), evidence(**given))
    matching = [finding for finding in findings if finding.severity is severity and message in finding.message]
    assert matching, findings
    assert matching[0].fix.startswith(fix), matching[0].fix


@pytest.mark.parametrize(
    ("status", "severity", "message", "fix"),
    [
        (
            {"conditions": [condition(ConditionType.READY, "False", "InvalidSpec", "spec.x: wrong")]},
            PROBLEM,
            "InvalidSpec: spec.x: wrong",
            "kubectl edit mmon flights -n ml --context prod",
        ),
        (
            {"conditions": [condition(ConditionType.READY, "False", "NameCollision", "Job y exists")]},
            PROBLEM,
            "NameCollision: Job y exists",
            "kubectl get cronjob,job",
        ),
        ({"observed_generation": None, "conditions": []}, WARNING, "has never processed this monitor", "kubectl logs"),
        ({"spec": {"suspend": True}}, WARNING, "neither checks nor trainings start", "kubectl mmon resume flights"),
        ({"spec": {"schedule": "0 0 30 2 *"}}, PROBLEM, '"0 0 30 2 *" (Etc/UTC) is never due', "kubectl edit"),
        ({"spec": {"schedule": "0 0 29 2 *"}}, WARNING, "is next due in", "kubectl edit"),
        ({"spec": {"timeZone": "Europe/Atlantis"}}, PROBLEM, "(Europe/Atlantis) is never due", "kubectl edit"),
        ({}, WARNING, "None has returned a verdict yet.", "kubectl mmon check flights --wait -n ml --context prod"),
        (
            {"waiting_jobs": [WaitingJob(job_name="j", uid="u", role="check", reason="PodRefused", message="quota")]},
            PROBLEM,
            "It cannot start (PodRefused). quota.",
            "kubectl get resourcequota,limitrange,serviceaccount",
        ),
        (
            {
                "last_check_failure": LastCheckFailure(
                    time=NOW, job_name="j", reason="CredentialsRefused", message="no", failures=4
                )
            },
            PROBLEM,
            "They have failed 4 times in a row (CredentialsRefused). no.",
            "kubectl patch secret s3 -p ",
        ),
        (
            {"last_check_failure": LastCheckFailure(time=NOW, job_name="j", reason="NoVerdict", message="silent")},
            PROBLEM,
            "(NoVerdict). silent.",
            "kubectl logs job/j --all-containers",
        ),
        ({"last_check": last_check("Corrupted")}, PROBLEM, "blocks training", "kubectl mmon report flights"),
        (
            {
                "last_training": LastTraining(
                    number=3,
                    job_name="t",
                    start_time=NOW - HOUR,
                    completion_time=NOW,
                    outcome="Failed",
                    outcome_reason="NoVerdict",
                    message="its pod left no message",
                    failures=2,
                )
            },
            PROBLEM,
            "Training 3 failed (NoVerdict), 2 times in a row. its pod left no message.",
            "kubectl logs job/t --all-containers",
        ),
        (
            {
                "last_training": LastTraining(
                    number=3,
                    job_name="t",
                    start_time=NOW,
                    completion_time=NOW,
                    outcome="AwaitingApproval",
                    version="v3-1",
                )
            },
            WARNING,
            "Training 3 made v3-1, which waits for your approval.",
            "kubectl mmon promote flights",
        ),
        (
            {"jobs": [job(Role.CHECK, "slow")], "spec": {"check": {"activeDeadlineSeconds": 3600}}},
            WARNING,
            "It has not answered for 60 min; its deadline is 60 min.",
            "kubectl logs job/slow",
        ),
        (
            {
                "conditions": [READY, condition(ConditionType.ROLLED_OUT, "False", "RolloutBlocked", "no right")],
                "rollout": Rollout(deployment="scorer", version="v1", reason="RolloutBlocked", time=NOW),
            },
            PROBLEM,
            "RolloutBlocked: no right.",
            "kubectl rollout status deployment/scorer",
        ),
    ],
)
def test_what_is_wrong_with_a_monitor(status: dict[str, Any], severity: Severity, message: str, fix: str) -> None:
    findings = find(observed(**status), evidence())
    matching = [finding for finding in findings if finding.severity is severity and message in finding.message]
    assert matching, findings
    assert matching[0].fix.startswith(fix), matching[0].fix


def event(name: str, reason: str, age: dt.timedelta = HOUR / 2) -> dict[str, Any]:
    time = (NOW - age).isoformat()
    about = {"kind": "CronJob", "name": name}
    return {"metadata": {}, "involvedObject": about, "reason": reason, "message": "why", "lastTimestamp": time}


@pytest.mark.parametrize(
    ("events", "messages"),
    [
        ([event("flights-check", "FailedCreate")] * 2, ["FailedCreate: why."]),
        ([event("flights-check", "FailedCreate", DAY)], []),
        ([event("other-check", "FailedCreate"), event("flights-check", "Created")], []),
        (Denied("events is forbidden"), []),
    ],
)
def test_warnings_of_controllers(events: Any, messages: list[str]) -> None:
    findings = find(observed(last_check=last_check()), evidence(events=events))
    assert [finding.message for finding in findings if finding.severity is PROBLEM] == messages


def test_a_right_that_the_operator_lacks() -> None:
    message = 'cronjobs.batch is forbidden: User "system:serviceaccount:system:mm" cannot create resource'
    refused = observed(conditions=[condition(ConditionType.READY, "False", "ObjectRefused", message)])
    deployment = operator()
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = "mm"
    [spec] = [each for each in find(refused, evidence(operators=[deployment])) if each.subject == "Spec"]
    assert spec.fix == "kubectl auth can-i --list --as=system:serviceaccount:system:mm -n ml --context prod"
    [spec] = [each for each in find(refused, evidence(operators=Denied("no"))) if each.subject == "Spec"]
    assert spec.fix == "kubectl describe mmon flights -n ml --context prod"


@pytest.mark.parametrize(
    ("error", "as_pods", "severity", "fix"),
    [
        (MissingSecret("the Secret 's3' does not exist"), False, None, ""),
        (BadConfiguration("the Secret 's3' lacks the key k"), False, None, ""),
        (Missing('services "s3" not found'), False, PROBLEM, "kubectl get services --all-namespaces --context prod"),
        (CredentialsRefused("refused"), True, PROBLEM, "kubectl patch secret s3 -p "),
        (CredentialsRefused("refused"), False, UNKNOWN, "kubectl mmon doctor flights --endpoint URL"),
        (NotFound("no bucket"), True, PROBLEM, "kubectl edit mmon flights"),
        (StorageUnavailable("no answer"), True, UNKNOWN, "kubectl mmon doctor flights --endpoint URL"),
    ],
)
def test_what_a_refusal_of_the_store_means(
    error: ModelMonitorError, as_pods: bool, severity: Severity | None, fix: str
) -> None:
    finding = explain_refusal(error, observed(), CALLER, as_pods=as_pods)
    assert (finding and finding.severity) == severity
    assert finding is None or finding.fix.startswith(fix)


def test_a_schedule_with_gaps_is_not_late() -> None:
    monday = dt.datetime(2013, 4, 1, 6, tzinfo=dt.UTC)
    cron_job = {"metadata": {"name": "c"}, "status": {"lastScheduleTime": monday.isoformat()}}
    monitor = observed(spec={"schedule": "0 6 * * 1"}, last_check=last_check())
    findings = list(find_in_cluster(monitor, evidence(cron_job=cron_job), monday + 6 * DAY, CALLER))
    assert is_healthy(findings), findings


@pytest.mark.parametrize(
    ("account", "message"), [(Missing("no"), "'reader' does not exist"), ({}, "'reader' exists"), (Denied("no"), "no.")]
)
def test_service_accounts(account: Any, message: str) -> None:
    spec = {"storage": {"serviceAccountName": "reader", "credentialsSecretRef": None}}
    findings = find(observed(spec=spec), evidence(secret=None, service_account=account))
    assert any(f.subject == "Service account" and message in f.message for f in findings), findings


def test_problems_come_first_each_with_its_command() -> None:
    findings = [
        Finding(FINE, "Spec", "It is valid."),
        Finding(UNKNOWN, "Quota", "Forbidden."),
        Finding(PROBLEM, "Credentials", "The Secret does not exist.", "kubectl create secret"),
    ]
    text = render(finding_blocks("ml/flights", findings), width=100, color=False)
    assert text == (
        "ml/flights: 1 problem, 1 not examined, 1 fine\n"
        "  ✗  Credentials: The Secret does not exist.\n"
        "     → kubectl create secret\n"
        "  ?  Quota: Forbidden.\n"
        "  ✓  Spec: It is valid."
    )
    document = finding_document("ml/flights", findings)
    assert (document["healthy"], document["findings"][2]["fix"]) == (False, "kubectl create secret")


def test_hostile_texts_are_harmless() -> None:
    waiting = WaitingJob(job_name=HOSTILE, uid="u", role="check", reason=HOSTILE, message=HOSTILE)
    findings = find(observed(waiting_jobs=[waiting]), evidence(operators=Denied(HOSTILE)))
    text = render(finding_blocks(HOSTILE, findings), width=100, color=False)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert all(c.isprintable() for finding in findings for c in finding.fix)
