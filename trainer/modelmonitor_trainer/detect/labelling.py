"""Labels of a check: how many rows of mature days have one, and whether that is enough for a score.

A score that cannot be computed because labels do not find their rows is no evidence that the champion holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.detect.coverage import Coverage, Part
from modelmonitor_trainer.detect.performance import MIN_ROWS
from modelmonitor_trainer.detect.verdict import ExplainedVerdict
from modelmonitor_trainer.text import as_sentence, percent

#: A note states the share of labelled rows if it is smaller, or if more of the labels find no row.
_NOTABLE = 0.9


@dataclass(frozen=True)
class LabelledDay:
    """How many rows of a mature day have a label.

    Attributes
    ----------
    name
        The day.
    rows
        Number of rows.
    unlabelled
        Rows without a label.
    repeated
        Rows that are left out because they repeat the key of another one.
    immature
        Rows with a label that are left out because too few rows of the day have one.
    contradictory
        Rows that are left out because their labels contradict each other.
    """

    name: str
    rows: int
    unlabelled: int = 0
    immature: int = 0
    contradictory: int = 0
    repeated: int = 0


@dataclass(frozen=True)
class Labelling:
    """How rows of mature days and labels found each other.

    Attributes
    ----------
    days
        The days; none if rows and labels could not be joined.
    labels
        Labels that have arrived for them.
    unmatched
        Labels without a row among those.
    unscored
        Labelled rows without a usable prediction, or with an outcome that is no class of the model.
    min_share
        ``data.labels.minShare``.
    expected
        Whether a detector needs these labels.
    problem
        Why no label can be used; empty if some can.
    """

    days: tuple[LabelledDay, ...]
    labels: int = 0
    unmatched: int = 0
    unscored: int = 0
    min_share: float = 0.0
    expected: bool = False
    problem: str = ""

    @property
    def rows(self) -> int:
        """Rows of mature days."""
        return sum(day.rows for day in self.days)

    @property
    def used(self) -> int:
        """Rows whose label counts."""
        counted = (day.rows - day.unlabelled - day.immature - day.contradictory - day.repeated for day in self.days)
        return sum(counted) - self.unscored

    @property
    def share(self) -> float:
        """Share of the rows whose label counts; 1 if there are no rows."""
        return self.used / self.rows if self.rows else 1.0

    @property
    def part(self) -> Part:
        """The labels as a part of the coverage; only :func:`require_labels` decides what their share means."""
        return Part(self.rows, self.used, self.share, tuple(self._left_out()))

    def _left_out(self) -> Sequence[LeftOut]:
        reasons = {
            LeftOutReason.UNLABELLED_ROWS: [(day, day.unlabelled) for day in self.days],
            LeftOutReason.REPEATED_KEYS: [(day, day.repeated) for day in self.days],
            LeftOutReason.FEW_LABELS: [(day, day.immature) for day in self.days],
            LeftOutReason.CONTRADICTORY_LABELS: [(day, day.contradictory) for day in self.days],
        }
        left_out = [
            LeftOut(reason, day.name, detail=f"{count:,} of {day.rows:,} rows", share=count / day.rows)
            for reason, counted in reasons.items()
            for day, count in counted
            if count
        ]
        if self.unmatched:
            detail = f"{self.unmatched:,} of {self.labels:,}"
            left_out.append(LeftOut(LeftOutReason.UNMATCHED_LABELS, "labels", detail=detail))
        if self.unscored:
            detail = f"{self.unscored:,} of {self.used + self.unscored:,}"
            left_out.append(LeftOut(LeftOutReason.UNSCORED_ROWS, "labelled rows", detail=detail))
        return left_out

    def notes(self) -> tuple[str, ...]:
        """Return what is worth a note."""
        notes = []
        if self.problem:
            notes.append(f"Labels: {as_sentence(self.problem)}")
        elif self.share < _NOTABLE:
            notes.append(f"Labels: {as_sentence(self.shortfall)}")
        if self.unmatched > (1 - _NOTABLE) * self.labels and not self.problem:
            notes.append(
                f"Labels: {self.unmatched:,} of {self.labels:,} labels that have arrived belong to no row: no row of "
                "their day, or of the days before, has their key."
            )
        return tuple(notes)

    @property
    def shortfall(self) -> str:
        """How many rows have a label that counts, in words."""
        arrived = f"{self.labels:,} labels have arrived" if self.labels else "no label has arrived"
        share = percent(self.share)
        text = f"{self.used:,} of {self.rows:,} rows of the mature days ({share}) have a label that counts; {arrived}"
        if self.unscored:
            text += f", and {self.unscored:,} labelled rows cannot be compared with a prediction"
        immature = sum(day.immature > 0 for day in self.days)
        if immature:
            text += f"; on {immature} days fewer rows have one than data.labels.minShare ({self.min_share:g})"
        return text


def with_labels(coverage: Coverage, labelling: Labelling | None) -> Coverage:
    """Return a coverage with the part of the labels, if rows were joined with some."""
    return replace(coverage, labels=labelling.part) if labelling is not None and labelling.rows else coverage


def require_labels(verdict: ExplainedVerdict, labelling: Labelling | None) -> ExplainedVerdict:
    """Return Inconclusive instead of NoDrift if a score is expected and labels do not allow one.

    That is so with enough rows of mature days, but too few whose label counts for a score, or less than
    ``data.labels.minShare`` of them: labelled rows are not like the others then. It is so as well if rows and labels
    could not be joined.
    """
    if labelling is None or verdict.name != "NoDrift" or not labelling.expected:
        return verdict
    if labelling.days and labelling.rows < MIN_ROWS:
        return verdict
    if labelling.used >= MIN_ROWS and labelling.share >= labelling.min_share and not labelling.problem:
        return verdict
    why = labelling.problem or labelling.shortfall
    text = f"No drift found, but the predictions cannot be compared with labels. {as_sentence(why)}"
    return ExplainedVerdict("Inconclusive", Reason.INCONCLUSIVE, f"{text} {verdict.message}")
