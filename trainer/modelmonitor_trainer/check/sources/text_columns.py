"""Columns of text or bytes in files: those that hold dates or numbers, and bytes that are not text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from modelmonitor_trainer.data.arrow_types import is_bytes, is_text, is_uuid, kind_of, plain_type
from modelmonitor_trainer.data.canonical import are_uuids, is_utf8
from modelmonitor_trainer.data.dates import are_dates
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.text_numbers import MISSING_IN_NUMBERS, are_numbers
from modelmonitor_trainer.data.unread_dates import DateOrder, order_of
from modelmonitor_trainer.storage.base import ObjectInfo, Store
from modelmonitor_trainer.text import listed

#: Maximum number of distinct values of a text column that are inspected. If this share of them are numbers, the others
#: are errors.
_WORDS, _NEARLY_ALL = 1000, 0.95
#: Rows of a column of bytes that are inspected for text.
_BYTES = 1000
#: Rows of a column of text that are inspected for dates.
_DATE_ROWS = 1000
#: Maximum number of columns named in a note.
_NAMED = 10


#: Column of text → some of its values in a file.
Words = Mapping[str, Sequence[str]]


def find_dates(sides: Sequence[Words]) -> frozenset[str]:
    """Return the columns of text that are dates in each file that has values of them."""
    names = dict.fromkeys(name for side in sides for name in side)
    return frozenset(name for name in names if all(are_dates(side[name]) for side in sides if name in side))


def notes_on_unread_dates(reference: Words, current: Words, names: Iterable[str]) -> Iterator[str]:
    """Yield notes on columns that are compared as categories although they hold dates."""
    agreeing, differing = list[str](), list[str]()
    for name in names:
        words = [side[name] for side in (reference, current) if name in side]
        orders = [order_of(values) for values in words]
        first = next((index for index, order in enumerate(orders) if order), None)
        if first is None:
            continue
        if _can_agree(orders):
            agreeing.append(f"{name} ({words[first][0][:40]!r})")
        else:
            forms = [
                order.value if order else f"{values[0][:40]!r}" for order, values in zip(orders, words, strict=True)
            ]
            differing.append(f"{name} (reference: {forms[0]}; current: {forms[1]})")
    if agreeing:
        yield (
            f"Not read as dates, and compared as categories: {listed(agreeing, _NAMED)}. Write dates as 2024-01-31 to "
            "compare them as dates."
        )
    if differing:
        yield (
            f"Dates in different forms, which are compared as categories, so the same date differs: "
            f"{listed(differing, _NAMED)}. Write all dates as 2024-01-31."
        )


def _can_agree(orders: Sequence[DateOrder | None]) -> bool:
    """Whether dates of both sides can have the same form."""
    known = {*orders} - {DateOrder.EITHER}
    return len(known) <= 1 and not (known & {None, DateOrder.NAMED} and DateOrder.EITHER in orders)


def sample_words(store: Store, info: ObjectInfo, fmt: AnyFormat, names: Sequence[str]) -> Words:
    """Return some values of columns of text; nothing of a file that cannot be read, or of a column of another type."""
    words: dict[str, list[str]] = {}
    if not names:
        return words
    with contextlib.suppress(Unreadable), scan(store, info, names, fmt, text=names, head=_DATE_ROWS) as opened:
        for name, values in opened.chunks:
            if is_text(values.type):
                words.setdefault(name, []).extend(word for word in values.slice(0, _DATE_ROWS).to_pylist() if word)
    return {name: values for name, values in words.items() if values}


def split_binary(
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


def find_numbers(
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
        if kind_of(kind) == "text" and name in elsewhere and is_number_type(elsewhere[name])
    ]
    for info in files if suspects else ():
        chunks: dict[str, list[pa.Array]] = {}
        with contextlib.suppress(Unreadable), scan(store, info, suspects, fmt) as opened:
            for name, values in opened.chunks:
                if kind_of(values.type) == "text":
                    chunks.setdefault(name, []).extend(values.chunks)
        suspects = [name for name in suspects if name not in chunks or are_numbers(chunks[name])]
    return {name: elsewhere[name] for name in suspects}


def is_number_type(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers; truth values are none."""
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


def notes_on_wrong_numbers(store: Store, info: ObjectInfo, names: Sequence[str], fmt: AnyFormat) -> Iterator[str]:
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
