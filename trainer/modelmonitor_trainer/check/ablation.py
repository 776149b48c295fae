"""Ablation: labelled rows of both windows as features and outcomes, for small models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelmonitor_api.spec import DataFormat, Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check.labelled_rows import LabelledDay, read_days
from modelmonitor_trainer.check.performance import truth_of
from modelmonitor_trainer.check.windows import ChampionInfo, CheckWindows
from modelmonitor_trainer.data.windows import partitions
from modelmonitor_trainer.detect.ablation import Labelled, find_broken_relations
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.profile.window import Batch, batches_of_partitions
from modelmonitor_trainer.storage.base import Store

#: Rows that are looked at on a side, at most; the same number of each day.
MAX_ROWS = 20_000


def ablate(
    store: Store,
    spec: ModelMonitorSpec,
    fmt: DataFormat,
    inputs: CheckWindows,
    champion: ChampionInfo | None,
    detector: str,
    features: Sequence[Feature],
) -> list[HypothesisFamily]:
    """Return which relationships of `features` to the target have changed.

    Raises
    ------
    BadData
        If rows or labels cannot be read, or are not what the spec says.
    """
    from modelmonitor_trainer.data.labels import class_names

    reference = inputs.rows.reference
    columns = [feature.name for feature in features]
    used = max((block.day for block in reference if block.day), default=None)
    mature = [
        block
        for block in inputs.rows.current
        if block.day and block.day <= inputs.mature and (used is None or block.day > used)
    ]
    sides = [
        [day for day in read_days(store, spec, fmt, blocks, columns, arrived, MAX_ROWS) if day.rows.num_rows]
        for blocks, arrived in ((reference, _labels(store, spec, inputs, champion)), (mature, inputs.arrived))
    ]
    classes = (
        sorted({name for day in sides[0] for name in class_names(day.target, spec.model.target)})
        if spec.model.task is not Task.REGRESSION
        else []
    )
    before, now = (_labelled(days, spec, features, classes) for days in sides)
    return find_broken_relations(detector, before, now, classes=len(classes))


def _labels(
    store: Store, spec: ModelMonitorSpec, inputs: CheckWindows, champion: ChampionInfo | None
) -> tuple[Batch, ...]:
    if champion is not None:
        return champion.labels
    if spec.data.labels is None or inputs.reference_window is None:
        return ()
    return batches_of_partitions(partitions(store, spec.data.labels.uri, *inputs.reference_window))


def _labelled(
    days: Sequence[LabelledDay], spec: ModelMonitorSpec, features: Sequence[Feature], classes: Sequence[str]
) -> Labelled:
    from modelmonitor_trainer.data.labels import feature_arrays

    columns: dict[str, list[Array]] = {feature.name: [np.empty(0, dtype=_kind(feature))] for feature in features}
    truths, numbers = [np.empty(0)], [np.empty(0)]
    for number, day in enumerate(days):
        truth = truth_of(day.target, spec, classes)
        known = np.ones(truth.size, dtype=bool) if spec.model.task is Task.REGRESSION else truth >= 0
        for name, values in feature_arrays(day.rows, features).items():
            columns[name].append(values[known])
        truths.append(truth[known].astype(np.float64))
        numbers.append(np.full(int(known.sum()), float(number)))
    return Labelled(
        {name: np.concatenate(parts) for name, parts in columns.items()},
        np.concatenate(truths),
        np.concatenate(numbers),
    )


def _kind(feature: Feature) -> type:
    return float if feature.type is FeatureType.NUMERIC else object
