"""Columns of files, inferred from the data: those that can be compared, and notes on the others."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from modelmonitor_api.spec import DataFormat, Feature, FeatureType
from modelmonitor_trainer.check.sources.text_columns import (
    find_dates,
    find_numbers,
    is_number_type,
    notes_on_unread_dates,
    notes_on_wrong_numbers,
    sample_words,
    split_binary,
)
from modelmonitor_trainer.data.arrow_types import is_date, is_text, kind_of, plain_type
from modelmonitor_trainer.data.column_names import SeenColumn
from modelmonitor_trainer.data.object_format import AnyFormat, format_at
from modelmonitor_trainer.data.tables import Unreadable, header_of, scan
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store
from modelmonitor_trainer.text import listed, printable

#: Maximum length of the name of a column, as in the spec.
_LONGEST_NAME = 253
#: Maximum number of columns named in a note.
_NAMED = 10
#: How pandas reads back an index that it wrote into CSV.
_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)*(_level_\d+)?")


@dataclass(frozen=True)
class ColumnOptions:
    """Columns to compare, as given on the command line.

    Attributes
    ----------
    only
        Columns to compare; none for all.
    ignored
        Columns to leave out.
    types
        Column → type to compare it as.
    """

    only: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    types: Mapping[str, FeatureType] = field(default_factory=dict)


@dataclass(frozen=True)
class Inferred:
    """Columns of files as features, notes on those that cannot be compared, and those that are not to be compared."""

    columns: tuple[Feature, ...]
    notes: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _FileColumns:
    """Columns of a file: types, those of an index, and what was recognized of how it is written."""

    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    index: tuple[str, ...] = ()
    recognized: tuple[str, ...] = ()


def infer_columns(
    store: Store,
    reference: Sequence[ObjectInfo],
    current: Sequence[ObjectInfo],
    fmt: AnyFormat,
    named: Mapping[str, str | None],
    options: ColumnOptions | None = None,
    numbers: Mapping[str, pa.DataType] | None = None,
    known: Mapping[str, SeenColumn] | None = None,
) -> Inferred:
    """Return the columns of the reference files as features.

    Parameters
    ----------
    store, reference, current, fmt
        The files of both sides.
    known
        Columns of all reference files, as far as their headers show; None for those of the first file.
    named
        Option → column, such as the target.
    options
        Columns to compare.
    numbers
        Columns that any file has as numbers, with the type there.

    Raises
    ------
    BadConfiguration
        If such a column does not exist.
    BadData
        If no column can be compared, or two have the same name.
    """
    options = options or ColumnOptions()
    for side in (reference, current):
        _require_distinct_names(store, side[0], fmt)
    before, now = _inspect(store, reference[0], fmt), _inspect_if_readable(store, current[0], fmt)
    before = _with_later(store, reference, fmt, before, known or {})
    types = _with_values(store, [*reference[1:], *current], fmt, before, now)
    asked = {name for name in [*named.values(), *options.types] if name is not None}
    only, ignored = _resolve_options(named, options, types, now.types, reference[0])
    index = tuple(dict.fromkeys([*before.index, *now.index]))
    kept = asked | only
    types = {
        name: kind
        for name, kind in types.items()
        if name in asked or (name not in ignored and (name in only if only else name not in index))
    }
    excluded = frozenset({*before.types, *now.types} - types.keys())
    types, binary = split_binary(store, reference[0], fmt, types, kept)
    elsewhere = {**(numbers or {}), **{name: kind for name, kind in now.types.items() if is_number_type(kind)}}
    types |= find_numbers(store, (reference[0], current[0]), fmt, types, elsewhere)
    text = [name for name, kind in types.items() if is_text(kind) and name not in asked]
    words = sample_words(store, reference[0], fmt, text), sample_words(store, current[0], fmt, text)
    dates = find_dates(words)
    columns, notes = _comparable(types, dates, frozenset(name for name in named.values() if name is not None))
    if not columns:
        kinds = listed([f"{printable(name) or 'one without a name'} ({kind})" for name, kind in types.items()], _NAMED)
        raise BadData(
            f"{reference[0].uri} has no column of numbers, dates or text, but {kinds}; write what they hold as columns"
            if kinds
            else f"no column of {reference[0].uri} is left to compare; check the file, --columns and --ignore"
        )
    columns = _with_types(columns, types, options.types)
    comparable = {column.name for column in columns}
    _require_comparable(named, comparable, types)
    notes += _note("Not compared, because they are bytes that are not text", binary)
    left_out = [name for name in index if name in before.types and name not in kept | ignored and not only]
    notes += _note("Left out, because pandas wrote them as the index of its rows (--columns compares them)", left_out)
    if not only:
        notes += _notes_on_differences(before.types, now.types, comparable, ignored | {*index})
    unread = [c.name for c in columns if c.type is FeatureType.CATEGORICAL and c.name not in options.types]
    notes += tuple(notes_on_unread_dates(*words, unread))
    notes += tuple(_notes_on_writing({reference[0].uri: before, current[0].uri: now}))
    if format_at(fmt, reference[0].uri) is DataFormat.CSV:
        texts = [c.name for c in columns if is_text(types[c.name]) and c.type is FeatureType.CATEGORICAL]
        texts = [name for name in texts if name not in options.types]
        notes += tuple(notes_on_wrong_numbers(store, reference[0], texts, fmt))
    return Inferred(tuple(columns), notes, excluded)


def _inspect(store: Store, info: ObjectInfo, fmt: AnyFormat) -> _FileColumns:
    with scan(store, info, None, fmt) as opened:
        index = opened.index
        if format_at(fmt, info.uri) is DataFormat.CSV:
            # Without a name, it is an index as well; a name is needed to compare a column.
            index = tuple(name for name in opened.types if _UNNAMED.fullmatch(name))
        return _FileColumns(dict(opened.types), index, opened.recognized)


def _inspect_if_readable(store: Store, info: ObjectInfo, fmt: AnyFormat) -> _FileColumns:
    """Return the columns of a file; none if it is unreadable, which is reported when its rows are read."""
    try:
        return _inspect(store, info, fmt)
    except Unreadable as error:
        if error.undeclared:
            raise
        return _FileColumns()


def _with_later(
    store: Store, reference: Sequence[ObjectInfo], fmt: AnyFormat, first: _FileColumns, known: Mapping[str, SeenColumn]
) -> _FileColumns:
    """Return the columns of the first reference file, and those that later files have in addition."""
    types = dict(first.types)
    missing = [name for name in known if name not in types]
    # A column that was added is in the last files, and one that was removed for some time in others.
    for info in reversed(reference[1:]):
        if not missing:
            break
        seen = _inspect_if_readable(store, info, fmt)
        types |= {name: seen.types[name] for name in missing if name in seen.types}
        missing = [name for name in missing if name not in types]
    return replace(first, types=types)


def _with_values(
    store: Store, others: Sequence[ObjectInfo], fmt: AnyFormat, before: _FileColumns, now: _FileColumns
) -> dict[str, pa.DataType]:
    """Return the types of the columns of the first file; of one without values, that of the first file with some."""
    types = {name: now.types.get(name, kind) if pa.types.is_null(kind) else kind for name, kind in before.types.items()}
    for info in others:
        unknown = [name for name, kind in types.items() if pa.types.is_null(kind)]
        if not unknown:
            break
        seen = _inspect_if_readable(store, info, fmt).types
        types |= {name: seen[name] for name in unknown if name in seen}
    return types


def _resolve_columns(
    option: str, given: Iterable[str], types: Mapping[str, pa.DataType], info: ObjectInfo
) -> frozenset[str]:
    """Return the columns that an option names, each by itself or several separated by commas.

    Raises
    ------
    BadConfiguration
        If one does not exist.
    """
    names = [name for text in given for name in ([text] if text in types else text.split(","))]
    names = [name if name in types else name.strip() for name in names]
    unknown = next((name for name in names if name not in types), None)
    if unknown is not None:
        raise BadConfiguration(f"{option} {unknown!r} is not a column of {info.uri}")
    return frozenset(names)


def _resolve_options(
    named: Mapping[str, str | None],
    options: ColumnOptions,
    types: Mapping[str, pa.DataType],
    current: Mapping[str, pa.DataType],
    info: ObjectInfo,
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the columns of --columns and of --ignore.

    Raises
    ------
    BadConfiguration
        If an option names a column that does not exist, or two contradict each other.
    """
    only = _resolve_columns("--columns", options.only, types, info)
    ignored = _resolve_columns("--ignore", options.ignored, {**types, **current}, info)
    for option, column in [*named.items(), *(("--type", name) for name in options.types)]:
        if column is not None and column not in types:
            raise BadConfiguration(f"{option} {column!r} is not a column of {info.uri}")
    _refuse_contradictions(named, options.types, only, ignored)
    return only, ignored


