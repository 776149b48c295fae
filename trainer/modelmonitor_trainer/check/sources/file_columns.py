"""Columns of files, inferred from the data: those that can be compared, and notes on the others."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from modelmonitor_api.spec import DataFormat, Feature, FeatureType
from modelmonitor_trainer.data.arrow_types import is_bytes, is_date, is_uuid, kind_of, plain_type
from modelmonitor_trainer.data.canonical import are_uuids, is_utf8
from modelmonitor_trainer.data.column_names import SeenColumn
from modelmonitor_trainer.data.dates import are_dates
from modelmonitor_trainer.data.object_format import AnyFormat, format_at
from modelmonitor_trainer.data.tables import Unreadable, header_of, is_text, scan
from modelmonitor_trainer.data.text_numbers import MISSING_IN_NUMBERS, are_numbers
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.storage.base import ObjectInfo, Store
from modelmonitor_trainer.text import listed

#: Maximum length of the name of a column, as in the spec.
_LONGEST_NAME = 253
#: Maximum number of distinct values of a text column that are inspected. If this share of them are numbers, the others
#: are errors.
_WORDS, _NEARLY_ALL = 1000, 0.95
#: Rows of a column of bytes that are inspected for text.
_BYTES = 1000
#: Rows of a column of text that are inspected for dates.
_DATE_ROWS = 1000
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
    """Columns of files as features, and notes on those that cannot be compared."""

    columns: tuple[Feature, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Seen:
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
    before, now = _seen(store, reference[0], fmt), _seen_if_readable(store, current[0], fmt)
    before = _with_later(store, reference, fmt, before, known or {})
    types = _with_values(store, [*reference[1:], *current], fmt, before, now)
    asked = {name for name in [*named.values(), *options.types] if name is not None}
    only = _resolve_columns("--columns", options.only, types, reference[0])
    ignored = _resolve_columns("--ignore", options.ignored, {**types, **now.types}, reference[0])
    for option, column in [*named.items(), *(("--type", name) for name in options.types)]:
        if column is not None and column not in types:
            raise BadConfiguration(f"{option} {column!r} is not a column of {reference[0].uri}")
    _refuse_contradictions(named, options.types, only, ignored)
    index = tuple(dict.fromkeys([*before.index, *now.index]))
    kept = asked | only
    types = {
        name: kind
        for name, kind in types.items()
        if name in asked or (name not in ignored and (name in only if only else name not in index))
    }
    types, binary = _without_binary(store, reference[0], fmt, types, kept)
    elsewhere = {**(numbers or {}), **{name: kind for name, kind in now.types.items() if _is_number_type(kind)}}
    types |= _numbers_as_text(store, (reference[0], current[0]), fmt, types, elsewhere)
    text = [name for name, kind in types.items() if is_text(kind) and name not in asked]
    dates = _dates_in_text(store, reference[0], current[0], fmt, text)
    columns, notes = _comparable(types, dates, frozenset(name for name in named.values() if name is not None))
    if not columns:
        raise BadData(f"{reference[0].uri} has no column of numbers or text")
    columns = _with_types(columns, types, options.types)
    comparable = {column.name for column in columns}
    for option, column in named.items():
        if column is not None and column not in comparable:
            raise BadConfiguration(f"{option} {column!r} is {types[column]}; it must be a column of numbers or text")
    notes += _note("Not compared, because they are bytes that are not text", binary)
    left_out = [name for name in index if name in before.types and name not in kept | ignored and not only]
    notes += _note("Left out, because pandas wrote them as the index of its rows (--columns compares them)", left_out)
    if not only:
        notes += _notes_on_differences(before.types, now.types, comparable, ignored | {*index})
    notes += tuple(_notes_on_writing({reference[0].uri: before, current[0].uri: now}))
    if format_at(fmt, reference[0].uri) is DataFormat.CSV:
        texts = [c.name for c in columns if is_text(types[c.name]) and c.type is FeatureType.CATEGORICAL]
        texts = [name for name in texts if name not in options.types]
        notes += tuple(_numbers_with_errors(store, reference[0], texts, fmt))
    return Inferred(tuple(columns), notes)


def _seen(store: Store, info: ObjectInfo, fmt: AnyFormat) -> _Seen:
    with scan(store, info, None, fmt) as opened:
        index = opened.index
        if format_at(fmt, info.uri) is DataFormat.CSV:
            # Without a name, it is an index as well; a name is needed to compare a column.
            index = tuple(name for name in opened.types if _UNNAMED.fullmatch(name))
        return _Seen(dict(opened.types), index, opened.recognized)


def _seen_if_readable(store: Store, info: ObjectInfo, fmt: AnyFormat) -> _Seen:
    """Return the columns of a file; none if it is unreadable, which is reported when its rows are read."""
    try:
        return _seen(store, info, fmt)
    except Unreadable as error:
        if error.undeclared:
            raise
        return _Seen()


def _with_later(
    store: Store, reference: Sequence[ObjectInfo], fmt: AnyFormat, first: _Seen, known: Mapping[str, SeenColumn]
) -> _Seen:
    """Return the columns of the first reference file, and those that later files have in addition."""
    types = dict(first.types)
    missing = [name for name in known if name not in types]
    # A column that was added is in the last files, and one that was removed for some time in others.
    for info in reversed(reference[1:]):
        if not missing:
            break
        seen = _seen_if_readable(store, info, fmt)
        types |= {name: seen.types[name] for name in missing if name in seen.types}
        missing = [name for name in missing if name not in types]
    return replace(first, types=types)


def _dates_in_text(
    store: Store, reference: ObjectInfo, current: ObjectInfo, fmt: AnyFormat, names: Sequence[str]
) -> frozenset[str]:
    """Return the columns of text that are dates in both files, as far as they have them."""
    sides = [_words(store, info, fmt, names) for info in (reference, current)] if names else []
    filled = [{name: words for name, words in side.items() if words} for side in sides]
    return frozenset(
        name
        for name in names
        if any(name in side for side in filled) and all(are_dates(side[name]) for side in filled if name in side)
    )


def _words(store: Store, info: ObjectInfo, fmt: AnyFormat, names: Sequence[str]) -> dict[str, list[str]]:
    """Return some values of columns of text; nothing of a file that cannot be read, or of a column of another type."""
    words: dict[str, list[str]] = {}
    with contextlib.suppress(Unreadable), scan(store, info, names, fmt, text=names, head=_DATE_ROWS) as opened:
        for name, values in opened.chunks:
            if is_text(values.type):
                words.setdefault(name, []).extend(word for word in values.slice(0, _DATE_ROWS).to_pylist() if word)
    return words


def _with_values(
    store: Store, others: Sequence[ObjectInfo], fmt: AnyFormat, before: _Seen, now: _Seen
) -> dict[str, pa.DataType]:
    """Return the types of the columns of the first file; of one without values, that of the first file with some."""
    types = {name: now.types.get(name, kind) if pa.types.is_null(kind) else kind for name, kind in before.types.items()}
    for info in others:
        unknown = [name for name, kind in types.items() if pa.types.is_null(kind)]
        if not unknown:
            break
        seen = _seen_if_readable(store, info, fmt).types
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


def _without_binary(
    store: Store, info: ObjectInfo, fmt: AnyFormat, types: Mapping[str, pa.DataType], kept: Iterable[str]
) -> tuple[dict[str, pa.DataType], list[str]]:
    """Return the columns without those of bytes that are not text, and the names of these."""
    suspects = [name for name, kind in types.items() if is_bytes(kind) and name not in kept]
    binary = [name for name in suspects if _is_fixed(types[name]) and not is_uuid(types[name])]
    rest = [name for name in suspects if name not in binary]
    if rest:
        with scan(store, info, rest, fmt, head=_BYTES) as opened:
            for name, values in opened.chunks:
                if name not in binary and not all(_are_text(chunk) for chunk in values.chunks):
                    binary.append(name)
    return {name: kind for name, kind in types.items() if name not in binary}, binary


def _numbers_as_text(
    store: Store,
    files: Sequence[ObjectInfo],
    fmt: AnyFormat,
    types: Mapping[str, pa.DataType],
    elsewhere: Mapping[str, pa.DataType],
) -> dict[str, pa.DataType]:
    """Return the columns whose text is numbers in some files, and which others have as numbers, with the type there."""
    suspects = [
        name
        for name, kind in types.items()
        if kind_of(kind) == "text" and name in elsewhere and _is_number_type(elsewhere[name])
    ]
    for info in files if suspects else ():
        chunks: dict[str, list[pa.Array]] = {}
        with contextlib.suppress(Unreadable), scan(store, info, suspects, fmt) as opened:
            for name, values in opened.chunks:
                if kind_of(values.type) == "text":
                    chunks.setdefault(name, []).extend(values.chunks)
        suspects = [name for name in suspects if name not in chunks or are_numbers(chunks[name])]
    return {name: elsewhere[name] for name in suspects}


def _is_number_type(kind: pa.DataType) -> bool:
    return kind_of(kind) == "number" and not pa.types.is_boolean(plain_type(kind))


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(plain_type(kind)))


def _are_text(values: pa.Array) -> bool:
    """Whether bytes are text, or UUIDs, which are compared as text."""
    values = values.dictionary if pa.types.is_dictionary(values.type) else values
    if are_uuids(values):
        return True
    try:
        return is_utf8(values.cast(pa.large_binary()).cast(pa.large_string()))
    except pa.ArrowInvalid:
        return False


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


def _notes_on_writing(seen: Mapping[str, _Seen]) -> Iterator[str]:
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


def _numbers_with_errors(store: Store, info: ObjectInfo, names: Sequence[str], fmt: AnyFormat) -> Iterator[str]:
    """Yield notes on text columns whose values are numbers with a few exceptions."""
    if not names:
        return
    suspects: dict[str, str] | None = None
    with scan(store, info, names, fmt, text=names) as opened:
        for name, values in opened.chunks:
            words = [word for chunk in values.chunks for word in chunk.dictionary.drop_null().to_pylist()]
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
                        "other values are. Correct it, or remove the row, to compare the column as numbers; if it is a "
                        "missing value, name it with --null-values."
                    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word.strip().lower() in MISSING_IN_NUMBERS
    return True


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
