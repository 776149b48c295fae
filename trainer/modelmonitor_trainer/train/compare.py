"""Compares two stored versions on the newest rows that neither has seen, as the promotion gate would today."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.manifest import freeze
from modelmonitor_trainer.data.windows import TrainingWindows, last_whole_day, latest_partition, training_windows
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.gate.evaluation import evaluate
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.report.comparison_evidence import collect_evidence
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores, gate_input
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.rows import load_rows, refuse_other_classes


def compare(
    registry: ModelRegistry, spec: ModelMonitorSpec, challenger: str, champion: str | None, *, now: dt.datetime
) -> dict[str, Any]:
    """Return the evidence of a comparison of two versions as JSON data; nothing is written.

    Parameters
    ----------
    registry, spec
        Registry and spec of the monitor.
    challenger, champion
        The versions; None for the current champion.
    now
        Current time, with time zone.

    Raises
    ------
    NotFound
        If a version or the champion does not exist.
    BadConfiguration
        If there are no rows to compare the versions on, or a custom trainer made one of them.
    """
    champion = champion or _current_champion(registry)
    if champion == challenger:
        raise BadConfiguration(f"{challenger} is the champion itself; specify another version with --with")
    old, new = (load_model(registry, version) for version in (champion, challenger))
    trained_through = max(registry.manifest(model.version).train[1] for model in (old, new))
    store = registry.store
    manifest = freeze(store, spec, _windows(store, spec, trained_through, now))
    try:
        rows = load_rows(store, spec, manifest, [*old.columns, *new.columns])
        for model in (old, new):
            refuse_other_classes(model.version, rows)
    except InconclusiveTraining as inconclusive:
        raise BadConfiguration(f"{challenger} and {champion} cannot be compared: {inconclusive}") from inconclusive
    old_scores, new_scores = (
        HoldoutScores(model.predict_scores(rows.holdout.table), tuple(model.classes)) for model in (old, new)
    )
    scores = gate_input(spec, rows, new_scores, ChampionScores(old.version, old_scores))
    result = evaluate(scores, spec.promotion, seed=spec.retraining.random_seed)
    datasets = {"train": rows.train, "holdout": rows.holdout}
    evidence = collect_evidence(spec, manifest, datasets, scores, result, champion, rows.classes)
    return {"challengerVersion": challenger} | evidence


def _current_champion(registry: ModelRegistry) -> str:
    pointer = registry.champion()
    if pointer is None:
        raise NotFound("there is no champion to compare with; specify a version with --with")
    return pointer.version


def _windows(store: Store, spec: ModelMonitorSpec, trained_through: dt.date, now: dt.datetime) -> TrainingWindows:
    data = spec.data
    last = last_whole_day(now)
    latest = latest_partition(store, data.live.uri, until=last)
    latest_labels = latest_partition(store, data.labels.uri, until=last) if data.labels else None
    if latest is None or (data.labels is not None and latest_labels is None):
        raise NotFound(f"there are no labelled rows under {data.live.uri}; check spec.data")
    windows = training_windows(spec, latest, trained_through, latest_labels=latest_labels)
    if windows.holdout_days == 0:
        raise BadConfiguration(
            f"one of the versions was trained on all days through {trained_through}; wait for newer data"
        )
    return windows
