"""Profile of one object, and its serialization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.arrays import Array, Counts
from modelmonitor_trainer.profile.cardinality import REGISTERS
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, NumericProfile
from modelmonitor_trainer.profile.plans import PROFILE_VERSION, CategoricalPlan, ColumnPlan, NumericPlan, Plan
from modelmonitor_trainer.profile.serialization import pack, unpack

_NUMERIC_COUNTS = ("rows", "nulls", "nans", "finite", "negative_infinities", "below", "above")
_NUMERIC_MOMENTS = ("mean", "m2", "minimum", "maximum")
_CATEGORICAL_FIELDS = ("rows", "nulls", "disallowed_rows", "padded")


@dataclass(frozen=True)
class ObjectProfile:
    """Profile of the rows of one object.

    Attributes
    ----------
    uri
        The object.
    rows
        Number of rows.
    columns
        Column → profile, without the columns that the object lacks.
    """

    uri: str
    rows: int
    columns: Mapping[str, ColumnProfile]


def empty_profile(column: ColumnPlan) -> ColumnProfile:
    """Return the profile of no rows."""
    counts = np.zeros(column.cells, dtype=np.int64)
    if isinstance(column, NumericPlan):
        return NumericProfile(counts)
    return CategoricalProfile(counts, buckets=np.zeros(column.buckets, dtype=np.int64))


def to_bytes(profile: ObjectProfile) -> bytes:
    """Serialize a profile: counts as arrays, the rest as JSON."""
    names = list(profile.columns)
    header: dict[str, Any] = {"version": PROFILE_VERSION, "uri": profile.uri, "rows": profile.rows, "columns": []}
    for name in names:
        column = profile.columns[name]
        fields = (*_NUMERIC_COUNTS, *_NUMERIC_MOMENTS) if isinstance(column, NumericProfile) else _CATEGORICAL_FIELDS
        entry: dict[str, Any] = {"name": name, "kinds": sorted(column.kinds)}
        # repr of a float is exact, and JSON cannot represent NaN and the infinities.
        entry |= {key: repr(getattr(column, key)) for key in fields}
        if isinstance(column, CategoricalProfile):
            entry |= {"others": dict(column.others), "disallowed": dict(column.disallowed)}
            entry |= {"buckets": column.buckets.tolist()}
        elif column.strays:
            entry |= {"strays": dict(column.strays)}
        if column.unparsed:  # only then, so that other profiles keep their bytes
            entry["unparsed"] = column.unparsed
        header["columns"].append(entry)
    arrays: dict[str, Any] = {f"c{number}": _narrow(profile.columns[name].counts) for number, name in enumerate(names)}
    for number, name in enumerate(names):
        column = profile.columns[name]
        if isinstance(column, CategoricalProfile):
            arrays[f"r{number}"] = column.registers
    return pack(header, arrays)


def _narrow(counts: Counts) -> npt.NDArray[np.unsignedinteger]:
    """Return counts in the narrowest type that holds them, to store less."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def from_bytes(data: bytes, plan: Plan) -> ObjectProfile:
    """Deserialize a profile and validate it against its plan.

    Raises
    ------
    ValueError
        If it is corrupted or was made with another plan.
    """
    try:
        header, arrays = unpack(data)
        columns = {
            str(entry["name"]): _column_from(entry, arrays, number) for number, entry in enumerate(header["columns"])
        }
        profile = ObjectProfile(str(header["uri"]), int(header["rows"]), columns)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a profile: {error}") from error
    planned = {column.name: column for column in plan}
    for name, stored in profile.columns.items():
        column = planned.get(name)
        if column is None or column.cells != stored.counts.size or int(stored.counts.sum()) != stored.present:
            raise ValueError(f"the counts of {name!r} do not add up")
        if isinstance(stored, CategoricalProfile) and isinstance(column, CategoricalPlan):
            in_buckets = int(stored.counts[-1]) if column.buckets else 0
            if (
                stored.registers.shape != (REGISTERS,)
                or stored.buckets.size != column.buckets
                or int(stored.buckets.sum()) != in_buckets
            ):
                raise ValueError(f"the buckets of {name!r} do not add up")
    return profile


def _column_from(entry: dict[str, Any], arrays: Mapping[str, Array], number: int) -> ColumnProfile:
    kinds = frozenset(map(str, entry["kinds"]))
    counts = arrays[f"c{number}"].astype(np.int64)
    if "finite" in entry:
        fields: dict[str, Any] = {key: int(entry[key]) for key in _NUMERIC_COUNTS}
        fields |= {key: float(entry[key]) for key in _NUMERIC_MOMENTS}
        strays = {str(key): int(value) for key, value in entry.get("strays", {}).items()}
        return NumericProfile(counts, kinds=kinds, strays=strays, unparsed=int(entry.get("unparsed", 0)), **fields)
    return CategoricalProfile(
        counts=counts,
        kinds=kinds,
        others={str(key): int(value) for key, value in entry["others"].items()},
        disallowed={str(key): int(value) for key, value in entry["disallowed"].items()},
        buckets=np.array(list(map(int, entry["buckets"])), dtype=np.int64),
        registers=arrays[f"r{number}"].astype(np.uint8),
        unparsed=int(entry.get("unparsed", 0)),
        **{key: int(entry[key]) for key in _CATEGORICAL_FIELDS},
    )
