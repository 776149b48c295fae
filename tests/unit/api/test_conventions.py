"""The resource follows the API conventions of Kubernetes: a lint over the generated schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from generate.crd import MAX_INTEGER, custom_resource_definition, resource_schema
from modelmonitor_api.names import ConditionType, FailureReason, Reason


class Place(NamedTuple):
    """A field of the resource with its schema; the items of a list count as a field called [] of the list."""

    path: str
    name: str
    schema: dict[str, Any]
    parent: dict[str, Any]


def _places(schema: dict[str, Any], path: str) -> Iterator[Place]:
    for name, field in schema.get("properties", {}).items():
        yield Place(f"{path}.{name}", name, field, schema)
        yield from _places(field, f"{path}.{name}")
    if "items" in schema:
        yield Place(f"{path}[]", "[]", schema["items"], schema)
        yield from _places(schema["items"], f"{path}[]")


SCHEMA = resource_schema()
SPEC = SCHEMA["properties"]["spec"]
STATUS = SCHEMA["properties"]["status"]
ALL = [*_places(SPEC, "spec"), *_places(STATUS, "status")]


def each(**of_type: str) -> pytest.MarkDecorator:
    """Parametrize over all places, or those of one type."""
    chosen = [place for place in ALL if all(place.schema.get(key) == value for key, value in of_type.items())]
    assert chosen, of_type
    return pytest.mark.parametrize("place", chosen, ids=[place.path for place in chosen])


#: What a structural schema may hold; references, unions, titles and null the API server refuses or drops.
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
def test_schema_is_structural(place: Place) -> None:
    assert place.schema.keys() <= KEYWORDS
    # No floats: they do not survive every client, so fractions are decimal strings.
    assert place.schema["type"] in {"string", "integer", "boolean", "object", "array"}


@each()
def test_field_is_described_in_a_sentence(place: Place) -> None:
    if place.name == "[]":
        return
    text = place.schema["description"]
    assert re.match(r"[A-Z0-9]", text), text
    assert text.rstrip().endswith("."), text
    assert "  " not in text
    assert "TODO" not in text


@each()
def test_names_are_camel_case(place: Place) -> None:
    if place.name != "[]":
        assert re.fullmatch(r"[a-z][a-zA-Z0-9]*", place.name)
        assert not re.search(r"(Uri|Uid|Sha256)(?![a-z])", place.name), "acronyms are in capitals"


@each(type="string")
def test_string_is_bounded(place: Place) -> None:
    if "enum" in place.schema or place.schema.get("format") in {"date", "date-time"}:
        return
    # Conditions keep the bound of the Kubernetes type.
    assert 0 < place.schema["maxLength"] <= (32768 if place.path == "status.conditions[].message" else 1024)


@each(type="string")
def test_enum_is_camel_case(place: Place) -> None:
    for value in place.schema.get("enum", ()):
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", value)


@each(type="string")
def test_pattern_is_anchored(place: Place) -> None:
    pattern = place.schema.get("pattern", "^")
    assert pattern.startswith("^")
    re.compile(pattern)


@each(type="integer")
def test_integer_is_bounded_and_sized(place: Place) -> None:
    minimum, maximum = place.schema["minimum"], place.schema["maximum"]
    assert 0 <= minimum < maximum <= MAX_INTEGER
    assert place.schema["format"] == ("int32" if maximum < 2**31 else "int64")


@each(type="array")
def test_list_is_bounded_and_typed(place: Place) -> None:
    assert 0 < place.schema["maxItems"] <= 500
    kind = place.schema["x-kubernetes-list-type"]
    items = place.schema["items"]
    if kind == "map":
        # The API server wants keys that are always there.
        assert set(place.schema["x-kubernetes-list-map-keys"]) <= set(items["required"])
    elif kind == "set":
        assert items["type"] == "string"
    else:
        assert kind == "atomic"
    if items["type"] == "object" and "name" in items["properties"] and place.path.startswith("spec"):
        assert kind == "map", "named lists merge by name"


@each()
def test_durations_and_times_have_units(place: Place) -> None:
    name = place.name
    assert not re.search(r"(Minutes|Hours|Millis|Duration|Timeout|Interval|Timestamp)$", name)
    if name.endswith(("Seconds", "Days")):
        assert place.schema["type"] == "integer"
    if name.endswith("Time") or name in {"since", "time"}:
        assert place.schema.get("format") == "date-time"
    if place.schema.get("format") == "date-time" and name != "[]":
        assert name.endswith("Time") or name in {"since", "time", "dataEnd"}


@each(type="object")
def test_references_name_an_object_of_the_same_namespace(place: Place) -> None:
    if place.name.endswith("Ref"):
        assert set(place.schema["properties"]) == {"name"}


@each()
def test_defaults_are_in_the_spec_only_and_never_required(place: Place) -> None:
    if "default" in place.schema:
        assert place.path.startswith("spec")
        assert place.name not in place.parent.get("required", [])


@each()
def test_optional_spec_field_says_what_absence_means(place: Place) -> None:
    """An optional field has a default or, where it is a switch for something, says what its absence means."""
    if place.path.startswith("spec") and place.name not in {"[]", *place.parent.get("required", [])}:
        assert "default" in place.schema or re.search(
            r"\b(Defaults to|If omitted|if trainer\.image is omitted)\b", place.schema["description"]
        )


@each()
def test_rules_are_instructions(place: Place) -> None:
    for rule in place.schema.get("x-kubernetes-validations", ()):
        assert rule["rule"]
        assert "\n" not in rule["message"]
        assert re.search(r"\b(must|set|remove|does not fit|is for|are for)\b", rule["message"]), rule["message"]


def test_conditions_have_the_shape_that_every_tool_knows() -> None:
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


def test_columns_point_at_fields_that_exist() -> None:
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
    known = {place.path for place in ALL} | {"metadata.creationTimestamp"}
    for column in columns.values():
        path = re.sub(r"\[\?\(@\.type==\"(\w+)\"\)\]", "[]", column["jsonPath"]).removeprefix(".")
        assert path in known, column
        found = re.search(r'"(\w+)"', column["jsonPath"])
        if found:
            assert found[1] in list(ConditionType)


def test_crd_stays_small_enough_for_kubectl_apply() -> None:
    """`kubectl apply` keeps a copy in an annotation, which ends at 256 KiB; we stay far below it."""
    assert len(json.dumps(custom_resource_definition())) < 100 * 1024
