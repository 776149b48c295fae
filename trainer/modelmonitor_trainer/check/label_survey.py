"""How labels and rows find each other, for the coverage of a check: as a detector joined them, or by keys alone."""

from __future__ import annotations

from modelmonitor_api.spec import DetectorType
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import CheckData, LabelJoin
from modelmonitor_trainer.check.labelled_rows import JoinedBatches, join_batches
from modelmonitor_trainer.detect.labelling import LabelledDay, Labelling
from modelmonitor_trainer.errors import BadConfiguration, BadData

#: Newest mature days whose keys are read if no detector has joined rows with labels.
_DAYS = 3


def labelling_of(joined: JoinedBatches, join: LabelJoin, *, expected: bool) -> Labelling:
    """Return how rows and labels found each other.

    Parameters
    ----------
    joined, join
        The labelled rows, and how they were joined.
    expected
        Whether a detector needs these labels.
    """
    # Of a day without rows that count, all rows are unlabelled, whether they have a label or not.
    days = tuple(
        LabelledDay(
            batch.batch.name,
            batch.read,
            batch.read - batch.labelled - batch.repeated,
            batch.immature,
            batch.contradictory,
            batch.repeated,
        )
        for batch in joined.batches
    )
    return Labelling(days, joined.labels, joined.unmatched, 0, join.min_share, expected, joined.problem)


def unread_labels(join: LabelJoin, error: Exception, *, expected: bool) -> Labelling:
    """Return that rows and labels could not be joined at all: one of them cannot be read, or lacks the key.

    Parameters
    ----------
    join, error
        How they were to be joined, and why they are not.
    expected
        Whether a detector needs these labels.
    """
    return Labelling((), min_share=join.min_share, expected=expected, problem=str(error))


def survey_labels(ctx: CheckContext, data: CheckData) -> Labelling | None:
    """Return how the labels of the newest mature days and their rows find each other, by their keys alone.

    None if labels are not declared, or if there is no such day.
    """
    outcomes, monitor = data.outcomes, data.monitor
    if monitor is None or outcomes is None or outcomes.join is None:
        return None
    days = [batch for batch in data.rows.current if batch.day and batch.day <= monitor.mature][-_DAYS:]
    if not days:
        return None
    needs = {detector.type for detector in data.detectors}
    expected = DetectorType.PREDICTION_BIAS in needs and bool(outcomes.predicted)
    try:
        joined = join_batches(ctx, outcomes, outcomes.join, days, (outcomes.join.key,), outcomes.current_labels, 1)
    except (BadData, BadConfiguration) as error:
        return unread_labels(outcomes.join, error, expected=expected)
    return labelling_of(joined, outcomes.join, expected=expected)
