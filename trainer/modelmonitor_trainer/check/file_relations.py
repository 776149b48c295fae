"""What holds between columns of two sets of files: correlations, bias of predictions, ablation.

A monitor's check follows its champion and its labels; here there are only columns, so what they are is taken
from the data: a target of two values that are 0 and 1, or false and true, is a binary outcome, other numbers
are values, other words are classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import Detector, DetectorType, Feature, FeatureType
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.check.compare import CheckContext, ProfiledPair
from modelmonitor_trainer.check.row_sampling import numbers_of, sample_blocks
from modelmonitor_trainer.data.tables import is_number
from modelmonitor_trainer.detect.bias import Judged, find_bias
from modelmonitor_trainer.detect.correlation import PEARSON, find_correlation_drift
from modelmonitor_trainer.detect.hypotheses import ABLATION, BIAS, CORRELATION, HypothesisFamily
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile import moments as cross
from modelmonitor_trainer.profile.binning import NumericPlan
from modelmonitor_trainer.profile.window import WindowProfile

#: Rows that are looked at on a side, at most.
CORRELATION_ROWS, BIAS_ROWS, ABLATION_ROWS = 20_000, 200_000, 20_000
#: Values that are read a second time on a side for correlations that nobody asked for.
SMALL = 2_000_000
#: More words than this are no classes.
MAX_CLASSES = 20
_BINARY = {"0", "1"}


@dataclass(frozen=True)
class FileScene:
    """Everything that relation detectors of files need.

    Attributes
    ----------
    at, windows
        The check.
    features
        Columns that are neither the target nor the prediction.
    target, prediction
        Those, where they were named.
    level
        Level of the check.
    """

    at: CheckContext
    windows: ProfiledPair
    features: tuple[Feature, ...]
    target: Feature | None
    prediction: Feature | None
    level: float


def find_file_relations(scene: FileScene, detectors: Sequence[Detector]) -> tuple[HypothesisFamily, ...]:
    """Return what the detectors of relations find; data that cannot be used are said so, not raised."""
    known = {
        DetectorType.PREDICTION_BIAS: (_bias, BIAS),
        DetectorType.CORRELATION_DRIFT: (_correlations, CORRELATION),
        DetectorType.ABLATION: (_ablation, ABLATION),
    }
    found: list[HypothesisFamily] = []
    for detector in detectors:
        if detector.type not in known:
            continue
        look, kind = known[detector.type]
        try:
            with scene.at.watch.step(detector.name):
                found += look(scene, detector.name)
        except BadData as error:
            found.append(HypothesisFamily(detector.name, kind, "not tested", message=str(error)))
    return tuple(found)


def too_many_to_correlate(windows: ProfiledPair, features: Sequence[Feature]) -> str:
    """Return why correlations are not compared unasked; empty where they are few enough to read once more."""
    columns = sum(feature.type is FeatureType.NUMERIC for feature in features)
    rows = max(side.rows for side in (windows.reference, windows.current) if side is not None)
    if rows * columns <= SMALL:
        return ""
    return f"{rows:,} rows of {columns} columns of numbers are many to read once more; ask for it with --correlations"


def _correlations(scene: FileScene, detector: str) -> list[HypothesisFamily]:
    reference, current = scene.windows.reference, scene.windows.current
    if reference is None:
        return []
    names = {feature.name for feature in scene.features}
    numeric = [plan for plan in scene.windows.plan if isinstance(plan, NumericPlan) and plan.name in names]
    scales = [
        scale
        for plan in numeric[: cross.MAX_COLUMNS]
        if (scale := cross.scale_of(plan, reference.columns[plan.name].total.counts)) is not None
    ]
    if len(scales) < 2:
        text = "fewer than two columns of numbers vary in the reference"
        return [HypothesisFamily(detector, CORRELATION, PEARSON, message=text)]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # Products of matrices this narrow gain nothing from several threads, and their waiting costs processor time.
    with threadpool_limits(1):
        before, now = (_moments(scene, window, scales) for window in (reference, current))
    return find_correlation_drift(detector, [scale.name for scale in scales], before, now, scene.level)


def _moments(scene: FileScene, window: WindowProfile, scales: Sequence[cross.Scale]) -> list[cross.Moments]:
    names = [scale.name for scale in scales]
    return [
        cross.moments_of([numbers_of(rows.column(name)) for name in names], scales)
        for rows in _sampled(scene, window, names, CORRELATION_ROWS)
    ]


def _bias(scene: FileScene, detector: str) -> list[HypothesisFamily]:
    target, prediction = scene.target, scene.prediction
    assert target is not None
    assert prediction is not None
    if prediction.type is not FeatureType.NUMERIC:
        text = f"{prediction.name!r} holds no numbers; log the score of the positive class, or the value predicted"
        return [HypothesisFamily(detector, BIAS, "not tested", message=text)]
    # Whether outcomes are 0 and 1 must not depend on which of them the current rows happen to have.
    binary = _is_binary(scene, target)
    names = [target.name, prediction.name]
    truths, predicted, files = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for number, rows in enumerate(_sampled(scene, scene.windows.current, names, BIAS_ROWS)):
        truth, scores = (numbers_of(rows.column(name)) for name in names)
        usable = ~np.isnan(scores) & ~np.isnan(truth)
        truths.append(truth[usable])
        predicted.append(scores[usable])
        files.append(np.full(int(usable.sum()), float(number)))
    judged = Judged(np.concatenate(truths), np.concatenate(predicted), np.concatenate(files), {})
    if binary:
        _require_probabilities(judged.predicted, prediction.name)
    return [find_bias(detector, judged, binary=binary, clusters="files")]


def _require_probabilities(scores: Floats, name: str) -> None:
    if scores.size and not 0 <= scores.min() <= scores.max() <= 1:
        raise BadData(
            f"the predictions {name!r} reach from {scores.min():.4g} to {scores.max():.4g}, and are no probabilities"
        )


def _is_binary(scene: FileScene, target: Feature) -> bool:
    """Whether the outcomes are 0 and 1, or false and true.

    Raises
    ------
    BadData
        If they are words: nobody can say which of them is predicted.
    """
    before = scene.windows.reference or scene.windows.current
    parts = [rows.column(target.name) for rows in _sampled(scene, before, [target.name], ABLATION_ROWS)]
    if not all(is_number(part.type) or pa.types.is_null(part.type) for part in parts):
        raise BadData(
            f"the target {target.name!r} holds words; bias is defined for true and false, 1 and 0, and numbers"
        )
    values = np.unique(np.concatenate([numbers_of(part) for part in parts]))
    return bool(np.isin(values[~np.isnan(values)], (0, 1)).all())


def _ablation(scene: FileScene, detector: str) -> list[HypothesisFamily]:
    from modelmonitor_trainer.data.labels import class_names, feature_arrays
    from modelmonitor_trainer.detect.ablation import Labelled, find_broken_relations

    target = scene.target
    assert target is not None
    if scene.windows.reference is None:
        return []
    names = [target.name, *(feature.name for feature in scene.features)]
    sides = [
        [rows.filter(pc.is_valid(rows.column(target.name))) for rows in _sampled(scene, window, names, ABLATION_ROWS)]
        for window in (scene.windows.reference, scene.windows.current)
    ]
    classes = sorted({name for rows in sides[0] for name in class_names(rows.column(target.name), target.name)})
    if target.type is FeatureType.NUMERIC and not set(classes) <= _BINARY:
        classes = []
    elif len(classes) > MAX_CLASSES:
        raise BadData(
            f"the target {target.name!r} has {len(classes)} different words; at most {MAX_CLASSES} are classes"
        )

    def labelled(parts: Sequence[pa.Table]) -> Labelled:
        truth = [_truth(rows.column(target.name), target, classes) for rows in parts]
        known = [~np.isnan(outcomes) for outcomes in truth]
        arrays = [feature_arrays(rows, scene.features) for rows in parts]
        columns: dict[str, Array] = {
            feature.name: np.concatenate([a[feature.name][k] for a, k in zip(arrays, known, strict=True)])
            for feature in scene.features
        }
        files = [np.full(int(k.sum()), float(number)) for number, k in enumerate(known)]
        return Labelled(
            columns, np.concatenate([t[k] for t, k in zip(truth, known, strict=True)]), np.concatenate(files)
        )

    return find_broken_relations(detector, labelled(sides[0]), labelled(sides[1]), classes=len(classes))


def _truth(column: pa.ChunkedArray, target: Feature, classes: Sequence[str]) -> Floats:
    """Return outcomes as places among `classes`, or values; NaN where there is none."""
    if not classes:
        return numbers_of(column)
    from modelmonitor_trainer.data.labels import class_places

    places = class_places(column, target.name, classes).astype(np.float64)
    return np.where(places < 0, np.nan, places)


def _sampled(scene: FileScene, window: WindowProfile, columns: Sequence[str], limit: int) -> list[pa.Table]:
    numeric = {plan.name for plan in scene.windows.plan if isinstance(plan, NumericPlan)}
    blocks = [(profile.block, profile.rows) for profile in window.blocks]
    # What a CSV's outcomes are is left to its reader: true and false are not words.
    text = [name for name in columns if name not in numeric and (scene.target is None or name != scene.target.name)]
    return list(sample_blocks(scene.at.store, blocks, columns, scene.at.fmt, limit, text=text))
