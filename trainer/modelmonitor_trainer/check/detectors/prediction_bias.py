"""PredictionBias: the mean prediction against the mean outcome, of all rows and of slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import Outcomes, ProfiledData
from modelmonitor_trainer.check.detectors.base import Need, RowDetector, register
from modelmonitor_trainer.check.labelled_rows import LabelledBatch, sample_labelled
from modelmonitor_trainer.check.predictor import Predictor, Unusable, require_probabilities, true_outcomes, usable_rows
from modelmonitor_trainer.check.target import infer_task, refuse_class_numbers
from modelmonitor_trainer.data.tables import is_number
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.detect.bias import Judged, find_bias
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.errors import BadConfiguration, BadData

#: Maximum number of rows.
MAX_ROWS = 200_000
#: Maximum number of reference rows from which the task is inferred.
TASK_ROWS = 20_000


@register
class PredictionBias(RowDetector):
    """Tests whether predictions are right on average."""

    type = DetectorType.PREDICTION_BIAS
    needs = frozenset({Need.REFERENCE, Need.OUTCOMES})

    def test(self, ctx: CheckContext, data: ProfiledData, spec: DetectorSpec) -> Sequence[HypothesisFamily]:
        """Return the family of all rows and the slices."""
        outcomes = data.source.outcomes
        assert outcomes is not None
        if outcomes.task is Task.MULTICLASS_CLASSIFICATION:
            return [self.not_tested(spec, "bias of predictions is defined for binary classification and regression")]
        if outcomes.predictor is None or not outcomes.predicted:
            return [self.not_tested(spec, outcomes.not_predicted)]
        try:
            predictor = outcomes.predictor()
        except BadConfiguration as error:
            return [self.not_tested(spec, str(error))]
        # Whether outcomes are 0 and 1 must not depend on the current rows.
        task = outcomes.task or _infer_task(_reference_sample(ctx, data, outcomes, predictor), outcomes, predictor)
        rows, note = _predicted_rows(ctx, data, outcomes, predictor, task)
        binary = task is Task.BINARY_CLASSIFICATION
        if binary:
            require_probabilities(rows.predicted)
        family = find_bias(
            spec.name,
            rows,
            binary=binary,
            clusters=data.source.wording.clusters,
            dated=all(batch.day for batch in outcomes.predicted),
            independent=data.source.sensitivity.independent_rows,
        )
        return [replace(family, message=family.message + note)]


def _reference_sample(
    ctx: CheckContext, data: ProfiledData, outcomes: Outcomes, predictor: Predictor
) -> list[LabelledBatch]:
    """Return a sample of the reference with its targets and predictions."""
    window = data.rows.reference or data.rows.current
    rows = {profile.block.name: profile.rows for profile in window.blocks}
    batches = [profile.block for profile in window.blocks]
    labels = outcomes.reference_labels
    return list(sample_labelled(ctx, outcomes, batches, rows, predictor.columns, labels, TASK_ROWS))


def _infer_task(sample: Sequence[LabelledBatch], outcomes: Outcomes, predictor: Predictor) -> Task:
    """Return the task that targets and predictions of the reference suggest.

    Raises
    ------
    BadData
        If the target may be classes that are no numbers to be averaged.
    """
    name, targets = outcomes.target.name, [batch.target for batch in sample]
    task = infer_task(targets, outcomes.target)
    numbers = all(is_number(part.type) for part in targets)
    if numbers and task is not Task.BINARY_CLASSIFICATION:
        predicted = np.concatenate([np.empty(0), *(np.asarray(predictor.scores(batch.rows)) for batch in sample)])
        refuse_class_numbers(np.concatenate([np.empty(0), *map(numbers_of, targets)]), predicted, name)
    if task is Task.MULTICLASS_CLASSIFICATION:
        what = "compared as classes" if numbers else "text"
        raise BadData(
            f"the target {name!r} is {what}; bias is defined for true and false, 1 and 0, and numbers: write 1 for the "
            "outcome that the prediction is the probability of, and 0 for the others"
        )
    return task


def _predicted_rows(
    ctx: CheckContext, data: ProfiledData, outcomes: Outcomes, predictor: Predictor, task: Task
) -> tuple[Judged, str]:
    """Return the rows of the current window, and which of them are left out."""
    from modelmonitor_trainer.data.model_arrays import texts

    columns = list(dict.fromkeys([*predictor.columns, *outcomes.slices]))
    rows = {profile.block.name: profile.rows for profile in data.rows.current.blocks}
    truth: list[Array] = [np.empty(0)]
    predicted: list[Array] = [np.empty(0)]
    clusters: list[Array] = [np.empty(0)]
    slices: dict[str, list[Array]] = {name: [np.empty(0, dtype=object)] for name in outcomes.slices}
    labels = outcomes.current_labels
    unusable = Unusable(outcomes.target.name, task, predictor.classes)
    batches = sample_labelled(ctx, outcomes, outcomes.predicted, rows, columns, labels, MAX_ROWS)
    for number, batch in enumerate(batches):
        if not batch.rows.num_rows:
            continue
        known = true_outcomes(batch.target, outcomes.target.name, task, predictor.classes)
        scores = np.asarray(predictor.scores(batch.rows))
        unusable.add(batch.target, scores)
        usable = usable_rows(known, scores, task)
        truth.append(known[usable].astype(np.float64))
        predicted.append(scores[usable].astype(np.float64))
        clusters.append(np.full(int(usable.sum()), float(number)))
        for name, values in slices.items():
            values.append(texts(batch.rows.column(name), name)[usable])
    unusable.require_usable()
    judged = Judged(
        truth=np.concatenate(truth),
        predicted=np.concatenate(predicted),
        days=np.concatenate(clusters),
        slices={name: np.concatenate(values) for name, values in slices.items()},
    )
    return judged, unusable.note()