def _require_comparable(
    named: Mapping[str, str | None], comparable: Collection[str], types: Mapping[str, pa.DataType]
) -> None:
    """Require that columns such as the target can be compared.

    Raises
    ------
    BadConfiguration
        Naming the option, the column and its type.
    """
    for option, column in named.items():
        if column is not None and column not in comparable:
            raise BadConfiguration(f"{option} {column!r} is {types[column]}; it must be a column of numbers or text")


def _refuse_contradictions(
    named: Mapping[str, str | None], types: Iterable[str], only: frozenset[str], ignored: frozenset[str]
) -> None:
    """Refuse options that ask for a column which --ignore leaves out.

    Raises
    ------
    BadConfiguration
        Naming the column and both options.
    """
    asked = [*named.items(), *(("--type", name) for name in types), *(("--columns", name) for name in sorted(only))]
    for option, name in asked:
        if name in ignored:
            raise BadConfiguration(f"{option} and --ignore both name {name!r}; remove one of them")


def _comparable(
    types: Mapping[str, pa.DataType], dates: frozenset[str], named: frozenset[str]
) -> tuple[list[Feature], tuple[str, ...]]:
    """Return the columns of numbers, dates and text as features, and notes on the others.

    Dates are compared as numbers, unless an option names them as the target or the prediction.
    """
    features: list[Feature] = []
    other, unnamed = [], []
    for name, kind in types.items():
        number = kind_of(kind) in {"number", "null"} and not pa.types.is_boolean(plain_type(kind))
        if not 1 <= len(name) <= _LONGEST_NAME:
            unnamed.append(f"{name[:40]}… ({len(name)} characters)" if name else "one without a name")
        elif number or name in dates or (is_date(kind) and name not in named):
            features.append(Feature(name=name, type=FeatureType.NUMERIC))
        elif kind_of(kind) in {"number", "text"}:
            features.append(Feature(name=name, type=FeatureType.CATEGORICAL))
        else:
            other.append(name)
    return features, (
        *_note("Not compared, because they are neither numbers nor dates nor text", other),
        *_note(f"Not compared, because names must have 1 to {_LONGEST_NAME} characters", unnamed),
    )


