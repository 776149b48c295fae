"""Binning plans: which cells a profile of a column has, and their canonical form in JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import numpy as np

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.profile.categories import BUCKETS

#: Part of every key of the cache, so that profiles of another version are not used.
PROFILE_VERSION = 8


def next_double(values: Floats) -> Floats:
    """Return the smallest double above each value, shape (n,); infinity above the largest."""
    with np.errstate(over="ignore"):
        following: Floats = np.nextafter(values, np.inf)
    return following


@dataclass(frozen=True)
class NumericPlan:
    """How a numeric column is profiled.

    Attributes
    ----------
    name
        Name of the column.
    edges : (k,)
        Strictly increasing edges of the cells.
    minimum, maximum
        Declared range; values outside are counted.
    dates
        Whether the values are dates or points in time, in seconds since 1970; text is read as such.
    """

    name: str
    edges: Floats
    minimum: float | None = None
    maximum: float | None = None
    dates: bool = False

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.edges.size) + 1


@dataclass(frozen=True)
class CategoricalPlan:
    """How a categorical column is profiled.

    Attributes
    ----------
    name
        Name of the column.
    categories
        Known categories, the most common first; one more cell counts all other values.
    allowed
        Values that the contract allows, sorted; None for all.
    buckets
        Number of hash buckets for other values, if the reference has more values than cells; otherwise 0.
    """

    name: str
    categories: tuple[str, ...]
    allowed: tuple[str, ...] | None = None
    buckets: int = 0

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.categories) + 1


ColumnPlan = NumericPlan | CategoricalPlan
Plan = tuple[ColumnPlan, ...]


def date_columns(plan: Plan) -> frozenset[str]:
    """Return the columns of a plan whose values are dates."""
    return frozenset(column.name for column in plan if isinstance(column, NumericPlan) and column.dates)


def plan_to_json(plan: Plan) -> bytes:
    """Serialize a plan as canonical JSON; edges are base64 of little-endian doubles, so they are exact."""
    columns: list[dict[str, object]] = []
    for column in plan:
        if isinstance(column, NumericPlan):
            edges = base64.b64encode(column.edges.astype("<f8").tobytes()).decode()
            numeric: dict[str, object] = {
                "name": column.name,
                "edges": edges,
                "minimum": column.minimum,
                "maximum": column.maximum,
            }
            # Only where it is true: plans without dates keep their digest, so that cached profiles stay valid.
            columns.append(numeric | ({"dates": True} if column.dates else {}))
        else:
            named = {"name": column.name, "categories": column.categories, "allowed": column.allowed}
            columns.append(named | {"buckets": column.buckets})
    return json.dumps({"version": PROFILE_VERSION, "columns": columns}, sort_keys=True).encode()


def plan_from_json(data: bytes) -> Plan:
    """Deserialize a plan.

    Raises
    ------
    ValueError
        If it is corrupted or has another version.
    """
    try:
        document = json.loads(data)
        if document["version"] != PROFILE_VERSION:
            raise ValueError("another version")
        return tuple(_column_from(column) for column in document["columns"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"the plan is corrupted: {error!r}") from error


def _column_from(column: dict[str, object]) -> ColumnPlan:
    name = str(column["name"])
    if "edges" in column:
        edges = np.frombuffer(base64.b64decode(str(column["edges"]), validate=True), dtype="<f8").astype(np.float64)
        if edges.size and (not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0)):
            raise ValueError("the edges do not increase")
        minimum, maximum = column["minimum"], column["maximum"]
        return NumericPlan(
            name,
            edges,
            float(minimum) if isinstance(minimum, (int, float)) else None,
            float(maximum) if isinstance(maximum, (int, float)) else None,
            dates=bool(column.get("dates", False)),
        )
    categories, allowed, buckets = column["categories"], column["allowed"], column["buckets"]
    if not isinstance(categories, list) or not (allowed is None or isinstance(allowed, list)):
        raise ValueError("the categories are corrupted")
    if not isinstance(buckets, int) or not 0 <= buckets <= BUCKETS:
        raise ValueError("the buckets are corrupted")
    named = None if allowed is None else tuple(map(str, allowed))
    return CategoricalPlan(name, tuple(map(str, categories)), named, buckets)
