"""Two stored versions on the newest rows that neither has seen: what the gate would say today."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.manifest import freeze
from modelmonitor_trainer.data.windows import TrainingWindows, latest_partition, training_windows
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.gate.evaluation import evaluate
from modelmonitor_trainer.registry.model_files import load_model
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.report.comparison_evidence import collect_evidence
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores, gate_input
from modelmonitor_trainer.train.rows import load_rows
from modelmonitor_trainer.train.run import InconclusiveTraining


def compare(
    registry: ModelRegistry, spec: ModelMonitorSpec, challenger: str, champion: str | None, *, now: dt.datetime
) -> dict[str, Any]:
    """Return what a comparison of two versions finds, as JSON data; nothing is written.

    Parameters
    ----------
    registry, spec
        The monitor.
    challenger, champion
        The versions; None for the present champion.
    now
        The present, with time zone.

    Raises
    ------
    NotFound
        If there is no such version, or no champion.
    BadConfiguration
        If there are no rows to compare them on, or a trainer of the user's own made one of them.
    """
    other = champion or _present(registry)
    if other == challenger:
        raise BadConfiguration(f"{challenger} is the champion itself; name another version with --with")
    models = [load_model(registry, version) for version in (other, challenger)]
    seen = max(registry.manifest(model.version).train[1] for model in models)
    store = registry.store
    manifest = freeze(store, spec, _windows(store, spec, seen, now))
    try:
        rows = load_rows(store, spec, manifest, [name for model in models for name in model.columns])
    except InconclusiveTraining as why:
        raise BadConfiguration(f"{challenger} and {other} cannot be compared: {why}") from why
    old, new = (HoldoutScores(model.predict_scores(rows.holdout.table), tuple(model.classes)) for model in models)
    contest = gate_input(spec, rows, new, ChampionScores(models[0].version, old))
    result = evaluate(contest, spec.promotion, seed=spec.retraining.random_seed)
    datasets = {"train": rows.train, "holdout": rows.holdout}
    return {"challengerVersion": challenger} | collect_evidence(
        spec, manifest, datasets, contest, result, other, rows.classes
    )


def _present(registry: ModelRegistry) -> str:
    pointer = registry.champion()
    if pointer is None:
        raise NotFound("there is no champion to compare with; name a version with --with")
    return pointer.version


def _windows(store: Store, spec: ModelMonitorSpec, seen: dt.date, now: dt.datetime) -> TrainingWindows:
    data = spec.data
    today = now.astimezone(dt.UTC).date()
    latest = latest_partition(store, data.live.uri, until=today)
    latest_labels = latest_partition(store, data.labels.uri, until=today) if data.labels else None
    if latest is None or (data.labels is not None and latest_labels is None):
        raise NotFound(f"there are no labelled rows under {data.live.uri}; check spec.data")
    windows = training_windows(spec, latest, seen, latest_labels=latest_labels)
    if windows.holdout_days == 0:
        raise BadConfiguration(f"one of the versions has seen all days until {seen}; wait for newer data")
    return windows
