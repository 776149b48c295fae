"""Ablation: relationships of features to the target that broke, by small models on few features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelmonitor_api.spec import Detector as DetectorSpec
from modelmonitor_api.spec import DetectorType, Feature, FeatureType, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import Outcomes, ProfiledData
from modelmonitor_trainer.check.detectors.base import Need, RowDetector, register, select_features
from modelmonitor_trainer.check.labelled_rows import LabelledBatch, sample_labelled
from modelmonitor_trainer.check.predictor import true_outcomes
from modelmonitor_trainer.check.target import infer_task
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.plans import date_columns
from modelmonitor_trainer.profile.window import WindowProfile

if TYPE_CHECKING:
    from modelmonitor_trainer.detect.ablation import Labelled

#: Maximum number of rows of a side.
MAX_ROWS = 20_000
#: A target with more different values of text has no classes.
MAX_CLASSES = 20


@register
class Ablation(RowDetector):
    """Compares what features explain of the target on both sides."""

    type = DetectorType.ABLATION
    needs = frozenset({Need.REFERENCE, Need.OUTCOMES})

    def test(self, ctx: CheckContext, data: ProfiledData, spec: DetectorSpec) -> Sequence[HypothesisFamily]:
        """Return the family of all feature sets."""
        from modelmonitor_trainer.data.classes import class_names, merge_names
        from modelmonitor_trainer.detect.ablation import find_broken_relations

        outcomes = data.source.outcomes
        reference = data.rows.reference
        assert outcomes is not None
        assert reference is not None
        selected = select_features([spec], data.source.features)
        left_out = date_columns(data.rows.plan)
        features = [f for f in data.source.features if f.name in selected and f.name not in left_out]
        before = _labelled_batches(ctx, outcomes, features, outcomes.reference, reference, outcomes.reference_labels)
        now = _labelled_batches(ctx, outcomes, features, outcomes.current, data.rows.current, outcomes.current_labels)
        name = outcomes.target.name
        task = outcomes.task or infer_task([batch.target for batch in before], outcomes.target)
        classes: list[str] = []
        if task is not Task.REGRESSION:
            classes = merge_names(text for batch in before for text in class_names(batch.target, name))
        if len(classes) > MAX_CLASSES:
            raise BadData(
                f"the target {name!r} has {len(classes)} distinct values; at most {MAX_CLASSES} classes are supported"
            )
        sides = [_arrays(batches, features, name, task, classes) for batches in (before, now)]
        return find_broken_relations(
            spec.name, *sides, classes=len(classes), independent=data.source.sensitivity.independent_rows
        )


def _labelled_batches(
    ctx: CheckContext,
    outcomes: Outcomes,
    features: Sequence[Feature],
    batches: Sequence[Batch],
    window: WindowProfile,
    labels: Sequence[Batch],
) -> list[LabelledBatch]:
    rows: Mapping[str, int] = {profile.block.name: profile.rows for profile in window.blocks}
    columns = [feature.name for feature in features]
    sampled = sample_labelled(ctx, outcomes, batches, rows, columns, labels, MAX_ROWS)
    return [batch for batch in sampled if batch.rows.num_rows]


def _arrays(
    batches: Sequence[LabelledBatch], features: Sequence[Feature], target: str, task: Task, classes: Sequence[str]
) -> Labelled:
    from modelmonitor_trainer.data.model_arrays import feature_arrays
    from modelmonitor_trainer.detect.ablation import Labelled

    columns: dict[str, list[Array]] = {
        feature.name: [np.empty(0, dtype=float if feature.type is FeatureType.NUMERIC else object)]
        for feature in features
    }
    truths: list[Array] = [np.empty(0)]
    clusters: list[Array] = [np.empty(0)]
    for number, batch in enumerate(batches):
        truth = true_outcomes(batch.target, target, task, classes)
        known = np.ones(truth.size, dtype=bool) if task is Task.REGRESSION else truth >= 0
        for name, values in feature_arrays(batch.rows, features).items():
            columns[name].append(values[known])
        truths.append(truth[known].astype(np.float64))
        clusters.append(np.full(int(known.sum()), float(number)))
    return Labelled(
        {name: np.concatenate(parts) for name, parts in columns.items()},
        np.concatenate(truths),
        np.concatenate(clusters),
    )
