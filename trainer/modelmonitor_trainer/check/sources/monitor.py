"""The partitions of a monitor as the input of a check."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from modelmonitor_api.messages import CheckRequest
from modelmonitor_api.spec import DataFormat, DetectorType, Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_api.status import FirstTrainingData
from modelmonitor_policy.training_calendar import Days, plan_training
from modelmonitor_trainer.check import predictor
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import (
    ChampionInfo,
    CheckData,
    LabelJoin,
    MonitorData,
    Outcomes,
    ProfiledData,
    WindowPair,
    text_columns,
)
from modelmonitor_trainer.check.sources.champion import find_champion
from modelmonitor_trainer.check.sources.declared_columns import require_declared_columns
from modelmonitor_trainer.check.sources.partition_survey import SideSurvey, left_out_of_monitor, survey
from modelmonitor_trainer.data.object_format import declared_format
from modelmonitor_trainer.data.recent_values import RecentValues, objects_key
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.windows import (
    Batch,
    Window,
    batches_of_partitions,
    days_of,
    earliest_partition,
    last_whole_day,
    latest_partition,
    live_window,
    partitions,
)
from modelmonitor_trainer.detect.wording import PARTITIONS
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.profile.reference import columns_of_rows, target_column
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_LOG = logging.getLogger(__name__)

#: Maximum number of days before the live window whose predictions are its reference.
MAX_PREDICTION_DAYS = 90
#: Rows of the newest CSV object from which its style is recognized for the report.
_HEAD = 1000


def resolve_monitor(store: Store, request: CheckRequest, now: dt.datetime) -> tuple[CheckContext, CheckData]:
    """Return what a check of a monitor compares today.

    The reference is the training window of the champion as its manifest recorded it, and ``spec.data.reference``
    before the first promotion.

    Raises
    ------
    NotFound
        If there is no partition, or the reference period has none.
    BadData
        If the champion pointer is damaged.
    """
    spec = request.spec
    registry = ModelRegistry.of(store, spec, request.monitor)
    ctx = CheckContext(store, registry.layout.profiles, declared_format(spec.data))
    with ctx.stopwatch.step("windows"):
        status, champion, problem = find_champion(registry, spec.model.features)
        last = last_whole_day(now)
        latest = latest_partition(store, spec.data.live.uri, until=last)
        window = live_window(spec, latest, last + dt.timedelta(days=1))
        mature = window[1] - dt.timedelta(days=spec.data.labels.delay_days if spec.data.labels else 0)
        monitor = MonitorData(request.monitor, spec, registry, mature, last, champion, status, problem)
        data = _resolve(store, request, monitor, window)
    _LOG.info("live window %s to %s, reference: %s", *window, data.reference_title)
    return ctx, data


def _resolve(store: Store, request: CheckRequest, monitor: MonitorData, window: Window) -> CheckData:
    spec, champion = monitor.spec, monitor.champion
    period, title = _reference_period(spec, champion)
    earlier = survey(store, spec.data.live.uri, None if champion else period, "reference")
    reference = champion.features if champion else earlier.batches
    if period is not None and not reference:
        raise NotFound(
            f"the reference period {period[0]} to {period[1]} has no partition under {spec.data.live.uri}; "
            "correct spec.data.reference"
        )
    labelled = survey(store, spec.data.labels.uri, window, "current") if spec.data.labels else SideSurvey()
    arrived = labelled.batches
    current = survey(store, spec.data.live.uri, window, "current")
    live = current.batches
    if monitor.champion_status is None:
        require_declared_columns(store, spec, live, arrived)
    labels = _label_windows(store, monitor, period, arrived)
    return CheckData(
        detectors=tuple(spec.effective_detectors()),
        features=tuple(spec.model.features),
        target=spec.model.target,
        prediction=spec.model.prediction_column,
        rows=WindowPair(columns_of_rows(spec), reference, live, champion.stored_features if champion else None),
        labels=labels,
        predictions=_prediction_windows(store, spec, champion, reference, live),
        outcomes=_outcomes(monitor, reference, live, labels.reference if labels else (), arrived),
        sensitivity=spec.sensitivity,
        checks_per_day=request.checks_per_day,
        wording=PARTITIONS,
        reference_title=title,
        current_title="live window",
        reference_window=period,
        current_window=window,
        notes=_notes_on_csv(store, spec, live),
        nothing_to_compare=_no_reference(monitor) if period is None else "",
        left_out=(
            *(item for side in (earlier, current, labelled) for item in side.left_out),
            *left_out_of_monitor(store, monitor, window, reference, live),
        ),
        reproduce="modelmonitor check -f MONITOR.yaml",
        monitor=monitor,
    )


def _no_reference(monitor: MonitorData) -> str:
    """Return why a check has no reference window, if it has none."""
    if monitor.champion_problem:
        return "so there is nothing to compare with"
    serving = monitor.registry.serving()
    champion = "no champion" if serving is None else f"{serving.version}, which serves, is retired"
    return f"there is no reference yet: {champion}, and no spec.data.reference"


def _notes_on_csv(store: Store, spec: ModelMonitorSpec, live: Sequence[Batch]) -> tuple[str, ...]:
    """Return what was recognized of how the newest CSV object is written, unless it is usual."""
    newest = next((batch.objects[-1] for batch in reversed(live) if batch.objects), None)
    if newest is None or spec.data.format is not DataFormat.CSV:
        return ()
    names = [feature.name for feature in spec.model.features]
    text = text_columns(tuple(spec.model.features), tuple(spec.model.slices))
    # An object that cannot be read is a violation, which is reported when its rows are read.
    with suppress(Unreadable), scan(store, newest, names, declared_format(spec.data), text=text, head=_HEAD) as opened:
        if opened.recognized:
            return (f"In {newest.uri}, {'; '.join(opened.recognized)}. If that is wrong, set spec.data.csv.",)
    return ()


def count_new_rows(ctx: CheckContext, data: ProfiledData) -> int | None:
    """Return the number of rows after the champion's training window; None without a champion."""
    monitor, window = data.source.monitor, data.source.current_window
    if monitor is None or monitor.champion is None or window is None:
        return None
    start = monitor.champion.window[1] + dt.timedelta(days=1)
    known = {profile.block.day: profile.rows for profile in data.rows.current.blocks}
    total = sum(rows for day, rows in known.items() if day and day >= start)
    unknown = [day for day in days_of((start, window[1])) if day < window[0]]
    if unknown:
        earlier = partitions(ctx.store, monitor.spec.data.live.uri, unknown[0], unknown[-1])
        total += sum(_rows_of(ctx, [info for partition in earlier for info in partition.objects]))
    return total


