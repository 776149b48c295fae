"""Columns as arrays for models: features, categories, and the true values of a regression."""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import Feature, FeatureType
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.data.tables import is_number, is_text
from modelmonitor_trainer.data.text_numbers import are_numbers, numbers_of
from modelmonitor_trainer.errors import BadData


def feature_arrays(table: pa.Table, features: Sequence[Feature]) -> dict[str, Array]:
    """Return features as arrays for models.

    Returns
    -------
    dict
        Feature → (n,) floats with NaN for what is missing or not finite (Numeric), or text with None
        (Categorical).

    Raises
    ------
    BadData
        If the type of a column does not fit the spec.
    """
    return {
        feature.name: (
            _numbers(table.column(feature.name), feature.name)
            if feature.type is FeatureType.NUMERIC
            else texts(table.column(feature.name), feature.name)
        )
        for feature in features
    }


def _numbers(values: pa.ChunkedArray, name: str) -> Floats:
    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if is_text(kind) and are_numbers(values.chunks):
        return numbers_of(values)
    if not is_number(kind):
        raise BadData(
            f"column {name!r} is {kind} and declared Numeric; write it as a number (of a time, such as its hour), "
            "or declare it Categorical"
        )
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        values = values.cast(pa.int8() if pa.types.is_boolean(kind) else pa.float64())
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def texts(values: pa.ChunkedArray, name: str) -> Array:
    """Return a categorical column as text, None for missing values; (n,) of objects.

    Whole numbers of any type are written without a fraction, and true as ``true``.
    """
    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), None, dtype=object)
    if pa.types.is_temporal(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise BadData(
            f"column {name!r} is {kind} and used as categories; write the category itself as text, such as the weekday"
        )
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return np.array([None if value is None else _text(value) for value in values.to_pylist()], dtype=object)
    # One Python object per category, not per row: for five million rows that would be 250 MB.
    coded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    words = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    indices: Ints = coded.indices.fill_null(len(words) - 1).to_numpy()
    return np.take(words, indices)


def _text(value: Any) -> str | None:
    """Return the text of one category."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | decimal.Decimal):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    return str(value)


def outcome_numbers(target: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return the values of a regression as doubles, those that are written as text, too; (n,).

    Raises
    ------
    BadData
        If they are not numbers.
    """
    kind = target.type
    if pa.types.is_dictionary(kind):
        target, kind = target.cast(kind.value_type), kind.value_type
    try:
        if is_text(kind):
            trimmed = pc.utf8_trim_whitespace(target.cast(pa.string()))
            empty = pc.equal(pc.binary_length(trimmed), 0)
            return pc.if_else(empty, pa.scalar(None, pa.string()), trimmed).cast(pa.float64())
        if is_number(kind) or pa.types.is_null(kind):
            return (target.cast(pa.int8()) if pa.types.is_boolean(kind) else target).cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:
        pass
    if is_text(kind):
        _refuse_strays(target, name)
    example = next((str(value) for value in target.to_pylist() if value is not None), "")
    raise BadData(
        f"the target {name!r} is {kind} with values such as {example[:60]!r}, and the task is Regression; write it as "
        "a number, or set model.task to a classification"
    )


def _refuse_strays(target: pa.ChunkedArray, name: str) -> None:
    """Refuse values that are not numbers where most are, by name."""
    counts = pc.value_counts(target.drop_null()).to_pylist()
    strays = {str(item["values"]): item["counts"] for item in counts if not _is_number_text(str(item["values"]))}
    rows = sum(strays.values())
    if 0 < 2 * rows < sum(item["counts"] for item in counts):
        value = next(iter(strays))
        more = f", and {len(strays) - 1} other values are not either" if len(strays) > 1 else ""
        where = f"{strays[value]:,} rows" if strays[value] > 1 else "a row"
        raise BadData(
            f"the target {name!r} is {value[:60]!r} in {where}, which is no number{more}; correct the rows, or leave "
            "the value empty"
        )


def _is_number_text(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return not value.strip()
    return True


def true_values(target: pa.ChunkedArray, name: str) -> Floats:
    """Return the true values of a regression; (n,).

    Raises
    ------
    BadData
        If they are not finite numbers.
    """
    values: Floats = outcome_numbers(target, name).to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        raise BadData(f"the target {name!r} has values that are not finite numbers; correct them or leave the rows out")
    return values
