"""Any history at all: verdicts, failures, edits, requests, deaths and lost statuses in any order keep the promises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmonitor_api import names
from modelmonitor_api.messages import decode_request
from modelmonitor_api.names import FailureReason, Reason, Role
from modelmonitor_api.status import MAX_HISTORY, ModelMonitorStatus
from modelmonitor_operator.gateway import GatewayError, Unavailable
from support.monitors import champion, check, failure, run
from unit.operator.in_memory_cluster import InMemoryCluster, Killed

Step = tuple[str, int]
#: What may happen, each with a number that picks among the possibilities.
STEPS = (
    "check", "check", "check", "train", "train", "move", "pass", "pass",
    "retrain", "rollback", "promote", "check-now", "suspend", "resume", "resume", "edit",
    "kill", "kill", "forget", "delete", "away",
)  # fmt: skip
BUDGET = 3


def unfinished(cluster: InMemoryCluster, *roles: Role) -> list[str]:
    """Return the names of Jobs that have not ended."""
    return [job["metadata"]["name"] for role in roles for job in cluster.of_role(role) if "status" not in job]


def happen(cluster: InMemoryCluster, step: str, pick: int) -> None:
    """Simulate one event in the cluster."""
    version = f"v{pick}-0a1b2c3d"
    served = champion(version).model_copy(update={"since": cluster.now})
    endings: dict[Role, list[Callable[[str], None]]] = {
        Role.CHECK: [
            lambda name: cluster.finish(name, check("Drift", champion=None)),
            lambda name: cluster.finish(name, check("Drift", champion=None, performance_dropped=True)),
            lambda name: cluster.finish(name, check("NoDrift", champion=None)),
            lambda name: cluster.finish(name, check("Corrupted", champion=None)),
            lambda name: cluster.finish(name, None, failed="BackoffLimitExceeded"),
        ],
        Role.TRAIN: [
            lambda name: cluster.finish(name, run("Promoted", version, champion=served)),
            lambda name: cluster.finish(name, run("Rejected", version)),
            lambda name: cluster.finish(name, failure(FailureReason.BAD_DATA), failed="BackoffLimitExceeded"),
            lambda name: cluster.finish(name, None, failed="DeadlineExceeded"),
        ],
        Role.ROLLBACK: [lambda name: cluster.finish(name, run("RolledBack", version, champion=served))],
    }
    if step == "check" and "flights-check" in cluster.cron_jobs and not unfinished(cluster, Role.CHECK):
        cluster.scheduled_check(str(len(cluster.jobs)))
    roles = {"check": [Role.CHECK], "train": [Role.TRAIN], "move": [Role.ROLLBACK, Role.PROMOTE]}.get(step, [])
    for role in roles:
        for name in unfinished(cluster, role):
            options = endings.get(role, endings[Role.ROLLBACK])
            options[pick % len(options)](name)
    requests = {
        "retrain": names.ANNOTATION_RETRAIN_REQUESTED,
        "rollback": names.ANNOTATION_ROLLBACK_TO,
        "promote": names.ANNOTATION_PROMOTE,
        "check-now": names.ANNOTATION_CHECK_REQUESTED,
    }
    if step in requests:
        cluster.annotate(requests[step], f"token-{pick}")
    elif step == "pass":
        cluster.pass_time(hours=1 + 5 * pick)
    elif step in {"suspend", "resume"}:
        cluster.edit(suspend=step == "suspend")
    elif step == "edit":
        cluster.edit(retraining={"windowDays": 30 + pick})
    elif step == "forget":
        cluster.monitors["flights"].pop("status", None)
    elif step == "delete":
        cluster.cron_jobs.clear()


async def reconcile(cluster: InMemoryCluster, step: str, pick: int) -> None:
    """Let the operator reconcile; depending on the step, it is killed or the API server is unavailable."""
    if step == "kill":
        cluster.kill_at, cluster.kill_side = cluster.calls + 1 + pick, "after" if pick % 2 else "before"
    elif step == "away":
        method = ("create_job", "patch_status", "apply_cron_job", "create_event")[pick % 4]
        cluster.refuse[method] = Unavailable("the API server is away")
    with contextlib.suppress(Killed, GatewayError):
        await cluster.settle()
    cluster.kill_at = None
    cluster.refuse.clear()


def promises_are_kept(cluster: InMemoryCluster, suspended: bool, jobs_before: set[str]) -> None:
    """Assert what must hold whatever has happened."""
    assert len(unfinished(cluster, Role.TRAIN, Role.ROLLBACK, Role.PROMOTE)) <= 1, (
        "one Job moves the champion at a time"
    )
    numbers = [job["metadata"]["labels"][names.LABEL_NUMBER] for job in cluster.of_role(Role.TRAIN)]
    assert len(set(numbers)) == len(numbers)
    new = [job for job in cluster.of_role(Role.TRAIN) if job["metadata"]["name"] not in jobs_before]
    assert len(new) <= 1
    if suspended:
        assert not new
    requests = [
        decode_request(job["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_REQUEST])
        for job in cluster.of_role(Role.TRAIN)
    ]
    tokens = [job["metadata"].get("annotations", {}).get(names.ANNOTATION_TOKEN) for job in cluster.of_role(Role.TRAIN)]
    assert [token is not None for token in tokens] == [getattr(r, "reason", "") == Reason.REQUESTED for r in requests]
    status = ModelMonitorStatus.model_validate(cluster.status())
    assert len(status.history) <= MAX_HISTORY
    kinds = [condition.type for condition in status.conditions]
    assert len(set(kinds)) == len(kinds)
    if status.last_check is not None and status.last_check.verdict == Reason.CORRUPTED:
        assert not new, "no training on corrupted data"


def budget_is_kept(cluster: InMemoryCluster) -> None:
    """Assert the budget over every window, of all trainings that were not requested."""
    starts = sorted(
        job["metadata"]["creationTimestamp"]
        for job in cluster.of_role(Role.TRAIN)
        if names.ANNOTATION_TOKEN not in job["metadata"]["annotations"]
    )
    days = [start[:10] for start in starts]
    for first, last in zip(days, days[BUDGET:], strict=False):
        assert first != last, f"{BUDGET + 1} trainings on {first}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), min_size=5, max_size=40))
def test_any_history(steps: list[Step]) -> None:
    async def live() -> None:
        cluster = InMemoryCluster()
        cluster.add(retraining={"cooldownSeconds": 0, "budget": {"count": BUDGET, "perDays": 1}})
        await cluster.settle()
        for step, pick in steps:
            before = {job["metadata"]["name"] for job in cluster.jobs.values()}
            happen(cluster, step, pick)
            await reconcile(cluster, step, pick)
            suspended = cluster.monitors["flights"]["spec"].get("suspend", False)
            promises_are_kept(cluster, suspended, before)
            cluster.pass_time(minutes=1)
        await cluster.settle()
        written = len(cluster.writes)
        await cluster.reconcile()
        assert len(cluster.writes) == written, "an operator at rest writes nothing"
        budget_is_kept(cluster)
        assert cluster.condition("Ready") == ("True", "Accepted")
        for event in cluster.events:
            assert event["reason"].isalnum()
            assert len(event["message"]) <= 1024

    asyncio.run(live())
