"""The schema of a CustomResourceDefinition, applied as the API server applies it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_INT64 = range(-(2**63), 2**63)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def problems(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Return what the API server refuses in a value, or would drop because the schema does not have it."""
    if not isinstance(value, _TYPES[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        yield f"{path}: {str(value)[:80]!r} is not of type {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, dict):
        yield from _problems_of_object(value, schema, path)
    elif isinstance(value, list):
        yield from _problems_of_list(value, schema, path)
    elif isinstance(value, str):
        yield from _problems_of_text(value, schema, path)
    elif not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high or (isinstance(value, int) and value not in _INT64):
            yield f"{path}: {str(value)[:80]} is out of range"


def _problems_of_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (f"{path}.{name}: is required" for name in schema.get("required", ()) if name not in value)
    for name, item in value.items():
        inner = properties.get(name, schema.get("additionalProperties"))
        if inner is None:
            yield f"{path}.{name}: is unknown"
        else:
            yield from problems(item, inner, f"{path}.{name}")


def _problems_of_list(value: list[Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{path}: has {len(value)} items"
    for index, item in enumerate(value):
        yield from problems(item, schema["items"], f"{path}[{index}]")
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys or schema.get("x-kubernetes-list-type") == "set":
        seen = [json.dumps([item.get(key) for key in keys] if keys else item, sort_keys=True) for item in value]
        if len(set(seen)) < len(seen):
            yield f"{path}: has an item twice"


def _problems_of_text(value: str, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    try:
        value.encode()
    except UnicodeEncodeError:
        yield f"{path}: {value[:80]!r} cannot be encoded"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: has {len(value)} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value[:80]!r} does not match {schema['pattern']}"
    if not _has_format(value, schema.get("format", "")):
        yield f"{path}: {value[:80]!r} is not a {schema['format']}"


def _has_format(value: str, name: str) -> bool:
    if name == "date-time":
        return _TIME.fullmatch(value) is not None
    try:
        return name != "date" or (bool(dt.date.fromisoformat(value)) and len(value) == len("2013-04-02"))
    except ValueError:
        return False
