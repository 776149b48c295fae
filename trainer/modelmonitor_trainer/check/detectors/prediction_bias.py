"""PredictionBias: the mean prediction against the mean outcome, of all rows and of slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType, Task
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import Outcomes, ProfiledData
from modelmonitor_trainer.check.detectors.base import Need, RowDetector, register
from modelmonitor_trainer.check.labelled_rows import sample_labelled
from modelmonitor_trainer.check.predictor import Predictor, true_outcomes, usable_rows
from modelmonitor_trainer.check.target import infer_task
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
        task = outcomes.task or infer_task(_targets(ctx, data, outcomes), outcomes.target)
        if task is Task.MULTICLASS_CLASSIFICATION:
            name = outcomes.target.name
            raise BadData(f"the target {name!r} is text; bias is defined for true and false, 1 and 0, and numbers")
        rows = _predicted_rows(ctx, data, outcomes, predictor, task)
        binary = task is Task.BINARY_CLASSIFICATION
        if binary:
            _require_probabilities(rows.predicted)
        return [find_bias(spec.name, rows, binary=binary, clusters=data.source.wording.clusters)]


def _targets(ctx: CheckContext, data: ProfiledData, outcomes: Outcomes) -> list[pa.ChunkedArray]:
    """Return the target of a sample of the reference."""
    window = data.rows.reference or data.rows.current
    rows = {profile.block.name: profile.rows for profile in window.blocks}
    batches = [profile.block for profile in window.blocks]
    sampled = sample_labelled(ctx, outcomes, batches, rows, [], outcomes.reference_labels, TASK_ROWS)
    return [batch.target for batch in sampled]


def _predicted_rows(
    ctx: CheckContext, data: ProfiledData, outcomes: Outcomes, predictor: Predictor, task: Task
) -> Judged:
    from modelmonitor_trainer.data.labels import texts

    columns = list(dict.fromkeys([*predictor.columns, *outcomes.slices]))
    rows = {profile.block.name: profile.rows for profile in data.rows.current.blocks}
    truth: list[Array] = [np.empty(0)]
    predicted: list[Array] = [np.empty(0)]
    clusters: list[Array] = [np.empty(0)]
    slices: dict[str, list[Array]] = {name: [np.empty(0, dtype=object)] for name in outcomes.slices}
    labels = outcomes.current_labels
    batches = sample_labelled(ctx, outcomes, outcomes.predicted, rows, columns, labels, MAX_ROWS)
    for number, batch in enumerate(batches):
        if not batch.rows.num_rows:
            continue
        known = true_outcomes(batch.target, outcomes.target.name, task, predictor.classes)
        scores = np.asarray(predictor.scores(batch.rows))
        usable = usable_rows(known, scores, task)
        truth.append(known[usable].astype(np.float64))
        predicted.append(scores[usable].astype(np.float64))
        clusters.append(np.full(int(usable.sum()), float(number)))
        for name, values in slices.items():
            values.append(texts(batch.rows.column(name), name)[usable])
    return Judged(
        truth=np.concatenate(truth),
        predicted=np.concatenate(predicted),
        days=np.concatenate(clusters),
        slices={name: np.concatenate(values) for name, values in slices.items()},
    )


def _require_probabilities(scores: Floats) -> None:
    if scores.size and not 0 <= scores.min() <= scores.max() <= 1:
        raise BadData(
            f"the predictions range from {scores.min():.4g} to {scores.max():.4g}, so they are not probabilities"
        )