def describe_first_training(ctx: CheckContext, data: ProfiledData) -> FirstTrainingData | None:
    """Return what a first training would find; None if there is a champion.

    Rows are counted where the check has read them: in days of the live window.
    """
    monitor, window = data.source.monitor, data.source.current_window
    if monitor is None or monitor.champion_status is not None or window is None:
        return None
    spec, last = monitor.spec, monitor.last_day
    first = earliest_partition(ctx.store, spec.data.live.uri, until=last)
    labels = latest_partition(ctx.store, spec.data.labels.uri, until=last) if spec.data.labels else None
    calendar = plan_training(spec, window[1], newest_labels=labels)
    rows = {profile.block.day: profile.rows for profile in data.rows.current.blocks}

    def count(days: Days) -> int | None:
        start = days.start if first is None else max(days.start, first)
        if start < window[0]:
            return None
        return sum(rows.get(day, 0) for day in days_of((start, days.end)))

    return FirstTrainingData(
        first_day=first, newest_labels=labels, train_rows=count(calendar.train), holdout_rows=count(calendar.holdout)
    )


#: Rows of objects that this process has counted; a key takes some hundred bytes.
_COUNTED: RecentValues[int] = RecentValues(lambda _: 500)


def _rows_of(ctx: CheckContext, objects: Sequence[ObjectInfo]) -> Iterator[int]:
    """Yield the number of rows of each object; those that this process has counted are not opened again."""
    keys = {info: objects_key([info], ctx.fmt) for info in objects}
    with ctx.store.ahead([info for info, key in keys.items() if _COUNTED.find(key) is None]):
        for info, key in keys.items():
            rows = _COUNTED.find(key)
            if rows is None:
                with scan(ctx.store, info, [], ctx.fmt) as opened:
                    rows = opened.rows
                _COUNTED.put(key, rows)
            yield rows


