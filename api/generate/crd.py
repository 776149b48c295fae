"""The CustomResourceDefinition, generated from the types.

``python -m generate.crd`` prints it as JSON, which is YAML too:
``python -m generate.crd | kubectl apply -f -``.

An OpenAPI schema of a CustomResourceDefinition is *structural*: no references, no unions, no
``null``, one type a field. What pydantic writes is brought into that form here, and bounded: the
API server estimates what a CEL rule may cost from the bounds of what it looks at, and refuses a
rule over something unbounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelmonitor_api.names import (
    ANNOTATION_CHECK_REQUESTED,
    ANNOTATION_PROMOTE,
    ANNOTATION_RETRAIN_REQUESTED,
    ANNOTATION_ROLLBACK_TO,
    CATEGORY,
    GROUP,
    KIND,
    LABEL_PART_OF,
    MAX_MONITOR_NAME,
    PLURAL,
    SHORT_NAME,
    SINGULAR,
    VERSION,
    ConditionType,
)
from modelmonitor_api.resource import Resource
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus

Schema = dict[str, Any]

#: Keywords that a structural schema takes as they are.
_KEPT = frozenset(
    {
        "default",
        "description",
        "enum",
        "format",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    }
)
#: Keywords handled on the way, or without a meaning for the API server, which prunes unknown fields.
_HANDLED = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "items",
        "properties",
        "title",
    }
)

#: Largest integer that every JSON reader keeps exact (API conventions on int64).
MAX_INTEGER = 2**53 - 1
_INT32 = 2**31 - 1


class NotStructural(ValueError):
    """A type that a CustomResourceDefinition cannot express; the text names the field and what to change."""


def structural(kind: type[Resource], where: str, *, defaults: bool) -> Schema:
    """Return the structural schema of `kind`.

    Parameters
    ----------
    kind
        The type.
    where
        Its path in the resource, for errors.
    defaults
        Whether the API server fills in defaults: in the spec, which people write, but not in the status,
        which is the operator's alone.

    Raises
    ------
    NotStructural
        Where a field cannot be expressed, or a string or a list has no bound.
    """
    written = kind.model_json_schema()
    definitions = {name: _with_rules(name, schema) for name, schema in written.get("$defs", {}).items()}
    root = _with_rules(kind.__name__, written)
    schema = _converted(root, definitions, where)
    return schema if defaults else _without_defaults(schema)


def _with_rules(name: str, schema: Schema) -> Schema:
    """Return the schema of the type called `name` with its CEL rules; one without CEL is checked in Python only."""
    if schema["type"] != "object":
        return schema
    rules = [{"rule": rule.cel, "message": rule.message} for rule in _TYPES[name].rules if rule.cel]
    return {**schema, "x-kubernetes-validations": rules} if rules else schema


def _types(kind: type[Resource]) -> Iterator[type[Resource]]:
    yield kind
    for heir in kind.__subclasses__():
        yield from _types(heir)


#: Every type of the resource by its name.
_TYPES = {kind.__name__: kind for kind in _types(Resource)}


def _converted(written: Mapping[str, Any], definitions: Mapping[str, Schema], where: str) -> Schema:
    """Return one level of a schema and all below it in structural form."""
    schema = _resolved(written, definitions, where)
    unknown = schema.keys() - _KEPT - _HANDLED
    if unknown:
        raise NotStructural(f"{where}: a structural schema has no {', '.join(sorted(unknown))}; change the type")
    result: Schema = {key: value for key, value in schema.items() if key in _KEPT}
    if result.get("default", ...) is None:
        del result["default"]
    for side, bound in (("Minimum", "minimum"), ("Maximum", "maximum")):
        if f"exclusive{side}" in schema:  # a number for pydantic, a flag in OpenAPI 3.0
            result |= {bound: schema[f"exclusive{side}"], f"exclusive{side}": True}
    match result.get("type"):
        case "object":
            required = schema.get("required", [])
            result["properties"] = {
                name: _converted(
                    field if name in required else _explicit_default(field), definitions, f"{where}.{name}"
                )
                for name, field in schema["properties"].items()
            }
        case "array":
            result["items"] = _converted(schema["items"], definitions, f"{where}[]")
            result.setdefault("x-kubernetes-list-type", "atomic")
        case "integer":
            result = _bounded_integer(result)
    _check_bounds(result, where)
    if "default" in result:
        result["default"] = _shortened(_without_nulls(result["default"]), result)
    return result


def _resolved(written: Mapping[str, Any], definitions: Mapping[str, Schema], where: str) -> Schema:
    """Return `written` with its reference inlined and without ``null``: an optional field is one not required.

    What is said at the field (its description, its default) goes before what is said at the type.
    """
    schema = dict(written)
    if "anyOf" in schema:
        branches = [branch for branch in schema.pop("anyOf") if branch != {"type": "null"}]
        if len(branches) != 1:
            raise NotStructural(f"{where}: a structural schema has no unions; give the field one type")
        schema = {**branches[0], **schema}
    if "$ref" in schema:
        name = schema.pop("$ref").removeprefix("#/$defs/")
        schema = {**_resolved(definitions[name], definitions, where), **schema}
    return schema


def _explicit_default(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an optional field with its default; pydantic does not write that of an empty list."""
    return {"default": [], **written} if written.get("type") == "array" else written


