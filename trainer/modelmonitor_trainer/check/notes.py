"""Notes on how a verdict was reached."""

from __future__ import annotations

import re

from modelmonitor_trainer.check.data import ProfiledPair
from modelmonitor_trainer.detect.coverage import Coverage
from modelmonitor_trainer.detect.drift import DriftResult
from modelmonitor_trainer.detect.thresholds import DriftThresholds
from modelmonitor_trainer.detect.wording import Wording

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
    mostly_new = [column.name for column in drift.mostly_new] if drift else []
    if mostly_new:
        notes.append(
            f"Most distinct values of {', '.join(mostly_new[:5])} do not occur in the reference. Columns with so many "
            "values are compared in groups, so new values in the same proportions show no drift. If these are "
            "identifiers, leave the column out; otherwise inspect them."
        )
    return tuple(notes)


def with_coverage_notes(notes: tuple[str, ...], coverage: Coverage) -> tuple[str, ...]:
    """Return notes, and those on what was left out that add a name to them."""
    more = [note for note, names in coverage.notes() if not all(_names(name, notes) for name in names)]
    return (*notes, *more)


def _names(name: str, notes: tuple[str, ...]) -> bool:
    """Whether a note names something, and not only something longer."""
    whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(whole.search(note) for note in notes)


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
