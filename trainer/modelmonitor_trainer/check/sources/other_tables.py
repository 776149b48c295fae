"""Files of another table in a folder, such as a summary of the rows: they share no column with the other files.

Such a file in the reference would make the columns of both tables ones that only some files have. In the current files
it is left out if the reference has files of its table as well; otherwise it is a file that lacks all columns, which
the check reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.check.sources.file_listing import FileListing
from modelmonitor_trainer.data.column_names import Columns, SeenColumn, headers_of, merge_columns
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_Header = tuple[ObjectInfo, Columns | None]


def without_other_tables(
    store: Store, reference: FileListing, current: FileListing, fmt: AnyFormat
) -> tuple[FileListing, FileListing, Mapping[str, SeenColumn]]:
    """Return both listings without files of other tables, and the columns of the reference.

    The table of the reference is that with more than half of its bytes; without one, nothing is left out.
    """
    headers = headers_of(store, reference.objects, fmt)
    columns = merge_columns(headers)
    filled = sum(bool(header) for header in headers)
    if any(column.objects == filled for column in columns.values()):
        return reference, current, columns
    seen = list(zip(reference.objects, headers, strict=True))
    own, others = _split_columns(seen)
    if not others:
        return reference, current, columns
    columns = merge_columns(header for _, header in seen if not _is_other(header, own, others))
    now = list(zip(current.objects, headers_of(store, current.objects, fmt), strict=True))
    return _without(reference, seen, own, others), _without(current, now, own, others), columns


def _split_columns(seen: Sequence[_Header]) -> tuple[set[str], set[str]]:
    """Return the columns of the table with most bytes, and those of all others; none if it has not more than half."""
    tables: list[tuple[set[str], int]] = []
    for info, header in seen:
        names, size = {*(header or ())}, info.size
        for table in [table for table in tables if table[0] & names]:
            tables.remove(table)
            names, size = names | table[0], size + table[1]
        if names:
            tables.append((names, size))
    own, size = max(tables, key=lambda table: table[1], default=(set[str](), 0))
    if 2 * size <= sum(size for _, size in tables):
        return own, set()
    return own, {name for names, _ in tables if names is not own for name in names}


def _is_other(header: Columns | None, own: set[str], others: set[str]) -> bool:
    return bool(header) and not own & {*(header or ())} and bool(others & {*(header or ())})


def _without(listing: FileListing, seen: Sequence[_Header], own: set[str], others: set[str]) -> FileListing:
    left_out = [info for info, header in seen if _is_other(header, own, others)]
    kept = tuple(info for info in listing.objects if info not in left_out)
    if not kept:
        return listing
    more = (LeftOut(LeftOutReason.OTHER_TABLE, info.uri, info.size) for info in left_out)
    return replace(listing, objects=kept, left_out=(*listing.left_out, *more))
