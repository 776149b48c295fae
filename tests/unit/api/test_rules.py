"""The API server and the reconcile loop apply the same rules and the same defaults."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml

import modelmonitor_api.spec
from generate.crd import resource_schema
from modelmonitor_api import ModelMonitorSpec
from modelmonitor_api.names import KIND
from modelmonitor_api.quantity import parse_quantity
from modelmonitor_api.resource import InvalidSpec, Rule, parse
from modelmonitor_api.spec import EstimatorName, Metric, Task
from modelmonitor_api.spec.monitor import S3_ONLY, metric_fits
from unit.api.specs import INVALID, VALID, numeric, spec

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
SCHEMA = resource_schema()["properties"]["spec"]


def defaulted(value: Any, schema: dict[str, Any]) -> Any:
    """Return `value` with the defaults of `schema`, filled in as by the API server: outer objects first."""
    if isinstance(value, dict):
        fields = schema["properties"]
        missing = {k: copy.deepcopy(s["default"]) for k, s in fields.items() if "default" in s and k not in value}
        return {k: defaulted(v, fields[k]) for k, v in {**value, **missing}.items()}
    if isinstance(value, list):
        return [defaulted(item, schema["items"]) for item in value]
    return value


#: The library has no quantities, as the API server does.
QUANTITIES = re.compile(r"quantity\(([\w.]+)\)\.compareTo\(quantity\(([\w.]+)\)\)")


def _compared(one: str, other: str) -> int:
    difference = parse_quantity(one) - parse_quantity(other)
    return (difference > 0) - (difference < 0)


def refusals(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Yield the messages of the CEL rules that `value` violates, at every level."""
    for rule in schema.get("x-kubernetes-validations", ()):
        expression = QUANTITIES.sub(r"compared(\1, \2)", rule["rule"])
        if not cel.evaluate(expression, {"self": value, "compared": _compared}):
            yield rule["message"]
    if isinstance(value, dict):
        for name, item in value.items():
            yield from refusals(item, schema["properties"][name])
    if isinstance(value, list):
        for item in value:
            yield from refusals(item, schema["items"])


@pytest.mark.parametrize("written", [*VALID.values()], ids=[*VALID])
def test_both_accept(written: dict[str, Any]) -> None:
    assert list(refusals(defaulted(written, SCHEMA), SCHEMA)) == []
    parse(ModelMonitorSpec, written)


@pytest.mark.parametrize(("written", "message"), [*INVALID.values()], ids=[*INVALID])
def test_both_reject_with_the_same_message(written: dict[str, Any], message: str) -> None:
    (refused,) = refusals(defaulted(written, SCHEMA), SCHEMA)
    assert message in refused
    with pytest.raises(InvalidSpec) as caught:
        parse(ModelMonitorSpec, written)
    assert refused in str(caught.value)


def _messages(schema: dict[str, Any]) -> Iterator[str]:
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
    for below in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from _messages(below)


def test_every_rule_has_a_violating_example() -> None:
    broken = {message for written, _ in INVALID.values() for message in refusals(defaulted(written, SCHEMA), SCHEMA)}
    # These are tested separately below.
    products = {message for message in _messages(SCHEMA) if message == S3_ONLY or "does not fit model.task" in message}
    assert len(products) == 4
    assert set(_messages(SCHEMA)) == broken | products


@pytest.mark.parametrize(("metric", "task"), [*itertools.product(Metric, Task)])
def test_metrics_and_tasks(metric: Metric, task: Task) -> None:
    estimator = "Ridge" if task is Task.REGRESSION else "LogisticRegression"
    written = spec(model__task=task, promotion__metric=metric, retraining__estimator={"name": estimator})
    assert (not list(refusals(defaulted(written, SCHEMA), SCHEMA))) == metric_fits(metric, task) == _accepted(written)

    suitable = "R2" if task is Task.REGRESSION else "Accuracy"
    watching = spec(
        model__task=task,
        promotion__metric=suitable,
        retraining__estimator={"name": estimator},
        detectors=[{"name": "d", "type": "DataQuality"}, {"name": "p", "type": "Performance", "metric": metric}],
    )
    assert (not list(refusals(defaulted(watching, SCHEMA), SCHEMA))) == metric_fits(metric, task) == _accepted(watching)


