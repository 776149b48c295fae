"""Where a training window begins after a change: as declared, or at the change.

A model of both sides of a change learns a mixture. If the relation between features and target has changed, that is
worse than few rows; if only the features have moved, it is better, because it has more rows. Which of the two it is
shows on the last days of the training window, before the hold-out: two models that have not seen them, one of all days
before and one of those since the change, score them.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from modelmonitor_api.spec import ModelMonitorSpec, Strategy, TrainingWindow
from modelmonitor_policy.training_calendar import MIN_TRAIN_ROWS
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.labels import days_since_1970
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.gate.interval import Difference, paired_difference
from modelmonitor_trainer.model.metrics import Undefined, aligned, title
from modelmonitor_trainer.model.pipeline import Model, fit
from modelmonitor_trainer.train.rows import Rows, arrays_of

_LOG = logging.getLogger(__name__)

#: Fewest days since the change: half of them train, and half of them compare.
MIN_DAYS = 4


def begin_at_change(spec: ModelMonitorSpec, rows: Rows, change: dt.date | None) -> Rows:
    """Return the rows to train on: those since the change if they make a significantly better model, or all.

    Parameters
    ----------
    spec
        The spec; only ``retraining.window: Auto`` leaves the choice open, and a warm start trains on new rows anyway.
    rows
        Rows of both windows. The hold-out takes no part in the choice.
    change
        First day after the newest known change; None if there is none.
    """
    retraining = spec.retraining
    if change is None or retraining.window is not TrainingWindow.AUTO or retraining.strategy is Strategy.WARM_START:
        return rows
    since = rows.train.days >= days_since_1970(change)
    days = np.unique(rows.train.days[since])
    if since.all() or days.size < MIN_DAYS:
        return rows
    later = rows.train.days >= days[days.size // 2]
    difference = _compare(spec, rows, ~later, since & ~later, later)
    if difference is None or difference.low <= 0:
        _LOG.info("the training window keeps the days from before the change of %s", change)
        return rows
    count, metric = np.unique(rows.train.days[later]).size, title(spec.promotion.metric)
    note = (
        f"The training window begins with the change of {change}: on its last {count} days, {metric} is "
        f"{difference.challenger:.4f} for a model of the days since then, and {difference.champion:.4f} for one of all "
        "days (retraining.window)."
    )
    return replace(rows, train=rows.train.filter(since), train_truth=rows.train_truth[since], since=change, note=note)


def _compare(spec: ModelMonitorSpec, rows: Rows, whole: Array, recent: Array, later: Array) -> Difference | None:
    """Return how much better a model of recent rows is on later ones; None if that cannot be known."""
    truth = rows.train_truth
    enough = recent.sum() >= MIN_TRAIN_ROWS and later.sum() >= spec.promotion.min_holdout_rows
    if not enough or (rows.classes and np.unique(truth[recent]).size < rows.trained_classes):
        return None
    arrays = arrays_of(rows.train, spec)
    try:
        scores = [_scores(_fit(spec, rows, arrays, part), rows, arrays, later) for part in (whole, recent)]
        return paired_difference(
            spec.promotion.metric,
            truth[later],
            *scores,
            confidence=float(spec.promotion.confidence),
            seed=spec.retraining.random_seed,
            days=rows.train.days[later],
        )
    except (BadData, Undefined) as error:
        _LOG.info("whether to begin with the change cannot be known: %s", error)
        return None


def _fit(spec: ModelMonitorSpec, rows: Rows, arrays: Mapping[str, Array], part: Array) -> Model:
    assert spec.retraining.estimator is not None
    return fit(
        spec.retraining.estimator,
        spec.model.features,
        spec.model.task,
        {name: values[part] for name, values in arrays.items()},
        rows.train_truth[part],
        rows.known_classes,
        seed=spec.retraining.random_seed,
        days=rows.train.days[part],
    )


def _scores(model: Model, rows: Rows, arrays: Mapping[str, Array], part: Array) -> Array:
    return aligned(model.scores({name: values[part] for name, values in arrays.items()}), model.classes, rows.classes)
