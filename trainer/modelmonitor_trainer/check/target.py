"""The task of a model, inferred from the values of its target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import Feature, FeatureType, Task
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.data.classes import class_names, is_yes_no
from modelmonitor_trainer.data.tables import is_number
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.text import number

#: Whole numbers with at most so many different values may be classes.
MAX_CLASS_NUMBERS = 20
#: Rows of text that are read first.
_WORD_ROWS = 1000


def infer_task(targets: Sequence[pa.ChunkedArray], target: Feature) -> Task:
    """Return the task that the values of a target suggest.

    Two values that are 0 and 1, or their words, are a binary outcome; other numbers are values; other text is classes.

    Parameters
    ----------
    targets
        Values of the reference.
    target
        The column.
    """
    if not all(is_number(part.type) or pa.types.is_null(part.type) for part in targets):
        # Of a long text column most values are different; the words of a yes-no question are few.
        names = {name for part in targets for name in class_names(part.slice(0, _WORD_ROWS), target.name)}
        whole = is_yes_no(names) and is_yes_no(name for part in targets for name in class_names(part, target.name))
        return Task.BINARY_CLASSIFICATION if whole else Task.MULTICLASS_CLASSIFICATION
    values = np.unique(np.concatenate([np.empty(0), *(numbers_of(part) for part in targets)]))
    if bool(np.isin(values[~np.isnan(values)], (0, 1)).all()):
        return Task.BINARY_CLASSIFICATION
    return Task.REGRESSION if target.type is FeatureType.NUMERIC else Task.MULTICLASS_CLASSIFICATION


def refuse_class_numbers(truth: Floats, predicted: Floats, name: str) -> None:
    """Refuse numbers that may be classes: their mean has no meaning.

    Parameters
    ----------
    truth, predicted : (n,)
        Targets and predictions of the reference; NaN where they are missing.
    name
        The target.

    Raises
    ------
    BadData
        If there are at most two values, or a few whole ones with predictions from 0 to 1, or if the predictions are
        from 0 to 1 and most values are not: they are not on one scale.
    """
    values = np.unique(truth[~np.isnan(truth)])
    known = predicted[~np.isnan(predicted)]
    fractions = bool(known.size and known.min() >= 0 and known.max() <= 1)
    few = values.size <= MAX_CLASS_NUMBERS and bool((values == np.floor(values)).all())
    if values.size <= 2 or (few and fractions):
        shown = ", ".join(number(value) for value in values[:3]) + (", …" if values.size > 3 else "")
        raise BadData(
            f"the target {name!r} is {shown} in the reference, which may be the numbers of classes; bias is defined "
            "for 0 and 1, and for values: write 1 for the outcome that the prediction is the probability of, and 0 for "
            "the others"
        )
    if fractions and bool(((truth < 0) | (truth > 1)).sum() > truth.size / 2):
        raise BadData(
            f"the target {name!r} is from {number(values[0])} to {number(values[-1])} in the reference and its "
            "predictions are from 0 to 1, so they are not on one scale; log the predicted value"
        )
