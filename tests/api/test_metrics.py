"""Prometheus, the alerts and the dashboards on the metrics of a real operator."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.fleet import served_fleet
from modelmonitor_api.names import ConditionType, Role
from modelmonitor_operator.metrics.definitions import MONITOR_METRICS, OPERATOR_METRICS
from support import monitors
from support.apiserver import ApiServer
from support.client import Client
from support.operator import CHART, OperatorProcess, render
from support.processes import wait_until
from support.prometheus import Prometheus, Receiver, alertmanager, check_metrics
from support.scene import Scene

NAMES = {metric.name for metric in (*MONITOR_METRICS, *OPERATOR_METRICS)}
#: Of the process and of Prometheus itself.
OTHERS = {"process_resident_memory_bytes"}
#: What the tests put for the variables of Grafana.
VARIABLES = {"$namespace": "demo", "$name": "flights", "$__range": "1h"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        text: str = response.read().decode()
    return text


def rules(server: ApiServer, namespace: str) -> dict[str, Any]:
    """Return the groups of rules that the chart renders."""
    rule = {"enabled": True, "runbookURL": "https://runbooks.example"}
    objects = render(server, namespace, {"metrics.prometheusRule": rule})
    (spec,) = [each["spec"] for each in objects if each["kind"] == "PrometheusRule"]
    assert isinstance(spec, dict)
    return spec


def test_an_alert_about_a_monitor_reaches_the_receiver(
    api_server: ApiServer,
    cluster: Client,
    make_operator: Callable[..., OperatorProcess],
    namespace: str,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    operator = make_operator(METRICS_FEATURES="true")
    operator.start()
    scene = Scene(cluster, namespace, f"(log: {operator.log})")
    scene.create(monitors.monitor())
    scene.wait_ready()
    with alertmanager(tmp_path, receiver) as port:
        prometheus = Prometheus(tmp_path, operator.metrics_port, rules(api_server, namespace), port)
        try:
            selector = f'{{namespace="{namespace}",name="flights"}}'
            prometheus.wait_for(f"modelmonitor_active_timestamp_seconds{selector}")
            assert not receiver.alerts

            scene.finish(Role.CHECK, monitors.check("Corrupted", champion=monitors.champion()))  # the first check
            scene.wait_condition(ConditionType.DRIFT_DETECTED, "Unknown", "Corrupted")
            alert = wait_until(lambda: next(iter(receiver.alerts), None), "an alert", hint=f"see {prometheus.log}")
            assert alert["status"] == "firing"
            labels = {"alertname": "ModelMonitorDataCorrupted", "namespace": namespace, "name": "flights"}
            assert alert["labels"].items() >= labels.items()
            assert alert["annotations"]["runbook_url"] == "https://runbooks.example/data-corrupted.html"
            assert alert["annotations"]["summary"].startswith(f"The data of {namespace}/flights")

            text = scrape(operator.metrics_port)
            check_metrics(text)
            assert "s3://" not in text, "no URI of data is part of it"
            assert re.search(r'api_requests_total\{code="200",verb="watch"\} [1-9]', text)
            assert prometheus.health() == dict.fromkeys(prometheus.health(), ""), "every rule can be evaluated"

            cluster.delete("ModelMonitor", "flights", namespace)
            wait_until(lambda: not prometheus.query(f"{{namespace='{namespace}',name='flights'}}"), "no series")
            resolved = wait_until(lambda: [each for each in receiver.alerts if each["status"] == "resolved"], "its end")
            assert resolved[0]["labels"] == alert["labels"]
        finally:
            prometheus.stop()


def dashboard_queries() -> dict[str, str]:
    """Return the queries of all panels, with the variables of Grafana replaced."""
    queries = {}
    for path in sorted((CHART / "files" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                assert "$" not in expression, expression
                queries[f"{path.stem}: {panel['title']} {target['refId']}"] = expression
    return queries


def test_every_query_of_a_dashboard_has_a_result(tmp_path: Path) -> None:
    """On a fleet that has everything; a query that selects nothing there would draw nothing anywhere."""
    with served_fleet() as fleet:
        prometheus = Prometheus(tmp_path, fleet.port)
        try:
            prometheus.wait_for("modelmonitor_operator_info")
            fleet.work()
            prometheus.wait_for('increase(modelmonitor_training_seconds_total{name="flights"}[1h]) > 0')
            results = {name: prometheus.query(expression) for name, expression in dashboard_queries().items()}
            check_metrics(scrape(fleet.port))
        finally:
            prometheus.stop()
    assert [name for name, result in results.items() if not result] == []
    assert len(results) > 40


@pytest.mark.parametrize("source", ["alerts", "dashboards"])
def test_queries_name_only_metrics_that_exist(source: str) -> None:
    if source == "alerts":
        expressions = re.findall(
            r"expr: (?:>-\n)?(.+?)\n +(?:for|labels):", (CHART / "files/alerts.yaml").read_text(), re.DOTALL
        )
    else:
        expressions = list(dashboard_queries().values())
        for path in (CHART / "files" / "dashboards").glob("*.json"):
            expressions += re.findall(r"label_values\((.*?)\)\"", path.read_text())
    assert len(expressions) >= 14
    for expression in expressions:
        for name in re.findall(r"\b(?:modelmonitor|process)_\w+", expression):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert {name, base} & (NAMES | OTHERS), f"{name} in {expression}"
