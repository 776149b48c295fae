"""The format of objects: as declared for all of them, or by the name of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelmonitor_api.spec import CSVOptions, Data, DataFormat
from modelmonitor_trainer.data.object_names import FORMATS, suffix_of


@dataclass(frozen=True)
class FileFormat:
    """The format of some objects.

    Attributes
    ----------
    kind
        Format of all objects; None for that of each suffix.
    csv
        What is declared of CSV objects.
    known
        URI → format, of objects whose suffix does not tell it.
    marks
        URI → decimal marks of its columns that do not show theirs, decided from all objects that are compared
        (:mod:`~modelmonitor_trainer.data.decimal_marks`).
    """

    kind: DataFormat | None = None
    csv: CSVOptions = field(default_factory=CSVOptions)
    known: Mapping[str, DataFormat] = field(default_factory=dict, compare=False)
    marks: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict, compare=False)


AnyFormat = DataFormat | FileFormat


def declared_format(data: Data) -> AnyFormat:
    """Return the format of the objects of a monitor."""
    return data.format if data.csv is None else FileFormat(data.format, data.csv)


def format_at(fmt: AnyFormat, uri: str) -> DataFormat:
    """Return the format of an object; Parquet if neither a declaration nor its suffix determines it."""
    if isinstance(fmt, DataFormat):
        return fmt
    return fmt.kind or fmt.known.get(uri) or FORMATS.get(suffix_of(uri), DataFormat.PARQUET)


def csv_options(fmt: AnyFormat) -> CSVOptions:
    """Return what is declared of CSV objects."""
    return CSVOptions() if isinstance(fmt, DataFormat) else fmt.csv


def marks_at(fmt: AnyFormat, uri: str) -> Mapping[str, str | None]:
    """Return the decimal marks of a CSV object that were decided from all objects."""
    return {} if isinstance(fmt, DataFormat) else fmt.marks.get(uri, {})


def with_marks(fmt: AnyFormat, marks: Mapping[str, Mapping[str, str | None]]) -> FileFormat:
    """Return a format with more decided decimal marks."""
    whole = FileFormat(fmt) if isinstance(fmt, DataFormat) else fmt
    return replace(whole, marks={**whole.marks, **marks})


def with_csv_options(fmt: AnyFormat, options: CSVOptions) -> FileFormat:
    """Return a format with something else declared of CSV objects."""
    return FileFormat(fmt, options) if isinstance(fmt, DataFormat) else replace(fmt, csv=options)


def format_key(fmt: AnyFormat) -> tuple[bytes, ...]:
    """Return what a key of stored profiles needs of the format: what is declared changes how objects are read."""
    declared: dict[str, Any] = csv_options(fmt).to_wire()
    if isinstance(fmt, FileFormat) and fmt.marks:
        declared = {**declared, "marks": {uri: dict(marks) for uri, marks in fmt.marks.items()}}
    return (json.dumps(declared, sort_keys=True).encode(),) if declared else ()
