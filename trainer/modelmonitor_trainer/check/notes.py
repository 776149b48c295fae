"""Notes on how a verdict was reached."""

from __future__ import annotations

from modelmonitor_trainer.check.data import ProfiledPair
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
            f"Most of the different values of {', '.join(mostly_new[:5])} do not occur in the reference. Where there "
            "are so many, they are compared in groups, and other values in the same proportions look alike: if these "
            "are no identifiers, look at them; if they are, leave the column out."
        )
    return tuple(notes)


def _notes_on_thresholds(thresholds: DriftThresholds, wording: Wording) -> list[str]:
    if thresholds.method == "None":
        text = (
            f"the reference has too few {wording.batches} to measure how much they differ by themselves, so the test "
            "assumes "
        )
        return [text + "exchangeable rows. If the rows of a day are alike, expect more false alarms."]
    how = "neighbouring" if thresholds.method == "Contiguous" else "randomly drawn"
    text = (
        f"drift must also exceed what {thresholds.windows} pseudo-current windows of {how} {wording.batches} of the "
        f"reference reach. The level of one check is extrapolated from about {thresholds.independent:.0f} independent "
        "ones, and the limits are widened for it."
    )
    if thresholds.stretch <= NOTABLE_STRETCH:
        return [text]
    return [text, f"neighbouring days are alike, so limits are stretched up to {thresholds.stretch:.1f} times."]