def _with_types(
    columns: Sequence[Feature], types: Mapping[str, pa.DataType], asked: Mapping[str, FeatureType]
) -> list[Feature]:
    """Return the columns with the types that were asked for; times can be compared as categories."""
    names = {column.name for column in columns}
    more = [
        Feature(name=name, type=kind)
        for name, kind in asked.items()
        if name not in names and kind_of(types[name]) != "nested"
    ]
    return [
        *(column.model_copy(update={"type": asked.get(column.name, column.type)}) for column in columns),
        *more,
    ]


def _notes_on_differences(
    before: Mapping[str, pa.DataType], now: Mapping[str, pa.DataType], comparable: set[str], ignored: frozenset[str]
) -> tuple[str, ...]:
    if not now:
        return ()
    new = [name for name in now if name not in before and name not in ignored]
    gone = [name for name in before if name not in now and name not in comparable and name not in ignored]
    return (
        *_note("New in the current files, and not compared", new),
        *_note("Not in the current files, and not comparable in the reference", gone),
    )


def _notes_on_writing(seen: Mapping[str, _FileColumns]) -> Iterator[str]:
    """Yield notes on what was recognized of how files are written."""
    uris: dict[tuple[str, ...], list[str]] = {}
    for uri, columns in seen.items():
        if columns.recognized:
            uris.setdefault(columns.recognized, []).append(uri)
    for recognized, files in uris.items():
        yield (
            f"In {' and '.join(files)}, {'; '.join(recognized)}. If that is wrong, set --separator, --encoding, "
            "--decimal, or --type COL=Categorical."
        )


def _note(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    # A separator at the end of each line makes a column without a name.
    return (f"{what}: {listed([name or 'one without a name' for name in names], _NAMED)}.",)


def _require_distinct_names(store: Store, info: ObjectInfo, fmt: AnyFormat) -> None:
    """Refuse a file with two columns of the same name.

    Raises
    ------
    BadData
        Naming the column.
    """
    if format_at(fmt, info.uri) is DataFormat.JSON_LINES:
        return
    # An unreadable file is reported when its rows are read.
    with contextlib.suppress(Unreadable):
        names = header_of(store, info, fmt)
        repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if repeated is not None:
            raise BadData(f"{info.uri} has more than one column named {repeated!r}; give each a unique name")
