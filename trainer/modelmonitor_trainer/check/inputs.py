"""What a check compares: windows resolved to objects, before any row is read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import Data, DataFormat, Feature, FeatureType, ModelMonitorSpec, Task
from modelmonitor_trainer.data.windows import Window, latest_partition, live_window, partitions
from modelmonitor_trainer.failures import NotFound
from modelmonitor_trainer.profile.window import Block, blocks_of
from modelmonitor_trainer.storage.store import Store


@dataclass(frozen=True)
class ChampionFacts:
    """What a check needs to know of the champion.

    Attributes
    ----------
    version
        Its name.
    window
        First and last day that it was trained on.
    features, labels
        The objects that it was trained on, by day.
    """

    version: str
    window: Window
    features: tuple[Block, ...]
    labels: tuple[Block, ...]


@dataclass(frozen=True)
class Pair:
    """Two windows of the same columns.

    Attributes
    ----------
    columns
        What is compared.
    reference, current
        Where its rows are.
    """

    columns: tuple[Feature, ...]
    reference: tuple[Block, ...]
    current: tuple[Block, ...]


@dataclass(frozen=True)
class Inputs:
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
    """

    fmt: DataFormat
    window: Window
    reference_window: Window | None
    reference_title: str
    rows: Pair
    labels: Pair | None
    arrived: tuple[Block, ...]
    mature: dt.date


def resolve(store: Store, spec: ModelMonitorSpec, champion: ChampionFacts | None, today: dt.date) -> Inputs:
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
    columns = (*spec.model.features, *(() if data.labels else (target,)))
    return Inputs(
        fmt=data.format,
        window=window,
        reference_window=period,
        reference_title=title,
        rows=Pair(columns, reference, _partitions(store, data.live.uri, window)),
        labels=_labels(store, data, champion, period, [b for b in arrived if b.day and b.day <= mature], target),
        arrived=arrived,
        mature=mature,
    )


def target_column(spec: ModelMonitorSpec) -> Feature:
    """Return the target as a column that is compared like a feature."""
    kind = FeatureType.NUMERIC if spec.model.task is Task.REGRESSION else FeatureType.CATEGORICAL
    return Feature(name=spec.model.target, type=kind)


def _reference_period(spec: ModelMonitorSpec, champion: ChampionFacts | None) -> tuple[Window | None, str]:
    if champion is not None:
        return champion.window, f"training window of the champion {champion.version}"
    if spec.data.reference is not None:
        return (spec.data.reference.start, spec.data.reference.end), "spec.data.reference"
    return None, "none"


def _partitions(store: Store, uri: str, window: Window | None) -> tuple[Block, ...]:
    return blocks_of(partitions(store, uri, *window)) if window else ()


def _labels(
    store: Store,
    data: Data,
    champion: ChampionFacts | None,
    period: Window | None,
    current: Sequence[Block],
    target: Feature,
) -> Pair | None:
    if data.labels is None:
        return None
    reference = champion.labels if champion else _partitions(store, data.labels.uri, period)
    return Pair((target,), reference, tuple(current))
