"""Models that could have served: those that settings promoted, and those of a grid of days on the newest rows."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from dataclasses import dataclass

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.labels import load
from modelmonitor_trainer.data.manifest import freeze
from modelmonitor_trainer.data.windows import TrainingWindows, last_whole_day, latest_partition
from modelmonitor_trainer.errors import BadData, ModelMonitorError, NotFound
from modelmonitor_trainer.model.pipeline import Model
from modelmonitor_trainer.registry.model_files import dump_model, load_model
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.replay.past_store import PastStore
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.refit import fit_window
from modelmonitor_trainer.train.usable_days import without_broken_days

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Candidate:
    """A model and the days that it can be judged on.

    Attributes
    ----------
    key
        Hash of the fitted model: equal models are scored once.
    title
        Display name.
    since
        When it was trained.
    first_day
        The first day that it can serve: after that day, and after every row that it was trained on.
    model
        The model.
    seconds
        Processor time of its training, if it was made for the comparison.
    """

    key: str
    title: str
    since: dt.datetime
    first_day: dt.date
    model: Model
    seconds: float = 0.0


def newest_window(store: PastStore, spec: ModelMonitorSpec, now: dt.datetime) -> tuple[dt.date, dt.date] | None:
    """Return the newest training window whose labels are mature; None if there are no rows yet."""
    last = last_whole_day(now)
    newest = latest_partition(store, spec.data.live.uri, until=last)
    if newest is None:
        return None
    end = newest
    if spec.data.labels is not None:
        labels = latest_partition(store, spec.data.labels.uri, until=last)
        if labels is None:
            return None
        end = min(newest - dt.timedelta(days=spec.data.labels.delay_days), labels)
    return end - dt.timedelta(days=spec.retraining.window_days - 1), end


def fit_newest(store: PastStore, spec: ModelMonitorSpec, monitor: MonitorRef, now: dt.datetime) -> Candidate | None:
    """Return a model of the newest rows at a time, with nothing held out; None if none could be trained."""
    store, started = store.at(now), time.process_time()
    window = newest_window(store, spec, now)
    if window is None:
        return None
    try:
        manifest = freeze(store, spec, TrainingWindows.without_holdout(window))
        manifest = without_broken_days(ModelRegistry.of(store, spec, monitor), spec, manifest)
        model = fit_window(spec, load(store, manifest, manifest.train, spec))
    except (InconclusiveTraining, BadData, NotFound):
        return None
    key = hashlib.sha256(dump_model(model)).hexdigest()[:16]
    first = max(now.date(), window[1]) + _DAY
    return Candidate(key, f"trained on {now.date()}", now, first, model, time.process_time() - started)


def promoted_models(registry: ModelRegistry) -> tuple[list[Candidate], list[str]]:
    """Return the models that have been champions, and why others cannot be scored."""
    pointer = registry.serving()
    versions = {period.tenure.version: period for period in pointer.all_periods()} if pointer else {}
    candidates, problems = [], []
    for version in versions:
        try:
            loaded = load_model(registry, version)
        except ModelMonitorError as error:
            problems.append(str(error))
            continue
        record = loaded.version
        key = record.fitted_sha256 or hashlib.sha256(dump_model(loaded.model)).hexdigest()
        first = max(record.created.date(), record.train.end) + _DAY
        candidates.append(Candidate(key[:16], version, record.created, first, loaded.model))
    return candidates, problems
