"""What a check compares: windows resolved to objects, before any row is read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import Data, DataFormat, DetectorType, Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.data.windows import Window, latest_partition, live_window, partitions
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.profile.reference import columns_of_rows, target_column
from modelmonitor_trainer.profile.window import Batch, batches_of_partitions
from modelmonitor_trainer.storage.base import Store

#: Days before the live window whose predictions are its reference, at most.
MAX_PREDICTION_DAYS = 90


@dataclass(frozen=True)
class ChampionInfo:
    """What a check needs to know of the champion.

    Attributes
    ----------
    version
        Its name.
    window
        First and last day that it was trained on.
    features, labels
        The objects that it was trained on, by day.
    since
        The day on which it was promoted; None if that is not known.
    kept_features, kept_labels
        The profiles of these objects as the version carries them; None where it has none.
    """

    version: str
    window: Window
    features: tuple[Batch, ...]
    labels: tuple[Batch, ...]
    since: dt.date | None = None
    kept_features: bytes | None = None
    kept_labels: bytes | None = None


@dataclass(frozen=True)
class WindowPair:
    """Two windows of the same columns.

    Attributes
    ----------
    columns
        What is compared.
    reference, current
        Where its rows are.
    kept
        The profile of the reference as somebody has kept it; None where nobody has.
    """

    columns: tuple[Feature, ...]
    reference: tuple[Batch, ...]
    current: tuple[Batch, ...]
    kept: bytes | None = None


@dataclass(frozen=True)
class CheckWindows:
    """What a check compares.

    Attributes
    ----------
    fmt
        How all objects are encoded.
    window
        Days of the live window.
    reference_window, reference_title
        Days of the reference and what it is; None where there is none.
    rows
        The features, and the target where it is a column of the live rows.
    labels
        The target where it comes with the labels: mature days only.
    arrived
        All labels that have come since the window began: those of a mature row may lie in a later day.
    mature
        The last day whose labels are expected to be there.
    predictions
        The logged predictions of the model in production: since it serves, before the live window and in it.
    """

    fmt: DataFormat
    window: Window
    reference_window: Window | None
    reference_title: str
    rows: WindowPair
    labels: WindowPair | None
    arrived: tuple[Batch, ...]
    mature: dt.date
    predictions: WindowPair | None = None


def resolve_windows(
    store: Store, spec: ModelMonitorSpec, champion: ChampionInfo | None, today: dt.date
) -> CheckWindows:
    """Return what a check of `spec` compares today.

    The reference is the champion's training window as its manifest recorded it, and until there is a
    champion ``spec.data.reference``.

    Raises
    ------
    NotFound
        If no partition has ever arrived, or the reference period has none.
    """
    data = spec.data
    window = live_window(spec, latest_partition(store, data.live.uri, until=today), today)
    mature = window[1] - dt.timedelta(days=data.labels.delay_days if data.labels else 0)
    period, title = _reference_period(spec, champion)
    reference = champion.features if champion else _partitions(store, data.live.uri, period)
    if period is not None and not reference:
        raise NotFound(
            f"the reference period {period[0]} to {period[1]} has no partition under {data.live.uri}; "
            "correct spec.data.reference"
        )
    target = target_column(spec)
    arrived = _partitions(store, data.labels.uri, window) if data.labels else ()
    live = _partitions(store, data.live.uri, window)
    return CheckWindows(
        fmt=data.format,
        window=window,
        reference_window=period,
        reference_title=title,
        rows=WindowPair(columns_of_rows(spec), reference, live, champion.kept_features if champion else None),
        labels=_labels(store, data, champion, period, [b for b in arrived if b.day and b.day <= mature], target),
        arrived=arrived,
        mature=mature,
        predictions=_predictions(store, spec, champion, reference, live),
    )


def prediction_column(spec: ModelMonitorSpec) -> Feature | None:
    """Return the logged prediction as a column that is compared like a feature; None where there is none."""
    if spec.model.prediction_column is None:
        return None
    many = spec.model.task is Task.MULTICLASS_CLASSIFICATION
    kind = FeatureType.CATEGORICAL if many else FeatureType.NUMERIC
    return Feature(name=spec.model.prediction_column, type=kind)


def _predictions(
    store: Store,
    spec: ModelMonitorSpec,
    champion: ChampionInfo | None,
    reference: tuple[Batch, ...],
    live: tuple[Batch, ...],
) -> WindowPair | None:
    """Return the predictions of one and the same model.

    Those of the champion's training window are its predecessor's: compared with them, every promotion
    would be drift. So they are those of the days after its own promotion.
    """
    column = prediction_column(spec)
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


def _reference_period(spec: ModelMonitorSpec, champion: ChampionInfo | None) -> tuple[Window | None, str]:
    if champion is not None:
        return champion.window, f"training window of the champion {champion.version}"
    if spec.data.reference is not None:
        return (spec.data.reference.start, spec.data.reference.end), "spec.data.reference"
    return None, "none"


def _partitions(store: Store, uri: str, window: Window | None) -> tuple[Batch, ...]:
    return batches_of_partitions(partitions(store, uri, *window)) if window else ()


def _labels(
    store: Store,
    data: Data,
    champion: ChampionInfo | None,
    period: Window | None,
    current: Sequence[Batch],
    target: Feature,
) -> WindowPair | None:
    if data.labels is None:
        return None
    reference = champion.labels if champion else _partitions(store, data.labels.uri, period)
    return WindowPair((target,), reference, tuple(current), champion.kept_labels if champion else None)