def _reference_period(spec: ModelMonitorSpec, champion: ChampionInfo | None) -> tuple[Window | None, str]:
    if champion is not None:
        part = " after a change" if champion.window[0] == champion.change_point else ""
        return champion.window, f"training window of the champion {champion.version}{part}"
    if spec.data.reference is not None:
        return (spec.data.reference.start, spec.data.reference.end), "spec.data.reference"
    return None, "none"


def _partitions(store: Store, uri: str, window: Window | None) -> tuple[Batch, ...]:
    return batches_of_partitions(partitions(store, uri, *window)) if window else ()


def _label_windows(
    store: Store, monitor: MonitorData, period: Window | None, arrived: Sequence[Batch]
) -> WindowPair | None:
    """Return the windows of the target where it comes with the labels: mature days only."""
    labels, champion = monitor.spec.data.labels, monitor.champion
    if labels is None:
        return None
    reference = champion.labels if champion else _partitions(store, labels.uri, period)
    current = tuple(batch for batch in arrived if batch.day and batch.day <= monitor.mature)
    stored = champion.stored_labels if champion else None
    return WindowPair((target_column(monitor.spec),), reference, current, stored)


def _prediction_windows(
    store: Store,
    spec: ModelMonitorSpec,
    champion: ChampionInfo | None,
    reference: tuple[Batch, ...],
    live: tuple[Batch, ...],
) -> WindowPair | None:
    """Return the windows of the predictions of one and the same model.

    Those in the champion's training window were made by its predecessor: compared with them, every promotion would be
    drift. So the reference is the days after its own promotion.
    """
    column = _prediction_column(spec)
    wanted = any(detector.type is DetectorType.PREDICTION_DRIFT for detector in spec.effective_detectors())
    if column is None or not wanted:
        return None
    if champion is None:
        return WindowPair((column,), reference, live)
    if champion.since is None or not live or live[0].day is None:
        return None
    start = max(champion.since, live[0].day - dt.timedelta(days=MAX_PREDICTION_DAYS)) + dt.timedelta(days=1)
    before = (start, live[0].day - dt.timedelta(days=1))
    earlier = _partitions(store, spec.data.live.uri, before) if before[0] <= before[1] else ()
    return WindowPair((column,), earlier, live) if earlier else None


def _prediction_column(spec: ModelMonitorSpec) -> Feature | None:
    if spec.model.prediction_column is None:
        return None
    multiclass = spec.model.task is Task.MULTICLASS_CLASSIFICATION
    kind = FeatureType.CATEGORICAL if multiclass else FeatureType.NUMERIC
    return Feature(name=spec.model.prediction_column, type=kind)


def label_join(spec: ModelMonitorSpec) -> LabelJoin | None:
    """Return how labels are joined to rows; None if the target is a column of the rows."""
    labels = spec.data.labels
    if labels is None:
        return None
    shares = float(labels.min_share), labels.version_column, float(labels.max_contradictions)
    return LabelJoin(labels.join_key, labels.delay_days, *shares, labels.key_scope)


def _outcomes(
    monitor: MonitorData,
    reference: tuple[Batch, ...],
    live: tuple[Batch, ...],
    reference_labels: tuple[Batch, ...],
    arrived: tuple[Batch, ...],
) -> Outcomes:
    spec, champion = monitor.spec, monitor.champion
    mature = [batch for batch in live if batch.day and batch.day <= monitor.mature]
    last = max((batch.day for batch in reference if batch.day), default=None)
    logged = spec.model.prediction_column is not None
    if champion is None and not logged:
        predicted, reason = [], "there is no champion yet, and no model.predictionColumn"
    else:
        # Logged predictions are the champion's own from the day after its promotion. Its predictions of rows that it
        # was trained on show nothing.
        after = None if champion is None else (champion.since if logged else champion.window[1])
        predicted = [batch for batch in mature if after is None or (batch.day and batch.day > after)]
        reason = "no labels are mature yet for rows that the model in production has scored"
    version = champion.version if champion else ""
    return Outcomes(
        target=target_column(spec),
        task=spec.model.task,
        text_columns=text_columns(tuple(spec.model.features), tuple(spec.model.slices)),
        reference=reference,
        current=tuple(batch for batch in mature if last is None or (batch.day and batch.day > last)),
        predicted=tuple(predicted),
        not_predicted=reason,
        predictor=partial(predictor.predictor_of, monitor.registry, spec, version),
        slices=tuple(spec.model.slices),
        join=label_join(spec),
        reference_labels=reference_labels,
        current_labels=arrived,
    )
