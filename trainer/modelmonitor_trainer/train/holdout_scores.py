"""Scores on the hold-out, and the input of the promotion gate made from them."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.gate.baseline import baseline_scores, last_period_scores
from modelmonitor_trainer.gate.comparison import GateInput
from modelmonitor_trainer.gate.leakage import suspects
from modelmonitor_trainer.model.metrics import aligned
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.train.rows import Rows, arrays_of, slice_values


@dataclass(frozen=True)
class HoldoutScores:
    """Predictions of a model for the hold-out rows.

    Attributes
    ----------
    scores : (n,) or (n, k)
        Scores, with one column per class for a multiclass task.
    classes
        Class names in the order of the columns; empty for a regression.
    """

    scores: Floats
    classes: tuple[str, ...]


@dataclass(frozen=True)
class ChampionScores:
    """The champion and its predictions for the hold-out rows.

    Attributes
    ----------
    record
        Record of its version.
    holdout
        Its predictions; None if it cannot be scored on these rows.
    not_compared
        Why it cannot be scored.
    notes
        Remarks on how it was scored.
    """

    record: VersionRecord
    holdout: HoldoutScores | None
    not_compared: str = ""
    notes: tuple[str, ...] = ()


def gate_input(
    spec: ModelMonitorSpec,
    rows: Rows,
    challenger: HoldoutScores,
    champion: ChampionScores | None,
    best: ChampionScores | None = None,
    earlier_comparisons: float = 0.0,
) -> GateInput:
    """Return the input of the promotion gate.

    Parameters
    ----------
    spec
        Spec of the monitor.
    rows
        Labelled rows of both windows.
    challenger, champion
        Scores of both models; None if there is no champion.
    best
        Scores of the last champion that was better than its predecessor; None if that is the champion.
    earlier_comparisons
        Number of earlier comparisons on the same rows.
    """
    model, metric = spec.model, spec.promotion.metric
    train, holdout = rows.train, rows.holdout
    classes = len(rows.classes)
    scored = champion.holdout if champion else None
    return GateInput(
        truth=rows.holdout_truth,
        challenger=aligned(challenger.scores, challenger.classes, rows.classes),
        champion=aligned(scored.scores, scored.classes, rows.classes) if scored else None,
        baseline=baseline_scores(metric, model.task, rows.train_truth, classes, holdout.rows),
        slices=slice_values(holdout, model.slices),
        days=holdout.days,
        suspects=suspects(
            arrays_of(train, spec), rows.train_truth, arrays_of(holdout, spec), rows.holdout_truth, model.task
        ),
        last_period=last_period_scores(
            metric, model.task, rows.train_truth, train.days, spec.promotion.holdout_days, classes, holdout.rows
        ),
        promotion_score=champion.record.score if champion and scored and champion.record.metric is metric else None,
        best=aligned(best.holdout.scores, best.holdout.classes, rows.classes) if best and best.holdout else None,
        best_version=best.record.version if best else "",
        earlier_comparisons=earlier_comparisons,
        not_compared=champion.not_compared if champion else "",
    )
