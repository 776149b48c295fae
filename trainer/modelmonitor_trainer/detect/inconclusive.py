"""The message of the verdict Inconclusive: in how many columns drift is ruled out, and why not in the others."""

from __future__ import annotations

from collections.abc import Sequence

from modelmonitor_api.outcomes import DoubtReason
from modelmonitor_trainer.detect.drift import ColumnResult, DriftResult
from modelmonitor_trainer.detect.equivalence import Doubt
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.text import as_sentence, listed, percent

#: Number of names that a message lists.
_SHOWN = 3
#: How a note begins that explains an inconclusive column, as the message of the verdict Inconclusive does.
NOT_RULED_OUT = "A change cannot be ruled out in "
#: The explanations of other reasons.
_TEXTS = {
    DoubtReason.BATCHES_VARY: (
        "{clusters} vary, which alone can move a window by {size}. More rows do not help, but more {clusters} do; "
        "{independent_rows} if rows are independent of each other"
    ),
    DoubtReason.TREND: (
        "the reference moves steadily, by {size} between its first and its last third, and the current window "
        "continues this trend: the model sees values that it was not trained on"
    ),
    DoubtReason.CHANGE_POINT: (
        "the reference has changed within itself; the current window resembles one part of it, but is {size} from the "
        "whole"
    ),
    DoubtReason.NEW_VALUES: (
        "about {share} of the distinct values do not occur in the reference, too many to rule out that values were "
        "replaced by others; if they are identifiers, leave the column out"
    ),
    DoubtReason.RARE_VALUES: (
        "many values are too rare to be compared one by one, and may have moved by {size} among themselves; more rows "
        "help, or leave the column out if they are identifiers"
    ),
    DoubtReason.NO_VALUES: "one side has rows, but no values",
    DoubtReason.MISSING_ROWS: "too many of the current rows are in files that lack the column",
}


def why_inconclusive(drift: DriftResult, wanted: float, rows: tuple[int, int], wording: Wording) -> str:
    """Return why a change of `wanted` cannot be ruled out, in sentences.

    Parameters
    ----------
    drift
        Decided tests without drift.
    wanted
        ``detectableEffect``.
    rows
        Of the reference and of the current window.
    wording
        Words for partitions or files.
    """
    sentences = []
    unsure = drift.inconclusive
    if unsure:
        certain = len(drift.unchanged)
        start = f"No drift in {count_of_columns(certain)}, but a" if certain else "No drift found, but a"
        where = f" in {count_of_columns(len(unsure))}" if certain else ""
        sentences.append(f"{start} change of {wanted:g} cannot be ruled out{where}.")
    by_reason: dict[DoubtReason, list[tuple[str, Doubt]]] = {}
    for column in unsure:
        for doubt in column.doubts:
            by_reason.setdefault(doubt.reason, []).append((column.name, doubt))
    for reason, doubts in by_reason.items():
        names = list(dict.fromkeys(name for name, _ in doubts))
        text = explain_reason(reason, [doubt for _, doubt in doubts], drift, rows, wording)
        sentences.append(f"{listed(names, _SHOWN)}: {text}" + ("" if text.endswith(".") else "."))
    for relation in drift.inconclusive_relations:
        where = listed(relation.unresolved, _SHOWN)
        sentences.append(f"A change of {wanted:g} of {relation.what} cannot be ruled out for {where}.")
    return " ".join(sentences)


def explain_doubts(column: ColumnResult, drift: DriftResult, rows: tuple[int, int], wording: Wording) -> list[str]:
    """Return why a change of a column cannot be ruled out, one sentence for each reason."""
    return [as_sentence(explain_reason(doubt.reason, [doubt], drift, rows, wording)) for doubt in column.doubts]


def count_of_columns(count: int) -> str:
    """Return a number of columns as text."""
    return "1 column" if count == 1 else f"{count} columns"


def count_of_rows(count: int) -> str:
    """Return a number of rows as text."""
    return "1 row" if count == 1 else f"{count:,} rows"


def explain_reason(
    reason: DoubtReason, doubts: Sequence[Doubt], drift: DriftResult, rows: tuple[int, int], wording: Wording
) -> str:
    """Return why a change cannot be ruled out for one reason, without a full stop.

    Parameters
    ----------
    reason
        The reason.
    doubts
        All doubts for this reason.
    drift
        The tests that they are about.
    rows
        Of the reference and of the current window.
    wording
        Words for partitions or files.
    """
    size = max(doubt.size for doubt in doubts)
    if reason is DoubtReason.TOO_FEW_ROWS:
        return _too_few_rows(drift, rows, wording)
    if reason is DoubtReason.ODD_BATCHES:
        count = len({index for doubt in doubts for index in doubt.batches})
        are = f"{count} current {wording.clusters} are" if count > 1 else f"one of the current {wording.clusters} is"
        return f"{are} unlike those of the reference"
    return _TEXTS[reason].format(
        size=f"{size:.2f}",
        share=percent(size),
        clusters=wording.clusters,
        independent_rows=wording.independent_rows,
    )


def _too_few_rows(drift: DriftResult, rows: tuple[int, int], wording: Wording) -> str:
    text = f"{count_of_rows(rows[1])} against {rows[0]:,} are too few"
    if drift.rows_needed is None:
        return f"{text}: the reference itself is too small. {wording.longer_reference}"
    missing = drift.rows_needed - rows[1]
    if missing <= 0:
        return f"{text} for the values that they have; more rows are needed.{wording.more_rows}"
    return f"{text}; {missing:,} more rows are needed.{wording.more_rows}"
