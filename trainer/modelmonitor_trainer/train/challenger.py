"""The challenger: a trained model whose files are stored and whose hold-out scores are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.outcomes import ModelKind
from modelmonitor_trainer.gate.warm_start_guard import RefitComparison
from modelmonitor_trainer.registry.records import StoredFile
from modelmonitor_trainer.train.cost import Cost
from modelmonitor_trainer.train.holdout_scores import HoldoutScores


@dataclass(frozen=True)
class Challenger:
    """A trained model and its scores on the hold-out.

    Attributes
    ----------
    holdout
        Its scores on the hold-out rows.
    kind
        Skops for a model of the built-in trainer, Own for one of a custom trainer.
    files
        Files of the model, already written.
    parameters
        Contents of ``parameters.json``.
    cost
        Cost of the training; None if unknown.
    fitted_sha256
        Digest of the fitted parameters; None for a custom trainer.
    refit_comparison
        Comparison of a warm start with a full refit on the same rows, of which one is the challenger.
    """

    holdout: HoldoutScores
    kind: ModelKind
    files: tuple[StoredFile, ...]
    parameters: Mapping[str, Any]
    cost: Cost | None = None
    fitted_sha256: str | None = None
    refit_comparison: RefitComparison | None = None
