"""Differences between live and wanted objects, so that an unchanged object costs no write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelmonitor_api.quantity import parse_quantity

_QUANTITIES = frozenset({"cpu", "memory", "sizeLimit"})


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7396) that turns `before` into `after`.

    Removed fields are set to None at every depth, because a merge patch keeps the fields that it does not mention.
    """
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            inner = merge_patch(old, value)
            if inner:
                patch[key] = inner
        elif key not in before or old != value:
            patch[key] = value
    return patch


def is_up_to_date(live: Any, wanted: Any, key: str = "") -> bool:
    """Whether `live` has all fields of `wanted`; fields that the server has added are ignored.

    Quantities are compared by value: the server writes 1024Mi as 1Gi.
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            is_up_to_date(live.get(name), value, name) for name, value in wanted.items() if value is not None
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(is_up_to_date(one, other, key) for one, other in zip(live, wanted, strict=True))
        )
    if key in _QUANTITIES and isinstance(live, str) and isinstance(wanted, str):
        return parse_quantity(live) == parse_quantity(wanted)
    # The server omits fields that are false or zero by default.
    return bool(live == wanted or (live is None and wanted in (False, 0, "")))
