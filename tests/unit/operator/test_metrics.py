"""Metrics: what Prometheus reads of monitors and of the operator, and what the endpoint refuses."""

from __future__ import annotations

import datetime as dt
import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.status import LastCheckFailure, LastTraining, ModelMonitorStatus, RecordedDecision
from modelmonitor_operator.cache import ObjectCache
from modelmonitor_operator.gateway import Conflict, Kind, Object
from modelmonitor_operator.kubernetes_gateway import _verb
from modelmonitor_operator.metrics import definitions, server
from modelmonitor_operator.metrics.activity import Activity
from modelmonitor_operator.metrics.exposition import MonitorSamples
from modelmonitor_operator.metrics.server import MetricsServer
from modelmonitor_operator.metrics.state import StateCollector
from modelmonitor_operator.workqueue import Priority, WorkQueue
from support.monitored import NOW, condition, monitored, status
from support.processes import free_port

Series = dict[str, float]
DAY = dt.timedelta(days=1)


def parse(text: str) -> Series:
    """Return the series of an exposition, without the labels namespace and name, and the prefix."""
    result = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name not in {"namespace", "name"}}
            shown = "".join(f"{{{','.join(f'{k}={v}' for k, v in labels.items())}}}" if labels else "")
            result[sample.name.removeprefix("modelmonitor_") + shown] = sample.value
    return result


def series(*resources: Object, features: bool = False) -> Series:
    """Return the series of monitors."""
    return parse(exposition(*resources, features=features))


def exposition(*resources: Object, features: bool = False) -> str:
    samples = MonitorSamples(features=features)
    for resource in resources:
        samples.add((resource["metadata"]["namespace"], resource["metadata"]["name"]), resource, 420.0)
    return b"".join(samples.write()).decode()


def at(time: dt.datetime) -> float:
    return time.timestamp()


def test_the_series_of_a_monitor() -> None:
    samples = series(monitored())
    counted = {name for name in samples if name.startswith("monitors{")}
    assert {name: value for name, value in samples.items() if name not in counted} == {
        "condition{condition=Ready,reason=Accepted}": 1,
        "condition{condition=DriftDetected,reason=Drift}": 1,
        "condition{condition=Training,reason=CoolingDown}": 0,
        "condition{condition=Suspended,reason=Active}": 0,
        "active_timestamp_seconds": at(NOW - 9 * DAY),
        "check_interval_seconds": 86400,
        "last_check_timestamp_seconds": at(NOW - dt.timedelta(minutes=8)),
        "check_failures": 0,
        "check_verdict{verdict=Drift}": 1,
        "check_rows{window=reference}": 90000,
        "check_rows{window=current}": 28000,
        "data_end_timestamp_seconds": at(NOW.replace(hour=0, minute=0)),
        "drift_effect_ratio": 0.31,
        "drifted_features": 2,
        "consecutive_drifts": 3,
        "performance_dropped": 1,
        "champion_info{version=v3-0badcafe,metric=ROCAUC}": 1,
        "champion_timestamp_seconds": at(NOW - 30 * DAY),
        "champion_data_end_timestamp_seconds": at(NOW.replace(hour=0, minute=0) - 45 * DAY),
        "champion_promised_score": 0.81,
        "champion_score": 0.74,
        "champion_score_lower_bound": 0.72,
        "champion_score_upper_bound": 0.76,
        "trainings_started_total": 4,
        "training_seconds_total": 420,
        "last_training_timestamp_seconds": at(NOW - DAY + dt.timedelta(minutes=7)),
        "last_training_duration_seconds": 420,
        "last_training_peak_memory_bytes": 700 * 2**20,
        "last_training_outcome{outcome=Rejected}": 1,
        "training_failures": 0,
    }


def test_monitors_are_counted_by_condition_and_namespace_with_zeros() -> None:
    suspended = status(conditions=[condition(ConditionType.SUSPENDED, "True", Reason.SUSPENDED)])
    samples = [*text_string_to_metric_families(exposition(monitored(), monitored("b"), monitored("c", "x", suspended)))]
    (family,) = [each for each in samples if each.name == "modelmonitor_monitors"]
    counts = {tuple(sample.labels.values()): sample.value for sample in family.samples}
    assert len(counts) == 2 * len(ConditionType) * 3
    assert counts["demo", "Ready", "True"] == 2
    assert counts["demo", "Ready", "False"] == 0
    assert counts["x", "Suspended", "True"] == 1


