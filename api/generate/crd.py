"""Generate the CustomResourceDefinition from the types.

``python -m generate.crd`` prints it as JSON, which is also YAML, so it can be piped to ``kubectl apply -f -``.

The OpenAPI schema of a CustomResourceDefinition must be *structural*: no references, no unions, no ``null``, and one
type per field. This module converts pydantic's JSON Schema to that form. It also requires bounds, because the API
server estimates the cost of a CEL rule from the bounds of its fields and rejects rules over unbounded ones.
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
from modelmonitor_api.resource import MAX_COUNT, Resource
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus

Schema = dict[str, Any]

#: Keywords that are copied to the structural schema.
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
#: Keywords that are converted, or dropped because the API server prunes unknown fields.
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

#: Upper bound of integers without a bound of their own.
MAX_INTEGER = MAX_COUNT
_INT32 = 2**31 - 1


class NotStructural(ValueError):
    """A type that a CustomResourceDefinition cannot express; the message states the field and the fix."""


def structural(kind: type[Resource], path: str, *, defaults: bool) -> Schema:
    """Return the structural schema of `kind`.

    Parameters
    ----------
    kind
        The type.
    path
        Path of the object in the resource, for error messages.
    defaults
        Whether the schema has defaults. True for the spec, which users write; False for the status, which only the
        operator writes.

    Raises
    ------
    NotStructural
        If a field cannot be expressed, or if a string or a list has no bound.
    """
    source = kind.model_json_schema()
    definitions = {name: _with_rules(name, schema) for name, schema in source.get("$defs", {}).items()}
    root = _with_rules(kind.__name__, source)
    schema = _convert(root, definitions, path)
    return schema if defaults else _without_defaults(schema)


def _with_rules(name: str, schema: Schema) -> Schema:
    """Return the schema of the type `name` with its CEL rules; rules without CEL are evaluated in Python only."""
    if schema["type"] != "object":
        return schema
    rules = [{"rule": rule.cel, "message": rule.message} for rule in _TYPES[name].rules if rule.cel]
    return {**schema, "x-kubernetes-validations": rules} if rules else schema


def _types(kind: type[Resource]) -> Iterator[type[Resource]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from _types(subclass)


#: All types of the resource, by name.
_TYPES = {kind.__name__: kind for kind in _types(Resource)}


def _convert(source: Mapping[str, Any], definitions: Mapping[str, Schema], path: str) -> Schema:
    """Return `source` in structural form, recursively."""
    schema = _resolve(source, definitions, path)
    unknown = schema.keys() - _KEPT - _HANDLED
    if unknown:
        raise NotStructural(f"{path}: structural schemas do not support {', '.join(sorted(unknown))}; change the type")
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
                name: _convert(field if name in required else _explicit_default(field), definitions, f"{path}.{name}")
                for name, field in schema["properties"].items()
            }
        case "array":
            result["items"] = _convert(schema["items"], definitions, f"{path}[]")
            result.setdefault("x-kubernetes-list-type", "atomic")
        case "integer":
            result = _bounded_integer(result)
    _check_bounds(result, path)
    if "default" in result:
        result["default"] = _minimal_default(_without_nulls(result["default"]), result)
    return result


def _resolve(source: Mapping[str, Any], definitions: Mapping[str, Schema], path: str) -> Schema:
    """Return `source` with references inlined and without ``null``; optional fields are simply not required.

    Keywords of the field, such as its description, take precedence over those of its type.
    """
    schema = dict(source)
    if "anyOf" in schema:
        branches = [branch for branch in schema.pop("anyOf") if branch != {"type": "null"}]
        if len(branches) != 1:
            raise NotStructural(f"{path}: structural schemas do not support unions; give the field a single type")
        schema = {**branches[0], **schema}
    if "$ref" in schema:
        name = schema.pop("$ref").removeprefix("#/$defs/")
        schema = {**_resolve(definitions[name], definitions, path), **schema}
    return schema


def _explicit_default(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an optional field with its default; pydantic omits the default of an empty list."""
    return {"default": [], **source} if source.get("type") == "array" else source


def _bounded_integer(schema: Schema) -> Schema:
    """Return the schema of an integer with both bounds and its format; the default bounds are those of a count."""
    maximum = schema.get("maximum", MAX_INTEGER)
    return {
        **schema,
        "minimum": schema.get("minimum", 0),
        "maximum": maximum,
        "format": "int32" if maximum <= _INT32 else "int64",
    }


