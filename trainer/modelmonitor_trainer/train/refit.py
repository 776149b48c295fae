"""A fit of the declared recipe to any window of labelled rows, without a hold-out."""

from __future__ import annotations

from collections.abc import Sequence

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import ModelMonitorSpec, Parameter, Task
from modelmonitor_policy.training_calendar import MIN_TRAIN_ROWS
from modelmonitor_trainer.data.classes import class_indices
from modelmonitor_trainer.data.labels import Dataset
from modelmonitor_trainer.data.model_arrays import true_values
from modelmonitor_trainer.model.pipeline import Model, fit
from modelmonitor_trainer.model.search import with_parameters
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.rows import arrays_of, classes_of_window, without_strays


def fit_window(spec: ModelMonitorSpec, rows: Dataset, chosen: Sequence[Parameter] = ()) -> Model:
    """Return a model of ``retraining.estimator``, fitted to all of the rows with ``retraining.randomSeed``.

    Parameters
    ----------
    spec
        Estimator, features, task and target.
    rows
        Labelled rows.
    chosen
        Parameters that an earlier search chose.

    Raises
    ------
    InconclusiveTraining
        If there are too few rows, or a single class.
    BadConfiguration, BadData
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    """
    estimator, task, target = spec.retraining.estimator, spec.model.task, spec.model.target
    assert estimator is not None
    classes: list[str] = []
    if task is not Task.REGRESSION:
        classes = classes_of_window(task, target, rows, None)
        rows = without_strays(task, target, rows, classes)
    if rows.rows < MIN_TRAIN_ROWS or len(classes) == 1:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{rows.rows:,} labelled rows of {len(classes) or 'any'} classes are too few to train on",
        )
    truth = true_values(rows.target, target) if task is Task.REGRESSION else class_indices(rows.target, target, classes)
    return fit(
        with_parameters(estimator, tuple(chosen)),
        spec.model.features,
        task,
        arrays_of(rows, spec),
        truth,
        tuple(classes),
        seed=spec.retraining.random_seed,
        days=rows.days,
    )
