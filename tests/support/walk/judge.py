"""A judge that knows the world: it scores models on many rows that no monitor has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Metric, ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.data.model_arrays import feature_arrays
from modelmonitor_trainer.gate.comparison import margin_of
from modelmonitor_trainer.model.metrics import aligned, metric_value
from modelmonitor_trainer.model.pipeline import fit
from modelmonitor_trainer.registry.model_files import LoadedModel
from support.walk.landing import number_of
from support.walk.life import Life
from support.walk.worlds import ROWS, Draw, World

#: Rows on which models are compared at a promotion, and in each week. The standard error of a difference between two
#: similar models is below a thousandth.
_ROWS, _WEEKLY_ROWS = 40_000, 6000
#: Differences below this are not known to the judge.
ERROR = 0.001
#: Days after a promotion on which its models are compared.
AFTER = 28


@dataclass(frozen=True)
class Promotion:
    """A promotion that replaced a model, as the judge sees it.

    Attributes
    ----------
    day, version, predecessor
        When, and which model replaced which.
    then, later
        Improvement in the world of the hold-out, and in that of the following weeks.
    margin
        The largest deficit that the gate tolerates.
    """

    day: int
    version: str
    predecessor: str
    then: float
    later: float
    margin: float

    @property
    def wrong(self) -> bool:
        """Whether the new model was worse beyond the margin on rows like those that it was compared on."""
        return self.then < -self.margin - ERROR

    @property
    def regretted(self) -> bool:
        """Whether it was worse beyond the margin in the weeks that followed."""
        return self.later < -self.margin - ERROR


def promotions(life: Life) -> list[Promotion]:
    """Return the promotions for which the gate has compared two models."""
    judged = []
    for step in life.trainings:
        before, verdict = step.before.champion, step.training
        if verdict is None or verdict.outcome is not RunOutcome.PROMOTED or verdict.version is None or before is None:
            continue
        if verdict.reason == GateReason.CHAMPION_NOT_COMPARED:
            continue
        record = life.registry.version(verdict.version)
        holdout = number_of(record.holdout.start), number_of(record.holdout.end)
        new, old = (true_score(life, version, *holdout) for version in (verdict.version, before.version))
        later = step.day, min(step.day + AFTER, life.world.days) - 1
        margin = margin_of(step.spec.promotion, old, _trivial(life, *holdout))
        judged.append(
            Promotion(
                step.day,
                verdict.version,
                before.version,
                new - old,
                true_score(life, verdict.version, *later) - true_score(life, before.version, *later),
                margin,
            )
        )
    return judged


def true_score(life: Life, version: str, first: int, last: int, rows: int = _ROWS) -> float:
    """Return the score of a version in the world of some days."""
    return _score(life.world, life.spec, life.models[version], first, last, rows)


def _trivial(life: Life, first: int, last: int) -> float:
    if life.spec.promotion.metric is Metric.ROC_AUC:
        return 0.5
    _, truth = life.world.table(first, last, _per_day(first, last, _ROWS), Draw.JUDGE)
    return float(np.unique(truth, return_counts=True)[1].max() / truth.size)


def _score(world: World, spec: ModelMonitorSpec, model: LoadedModel, first: int, last: int, rows: int) -> float:
    table, truth = world.table(first, last, _per_day(first, last, rows), Draw.JUDGE)
    absent = [name for name in model.columns if name not in table.column_names]
    scores = aligned(model.predict_scores(table, absent), model.classes, world.classes)
    return metric_value(spec.promotion.metric, _places(world, truth), scores)


def _per_day(first: int, last: int, rows: int) -> int:
    return math.ceil(rows / (last - first + 1))


def _places(world: World, truth: Array) -> Ints:
    places: Ints = np.searchsorted(np.array(world.classes), truth)
    return places


@dataclass(frozen=True)
class Served:
    """True scores of each week.

    Attributes
    ----------
    monitor : (n_weeks,)
        Of the models that served, with each change of the champion on the day after it.
    never : (n_weeks,)
        Of the first model.
    hindsight : (n_weeks,)
        Of a model that is trained before the week on as many rows of that very week as a training window has.
    """

    monitor: Floats
    never: Floats
    hindsight: Floats


def served(life: Life) -> Served:
    """Return what served in each week from the first on in which there is a model on all days."""
    first = next(day for day in range(life.world.days) if life.serving(day) is not None)
    weeks = [(start, start + 6) for start in range(first, life.world.days - 6, 7)]
    initial = life.serving(first)
    assert initial is not None
    monitor, never = [], []
    for week in weeks:
        versions = [life.serving(day) for day in range(week[0], week[1] + 1)]
        scores = {name: true_score(life, name, *week, _WEEKLY_ROWS) for name in {*versions, initial} if name}
        monitor.append(float(np.mean([scores[name] for name in versions if name])))
        never.append(scores[initial])
    return Served(np.array(monitor), np.array(never), np.array([hindsight_score(life, *week) for week in weeks]))


def hindsight_score(life: Life, first: int, last: int) -> float:
    """Return the score of a model that was trained on other rows of the same days, as many as a window holds."""
    # The first spec: a feature that a person removes later is of use as long as it is written.
    world, spec = life.world, life.steps[0].spec
    estimator = spec.retraining.estimator
    assert estimator is not None
    table, truth = world.table(first, last, _per_day(first, last, ROWS * spec.retraining.window_days), Draw.ORACLE)
    features = tuple(feature for feature in spec.model.features if feature.name in table.column_names)
    classes = tuple(name for name in world.classes if name in truth)
    places: Ints = np.searchsorted(np.array(classes), truth)
    model = fit(
        estimator, features, spec.model.task, feature_arrays(table, features), places, classes,
        seed=spec.retraining.random_seed,
    )  # fmt: skip
    rows, outcomes = world.table(first, last, _per_day(first, last, _WEEKLY_ROWS), Draw.JUDGE)
    scores = model.scores(feature_arrays(rows, features))
    if spec.model.task is not Task.BINARY_CLASSIFICATION:
        scores = aligned(scores, classes, world.classes)
    return metric_value(spec.promotion.metric, _places(world, outcomes), scores)
