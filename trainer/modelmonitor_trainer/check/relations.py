"""What holds between columns: the detectors of bias, correlations and ablation, from data to tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.spec import Detector, DetectorType, ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.check import performance
from modelmonitor_trainer.check.compare import CheckContext, ProfiledPair, features_of
from modelmonitor_trainer.check.labelled_rows import read_days
from modelmonitor_trainer.check.performance import Predictor, truth_of, usable_rows
from modelmonitor_trainer.check.windows import ChampionInfo, CheckWindows
from modelmonitor_trainer.data.tables import Unreadable
from modelmonitor_trainer.detect.bias import Judged, find_bias
from modelmonitor_trainer.detect.correlation import find_correlation_drift
from modelmonitor_trainer.detect.hypotheses import ABLATION, BIAS, CORRELATION, HypothesisFamily
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound, ObjectChanged
from modelmonitor_trainer.profile import moments as cross
from modelmonitor_trainer.profile.binning import NumericPlan, digest
from modelmonitor_trainer.profile.window import Batch, WindowProfile

_LOG = logging.getLogger(__name__)

#: Rows that bias looks at, at most; the same number of each day.
BIAS_ROWS = 200_000


@dataclass(frozen=True)
class Scene:
    """Everything that relation detectors need.

    Attributes
    ----------
    at, spec, inputs, windows
        The check.
    results
        Prefix of the monitor's results.
    champion
        None until there is one.
    level
        Level of the check.
    """

    at: CheckContext
    spec: ModelMonitorSpec
    inputs: CheckWindows
    windows: ProfiledPair
    results: str
    champion: ChampionInfo | None
    level: float


def find_relations(scene: Scene, detectors: Sequence[Detector]) -> tuple[HypothesisFamily, ...]:
    """Return what the detectors of relations find; data that cannot be used are said so, not raised.

    Of the reference, rows that have been removed or replaced since the champion was trained are such data: only these
    detectors need the rows themselves.
    """
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
                found += look(scene, detector)
        except BadData as error:
            found.append(HypothesisFamily(detector.name, kind, "not tested", message=str(error)))
        except ObjectChanged as error:
            if error.uri not in _reference(scene):
                raise
            text = f"rows of the reference are needed, and {error.uri} is not there as it was any more"
            found.append(HypothesisFamily(detector.name, kind, "not tested", message=text))
    return tuple(found)


def _reference(scene: Scene) -> set[str]:
    pairs = (scene.inputs.rows, scene.inputs.labels)
    return {info.uri for pair in pairs if pair for block in pair.reference for info in block.objects}


def _bias(scene: Scene, detector: Detector) -> list[HypothesisFamily]:
    spec, champion = scene.spec, scene.champion
    task = spec.model.task
    if task is Task.MULTICLASS_CLASSIFICATION:
        text = "bias of predictions is defined for binary classification and regression"
        return [HypothesisFamily(detector.name, BIAS, "not tested", message=text)]
    logged = spec.model.prediction_column is not None
    if champion is None and not logged:
        text = "there is no champion yet, and no model.predictionColumn"
        return [HypothesisFamily(detector.name, BIAS, "not tested", message=text)]
    # Logged predictions are the champion's own from the day after its promotion on; what it says of rows that
    # it was trained on shows nothing.
    after = None if champion is None else (champion.since if logged else champion.window[1])
    days = [
        block
        for block in scene.inputs.rows.current
        if block.day and block.day <= scene.inputs.mature and (after is None or block.day > after)
    ]
    if not days:
        text = "no labels are mature yet for rows that the model in production has judged"
        return [HypothesisFamily(detector.name, BIAS, "not tested", message=text)]
    version = champion.version if champion else ""
    try:
        predictor = performance.predictor_of(scene.at.store, scene.results, spec, version)
    except BadConfiguration as error:
        return [HypothesisFamily(detector.name, BIAS, "not tested", message=str(error))]
    return [find_bias(detector.name, _judged(scene, days, predictor), binary=task is Task.BINARY_CLASSIFICATION)]


def _judged(scene: Scene, days: Sequence[Batch], predictor: Predictor) -> Judged:
    from modelmonitor_trainer.data.labels import texts

    spec = scene.spec
    columns = list(dict.fromkeys([*predictor.columns, *spec.model.slices]))
    truth, predicted, numbers = [], [], []
    slices: dict[str, list[Array]] = {name: [] for name in spec.model.slices}
    for number, day in enumerate(
        read_days(scene.at.store, spec, scene.at.fmt, days, columns, scene.inputs.arrived, BIAS_ROWS)
    ):
        if not day.rows.num_rows:
            continue
        outcomes, scores = truth_of(day.target, spec, predictor.classes), np.asarray(predictor.scores(day.rows))
        usable = usable_rows(outcomes, scores, spec.model.task)
        truth.append(outcomes[usable].astype(np.float64))
        predicted.append(scores[usable].astype(np.float64))
        numbers.append(np.full(int(usable.sum()), number))
        for name, values in slices.items():
            values.append(texts(day.rows.column(name), name)[usable])
    nothing = np.empty(0)
    return Judged(
        truth=np.concatenate([nothing, *truth]),
        predicted=np.concatenate([nothing, *predicted]),
        days=np.concatenate([nothing, *numbers]),
        slices={name: np.concatenate([np.empty(0, dtype=object), *values]) for name, values in slices.items()},
    )


def _correlations(scene: Scene, detector: Detector) -> list[HypothesisFamily]:
    if scene.windows.reference is None:
        return []
    asked = features_of([detector], DetectorType.CORRELATION_DRIFT, scene.spec.model.features)
    numeric = [column for column in scene.windows.plan if column.name in asked and isinstance(column, NumericPlan)]
    reference = scene.windows.reference
    scales = [
        scale
        for plan in numeric[: cross.MAX_COLUMNS]
        if (scale := cross.scale_of(plan, reference.columns[plan.name].total.counts)) is not None
    ]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # Objects are spread over threads already; more of them for each product of matrices only wait for each other.
    with threadpool_limits(1):
        before, now = (
            _moments(scene.at, window, scales) if len(scales) > 1 else []
            for window in (reference, scene.windows.current)
        )
    names = [scale.name for scale in scales]
    found = find_correlation_drift(detector.name, names, before, now, scene.level)
    left = len(numeric) - cross.MAX_COLUMNS
    if left > 0:
        more = f"; {left} more columns are not looked at, name others in the detector's columns"
        found = [HypothesisFamily(**(vars(test) | {"message": test.message + more})) for test in found]
    return found


def _moments(at: CheckContext, window: WindowProfile, scales: Sequence[cross.Scale]) -> list[cross.Moments]:
    """Return the moments of each block, made now or kept from before."""
    key = cross.scales_key(scales)
    prefix = f"{at.prefix}{key}/" if at.prefix is not None else None
    known = {info.uri for info in at.store.list(prefix)} if prefix else set()
    objects = [info for block in window.blocks for info in block.block.objects]

    def task(place: int) -> cross.Moments:
        info = objects[place]
        uri = f"{prefix}{digest([info.uri, info.etag, str(info.size)])}.moments"
        if uri in known:
            try:
                return cross.from_bytes(at.store.read(uri), len(scales))
            except (ValueError, NotFound) as error:
                _LOG.warning("the moments %s are damaged and are made anew: %s", uri, error)
        try:
            made = cross.moments_of_object(at.store, info, scales, at.fmt)
        except Unreadable:
            return cross.empty(len(scales))  # DataQuality says so
        if prefix:
            at.store.write(uri, cross.to_bytes(made))
        return made

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1), thread_name_prefix="moments") as pool:
        made = iter(list(pool.map(task, range(len(objects)))))
    return [cross.total([next(made) for _ in block.block.objects], len(scales)) for block in window.blocks]


def _ablation(scene: Scene, detector: Detector) -> list[HypothesisFamily]:
    from modelmonitor_trainer.check.ablation import ablate

    spec, at = scene.spec, scene.at
    if not scene.inputs.rows.reference:
        return []
    asked = features_of([detector], DetectorType.ABLATION, spec.model.features)
    features = [feature for feature in spec.model.features if feature.name in asked]
    return ablate(at.store, spec, at.fmt, scene.inputs, scene.champion, detector.name, features)
