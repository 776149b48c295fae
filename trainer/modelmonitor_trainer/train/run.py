"""One training: its folder on the store, so that a pod that is started again goes on where the last one stopped.

``runs/<uid>/<number>/`` holds the request, the frozen manifest, the report, and at last the verdict. What is there
is not made again.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass

from pydantic import ValidationError

from modelmonitor_api.messages import RunVerdict, TrainRequest, encode
from modelmonitor_api.names import short_hash
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.manifest import MIN_TRAIN_ROWS, Manifest, days_within, freeze
from modelmonitor_trainer.data.windows import latest_partition, training_windows
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.gate.evaluation import GateReason
from modelmonitor_trainer.registry.layout import RunLayout
from modelmonitor_trainer.registry.records import Pointer
from modelmonitor_trainer.registry.registry import ModelRegistry, version_name
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import JSON, Store

_LOG = logging.getLogger(__name__)


class InconclusiveTraining(Exception):
    """There is nothing to compare yet: an outcome, not a failure.

    Attributes
    ----------
    reason
        In one word.
    """

    def __init__(self, reason: GateReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes
    ----------
    registry
        Registry of the monitor.
    request
        What the operator asked for.
    layout
        Folder of this training.
    job
        Name of the Job.
    """

    registry: ModelRegistry
    request: TrainRequest
    layout: RunLayout
    job: str

    @property
    def store(self) -> Store:
        """Data and results."""
        return self.registry.store

    @property
    def spec(self) -> ModelMonitorSpec:
        """The monitor's spec."""
        return self.request.spec

    @property
    def report_uri(self) -> str:
        """Where the report page will be."""
        return self.layout.report


def open_run(store: Store, request: TrainRequest, job: str) -> Run:
    """Return the run that answers a request, new or begun.

    A number is given once. Should it be given again, to another request, after the operator had lost all memory of
    the first, the second gets a folder of its own instead of the first one's verdict.
    """
    registry = ModelRegistry.of(store, request.spec, request.monitor)
    layout = registry.layout.run(request.monitor.uid, request.number)
    content = encode(request).encode()
    if put_once(store, layout.request, content, JSON) != content:
        layout = registry.layout.run(request.monitor.uid, request.number, short_hash(content.decode()))
        put_once(store, layout.request, content, JSON)
    return Run(registry, request, layout, job)


def finished(run: Run) -> RunVerdict | None:
    """Return the verdict that an earlier pod reached, or None."""
    uri = run.layout.verdict
    if run.store.head(uri) is None:
        return None
    try:
        return RunVerdict.model_validate_json(run.store.read(uri))
    except ValidationError as error:
        raise BadData(f"{uri} is damaged; remove it to have the training concluded again") from error


def finish(run: Run, verdict: RunVerdict) -> RunVerdict:
    """Write the verdict, which ends the run, and return the one that stands."""
    put_once(run.store, run.layout.verdict, encode(verdict).encode(), JSON)
    return finished(run) or verdict


def frozen_manifest(run: Run, champion: Pointer | None, now: dt.datetime) -> Manifest:
    """Return the run's manifest: the one that an earlier pod froze, or of what is there now.

    Raises
    ------
    InconclusiveTraining
        If no day is left to train or to compare on.
    NotFound
        If there are no live rows at all.
    """
    uri = run.layout.manifest
    if run.store.head(uri) is not None:
        _LOG.info("going on with the manifest that an earlier pod froze")
        return Manifest.from_json(run.store.read(uri), uri)
    manifest = _freeze(run, champion, now)
    return Manifest.from_json(put_once(run.store, uri, manifest.to_json(), JSON), uri)


def frozen_champion(run: Run, champion: Pointer | None) -> str | None:
    """Note which champion the run compares with, and return its version; None for no champion.

    Files of a version are written once. A pod that is started again and compared with another champion than the pod
    before it would leave a version of which one half speaks of the one, and the other half of the other.

    Raises
    ------
    InconclusiveTraining
        If the champion is not the one that an earlier pod of this run was given.
    """
    version = champion.version if champion else None
    uri = run.layout.champion
    frozen = _rival_in(put_once(run.store, uri, json.dumps({"champion": version}).encode(), JSON), uri)
    if frozen != version:
        raise InconclusiveTraining(
            GateReason.CHAMPION_CHANGED,
            f"while this training was interrupted, {version or 'no version'} became the champion in place of "
            f"{frozen or 'none'}, with which it was being compared; train again",
        )
    return version


def champion_compared_with(run: Run) -> str | None:
    """Return the version that :func:`frozen_champion` noted; None for no champion.

    Raises
    ------
    BadConfiguration
        If it was not called.
    """
    uri = run.layout.champion
    if run.store.head(uri) is None:
        raise BadConfiguration("nothing was prepared for this training; modelmonitor train-prepare comes first")
    return _rival_in(run.store.read(uri), uri)


def _rival_in(data: bytes, uri: str) -> str | None:
    try:
        version = json.loads(data)["champion"]
    except (ValueError, KeyError, TypeError):
        version = 0
    if version is not None and not isinstance(version, str):
        raise BadData(f"{uri} is damaged; remove it to have the training begun again")
    return version


def _freeze(run: Run, champion: Pointer | None, now: dt.datetime) -> Manifest:
    data = run.spec.data
    today = now.astimezone(dt.UTC).date()
    latest = latest_partition(run.store, data.live.uri, until=today)
    if latest is None:
        raise NotFound(f"there is no partition under {data.live.uri}; check spec.data.live.uri")
    latest_labels = latest_partition(run.store, data.labels.uri, until=today) if data.labels else None
    if data.labels and latest_labels is None:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS, f"no labels have arrived under {data.labels.uri}; check it, or wait for them"
        )
    windows = training_windows(run.spec, latest, champion.data_end if champion else None, latest_labels=latest_labels)
    if windows.holdout_days == 0:
        end = champion.data_end if champion else None
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"no day is left to compare on: the newest day with mature labels is {windows.holdout[1]}, and the "
            f"champion was trained on days until {end}; wait for newer data",
        )
    manifest = freeze(run.store, run.spec, windows)
    rows = sum(day.rows for day in days_within(manifest.features, manifest.train))
    if rows < MIN_TRAIN_ROWS:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{rows:,} rows from {windows.train[0]} to {windows.train[1]} are too few to train on, "
            f"{MIN_TRAIN_ROWS} are needed; wait for more data, raise retraining.windowDays or lower "
            "promotion.holdoutDays",
        )
    return manifest


def version_of(run: Run, manifest: Manifest) -> str:
    """Return the name of the version that this run makes."""
    number = run.request.number
    return version_name(number, short_hash(run.request.monitor.uid, str(number), manifest.sha256))
