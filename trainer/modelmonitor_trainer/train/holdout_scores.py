"""What the gate is asked: both models' answers to the hold-out rows, beside trivial ones."""

from __future__ import annotations

from dataclasses import dataclass

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.gate.baseline import baseline_scores, last_period_scores
from modelmonitor_trainer.gate.evaluation import GateInput
from modelmonitor_trainer.gate.leakage import suspects
from modelmonitor_trainer.model.metrics import aligned
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.train.rows import Rows, arrays_of, slice_values


@dataclass(frozen=True)
class HoldoutScores:
    """What a model says of the hold-out rows.

    Attributes
    ----------
    scores : (n,) or (n, k)
        In the order of its classes.
    classes
        Names of its classes; empty for a regression.
    """

    scores: Floats
    classes: tuple[str, ...]


@dataclass(frozen=True)
class ChampionScores:
    """The champion, and its answers to the same rows.

    Attributes
    ----------
    record
        Its version.
    answers
        What it says.
    """

    record: VersionRecord
    answers: HoldoutScores


def gate_input(
    spec: ModelMonitorSpec, rows: Rows, challenger: HoldoutScores, rival: ChampionScores | None
) -> GateInput:
    """Return what the gate is asked.

    Parameters
    ----------
    spec
        The monitor's spec.
    rows
        Labelled rows of both windows.
    challenger, rival
        Both models; no rival where there is no champion.
    """
    model, metric = spec.model, spec.promotion.metric
    train, holdout = rows.train, rows.holdout
    classes = len(rows.classes)
    return GateInput(
        truth=rows.holdout_truth,
        challenger=aligned(challenger.scores, challenger.classes, rows.classes),
        champion=aligned(rival.answers.scores, rival.answers.classes, rows.classes) if rival else None,
        baseline=baseline_scores(metric, model.task, rows.train_truth, classes, holdout.rows),
        slices=slice_values(holdout, model.slices),
        days=holdout.days,
        suspects=suspects(
            arrays_of(train, spec), rows.train_truth, arrays_of(holdout, spec), rows.holdout_truth, model.task
        ),
        last_period=last_period_scores(
            metric, model.task, rows.train_truth, train.days, spec.promotion.holdout_days, classes, holdout.rows
        ),
        promotion_score=rival.record.score if rival and rival.record.metric is metric else None,
    )
