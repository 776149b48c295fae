"""Decimal marks of CSV numbers such as ``1.234``, decided for all objects that are compared.

Each object shows for some columns that their marks can only be decimal points, or only decimal commas. For the others
that is decided from all objects on both sides, so that a column is never read in one way here and in another there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelmonitor_trainer.data.remarks import COMMA, COMMA_OR_THOUSANDS, GROUPED, POINT, POINT_OR_THOUSANDS
from modelmonitor_trainer.data.undeclared import Undeclared

#: Column → remarks on how its values are written (:mod:`~modelmonitor_trainer.data.remarks`).
Remarks = Mapping[str, frozenset[str]]
#: Column → decimal mark; None if it must be declared.
Marks = Mapping[str, str | None]

_SURE = frozenset({POINT, COMMA})
_UNSURE = frozenset({POINT_OR_THOUSANDS, COMMA_OR_THOUSANDS})


def mark_by_itself(remarks: Iterable[Iterable[str]]) -> str:
    """Return the decimal mark with which an object is read in the columns that show none."""
    return "," if any(COMMA in column for column in remarks) else "."


def decide_marks(objects: Sequence[Remarks]) -> list[Marks]:
    """Return the decimal marks of the columns that do not show it, for each object.

    Where a column has one mark in all objects that show it, that is its mark. Where objects differ in style, each has
    that of its other columns. That the other mark is between thousands must be shown by the object or by its like.
    """
    sure = [frozenset[str]().union(*remarks.values()) & _SURE for remarks in objects]
    columns = list(dict.fromkeys(name for remarks in objects for name in remarks))
    by_column = {name: _all(objects, name) for name in columns}
    differ = any(remarks >= _SURE for remarks in by_column.values())
    anywhere = frozenset[str]().union(*sure)
    with_groups = [column for remarks in objects for column in remarks.values() if GROUPED in column]
    grouped = frozenset[str]().union(*with_groups) & _SURE

    def mark(name: str, own: frozenset[str]) -> str | None:
        unsure = by_column[name] & _UNSURE
        if differ:
            return _only(own)
        if not anywhere:
            return None if COMMA_OR_THOUSANDS in unsure else "."
        decided = _only(by_column[name]) or mark_by_itself([anywhere])
        remark, between = (POINT, COMMA_OR_THOUSANDS) if decided == "." else (COMMA, POINT_OR_THOUSANDS)
        return decided if between not in unsure or remark in own | grouped else None

    return [
        {name: mark(name, own) for name, column in remarks.items() if column & _UNSURE}
        for remarks, own in zip(objects, sure, strict=True)
    ]


def _all(objects: Sequence[Remarks], name: str) -> frozenset[str]:
    return frozenset[str]().union(*(remarks.get(name, frozenset()) for remarks in objects))


def _only(remarks: frozenset[str]) -> str | None:
    """Return the mark that remarks show; None if they show none or both."""
    return {frozenset({POINT}): ".", frozenset({COMMA}): ","}.get(remarks & _SURE)


def differ_from_own(objects: Sequence[Remarks], marks: Sequence[Marks]) -> bool:
    """Whether an object by itself is read with other marks than those that were decided."""
    return any(
        mark != mark_by_itself(remarks.values())
        for remarks, decided in zip(objects, marks, strict=True)
        for mark in decided.values()
    )


def undeclared(name: str) -> Undeclared:
    """Return the error that the decimal mark of a column must be declared."""
    return Undeclared(
        f"the numbers of column {name!r} can have decimal commas, or commas or points between thousands; "
        "declare data.csv.decimal (--decimal), or write them without marks"
    )
