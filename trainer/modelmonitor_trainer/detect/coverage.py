"""Coverage of a check: what was compared, what was left out and why, and whether it is enough for NoDrift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.data.left_out import LeftOut, SideName
from modelmonitor_trainer.detect.verdict import ExplainedVerdict
from modelmonitor_trainer.text import listed, percent

#: Maximum number of names of one reason in the JSON, and in a sentence.
MAX_NAMES, NAMES_IN_SENTENCE = 20, 5

#: Objects that hold rows, or may hold some: what the share of compared objects is about.
_DATA = frozenset({LeftOutReason.UNKNOWN_FORMAT, LeftOutReason.MISSING_FROM_TABLE})
#: Objects that can hold rows or settings: only their bytes count, not their number.
_BYTES = _DATA | {LeftOutReason.OTHER_FORMAT, LeftOutReason.OTHER_TABLE}
_DAYS = frozenset({LeftOutReason.MISSING_DAY, LeftOutReason.MISSING_HOURS, LeftOutReason.BOTH_SIDES})
#: Of these days, a part or all rows are among those that were read.
_PARTIAL_DAYS = _DAYS - {LeftOutReason.MISSING_DAY}
_COLUMNS = frozenset(
    {
        LeftOutReason.LOST_COLUMN,
        LeftOutReason.PARTIAL_COLUMN,
        LeftOutReason.UNSUPPORTED_COLUMN,
        LeftOutReason.UNEVEN_COLUMN,
    }
)
#: What is left out of the labels, which have notes of their own.
_LABELS = frozenset(
    {
        LeftOutReason.UNLABELLED_ROWS,
        LeftOutReason.REPEATED_KEYS,
        LeftOutReason.FEW_LABELS,
        LeftOutReason.UNMATCHED_LABELS,
        LeftOutReason.CONTRADICTORY_LABELS,
        LeftOutReason.UNSCORED_ROWS,
    }
)
#: What is listed, but not worth a note: it is left out in every check, and rightly so.
_EXPECTED = frozenset(
    {
        LeftOutReason.MARKER,
        LeftOutReason.NOT_DATA,
        LeftOutReason.OUTSIDE_PATTERN,
        LeftOutReason.UNDECLARED_COLUMN,
        LeftOutReason.SELECTED_COLUMN,
        LeftOutReason.NOT_A_NUMBER,
        LeftOutReason.NULL_WORDS,
    }
)


#: Parts of a coverage, in the order of reports.
_PARTS = ("objects", "days", "columns", "values", "labels")


@dataclass(frozen=True)
class Part:
    """Objects, days or columns: how many were compared, and what was left out.

    Attributes
    ----------
    reference, current
        Numbers that were compared.
    share
        Share that was compared, of the side with less; 1 if nothing that counts was left out.
    left_out
        What was left out, including what does not count against the share, such as markers.
    """

    reference: int
    current: int
    share: float
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """What a check compared.

    Attributes
    ----------
    objects, days, columns
        The parts; no days in a check of files.
    rows
        Rows of the reference and of the current side.
    values
        Values that were not compared as they are: not of the column's type, or missing by a rule.
    labels
        Rows of mature days, of which those whose label counts; None if rows are not joined with labels. Their share
        does not count here (:mod:`~modelmonitor_trainer.detect.labelling`).
    """

    objects: Part
    days: Part | None
    columns: Part
    rows: tuple[int, int]
    labels: Part | None = None
    values: Part | None = None

    @property
    def parts(self) -> dict[str, Part]:
        """Name → part, those that there are."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def counting(self) -> dict[str, Part]:
        """Name → part, those whose share decides whether enough was compared."""
        return {name: part for name, part in self.parts.items() if name != "labels"}

    @property
    def share(self) -> float:
        """The smallest share of any part that counts."""
        return min(part.share for part in self.counting.values())

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each reason and side."""
        return tuple(_sentence(items) for part in self.parts.values() for items in _group(part.left_out))

    def notes(self) -> list[tuple[str, list[str]]]:
        """Return the sentences that are worth a note, with the names in them."""
        return [
            (_sentence(items), [item.name for item in items])
            for part in self.parts.values()
            for items in _group(part.left_out)
            if items[0].reason not in _EXPECTED | _LABELS
        ]


def objects_part(compared: dict[SideName, tuple[int, int]], left_out: Sequence[LeftOut]) -> Part:
    """Return the part of the objects.

    Parameters
    ----------
    compared
        Side → number and bytes of the objects that were compared.
    left_out
        Those that were not.
    """
    shares = [1.0]
    for side, (count, size) in compared.items():
        of_side = [item for item in left_out if item.side == side]
        both = [item for item in of_side if item.reason is LeftOutReason.BOTH_SIDES]
        # These were read, but compared with themselves.
        number, bytes_ = sum(item.share for item in both), sum(item.share * item.size for item in both)
        shares.append(_share(max(0.0, count - number), number + sum(item.reason in _DATA for item in of_side)))
        lost = bytes_ + sum(item.size for item in of_side if item.reason in _BYTES)
        shares.append(_share(max(0.0, size - bytes_), lost))
    return Part(compared["reference"][0], compared["current"][0], min(shares), tuple(left_out))


def days_part(compared: dict[SideName, int], left_out: Sequence[LeftOut]) -> Part:
    """Return the part of the days.

    Of a day without some of its hours, only these are left out. A day on both sides was compared with itself.
    """
    shares = [1.0]
    for side, count in compared.items():
        missing = [i for i in left_out if i.side == side and i.reason in _DAYS]
        lost = sum(item.share for item in missing)
        partial = sum(item.share for item in missing if item.reason in _PARTIAL_DAYS)
        shares.append(_share(max(0.0, count - partial), lost))
    return Part(compared["reference"], compared["current"], min(shares), tuple(left_out))


def columns_part(compared: int, left_out: Sequence[LeftOut]) -> Part:
    """Return the part of the columns."""
    shares: dict[str, float] = {}
    for item in left_out:
        if item.reason in _COLUMNS:  # of a column that both sides lack in part, the larger one
            shares[item.name] = max(item.share, shares.get(item.name, 0.0))
    lost, partial = sum(shares.values()), sum(share for share in shares.values() if share < 1)
    return Part(compared, compared, _share(compared - partial, lost), tuple(left_out))


def _share(compared: float, left_out: float) -> float:
    total = compared + left_out
    return compared / total if total and left_out else 1.0


def require_coverage(verdict: ExplainedVerdict, coverage: Coverage, minimum: float) -> ExplainedVerdict:
    """Return Inconclusive instead of NoDrift if less than `minimum` was compared.

    What was not compared can differ in any way: a share u of unread rows can move any distance by u.
    """
    if verdict.name != "NoDrift" or coverage.share >= minimum:
        return verdict
    name, part = min(coverage.counting.items(), key=lambda item: item[1].share)
    why = " ".join(_sentence(items) for items in _group(part.left_out) if _counts(items[0].reason))
    text = (
        f"No drift found in what was compared, but that is {percent(part.share)} of the {name}, less than "
        f"sensitivity.minimumCoverage ({percent(minimum)}). {why}"
    )
    reason = verdict.reason if verdict.reason is Reason.PERFORMANCE_DROP else Reason.INCONCLUSIVE
    return ExplainedVerdict("Inconclusive", reason, f"{text} {verdict.message}")


def coverage_to_json(coverage: Coverage, minimum: float) -> dict[str, Any]:
    """Return JSON data of a coverage; names are bounded, counts are not."""
    return {
        "share": coverage.share,
        "minimum": minimum,
        "rows": {"reference": coverage.rows[0], "current": coverage.rows[1]},
        **{name: None for name in _PARTS if name not in coverage.parts},
        **{
            name: {
                "share": part.share,
                "compared": part.current
                if name in {"columns", "labels"}
                else {"reference": part.reference, "current": part.current},
                "leftOut": [_group_to_json(items) for items in _group(part.left_out)],
            }
            for name, part in coverage.parts.items()
        },
    }


def values_part(values: dict[SideName, int], left_out: Sequence[LeftOut]) -> Part:
    """Return the part of the values.

    Parameters
    ----------
    values
        Side → number of values, missing ones included.
    left_out
        Values that were not compared as they are, by column. Those that did not parse count, by the column with most.
    """
    lost = max((i.share for i in left_out if i.reason is LeftOutReason.UNPARSED_VALUES), default=0.0)
    return Part(values["reference"], values["current"], 1 - lost, tuple(left_out))


def _group_to_json(items: Sequence[LeftOut]) -> dict[str, Any]:
    values = {"values": {item.name: item.values for item in items[:MAX_NAMES]}} if items[0].values else {}
    return {
        "reason": items[0].reason.value,
        "side": items[0].side,
        "count": len(items),
        "names": [item.name for item in items[:MAX_NAMES]],
        "message": _sentence(items),
        **values,
    }


def _group(left_out: Iterable[LeftOut]) -> list[list[LeftOut]]:
    """Return what was left out by reason and side, in the order of the reasons."""
    order = {reason: index for index, reason in enumerate(LeftOutReason)}

    def key(item: LeftOut) -> tuple[int, str]:
        return order[item.reason], item.side or ""

    return [list(items) for _, items in groupby(sorted(left_out, key=key), key=key)]


def _counts(reason: LeftOutReason) -> bool:
    return reason in _BYTES | _DAYS | _COLUMNS or reason is LeftOutReason.UNPARSED_VALUES


def _sentence(items: Sequence[LeftOut]) -> str:
    """Return what was left out for one reason, as a sentence or two."""
    shown = listed([f"{i.name} ({i.detail})" if i.detail else i.name for i in items], NAMES_IN_SENTENCE)
    first = items[0]
    if first.reason is LeftOutReason.BOTH_SIDES:
        return f"On both sides, which hides changes: {shown}."
    partly = first.reason in {LeftOutReason.PARTIAL_COLUMN, LeftOutReason.MISSING_HOURS}
    if first.reason in _LABELS:
        return f"Not scored: {shown}. {first.reason.meaning}"
    side = f" ({first.side})" if first.side else ""
    if first.values:
        return f"Values{side}: {shown}. {first.reason.meaning}"
    return f"{'Compared in part' if partly else 'Not compared'}{side}: {shown}. {first.reason.meaning}"