@pytest.mark.parametrize(("estimator", "task"), [*itertools.product(EstimatorName, Task)])
def test_estimators_and_tasks(estimator: EstimatorName, task: Task) -> None:
    metric = "R2" if task is Task.REGRESSION else "Accuracy"
    written = spec(model__task=task, promotion__metric=metric, retraining__estimator={"name": estimator})
    assert (not list(refusals(defaulted(written, SCHEMA), SCHEMA))) == _accepted(written)


def _accepted(written: dict[str, Any]) -> bool:
    try:
        parse(ModelMonitorSpec, written)
    except InvalidSpec:
        return False
    return True


@pytest.mark.parametrize("path", ["storage__resultsURI", "data__live__uri", "data__labels__uri"])
def test_a_cluster_needs_s3_and_a_laptop_does_not(path: str) -> None:
    written = spec(**({"data__labels": {"joinKey": "id"}} if "labels" in path else {}))
    level = written
    *above, last = path.split("__")
    for name in above:
        level = level[name]
    level[last] = "file:///tmp/data/%Y-%m-%d/" if last == "uri" else "file:///tmp/data/"
    assert list(refusals(defaulted(written, SCHEMA), SCHEMA)) == [S3_ONLY]
    assert not parse(ModelMonitorSpec, written).only_s3()
    assert parse(ModelMonitorSpec, spec()).only_s3()


@pytest.mark.parametrize("written", [*VALID.values()], ids=[*VALID])
def test_the_server_has_the_same_defaults_as_python(written: dict[str, Any]) -> None:
    assert defaulted(written, SCHEMA) == parse(ModelMonitorSpec, written).to_wire()


MONITORS = [
    path for path in sorted(SAMPLES.glob("*.yaml")) if next(yaml.safe_load_all(path.read_text()))["kind"] == KIND
]


@pytest.mark.parametrize("sample", MONITORS, ids=lambda path: path.stem)
def test_samples_are_valid(sample: Path) -> None:
    resource = yaml.safe_load(sample.read_text())
    written = resource["spec"]
    parsed = parse(ModelMonitorSpec, written)
    assert parsed.only_s3()
    assert defaulted(written, SCHEMA) == parsed.to_wire()
    assert list(refusals(defaulted(written, SCHEMA), SCHEMA)) == []


def _unset(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the paths of all fields of `schema` that `value` does not set."""
    if schema["type"] == "object":
        for name, field in schema["properties"].items():
            instances = [item[name] for item in value if name in item]
            if not instances:
                yield f"{path}.{name}"
            elif field["type"] == "object":
                yield from _unset(instances, field, f"{path}.{name}")
            elif field["type"] == "array" and field["items"]["type"] == "object":
                yield from _unset(list(itertools.chain(*instances)), field["items"], f"{path}.{name}")


def test_complete_sample_is_complete() -> None:
    """Except for alternatives, which own-trainer.yaml and the comments show."""
    written = yaml.safe_load((SAMPLES / "complete.yaml").read_text())["spec"]
    alternatives = {
        "spec.data.csv",
        "spec.storage.serviceAccountName",
        "spec.retraining.trainer.image",
        "spec.retraining.trainer.env",
        "spec.check.resources.limits.cpu",
        "spec.retraining.trainer.resources.limits.cpu",
    }
    assert set(_unset([written], SCHEMA, "spec")) == alternatives


def test_rules_without_cel_are_enforced_otherwise() -> None:
    """A rule needs no CEL only if the schema enforces it: the list type map rejects duplicates."""
    without = [
        rule
        for kind in (ModelMonitorSpec, *_parts(ModelMonitorSpec))
        for rule in kind.rules
        if isinstance(rule, Rule) and not rule.cel
    ]
    assert [rule.message for rule in without] == ["feature names must be unique"]
    assert SCHEMA["properties"]["model"]["properties"]["features"]["x-kubernetes-list-map-keys"] == ["name"]
    with pytest.raises(InvalidSpec, match="feature names must be unique"):
        parse(ModelMonitorSpec, spec(model__features=numeric() * 2))


def _parts(kind: Any) -> set[Any]:
    return {
        part for part in vars(modelmonitor_api.spec).values() if isinstance(part, type) and hasattr(part, "rules")
    } - {kind}
