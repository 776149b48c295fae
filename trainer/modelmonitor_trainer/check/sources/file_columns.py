"""Columns of files, inferred from the data: those that can be compared, and notes on the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from modelmonitor_api.spec import DataFormat, Feature, FeatureType
from modelmonitor_trainer.data.tables import Unreadable, is_text, reading, scan
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.profile.arrow_values import kind_of
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Maximum length of the name of a column, as in the spec.
_LONGEST_NAME = 253
#: Maximum number of distinct values of a text column that are inspected. If this share of them are numbers, the others
#: are errors.
_WORDS, _NEARLY_ALL = 1000, 0.95
#: Maximum number of columns named in a note.
_NAMED = 10


@dataclass(frozen=True)
class Inferred:
    """Columns of files as features, and notes on those that cannot be compared."""

    columns: tuple[Feature, ...]
    notes: tuple[str, ...] = ()


def infer_columns(
    store: Store,
    reference: Sequence[ObjectInfo],
    current: Sequence[ObjectInfo],
    fmt: DataFormat,
    named: Mapping[str, str | None],
) -> Inferred:
    """Return the columns of the first reference file as features.

    Parameters
    ----------
    store, reference, current, fmt
        The files of both sides.
    named
        Option → column, such as the target.

    Raises
    ------
    BadConfiguration
        If such a column does not exist.
    BadData
        If no column can be compared, or two have the same name.
    """
    for side in (reference, current):
        _require_distinct_names(store, side[0], fmt)
    types = _types(store, reference[0], fmt)
    now = _types_if_readable(store, current[0], fmt)
    # A column without values has no type: the current files determine it.
    types = {name: now.get(name, kind) if pa.types.is_null(kind) else kind for name, kind in types.items()}
    for option, column in named.items():
        if column is not None and column not in types:
            raise BadConfiguration(f"{option} {column!r} is not a column of {reference[0].uri}")
    columns, notes = _comparable(types)
    if not columns:
        raise BadData(f"{reference[0].uri} has no column of numbers or text")
    comparable = {column.name for column in columns}
    for option, column in named.items():
        if column is not None and column not in comparable:
            raise BadConfiguration(f"{option} {column!r} is {types[column]}; it must be a column of numbers or text")
    later = _types_if_readable(store, reference[-1], fmt) if len(reference) > 1 else {}
    if now:
        notes += _note("New in the current files, and not compared", [name for name in now if name not in types])
        gone = [name for name in types if name not in now and name not in comparable]
        notes += _note("Not in the current files, and not comparable in the reference", gone)
    notes += _note(
        "Not in the first file of the reference, and not compared", [name for name in later if name not in types]
    )
    if fmt is DataFormat.CSV:
        texts = [column.name for column in columns if is_text(types[column.name])]
        notes += tuple(_numbers_with_errors(store, reference[0], texts))
    return Inferred(tuple(columns), notes)


def _types(store: Store, info: ObjectInfo, fmt: DataFormat) -> dict[str, pa.DataType]:
    with scan(store, info, None, fmt) as opened:
        return dict(opened.types)


def _types_if_readable(store: Store, info: ObjectInfo, fmt: DataFormat) -> dict[str, pa.DataType]:
    """Return the types of a file's columns; none if it is unreadable, which is reported when its rows are read."""
    try:
        return _types(store, info, fmt)
    except Unreadable:
        return {}


def _comparable(types: Mapping[str, pa.DataType]) -> tuple[list[Feature], tuple[str, ...]]:
    """Return the columns of numbers and text as features, and notes on the others."""
    features: list[Feature] = []
    other, unnamed = [], []
    for name, kind in types.items():
        if not 1 <= len(name) <= _LONGEST_NAME:
            unnamed.append(f"{name[:40]}… ({len(name)} characters)" if name else "one without a name")
        elif kind_of(kind) in {"number", "null"} and not pa.types.is_boolean(kind):
            features.append(Feature(name=name, type=FeatureType.NUMERIC))
        elif is_text(kind) or pa.types.is_boolean(kind):
            features.append(Feature(name=name, type=FeatureType.CATEGORICAL))
        else:
            other.append(name)
    return features, (
        *_note("Not compared, because they are neither numbers nor text", other),
        *_note(f"Not compared, because names must have 1 to {_LONGEST_NAME} characters", unnamed),
    )


def _note(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (f"{what}: {', '.join(names[:_NAMED])}{more}.",)


def _numbers_with_errors(store: Store, info: ObjectInfo, names: Sequence[str]) -> Iterator[str]:
    """Yield notes on text columns whose values are numbers with a few exceptions."""
    if not names:
        return
    suspects: dict[str, str] | None = None
    with scan(store, info, names, DataFormat.CSV, text=names) as opened:
        for name, values in opened.chunks:
            words = [word for chunk in values.chunks for word in chunk.dictionary.to_pylist()]
            if suspects is None or name not in suspects:
                inspected = words[:_WORDS]
                numbers = sum(map(_is_number, inspected))
                if suspects is None:
                    suspects = {}
                if len(inspected) >= 1 / (1 - _NEARLY_ALL) and _NEARLY_ALL * len(inspected) <= numbers:
                    suspects[name] = ""
                elif not suspects and name == names[-1]:
                    return
            if suspects.get(name) == "":
                wrong = next((word for word in words if not _is_number(word)), "")
                if wrong:
                    suspects[name] = wrong
                    yield (
                        f"{name} is compared as text: {wrong[:40]!r} in {info.uri} is not a number, but nearly all "
                        "other values are. Correct it, or remove the row, to compare the column as numbers."
                    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _require_distinct_names(store: Store, info: ObjectInfo, fmt: DataFormat) -> None:
    """Refuse a file with two columns of the same name.

    Raises
    ------
    BadData
        Naming the column.
    """
    if fmt is DataFormat.JSON_LINES:
        return
    # An unreadable file is reported when its rows are read.
    with contextlib.suppress(Unreadable), reading(info.uri, fmt), store.open(info) as file:
        if fmt is DataFormat.PARQUET:
            names = pq.read_schema(file).names
        else:
            stream = pa.CompressedInputStream(file, "gzip") if info.uri.endswith(".gz") else file
            names = pyarrow.csv.open_csv(stream).schema.names
        repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if repeated is not None:
            raise BadData(f"{info.uri} has more than one column named {repeated!r}; give each a unique name")
