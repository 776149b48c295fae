"""A training that ends without a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_trainer.data.labels import JoinReport
from modelmonitor_trainer.train.unseen_rows import Seen


@dataclass(frozen=True)
class RowsRead:
    """What a training has read.

    Attributes
    ----------
    train, holdout
        Results of the joins of both windows.
    seen
        Rows of the hold-out that were trained on.
    """

    train: JoinReport
    holdout: JoinReport
    seen: Seen


class InconclusiveTraining(Exception):
    """A training ends without a version: an outcome, not a failure.

    Attributes
    ----------
    reason
        Reason of the outcome.
    outcome
        Inconclusive if challenger and champion cannot be compared; NothingNew or Rejected if they need not be.
    rows
        The rows that were read; None if none were, or they are not the cause.
    """

    def __init__(self, reason: GateReason, message: str, outcome: RunOutcome = RunOutcome.INCONCLUSIVE) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome = outcome
        self.rows: RowsRead | None = None
