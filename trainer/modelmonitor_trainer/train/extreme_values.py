"""Single values that no model can be fitted to: too large to calculate with, or so far out that they decide the fit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import EstimatorName, FeatureType, ModelMonitorSpec, NumericImputation, Task
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.data.labels import Dataset
from modelmonitor_trainer.data.model_arrays import feature_arrays, outcome_numbers
from modelmonitor_trainer.errors import BadData

#: Estimators and comparisons calculate with 32-bit floats, or with squares of 64-bit ones.
LARGEST = 1e38
#: A value farther from the median than this many standard deviations of the others decides a sum of squares alone …
_DECISIVE = 1e4
#: … where the others are all but this share of the rows, and at least all but so many.
_SHARE, _FEW = 0.001, 3
#: Estimators that fit sums of squares of features, or of features times weights.
_OF_SQUARES = frozenset(
    {EstimatorName.LOGISTIC_REGRESSION, EstimatorName.RIDGE, EstimatorName.SGD_CLASSIFIER, EstimatorName.SGD_REGRESSOR}
)


def refuse_extremes(spec: ModelMonitorSpec, datasets: Mapping[str, Dataset]) -> None:
    """Refuse values that a fit or a comparison would fail on, or would silently be decided by.

    Parameters
    ----------
    spec
        Features, target and estimator.
    datasets
        Name of a window → its rows.

    Raises
    ------
    BadData
        With column, day and value.
    """
    estimator = spec.retraining.estimator
    squares = estimator is not None and estimator.name in _OF_SQUARES
    imputed = estimator is not None and estimator.preprocessing.numeric_imputation is not NumericImputation.NONE
    numeric = [feature for feature in spec.model.features if feature.type is FeatureType.NUMERIC]
    for window, dataset in datasets.items():
        for name, values in feature_arrays(dataset.table, numeric).items():
            _refuse(name, values, dataset, squares and window == "training window")
            if squares and not imputed:
                _refuse_infinite(name, dataset)
        if spec.model.task is Task.REGRESSION:
            outcomes = outcome_numbers(dataset.target, spec.model.target).to_numpy(zero_copy_only=False)
            _refuse(spec.model.target, outcomes, dataset, decisive=True, advice="correct the label")


_ADVICE = "correct the row, or declare minimum and maximum of the feature, so that such days are left out"


def _refuse(name: str, values: Floats, dataset: Dataset, decisive: bool, advice: str = _ADVICE) -> None:
    extreme = np.abs(values) >= LARGEST
    why = "is too large to calculate with"
    if decisive and not extreme.any():
        extreme, why = _outliers(values), "would decide the fit alone"
    rows = np.flatnonzero(extreme)
    if not rows.size:
        return
    day = dataset.days[rows[0]].astype("datetime64[D]")
    more = f" and {rows.size - 1} more" if rows.size > 1 else ""
    raise BadData(f"column {name!r} is {values[rows[0]]:.6g} in a row of {day}{more}, which {why}; {advice}")


def _refuse_infinite(name: str, dataset: Dataset) -> None:
    """Refuse infinite values, which count as missing, for an estimator that does not accept these."""
    values = dataset.table.column(name)
    if not pa.types.is_floating(values.type):
        return
    rows = np.flatnonzero(pc.fill_null(pc.is_inf(values), False).to_numpy())
    if rows.size:
        day = dataset.days[rows[0]].astype("datetime64[D]")
        more = f" and {rows.size - 1} more" if rows.size > 1 else ""
        raise BadData(
            f"column {name!r} is {values[int(rows[0])].as_py()} in a row of {day}{more}, which counts as missing, and "
            "the estimator does not accept missing values; correct the row, or set "
            "retraining.estimator.preprocessing.numericImputation to Median or Mean"
        )


def _outliers(values: Floats) -> Array:
    """Return the values that are far from all others, and few."""
    finite = values[np.isfinite(values)]
    nothing = np.zeros(values.size, dtype=bool)
    few = max(_FEW, int(_SHARE * finite.size))
    if finite.size <= 10 * few:
        return nothing
    distance = np.abs(values - np.median(finite))
    others = np.sort(distance[np.isfinite(distance)])[:-few]
    spread = float(np.sqrt(np.mean(others**2)))
    return distance > _DECISIVE * spread if spread > 0 else nothing
