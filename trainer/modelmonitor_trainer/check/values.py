"""Values that a check does not compare as they are: not of the column's type, NaN, and words for a missing value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import ProfiledData
from modelmonitor_trainer.data.csv_null_words import count_null_words
from modelmonitor_trainer.data.left_out import LeftOut, SideName
from modelmonitor_trainer.data.object_format import format_at
from modelmonitor_trainer.detect.coverage import Part, values_part
from modelmonitor_trainer.profile.columns import NumericProfile
from modelmonitor_trainer.profile.window import WindowProfile
from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.text import listed

#: Bytes of CSV objects of each side that are read again for the words of missing values.
_BYTES = 16 * 1024 * 1024
#: Words that are named.
_SHOWN = 3


def values_of(ctx: CheckContext, data: ProfiledData) -> Part:
    """Return the values of both sides that were not compared as they are."""
    sides: list[tuple[SideName, WindowProfile | None]] = [
        ("reference", data.rows.reference),
        ("current", data.rows.current),
    ]
    counts: dict[SideName, int] = {"reference": 0, "current": 0}
    left_out: list[LeftOut] = []
    for side, window in sides:
        if window is not None:
            counts[side] = sum(int(column.rows.sum()) for column in window.columns.values())
            left_out += _in_profiles(side, window)
            left_out += _null_words(ctx, side, window)
    return values_part(counts, left_out)


def _in_profiles(side: SideName, window: WindowProfile) -> Iterator[LeftOut]:
    for name, column in window.columns.items():
        total = column.total
        counted = [(LeftOutReason.UNPARSED_VALUES, total.unparsed)]
        if isinstance(total, NumericProfile):
            counted.append((LeftOutReason.NOT_A_NUMBER, total.nans))
        for reason, count in counted:
            if count:
                detail = f"{count:,} of {total.rows:,}"
                yield LeftOut(reason, name, detail=detail, share=count / total.rows, side=side, values=count)


def _null_words(ctx: CheckContext, side: SideName, window: WindowProfile) -> Iterator[LeftOut]:
    """Yield the columns of CSV objects in which words mean a missing value, as far as the objects are read again."""
    names = [name for name, column in window.columns.items() if column.missing.any()]
    objects = [info for block in window.blocks if not block.unreadable for info in block.block.objects]
    objects = [info for info in objects if format_at(ctx.fmt, info.uri) is DataFormat.CSV]
    chosen = _within(objects)
    words: dict[str, Counter[str]] = {}
    for info in chosen if names else ():
        for name, counted in count_null_words(ctx.store, info, names, ctx.fmt).items():
            words.setdefault(name, Counter()).update(counted)
    where = f", in the first {len(chosen):,} of {len(objects):,} objects" if len(chosen) < len(objects) else ""
    for name in names:
        counted = words.get(name, Counter())
        if counted:
            shown = listed([repr(word) for word, _ in counted.most_common()], _SHOWN)
            detail, rows = f"{counted.total():,} times {shown}{where}", window.columns[name].total.rows
            share = counted.total() / rows
            yield LeftOut(LeftOutReason.NULL_WORDS, name, detail=detail, share=share, side=side, values=counted.total())


def _within(objects: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    """Return the first objects, as many as are read again; at least one that is small enough."""
    chosen: list[ObjectInfo] = []
    size = 0
    for info in objects:
        size += info.size
        if size > _BYTES:
            break
        chosen.append(info)
    return chosen
