"""The task of a model, inferred from the values of its target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import Feature, FeatureType, Task
from modelmonitor_trainer.data.arrow_floats import numbers_of
from modelmonitor_trainer.data.tables import is_number


def infer_task(targets: Sequence[pa.ChunkedArray], target: Feature) -> Task:
    """Return the task that the values of a target suggest.

    Two values that are 0 and 1, or false and true, are a binary outcome; other numbers are values; text is classes.

    Parameters
    ----------
    targets
        Values of the reference.
    target
        The column.
    """
    if not all(is_number(part.type) or pa.types.is_null(part.type) for part in targets):
        return Task.MULTICLASS_CLASSIFICATION
    values = np.unique(np.concatenate([np.empty(0), *(numbers_of(part) for part in targets)]))
    if bool(np.isin(values[~np.isnan(values)], (0, 1)).all()):
        return Task.BINARY_CLASSIFICATION
    return Task.REGRESSION if target.type is FeatureType.NUMERIC else Task.MULTICLASS_CLASSIFICATION
