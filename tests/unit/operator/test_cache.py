"""The cache: which version wins, what counts as a change, and what it takes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_operator.cache import ObjectCache
from modelmonitor_operator.gateway import Kind
from support.monitors import monitor

KEY = ("demo", "flights")


def versioned(version: int, **changes: Any) -> dict[str, Any]:
    """Return a monitor at a version, with book-keeping of the API server."""
    resource = monitor(namespace="demo", **changes)
    resource["metadata"] |= {"uid": "u", "resourceVersion": str(version), "managedFields": [{"manager": "kubectl"}]}
    return resource


def job(name: str, version: int, uid: str = "u") -> dict[str, Any]:
    """Return a Job of a monitor."""
    labels = {names.LABEL_MONITOR: "flights", names.LABEL_MONITOR_UID: uid}
    return {"metadata": {"namespace": "demo", "name": name, "labels": labels, "resourceVersion": str(version)}}


def test_an_object_comes_back_without_the_book_keeping() -> None:
    cache, resource = ObjectCache(), versioned(7)
    assert cache.put(Kind.MONITOR, resource)
    expected = copy.deepcopy(resource)
    del expected["metadata"]["managedFields"]
    assert cache.get(Kind.MONITOR, KEY) == expected
    assert cache.version(Kind.MONITOR, KEY) == 7
    assert cache.keys(Kind.MONITOR) == cache.keys(Kind.MONITOR, "demo") == [KEY]
    assert cache.keys(Kind.MONITOR, "other") == []


def test_an_older_version_never_replaces_a_newer_one() -> None:
    cache = ObjectCache()
    cache.put(Kind.MONITOR, versioned(10, schedule="1 1 * * *"))
    assert not cache.put(Kind.MONITOR, versioned(9, schedule="2 2 * * *"))
    resource = cache.get(Kind.MONITOR, KEY)
    assert resource is not None
    assert resource["spec"]["schedule"] == "1 1 * * *"


def test_a_new_version_with_the_same_fields_is_no_change() -> None:
    cache = ObjectCache()
    cache.put(Kind.MONITOR, versioned(7))
    assert not cache.put(Kind.MONITOR, versioned(8))
    assert cache.version(Kind.MONITOR, KEY) == 8
    assert cache.put(Kind.MONITOR, versioned(9, schedule="3 3 * * *"))


def test_runs_of_a_cron_job_are_no_change() -> None:
    cache = ObjectCache()
    cron_job = job("flights-check", 1) | {"spec": {"schedule": "1 1 * * *"}}
    assert cache.put(Kind.CRON_JOB, cron_job)
    ran = copy.deepcopy(cron_job) | {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
    ran["metadata"]["resourceVersion"] = "2"
    assert not cache.put(Kind.CRON_JOB, ran)


def test_items_of_lists_equal_those_of_watches() -> None:
    cache = ObjectCache()
    cache.put(Kind.JOB, job("a", 1))
    assert not cache.put(Kind.JOB, {"apiVersion": "batch/v1", "kind": "Job", **job("a", 2)})
    resource = cache.get(Kind.JOB, ("demo", "a"))
    assert resource is not None
    assert (resource["apiVersion"], resource["kind"]) == ("batch/v1", "Job")


def test_jobs_are_found_by_the_uid_of_their_monitor() -> None:
    cache = ObjectCache()
    for number, uid in enumerate(("u", "u", "other"), start=1):
        cache.put(Kind.JOB, job(f"job-{number}", number, uid))
    assert [each["metadata"]["name"] for each in cache.jobs_of("u")] == ["job-1", "job-2"]
    cache.remove(Kind.JOB, ("demo", "job-1"))
    assert [each["metadata"]["name"] for each in cache.jobs_of("u")] == ["job-2"]
    cache.remove(Kind.JOB, ("demo", "job-2"))
    assert list(cache.jobs_of("u")) == []
    assert cache.get(Kind.JOB, ("demo", "job-2")) is None


def test_similar_objects_take_little_memory() -> None:
    cache = ObjectCache()
    features = [{"name": f"feature-{number}", "type": "Numeric"} for number in range(100)]
    for number in range(100):
        resource = versioned(number + 1, model={"features": features})
        resource["metadata"] |= {"name": f"monitor-{number}", "uid": f"{number:036}"}
        cache.put(Kind.MONITOR, resource)
    sizes = [len(entry.fields) for entry in cache._entries[Kind.MONITOR].values()]
    assert sum(sizes) / len(sizes) < 400


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    cache = ObjectCache()
    cache.put(Kind.MONITOR, versioned(10))
    cache.delete(Kind.MONITOR, KEY, 12)
    assert not cache.put(Kind.MONITOR, versioned(11))
    assert cache.get(Kind.MONITOR, KEY) is None
    assert cache.put(Kind.MONITOR, versioned(13)), "it was created again"
    cache.remove(Kind.MONITOR, KEY)
    assert cache.put(Kind.MONITOR, versioned(13)), "what was only forgotten can be read again"


def test_only_the_newest_deletions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelmonitor_operator.cache.MAX_DELETIONS", 2)
    cache = ObjectCache()
    for name in ("a", "b", "c"):
        cache.delete(Kind.JOB, ("demo", name), 9)
    assert [cache.put(Kind.JOB, job(name, 5)) for name in ("a", "b", "c")] == [True, False, False]
