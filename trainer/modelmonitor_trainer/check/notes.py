"""Notes on how a verdict was reached."""

from __future__ import annotations

from collections.abc import Sequence

from modelmonitor_trainer.check.data import ProfiledPair
from modelmonitor_trainer.detect.drift import DriftResult
from modelmonitor_trainer.detect.growth import growing_columns
from modelmonitor_trainer.detect.thresholds import DriftThresholds
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.profile.arrow_values import NOT_UTF8

#: Thresholds that were stretched by at least this factor are noted.
NOTABLE_STRETCH = 1.05


def notes_on(drift: DriftResult | None, rows: ProfiledPair, wording: Wording) -> tuple[str, ...]:
    """Return what a reader should know about how the verdict was reached."""
    roles_by_note: dict[str, list[str]] = {}
    for role, thresholds in drift.calibrations.items() if drift else ():
        for note in _notes_on_thresholds(thresholds, wording):
            roles_by_note.setdefault(note, []).append(role)
    notes = [f"{', '.join(roles)}: {note}" for note, roles in roles_by_note.items()]
    if rows.reference is not None:
        notes += [
            f"Column {name!r} is missing from the reference and could not be compared."
            for name in rows.reference.columns
            if not rows.reference.columns[name].rows.sum()
        ]
        notes += _notes_on_growth(growing_columns(rows.reference, rows.current), wording)
    notes += _notes_on_encodings(rows)
    mostly_new = [column.name for column in drift.mostly_new] if drift else []
    if mostly_new:
        notes.append(
            f"Most distinct values of {', '.join(mostly_new[:5])} do not occur in the reference. Columns with so many "
            "values are compared in groups, so new values in the same proportions show no drift. If these are "
            "identifiers, leave the column out; otherwise inspect them."
        )
    return tuple(notes)


def _notes_on_growth(growing: Sequence[str], wording: Wording) -> list[str]:
    if not growing:
        return []
    more = f" and {len(growing) - 5} more" if len(growing) > 5 else ""
    text = (
        f"All current values of {', '.join(growing[:5])}{more} continue where the reference ends. Row numbers and "
        f"times only grow, so they differ in every window. {wording.leave_out.format(column=growing[0])}"
    )
    return [text]


def _notes_on_encodings(rows: ProfiledPair) -> list[str]:
    windows = [window for window in (rows.reference, rows.current) if window is not None]
    notes = []
    for name in rows.current.columns:
        blocks = [
            batch.block.name
            for window in windows
            for batch in window.blocks
            if name in batch.columns and NOT_UTF8 in batch.columns[name].kinds
        ]
        if blocks:
            more = f" and {len(blocks) - 1} more" if len(blocks) > 1 else ""
            notes.append(
                f"Text of {name!r} in {blocks[0]}{more} is not UTF-8, and is read as Western European (cp1252). "
                "Write it again as UTF-8."
            )
    return notes


def _notes_on_thresholds(thresholds: DriftThresholds, wording: Wording) -> list[str]:
    if thresholds.method == "None":
        text = (
            f"the reference has too few {wording.batches} to estimate how much they vary without drift, so the test "
            "assumes exchangeable rows. If the rows of a day are correlated, expect more false alarms."
        )
        return [text]
    how = "neighbouring" if thresholds.method == "Contiguous" else "randomly drawn"
    text = (
        f"drift must also exceed the variation of {thresholds.windows} pseudo-current windows of {how} "
        f"{wording.batches} of the reference. The thresholds are extrapolated from about {thresholds.independent:.0f} "
        "independent windows, and widened accordingly."
    )
    if thresholds.stretch <= NOTABLE_STRETCH:
        return [text]
    return [
        text,
        f"neighbouring days are correlated, so thresholds are raised by a factor of up to {thresholds.stretch:.1f}.",
    ]
