"""A training that ends without a comparison."""

from __future__ import annotations

from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.reasons import GateReason


class InconclusiveTraining(Exception):
    """A training ends without a version: an outcome, not a failure.

    Attributes
    ----------
    reason
        Reason of the outcome.
    outcome
        Inconclusive if challenger and champion cannot be compared; NothingNew or Rejected if they need not be.
    """

    def __init__(self, reason: GateReason, message: str, outcome: RunOutcome = RunOutcome.INCONCLUSIVE) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome = outcome
