"""Parts of objects that anybody may have written: what does not have the expected type counts as missing."""

from __future__ import annotations

from typing import Any

from modelmonitor_operator.gateway import Object


def mapping(value: Any) -> Object:
    """Return a mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Object]:
    """Return the mappings in a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def status_of(resource: Object) -> Object:
    """Return the status of an object."""
    return mapping(resource.get("status"))


def conditions_of(resource: Object) -> dict[str, str]:
    """Return the status of each condition of an object, by the condition's type."""
    return {str(each.get("type")): str(each.get("status")) for each in mappings(status_of(resource).get("conditions"))}
