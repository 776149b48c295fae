"""The generated schema follows the API conventions of Kubernetes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from generate.crd import MAX_INTEGER, custom_resource_definition, resource_schema
from modelmonitor_api.names import ConditionType, FailureReason, Reason


class Node(NamedTuple):
    """A field of the resource, or the items of a list, which are named []."""

    path: str
    name: str
    schema: dict[str, Any]
    parent: dict[str, Any]


def _nodes(schema: dict[str, Any], path: str) -> Iterator[Node]:
    for name, field in schema.get("properties", {}).items():
        yield Node(f"{path}.{name}", name, field, schema)
        yield from _nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield Node(f"{path}[]", "[]", schema["items"], schema)
        yield from _nodes(schema["items"], f"{path}[]")


SCHEMA = resource_schema()
SPEC = SCHEMA["properties"]["spec"]
STATUS = SCHEMA["properties"]["status"]
ALL = [*_nodes(SPEC, "spec"), *_nodes(STATUS, "status")]


def each(**of_type: str) -> pytest.MarkDecorator:
    """Parametrize over all nodes, or those of one type."""
    chosen = [node for node in ALL if all(node.schema.get(key) == value for key, value in of_type.items())]
    assert chosen, of_type
    return pytest.mark.parametrize("node", chosen, ids=[node.path for node in chosen])


#: Keywords of a structural schema. The API server rejects or drops references, unions, titles and null.
KEYWORDS = {
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
}


@each()
def test_schema_is_structural(node: Node) -> None:
    assert node.schema.keys() <= KEYWORDS
    # No floats, because not every client preserves them; fractions are decimal strings.
    assert node.schema["type"] in {"string", "integer", "boolean", "object", "array"}


@each()
def test_field_is_described_in_a_sentence(node: Node) -> None:
    if node.name == "[]":
        return
    text = node.schema["description"]
    assert re.match(r"[A-Z0-9]", text), text
    assert text.rstrip().endswith("."), text
    assert "  " not in text
    assert "TODO" not in text


@each()
def test_names_are_camel_case(node: Node) -> None:
    if node.name != "[]":
        assert re.fullmatch(r"[a-z][a-zA-Z0-9]*", node.name)
        assert not re.search(r"(Uri|Uid|Sha256)(?![a-z])", node.name), "acronyms are in capitals"


@each(type="string")
def test_string_is_bounded(node: Node) -> None:
    if "enum" in node.schema or node.schema.get("format") in {"date", "date-time"}:
        return
    # Conditions keep the bound of the Kubernetes type.
    assert 0 < node.schema["maxLength"] <= (32768 if node.path == "status.conditions[].message" else 1024)


@each(type="string")
def test_enum_is_camel_case(node: Node) -> None:
    for value in node.schema.get("enum", ()):
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", value)


@each(type="string")
def test_pattern_is_anchored(node: Node) -> None:
    pattern = node.schema.get("pattern", "^")
    assert pattern.startswith("^")
    re.compile(pattern)


@each(type="integer")
def test_integer_is_bounded_and_sized(node: Node) -> None:
    minimum, maximum = node.schema["minimum"], node.schema["maximum"]
    assert 0 <= minimum < maximum <= MAX_INTEGER
    assert node.schema["format"] == ("int32" if maximum < 2**31 else "int64")


@each(type="array")
def test_list_is_bounded_and_typed(node: Node) -> None:
    assert 0 < node.schema["maxItems"] <= 500
    kind = node.schema["x-kubernetes-list-type"]
    items = node.schema["items"]
    if kind == "map":
        # The API server requires that keys are always present.
        assert set(node.schema["x-kubernetes-list-map-keys"]) <= set(items["required"])
    elif kind == "set":
        assert items["type"] == "string"
    else:
        assert kind == "atomic"
    if items["type"] == "object" and "name" in items["properties"] and node.path.startswith("spec"):
        assert kind == "map", "named lists merge by name"


@each()
def test_durations_and_times_have_units(node: Node) -> None:
    name = node.name
    assert not re.search(r"(Minutes|Hours|Millis|Duration|Timeout|Interval|Timestamp)$", name)
    if name.endswith(("Seconds", "Days")):
        assert node.schema["type"] == "integer"
    if name.endswith("Time") or name in {"since", "time"}:
        assert node.schema.get("format") == "date-time"
    if node.schema.get("format") == "date-time" and name != "[]":
        assert name.endswith("Time") or name in {"since", "time", "dataEnd"}


@each(type="object")
def test_references_name_an_object_of_the_same_namespace(node: Node) -> None:
    if node.name.endswith("Ref"):
        assert set(node.schema["properties"]) == {"name"}


@each()
def test_defaults_are_in_the_spec_only_and_never_required(node: Node) -> None:
    if "default" in node.schema:
        assert node.path.startswith("spec")
        assert node.name not in node.parent.get("required", [])


@each()
def test_optional_field_describes_its_absence(node: Node) -> None:
    """An optional field has a default, or its description states what happens if it is omitted."""
    if node.path.startswith("spec") and node.name not in {"[]", *node.parent.get("required", [])}:
        assert "default" in node.schema or re.search(
            r"\b(Defaults to|If omitted|if trainer\.image is omitted)\b", node.schema["description"]
        )


@each()
def test_rules_are_instructions(node: Node) -> None:
    for rule in node.schema.get("x-kubernetes-validations", ()):
        assert rule["rule"]
        assert "\n" not in rule["message"]
        assert re.search(r"\b(must|set|remove|does not fit|is for|are for)\b", rule["message"]), rule["message"]


def test_conditions_have_the_standard_schema() -> None:
    conditions = STATUS["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    fields = conditions["items"]
    assert set(fields["properties"]) == {
        "type",
        "status",
        "reason",
        "message",
        "lastTransitionTime",
        "observedGeneration",
    }
    assert set(fields["required"]) == {"type", "status", "reason", "message", "lastTransitionTime"}
    assert fields["properties"]["status"]["enum"] == ["True", "False", "Unknown"]


@pytest.mark.parametrize("words", [ConditionType, Reason, FailureReason])
def test_types_and_reasons_are_camel_case(words: Any) -> None:
    for word in words:
        assert re.fullmatch(r"[A-Z][A-Za-z]*", word.value)


def test_status_is_a_subresource_and_spec_is_required() -> None:
    (version,) = custom_resource_definition()["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["served"]
    assert version["storage"]
    assert SCHEMA["required"] == ["spec"]
    assert "phase" not in STATUS["properties"]
    assert STATUS["properties"]["observedGeneration"]["type"] == "integer"


def test_columns_refer_to_existing_fields() -> None:
    (version,) = custom_resource_definition()["spec"]["versions"]
    columns = {column["name"]: column for column in version["additionalPrinterColumns"]}
    assert [name for name, column in columns.items() if column["priority"] == 0] == [
        "Ready",
        "Drift",
        "Last-Check",
        "Champion",
        "Last-Trained",
        "Suspended",
        "Age",
    ]
    known = {node.path for node in ALL} | {"metadata.creationTimestamp"}
    for column in columns.values():
        path = re.sub(r"\[\?\(@\.type==\"(\w+)\"\)\]", "[]", column["jsonPath"]).removeprefix(".")
        assert path in known, column
        condition = re.search(r'"(\w+)"', column["jsonPath"])
        if condition:
            assert condition[1] in list(ConditionType)


def test_crd_stays_small_enough_for_kubectl_apply() -> None:
    """`kubectl apply` stores a copy in an annotation, and annotations are limited to 256 KiB."""
    assert len(json.dumps(custom_resource_definition())) < 100 * 1024