def _check_bounds(schema: Schema, path: str) -> None:
    kind = schema.get("type")
    bounded = {"enum", "maxLength"} & schema.keys() or schema.get("format") in {"date", "date-time"}
    if kind == "string" and not bounded:
        raise NotStructural(f"{path}: give the string a max_length")
    if kind == "array" and "maxItems" not in schema:
        raise NotStructural(f"{path}: give the list a max_length")
    if kind not in {"string", "array", "object", "integer", "boolean"}:
        raise NotStructural(f"{path}: {kind} is not a supported type; use a decimal string for fractions")
    if not path.endswith("[]") and not schema.get("description"):
        raise NotStructural(f"{path}: describe the field")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _minimal_default(default: Any, schema: Schema) -> Any:
    """Return the default of an object without values that are also the defaults of its fields."""
    # The server evaluates rules before it fills in the defaults of fields, so objects with rules need all values.
    if not isinstance(default, dict) or "x-kubernetes-validations" in schema:
        return default
    fields = schema["properties"]
    return {
        name: value
        for name, value in ((name, _minimal_default(value, fields[name])) for name, value in default.items())
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
        "description": "Monitors and retrains one machine-learning model: checks its live data on a schedule, trains a "
        "challenger if they drift, and promotes it only if it is shown not to be worse. Annotations request single "
        f"steps manually: {ANNOTATION_CHECK_REQUESTED} and {ANNOTATION_RETRAIN_REQUESTED} take any new token, "
        f"{ANNOTATION_ROLLBACK_TO} and {ANNOTATION_PROMOTE} take a version.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "API version of the object."},
            "kind": {"type": "string", "description": "Kind of the object."},
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


def _with_described_bounds(schema: Schema) -> Schema:
    """Return `schema` with the bounds and defaults of its fields in their descriptions, for ``kubectl explain``."""
    result = dict(schema)
    if "description" in schema:
        sentences = [schema["description"], _bounds_sentence(schema), _default_sentence(schema)]
        result["description"] = " ".join(sentence for sentence in sentences if sentence)
    if "properties" in schema:
        result["properties"] = {name: _with_described_bounds(field) for name, field in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _with_described_bounds(schema["items"])
    return result


def _bounds_sentence(schema: Schema) -> str:
    if schema["type"] != "integer":
        return ""
    if schema["maximum"] < MAX_INTEGER:
        return f"Must be between {schema['minimum']} and {schema['maximum']}."
    return f"Must be at least {schema['minimum']}."


def _default_sentence(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or default == "" or isinstance(default, (list, dict)):
        return ""
    return f"Defaults to {str(default).lower() if isinstance(default, bool) else default}."


def _condition(kind: ConditionType, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind.value}")].{field}'


def _columns() -> Iterator[Schema]:
    """Yield the columns of ``kubectl get``; those with priority 1 are shown with ``-o wide`` only."""
    for name, path, kind, priority, description in (
        (
            "Ready",
            _condition(ConditionType.READY, "status"),
            "string",
            0,
            "Whether the spec is valid and checks are scheduled.",
        ),
        ("Drift", _condition(ConditionType.DRIFT_DETECTED, "reason"), "string", 0, "Verdict of the newest check."),
        ("Last-Check", ".status.lastCheck.time", "date", 0, "Time since the newest check that has a verdict."),
        ("Champion", ".status.champion.version", "string", 0, "Model version in production."),
        ("Last-Trained", ".status.lastModelTime", "date", 0, "Time since a training made a model."),
        ("Suspended", ".spec.suspend", "boolean", 0, "Whether checks and trainings are suspended."),
        ("Age", ".metadata.creationTimestamp", "date", 0, "Age of the monitor."),
        ("Schedule", ".spec.schedule", "string", 1, "Schedule of checks."),
        # A string, because kubectl would show the age of a date, and this one is in the future.
        ("Next", ".status.nextCheckTime", "string", 1, "Time at which the next check is due."),
        ("Reason", ".status.reason", "string", 1, "Why it does not check or train; otherwise the state of training."),
    ):
        yield {"name": name, "type": kind, "jsonPath": path, "priority": priority, "description": description}


def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition of ModelMonitors as JSON data.

    Raises
    ------
    NotStructural
        If a type of the resource cannot be expressed.
    """
    schema = resource_schema()
    schema["properties"]["spec"] = _with_described_bounds(schema["properties"]["spec"])
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
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(_columns()),
                }
            ],
        },
    }


if __name__ == "__main__":
    print(json.dumps(custom_resource_definition(), indent=2))
