"""The objects of the chart for Prometheus and Grafana."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import CHART, NAMESPACE, ROOT, HelmError, Object, container, environment, of_kind, only, render
from modelmonitor_api.names import ConditionType, FailureReason, Reason
from modelmonitor_api.outcomes import Verdict
from support.processes import program

VALUES = "metrics-values.yaml"
ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
RUNBOOKS = ROOT / "docs" / "runbooks"


def rules(objects: list[Object]) -> list[Object]:
    """Return the rules of the only PrometheusRule."""
    return [rule for group in only(objects, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


def page_of(alert: str) -> str:
    """Return the name of the runbook of an alert."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert.removeprefix("ModelMonitor")).lower()


def test_by_default_there_is_a_service_and_nothing_that_needs_another_operator() -> None:
    objects = render()
    assert not of_kind(objects, "ServiceMonitor", "PrometheusRule", "ConfigMap")
    service, deployment = only(objects, "Service"), only(objects, "Deployment")
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 8081, "targetPort": "metrics"}]
    assert service["spec"]["publishNotReadyAddresses"], "an operator that is not ready is scraped"
    assert {"name": "metrics", "containerPort": 8081} in container(deployment)["ports"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_the_service_monitor_selects_the_service() -> None:
    objects = render(VALUES)
    monitor, service = only(objects, "ServiceMonitor"), only(objects, "Service")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    assert endpoint["honorLabels"] is True, "the label namespace is the monitor's"
    assert (endpoint["path"], endpoint["interval"], endpoint["scrapeTimeout"]) == ("/metrics", "30s", "20s")
    assert endpoint["metricRelabelings"][0]["action"] == "drop"
    assert service["metadata"]["annotations"] == {"example.org/scrape": "true"}
    assert environment(only(objects, "Deployment"))["METRICS_FEATURES"] == "true"


def test_metrics_can_be_disabled() -> None:
    objects = render(metrics={"enabled": False})
    assert not of_kind(objects, "Service")
    assert environment(only(objects, "Deployment"))["METRICS_PORT"] == "0"
    assert [port["name"] for port in container(only(objects, "Deployment"))["ports"]] == ["health"]


@pytest.mark.parametrize("part", ["serviceMonitor", "prometheusRule", "grafanaDashboards"])
def test_what_needs_metrics_is_refused_without_them(part: str) -> None:
    with pytest.raises(HelmError, match=r"metrics.enabled is false, so there is nothing to scrape"):
        render(metrics={"enabled": False, part: {"enabled": True}})


def test_the_rule_has_every_alert_except_the_disabled_ones() -> None:
    everything = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert len(set(everything)) == len(everything)
    rendered = rules(render(VALUES))
    assert [rule["alert"] for rule in rendered] == [name for name in everything if name != "ModelMonitorOperatorDown"]
    for rule in rendered:
        assert rule["labels"] == {"team": "ml", "severity": "info"}
        page = f"{page_of(rule['alert'])}.html"
        assert rule["annotations"]["runbook_url"] == f"https://runbooks.example/modelmonitor/{page}"
    without = rules(render(metrics={"prometheusRule": {"enabled": True}}))
    assert all("runbook_url" not in rule["annotations"] for rule in without)
    assert [rule["expr"] for rule in without] == [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert {rule["labels"]["severity"] for rule in without} == {"warning", "critical"}


def test_promtool_accepts_the_rendered_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(only(render(VALUES), "PrometheusRule")["spec"]))
    done = subprocess.run(
        [program("promtool"), "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    cases = Path(__file__).with_name("alerts_test.yaml")
    for file in (CHART / "files" / "alerts.yaml", cases):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        [program("promtool"), "test", "rules", cases.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {
        case["alertname"]
        for test in yaml.safe_load(cases.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert expected == {rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]}


def test_alerts_name_reasons_conditions_and_verdicts_that_exist() -> None:
    known = {
        "reason": {each.value for each in (*Reason, *FailureReason)},
        "condition": {each.value for each in ConditionType},
        "verdict": {each.value for each in Verdict},
    }
    for rule in (rule for group in ALERTS["groups"] for rule in group["rules"]):
        for label, words in re.findall(r'(reason|condition|verdict)=~?"([^"]+)"', rule["expr"]):
            assert set(words.split("|")) <= known[label], rule["alert"]


@pytest.mark.parametrize("alert", [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]])
def test_every_alert_has_a_runbook(alert: str) -> None:
    text = (RUNBOOKS / f"{page_of(alert)}.md").read_text()
    assert alert in text
    for heading in ("## What it means", "## What to look at", "## What to do"):
        assert heading in text
    assert f"]({page_of(alert)}.md)" in (RUNBOOKS / "index.md").read_text()


def test_the_guide_lists_every_alert() -> None:
    guide = (ROOT / "docs" / "how-to" / "metrics-and-alerts.md").read_text()
    listed = re.findall(r"^\| `(ModelMonitor\w+)` \|", guide, re.MULTILINE)
    assert listed == sorted(set(listed), key=listed.index)
    assert set(listed) == {rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]}


def test_every_runbook_has_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"}
    assert pages == {page_of(rule["alert"]) for group in ALERTS["groups"] for rule in group["rules"]}


def test_the_dashboards_are_those_of_the_chart() -> None:
    config_map = only(render(VALUES), "ConfigMap")
    assert config_map["metadata"]["namespace"] == NAMESPACE
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["annotations"] == {"grafana_folder": "ML"}
    dashboards: dict[str, Any] = {name: json.loads(text) for name, text in config_map["data"].items()}
    assert dashboards.keys() == {"modelmonitor-fleet.json", "modelmonitor-monitor.json"}
    for name, dashboard in dashboards.items():
        assert dashboard["uid"] == name.removesuffix(".json")
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        for panel in dashboard["panels"]:
            assert panel["type"] == "row" or panel["description"], panel["title"]