def _bounded_integer(schema: Schema) -> Schema:
    """Return the schema of an integer with both bounds and its width; without a bound it is a count."""
    maximum = schema.get("maximum", MAX_INTEGER)
    return {
        **schema,
        "minimum": schema.get("minimum", 0),
        "maximum": maximum,
        "format": "int32" if maximum <= _INT32 else "int64",
    }


def _check_bounds(schema: Schema, where: str) -> None:
    kind = schema.get("type")
    bounded = {"enum", "maxLength"} & schema.keys() or schema.get("format") in {"date", "date-time"}
    if kind == "string" and not bounded:
        raise NotStructural(f"{where}: give the string a max_length")
    if kind == "array" and "maxItems" not in schema:
        raise NotStructural(f"{where}: give the list a max_length")
    if kind not in {"string", "array", "object", "integer", "boolean"}:
        raise NotStructural(f"{where}: {kind} is no type for a field; numbers with fractions are decimal strings")
    if not where.endswith("[]") and not schema.get("description"):
        raise NotStructural(f"{where}: describe the field")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _shortened(default: Any, schema: Schema) -> Any:
    """Return the default of an object without what the defaults of its fields say already."""
    # Rules look at a default before the server has filled in what it leaves out, so there nothing may be left out.
    if not isinstance(default, dict) or "x-kubernetes-validations" in schema:
        return default
    fields = schema["properties"]
    return {
        name: value
        for name, value in ((name, _shortened(value, fields[name])) for name, value in default.items())
        if "default" not in fields[name] or value != fields[name]["default"]
    }


def _without_defaults(schema: Schema) -> Schema:
    result = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in result:
        result["properties"] = {name: _without_defaults(field) for name, field in result["properties"].items()}
    if "items" in result:
        result["items"] = _without_defaults(result["items"])
    return result


def resource_schema() -> Schema:
    """Return the structural schema of the whole resource."""
    return {
        "type": "object",
        "description": "Keeps one machine-learning model fresh: checks its live data on a schedule, trains a "
        "challenger where they have drifted, and promotes it only if it is shown to be no worse. "
        f"Annotations ask for a step by hand, each with a token of your choice: {ANNOTATION_CHECK_REQUESTED}, "
        f"{ANNOTATION_RETRAIN_REQUESTED}; {ANNOTATION_ROLLBACK_TO} and {ANNOTATION_PROMOTE} name a version.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": structural(ModelMonitorSpec, "spec", defaults=True),
            "status": structural(ModelMonitorStatus, "status", defaults=False),
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {MAX_MONITOR_NAME}",
                "message": f"metadata.name must have at most {MAX_MONITOR_NAME} characters, because the names of "
                "Jobs are derived from it",
            }
        ],
    }


def _condition(kind: ConditionType, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind.value}")].{field}'


def _columns() -> Iterator[Schema]:
    """Yield the columns of ``kubectl get``; those of priority 1 are shown with ``-o wide``."""
    for name, path, kind, priority, description in (
        (
            "Ready",
            _condition(ConditionType.READY, "status"),
            "string",
            0,
            "Whether the spec is accepted and checks run.",
        ),
        ("Drift", _condition(ConditionType.DRIFT_DETECTED, "reason"), "string", 0, "What the newest check said."),
        ("Last-Check", ".status.lastCheck.time", "date", 0, "Time since the newest check."),
        ("Champion", ".status.champion.version", "string", 0, "Version of the model in production."),
        ("Last-Trained", ".status.lastTraining.startTime", "date", 0, "Time since the start of the newest training."),
        ("Suspended", ".spec.suspend", "boolean", 0, "Whether checks and trainings are stopped."),
        ("Age", ".metadata.creationTimestamp", "date", 0, "Age of the monitor."),
        ("Schedule", ".spec.schedule", "string", 1, "When checks are due."),
        # A string: kubectl shows the age of a date, and one in the future has none.
        ("Next", ".status.nextCheckTime", "string", 1, "When the next check is due."),
        ("Reason", _condition(ConditionType.READY, "reason"), "string", 1, "Why the monitor is ready, or not."),
    ):
        yield {"name": name, "type": kind, "jsonPath": path, "priority": priority, "description": description}


def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition of ModelMonitors as plain JSON data.

    Raises
    ------
    NotStructural
        Where a type of the resource cannot be expressed.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "labels": {LABEL_PART_OF: SINGULAR}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": resource_schema()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(_columns()),
                }
            ],
        },
    }


if __name__ == "__main__":
    print(json.dumps(custom_resource_definition(), indent=2))
