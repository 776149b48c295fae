"""A training that ends without a comparison."""

from __future__ import annotations

from modelmonitor_api.reasons import GateReason


class InconclusiveTraining(Exception):
    """Challenger and champion cannot be compared: an outcome of the training, not a failure.

    Attributes
    ----------
    reason
        Reason of the outcome.
    """

    def __init__(self, reason: GateReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