def test_a_new_monitor_has_what_alerts_need() -> None:
    new = monitored(state=ModelMonitorStatus())
    new["status"] = {}
    samples = {name: value for name, value in series(new).items() if not name.startswith("monitors{")}
    assert samples == {
        "active_timestamp_seconds": at(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        "check_interval_seconds": 86400,
        "check_failures": 0,
        "trainings_started_total": 0,
        "training_seconds_total": 420,
        "training_failures": 0,
    }


def test_a_suspended_monitor_is_not_active() -> None:
    assert "active_timestamp_seconds" not in series(monitored(suspend=True))


def test_a_failed_check_counts_as_a_check() -> None:
    failure = LastCheckFailure(time=NOW, job_name="x", reason="BadData", message="", failures=2)
    samples = series(monitored(state=status(last_check_failure=failure)))
    assert samples["last_check_timestamp_seconds"] == at(NOW)
    assert samples["check_failures"] == 2
    assert samples["check_verdict{verdict=Drift}"] == 1, "the previous verdict is kept"


def test_single_columns_have_series_only_if_they_are_asked_for() -> None:
    name = 'a "quoted" \\ column\nof two lines'
    resource = monitored()
    resource["status"]["lastCheck"]["topFeatures"][0]["name"] = name
    assert not any("feature_drift_effect" in each for each in series(resource))
    assert series(resource, features=True)[f"feature_drift_effect_ratio{{feature={name}}}"] == 0.31


def test_what_pods_report_adds_no_labels_of_its_own() -> None:
    """Termination messages are untrusted: a custom trainer must not add series without limit, or publish rows."""
    secret = "customer 4711 owes 20 €"
    resource = monitored()
    state = resource["status"]
    state["champion"] |= {"version": secret, "metric": secret}
    state["lastCheck"] |= {"verdict": secret, "reason": secret, "message": secret, "reportURI": secret}
    state["lastTraining"] |= {"outcome": secret, "reason": secret, "jobName": secret}
    for each in state["conditions"]:
        each |= {"reason": secret, "message": secret}
    text = exposition(resource)
    assert "4711" not in text
    samples = parse(text)
    assert samples["check_verdict{verdict=Other}"] == 1
    assert samples["champion_info{version=Other,metric=Other}"] == 1

    activity = Activity()
    entry = RecordedDecision(time=NOW, action=secret, reason=secret)
    activity.count_changes(("demo", "x"), ModelMonitorStatus(), ModelMonitorStatus(decisions=[entry]))
    assert registry_series(activity)["decisions_total{action=Other,reason=Other}"] == 1


@pytest.mark.parametrize(
    "broken",
    [
        "text",
        {"conditions": [1, {"type": "Unheard"}, {"type": "Ready"}], "lastCheck": 7, "champion": []},
        {"lastCheck": {"time": "yesterday", "rows": 3, "largestEffect": "NaN", "topFeatures": {}}},
        {"lastTraining": {"number": "many", "startTime": 5, "completionTime": "?", "peakMemoryBytes": []}},
    ],
)
def test_a_broken_status_costs_the_samples_that_cannot_be_read_and_no_others(broken: Any) -> None:
    resource = monitored()
    resource["status"] = broken
    samples = series(resource, monitored("other"), features=True)
    assert samples["check_interval_seconds"] == 86400
    assert samples["drifted_features"] == 2, "of the other monitor"


@pytest.mark.parametrize(
    ("schedule", "zone"), [("never", None), ("0 6 31 2 *", None), ("", None), ("0 6 * * *", "Mars/Base")]
)
def test_an_invalid_schedule_has_no_interval(schedule: str, zone: str | None) -> None:
    resource = monitored()
    resource["spec"] |= {"schedule": schedule, "timeZone": zone}
    assert "check_interval_seconds" not in series(resource)


# The operator


def test_decisions_and_trainings_are_counted_when_a_status_is_written() -> None:
    activity, key = Activity(), ("demo", "flights")
    held = RecordedDecision(time=NOW, action="Held", reason="CoolingDown")
    before = status()
    assert before.last_training is not None
    training = before.last_training.model_copy(
        update={
            "number": 5,
            "start_time": NOW,
            "completion_time": NOW + dt.timedelta(seconds=90),
            "outcome": "Promoted",
        }
    )
    running = before.model_copy(update={"decisions": [held], "last_training": _running(training)})
    ended = running.model_copy(update={"last_training": training})
    for old, new in ((before, running), (running, ended), (ended, ended)):
        activity.count_changes(key, old, new)
    samples = registry_series(activity)
    assert samples["decisions_total{action=Held,reason=CoolingDown}"] == 1
    assert samples["training_duration_seconds_count{outcome=Promoted}"] == 1
    assert samples["training_duration_seconds_sum{outcome=Promoted}"] == 90
    assert samples["training_duration_seconds_count{outcome=Failed}"] == 0, "series begin at zero"
    assert samples["training_peak_memory_bytes_sum{outcome=Promoted}"] == 700 * 2**20
    assert activity.training_seconds(key) == 90
    activity.forget(key)
    assert activity.training_seconds(key) == 0


def _running(training: LastTraining) -> LastTraining:
    return training.model_copy(update={"completion_time": None, "outcome": None})


@pytest.mark.parametrize(("error", "label"), [(Conflict("x"), "Conflict"), (KeyError("x"), "Unexpected")])
def test_errors_of_passes_are_counted_by_cause(error: Exception, label: str) -> None:
    activity = Activity()
    with pytest.raises(type(error)), activity.count_errors():
        raise error
    assert registry_series(activity)[f"reconcile_errors_total{{error={label}}}"] == 1


@pytest.mark.parametrize(
    ("method", "path", "query", "verb"),
    [
        ("GET", "/apis/modelmonitor.io/v1alpha1/modelmonitors", {"limit": "100"}, "list"),
        ("GET", "/apis/modelmonitor.io/v1alpha1/modelmonitors", {"watch": "true"}, "watch"),
        ("GET", "/apis/batch/v1/namespaces/demo/jobs", {}, "list"),
        ("GET", "/apis/batch/v1/namespaces/jobs/jobs/jobs", {}, "get"),
        ("GET", "/api/v1/namespaces/demo/pods", {}, "list"),
        ("POST", "/api/v1/namespaces/demo/events", {}, "create"),
        ("PATCH", "/apis/modelmonitor.io/v1alpha1/namespaces/demo/modelmonitors/x/status", {}, "patch"),
        ("DELETE", "/apis/batch/v1/namespaces/demo/jobs/x", {}, "delete"),
    ],
)
def test_requests_are_counted_by_the_verbs_of_rbac(method: str, path: str, query: dict[str, str], verb: str) -> None:
    assert _verb(method, path, query) == verb


def registry_series(activity: Activity) -> Series:
    return parse(generate_latest(activity.registry).decode())


def make_registry() -> Activity:
    """Return the metrics of an operator that has done something of everything."""
    activity = Activity()

    async def work(key: tuple[str, str]) -> None:
        raise AssertionError(f"{key} is queued, and nothing is started")

    def watches() -> list[tuple[Kind, str | None, float]]:
        return [(Kind.MONITOR, None, 1.5), (Kind.JOB, "demo", 2.5)]

    queue: WorkQueue[tuple[str, str]] = WorkQueue(work)
    queue.add(("demo", "flights"), Priority.NEW)
    activity.registry.register(StateCollector("1.2.3", 60.0, queue, watches))
    activity.count_request("get", "200")
    with activity.measure_pass("cache"):
        pass
    with pytest.raises(Conflict), activity.count_errors():
        raise Conflict
    new = ModelMonitorStatus(decisions=[RecordedDecision(time=NOW, action="Held", reason="DryRun")])
    activity.count_changes(("demo", "flights"), ModelMonitorStatus(), new)
    return activity


def test_the_state_of_the_controller() -> None:
    samples = registry_series(make_registry())
    assert samples["operator_info{version=1.2.3}"] == 1
    assert samples["workqueue_depth{priority=new}"] == 1
    assert samples["workqueue_depth{priority=change}"] == 0
    assert samples["reconcile_failing_monitors"] == 0
    assert samples["resync_interval_seconds"] == 60
    assert samples["watch_timestamp_seconds{resource=modelmonitors}"] == 1.5
    assert samples["api_requests_total{code=200,verb=get}"] == 1


# Definitions


def test_every_metric_that_is_served_is_defined_and_the_other_way_round() -> None:
    failure = LastCheckFailure(time=NOW, job_name="x", reason="BadData", message="")
    text = exposition(monitored(state=status(last_check_failure=failure)), features=True)
    text += "".join(_text(make_registry()))
    served = dict(re.findall(r"^# TYPE (modelmonitor_\S+) (\w+)$", text, re.MULTILINE))
    defined = {each.name: each.type for each in (*definitions.MONITOR_METRICS, *definitions.OPERATOR_METRICS)}
    assert served == defined
    helps = dict(re.findall(r"^# HELP (modelmonitor_\S+) (.+)$", text, re.MULTILINE))
    assert helps == {each.name: each.help for each in (*definitions.MONITOR_METRICS, *definitions.OPERATOR_METRICS)}


def _text(activity: Activity) -> str:
    return generate_latest(activity.registry).decode()


@pytest.mark.parametrize("metric", [*definitions.MONITOR_METRICS, *definitions.OPERATOR_METRICS])
def test_names_follow_the_conventions(metric: definitions.Metric) -> None:
    assert re.fullmatch(r"modelmonitor_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|days|mib|percent)(_|$)", metric.name)
    assert not metric.help.endswith(".")
    assert "\n" not in metric.help


# The endpoint


@asynccontextmanager
async def served(cache: ObjectCache, activity: Activity | None = None) -> AsyncIterator[str]:
    """Serve the metrics, and return the address."""
    activity = activity or Activity()
    endpoint = MetricsServer(cache, activity.registry, activity.training_seconds)
    port = free_port()
    await endpoint.start(port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await endpoint.stop()


def filled(*resources: Object) -> ObjectCache:
    cache = ObjectCache()
    for resource in resources:
        cache.put(Kind.MONITOR, resource)
    return cache


async def test_a_scrape() -> None:
    cache = filled(monitored(), monitored("other"))
    async with served(cache) as address, aiohttp.ClientSession(auto_decompress=False) as session:
        async with session.get(f"{address}/metrics", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert response.headers["Content-Encoding"] == "gzip"
            text = gzip.decompress(await response.read()).decode()
        assert 'modelmonitor_check_verdict{namespace="demo",name="flights",verdict="Drift"} 1\n' in text
        assert "process_resident_memory_bytes" in text
        cache.remove(Kind.MONITOR, ("demo", "flights"))
        async with session.get(f"{address}/metrics", headers={"Accept-Encoding": "identity"}) as response:
            text = (await response.read()).decode()
    assert 'name="other"' in text
    assert 'name="flights"' not in text, "the series of a deleted monitor are gone"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/metrics/..", 404),
        ("GET", "/metrics/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/healthz", 404),
        ("GET", "//metrics", 404),
        ("HEAD", "/metrics", 405),
        ("POST", "/metrics", 405),
        ("PUT", "/metrics", 405),
        ("DELETE", "/metrics", 405),
        ("OPTIONS", "/metrics", 405),
    ],
)
async def test_nothing_but_the_metrics_is_served(method: str, path: str, code: int) -> None:
    async with served(filled(monitored())) as address, aiohttp.ClientSession() as session:
        response = await session.request(method, URL(address + path, encoded=True))
        assert response.status == code
        assert "flights" not in await response.text()


async def scrape(address: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        return await response.text()


async def test_a_client_that_does_not_read_does_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(filled(monitored())) as address:
        monkeypatch.setattr(server, "SCRAPE_SECONDS", 0.0)
        with pytest.raises(aiohttp.ClientError):
            await scrape(address)
        monkeypatch.setattr(server, "SCRAPE_SECONDS", 60.0)
        assert "flights" in await scrape(address)
