"""Objects of any shape, as users, other controllers, other versions and attackers leave them.

No exception escapes, no second training starts, and the status stays what the API server accepts.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generate.crd import custom_resource_definition
from modelmonitor_api import names
from modelmonitor_api.messages import encode_answer
from modelmonitor_api.names import FailureReason, Role
from support.monitors import champion, check, failure, run
from support.structural import problems
from unit.operator.in_memory_cluster import InMemoryCluster

_VERSION = custom_resource_definition()["spec"]["versions"][0]
STATUS_SCHEMA = _VERSION["schema"]["openAPIV3Schema"]["properties"]["status"]
#: What the API server guarantees: it sets these fields, or refuses objects without them.
GUARANTEED = frozenset(
    {"metadata", "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "kind"}
)
#: What it guarantees of Jobs, CronJobs and pods: their structure and what selects them.
TYPED = GUARANTEED | {"spec", "type", "status", "containers", "template", "jobTemplate", names.LABEL_MONITOR_UID}

#: Times that the API server accepts in built-in objects; it writes null where there is none.
TYPED_TIMES = (None, "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z")
TIMES = (
    *TYPED_TIMES,
    *("2013-04-02T12:00:00", "2013-04-02T12:00:00+23:59"),
    *("2013-04-02", "9999-12-31", "0001-01-01", "yesterday", ""),
)
TEXTS = (
    *("", " ", "x" * 70_000, "\u0000", "\U0001f600", "\u202etxt", "²", "٣", "9" * 5000, "-1", "1e999", "NaN", "null"),
    *("{}", "[" * 3000, "<script>", "../..", "${HOME}", "True", "train", "Drift", "Promoted", "v1-0a1b2c3d"),
)
NUMBERS = (0, -1, 1, 2, 2**31, 2**63 - 1, 2**63, 10**400, 0.5, -1e308)
LEAVES = st.one_of(st.none(), st.booleans(), *map(st.sampled_from, (NUMBERS, TEXTS, TIMES)))
KEYS = st.sampled_from(TEXTS)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
#: What becomes of a value: it is removed, replaced by anything, or by the nth of what is similar.
REMOVED = object()


@dataclass(frozen=True)
class Similar:
    """The nth of some values of the same type."""

    number: int

    def to(self, value: Any, *, typed: bool) -> Any:
        """Return a value of the same type that few expect."""
        if isinstance(value, bool) or value is None:
            return not value
        if isinstance(value, list) and not typed:
            return [[], value * 60, value[:1] * 2][self.number % 3]
        if isinstance(value, dict | list):
            return type(value)()
        is_time = isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)
        choices: tuple[Any, ...] = (
            (TYPED_TIMES if typed else TIMES) if is_time else TEXTS if isinstance(value, str) else NUMBERS
        )
        return choices[self.number % len(choices)]


#: Which value is changed, as a number that picks among what there is, and what becomes of it.
CHANGES = st.tuples(st.integers(0, 10_000), st.one_of(st.integers(0, 100).map(Similar), ANYTHING, st.just(REMOVED)))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the paths of all values within a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def change(value: Any, pick: int, new: Any, *, typed: bool) -> None:
    """Replace or remove one value within a value; if `typed`, the API server knows the types of the values."""
    guaranteed = TYPED if typed else GUARANTEED
    paths = [path for path in places(value) if path[-1] not in guaranteed]
    if not paths:
        return
    *path, last = paths[pick % len(paths)]
    for key in path:
        value = value[key]
    if isinstance(new, Similar):
        new = new.to(value[last], typed=typed)
    elif typed:
        new = REMOVED
    if new is not REMOVED:
        value[last] = copy.deepcopy(new)
    elif isinstance(value, list):
        value.pop(last)
    else:
        del value[last]


async def with_training() -> InMemoryCluster:
    """Return a cluster with a monitor whose first check has ended, and whose first training runs."""
    cluster = InMemoryCluster()
    cluster.add()
    await cluster.settle()
    [job] = cluster.of_role(Role.CHECK)
    cluster.finish(job["metadata"]["name"], check("Drift", champion=champion()))
    await cluster.settle()
    [training] = cluster.of_role(Role.TRAIN)
    training["status"] = {"active": 1, "ready": 0, "startTime": "2013-04-02T12:00:00Z"}
    uid = training["metadata"]["uid"]
    cluster.pods.append(
        {
            "metadata": {
                **cluster._meta(),
                "name": "training-pod",
                "labels": dict(training["metadata"]["labels"]),
                "ownerReferences": [{"kind": "Job", "name": "x", "uid": uid, "controller": True}],
            },
            "spec": {"containers": [{"name": names.CONTAINER_NAME, "image": "trainer"}]},
            "status": {
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "no nodes"}],
                "containerStatuses": [
                    {
                        "name": names.CONTAINER_NAME,
                        "image": "trainer",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}},
                    }
                ],
            },
        }
    )
    cluster.job_events.append({"reason": "FailedCreate", "message": "exceeded quota", "involvedObject": {"uid": uid}})
    return cluster


def is_acceptable(cluster: InMemoryCluster) -> None:
    """Assert that the API server accepts the status."""
    status = cluster.status()
    json.dumps(status, allow_nan=False)
    assert list(problems(status, STATUS_SCHEMA, "status")) == []


def trainings(cluster: InMemoryCluster) -> list[str]:
    """Return the names of the training Jobs, by their names: their labels may have been changed."""
    return [name for name in cluster.jobs if "-train-" in name]


def unfinished(cluster: InMemoryCluster) -> list[str]:
    """Return the names of the training Jobs that run."""
    return [name for name in trainings(cluster) if "conditions" not in cluster.jobs[name].get("status", {})]


MONITOR_CHANGES = st.lists(st.tuples(st.sampled_from(["spec", "status", "metadata"]), CHANGES), min_size=1, max_size=4)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(MONITOR_CHANGES)
def test_any_monitor(changes: list[tuple[str, tuple[int, Any]]]) -> None:
    async def live() -> None:
        cluster = await with_training()
        resource = cluster.monitors["flights"]
        for part, (pick, new) in changes:
            change(resource[part], pick, new, typed=part == "metadata")
        cluster._touch(resource)
        await cluster.settle()
        is_acceptable(cluster)
        [training] = trainings(cluster)
        cluster.finish(training, run("Rejected"))
        for _ in range(3):
            cluster.pass_time(days=3)
            await cluster.settle()
            is_acceptable(cluster)
        assert len(unfinished(cluster)) <= 1

    asyncio.run(live())


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING, ANYTHING)
def test_a_monitor_that_is_no_monitor(spec: Any, status: Any) -> None:
    async def live() -> None:
        cluster = await with_training()
        resource = cluster.monitors["flights"]
        resource["spec"], resource["status"] = copy.deepcopy(spec), copy.deepcopy(status)
        cluster._touch(resource)
        await cluster.settle()
        is_acceptable(cluster)
        assert len(trainings(cluster)) == 1

    asyncio.run(live())


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(st.sampled_from(["jobs", "jobs", "cron_jobs", "pods", "events"]), CHANGES), max_size=4))
def test_any_child(changes: list[tuple[str, tuple[int, Any]]]) -> None:
    """Jobs, CronJobs, pods and events of which fields are missing, and whose texts and numbers are hostile."""

    async def live() -> None:
        cluster = await with_training()
        objects = {
            "jobs": list(cluster.jobs.values()),
            "cron_jobs": list(cluster.cron_jobs.values()),
            "pods": cluster.pods,
            "events": cluster.job_events,
        }
        for kind, (pick, new) in changes:
            child = objects[kind][pick % len(objects[kind])]
            change(child, pick, new, typed=True)
            if "metadata" in child:
                cluster._touch(child)
        await cluster.settle()
        is_acceptable(cluster)
        assert len(trainings(cluster)) == 1

    asyncio.run(live())


ANSWERS = {
    Role.CHECK: [check("Drift", champion=champion()), check("Corrupted"), failure(FailureReason.BAD_DATA)],
    Role.TRAIN: [run("Promoted"), run("Rejected"), failure(FailureReason.OUT_OF_MEMORY)],
}
VERDICTS = st.one_of(
    st.text(max_size=50),
    ANYTHING.map(json.dumps),
    st.tuples(st.integers(0, 2), st.lists(CHANGES, max_size=3), st.booleans()),
)


def text_of(role: Role, verdict: Any) -> str:
    """Return a termination message: any text, or a verdict that has been changed, by another version perhaps."""
    if isinstance(verdict, str):
        return verdict
    answer, changes, newer = verdict
    content = json.loads(encode_answer(ANSWERS[role][answer]))
    for pick, new in changes:
        change(content, pick, new, typed=False)
    return json.dumps(content | ({"addedByANewerVersion": {"x": [1]}} if newer else {}))


@pytest.mark.parametrize("role", [Role.CHECK, Role.TRAIN])
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(VERDICTS, st.sampled_from([None, "BackoffLimitExceeded", "DeadlineExceeded"]))
def test_any_verdict(role: Role, verdict: Any, failed: str | None) -> None:
    async def live() -> None:
        cluster = InMemoryCluster()
        cluster.add()
        await cluster.settle()
        if role is Role.TRAIN:
            [job] = cluster.of_role(Role.CHECK)
            cluster.finish(job["metadata"]["name"], check("Drift", champion=champion()))
            await cluster.settle()
        [job] = cluster.of_role(role)
        cluster.finish(job["metadata"]["name"], text_of(role, verdict), failed=failed)
        await cluster.settle()
        is_acceptable(cluster)
        assert len(trainings(cluster)) <= 1 + (role is Role.TRAIN)
        cluster.pass_time(days=3)
        await cluster.settle()
        is_acceptable(cluster)
        numbers = [job["metadata"]["labels"][names.LABEL_NUMBER] for job in cluster.of_role(Role.TRAIN)]
        assert len(set(numbers)) == len(numbers)

    asyncio.run(live())
