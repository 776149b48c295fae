"""A training run: its folder in the object store, from which a restarted pod resumes.

``runs/<uid>/<number>/`` holds the request, the frozen manifest, the report, and finally the verdict. Files that exist
are not written again.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass

from pydantic import ValidationError

from modelmonitor_api.messages import RunVerdict, TrainRequest, encode
from modelmonitor_api.names import short_hash
from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy.training_calendar import MIN_TRAIN_ROWS
from modelmonitor_trainer.data.manifest import Manifest, days_within, freeze, spec_digest
from modelmonitor_trainer.data.windows import last_whole_day, latest_partition, training_windows
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.registry.layout import RunLayout
from modelmonitor_trainer.registry.records import Pointer
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.registry.versions import version_name
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import JSON, Store
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.usable_days import in_words, without_broken_days

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes
    ----------
    registry
        Registry of the monitor.
    request
        Request of the operator.
    layout
        Folder of the run.
    job
        Name of the Job.
    """

    registry: ModelRegistry
    request: TrainRequest
    layout: RunLayout
    job: str

    @property
    def store(self) -> Store:
        """Store of data and results."""
        return self.registry.store

    @property
    def spec(self) -> ModelMonitorSpec:
        """The monitor's spec."""
        return self.request.spec

    @property
    def report_uri(self) -> str:
        """URI of the report page."""
        return self.layout.report


def open_run(store: Store, request: TrainRequest, job: str) -> Run:
    """Open the run of a request, or create it.

    Numbers of trainings are unique. If the operator lost its status and reuses a number for another request, the
    second request gets a separate folder instead of the verdict of the first.

    Raises
    ------
    BadConfiguration
        If the object store does not support conditional writes.
    """
    registry = ModelRegistry.of(store, request.spec, request.monitor)
    # Before hours of training, and before the first object that two pods could write.
    registry.require_conditional_writes()
    layout = registry.layout.run(request.monitor.uid, request.number)
    content = encode(request).encode()
    if put_once(store, layout.request, content, JSON) != content:
        layout = registry.layout.run(request.monitor.uid, request.number, short_hash(content.decode()))
        put_once(store, layout.request, content, JSON)
    return Run(registry, request, layout, job)


def find_verdict(run: Run) -> RunVerdict | None:
    """Return the verdict of an earlier pod, or None.

    Raises
    ------
    BadData
        If the file of the verdict is corrupt.
    """
    uri = run.layout.verdict
    if run.store.head(uri) is None:
        return None
    try:
        return RunVerdict.model_validate_json(run.store.read(uri))
    except ValidationError as error:
        raise BadData(f"{uri} is corrupt; delete it to conclude the training again") from error


def write_verdict(run: Run, verdict: RunVerdict) -> RunVerdict:
    """Write the verdict unless there is one, which ends the run; return the stored verdict."""
    put_once(run.store, run.layout.verdict, encode(verdict).encode(), JSON)
    return find_verdict(run) or verdict


def freeze_manifest(run: Run, champion: Pointer | None, now: dt.datetime) -> Manifest:
    """Return the manifest of the run: that of an earlier pod, or a new one of the current data.

    Raises
    ------
    InconclusiveTraining
        If no day is left for the hold-out, or there are too few training rows.
    NotFound
        If there are no live rows.
    """
    uri = run.layout.manifest
    if run.store.head(uri) is not None:
        _LOG.info("resuming with the manifest of an earlier pod")
        return Manifest.from_json(run.store.read(uri), uri)
    manifest = _new_manifest(run, champion, now)
    return Manifest.from_json(put_once(run.store, uri, manifest.to_json(), JSON), uri)


def pin_champion(run: Run, champion: Pointer | None) -> str | None:
    """Record the champion that the run compares with, and return its version; None without a champion.

    Files of a version are written once. If a restarted pod compared with another champion than the pod before it,
    the files of the version would be inconsistent.

    Raises
    ------
    InconclusiveTraining
        If an earlier pod of this run recorded another champion.
    """
    version = champion.version if champion else None
    uri = run.layout.champion
    pinned = _champion_in(put_once(run.store, uri, json.dumps({"champion": version}).encode(), JSON), uri)
    if pinned != version:
        raise InconclusiveTraining(
            GateReason.CHAMPION_CHANGED,
            f"the champion changed from {pinned or 'none'} to {version or 'none'} while this training was interrupted; "
            "run the training again",
        )
    return version


def pinned_champion(run: Run) -> str | None:
    """Return the version that :func:`pin_champion` recorded; None without a champion.

    Raises
    ------
    BadConfiguration
        If the training was not prepared.
    """
    uri = run.layout.champion
    if run.store.head(uri) is None:
        raise BadConfiguration("this training was not prepared; run modelmonitor train-prepare first")
    return _champion_in(run.store.read(uri), uri)


def _champion_in(data: bytes, uri: str) -> str | None:
    try:
        version = json.loads(data)["champion"]
    except (ValueError, KeyError, TypeError):
        version = 0
    if version is not None and not isinstance(version, str):
        raise BadData(f"{uri} is corrupt; delete it to restart the training")
    return version


def _new_manifest(run: Run, champion: Pointer | None, now: dt.datetime) -> Manifest:
    _require_record(run, champion)
    data = run.spec.data
    last = last_whole_day(now)
    latest = latest_partition(run.store, data.live.uri, until=last)
    if latest is None:
        raise NotFound(f"there is no partition under {data.live.uri}; check spec.data.live.uri")
    latest_labels = latest_partition(run.store, data.labels.uri, until=last) if data.labels else None
    if data.labels and latest_labels is None:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS, f"no labels have arrived under {data.labels.uri}; check data.labels.uri, or wait"
        )
    windows = training_windows(
        run.spec,
        latest,
        _learnt_through(run, champion),
        latest_labels=latest_labels,
        change=run.request.drift_onset,
    )
    if windows.holdout_days == 0:
        raise _without_holdout(run, champion, windows.holdout[1])
    manifest = without_broken_days(run.registry, run.spec, freeze(run.store, run.spec, windows))
    rows = sum(day.rows for day in days_within(manifest.features, manifest.train))
    if rows < MIN_TRAIN_ROWS:
        left_out = in_words(manifest.left_out)
        without = f" without {left_out}" if left_out else ""
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{rows:,} rows from {manifest.train[0]} through {manifest.train[1]}{without} are too few to train on, at "
            f"least {MIN_TRAIN_ROWS} are needed; wait for more data, raise retraining.windowDays, or lower "
            "promotion.holdoutDays",
        )
    return manifest


def _require_record(run: Run, champion: Pointer | None) -> None:
    """Refuse a champion whose record is damaged or missing: what it predicts, and from what, is not known."""
    if champion is None:
        return
    try:
        run.registry.version(champion.version)
    except (BadData, NotFound) as error:
        raise InconclusiveTraining(
            GateReason.CHAMPION_DAMAGED,
            f"the record of the champion {champion.version} cannot be used: {error}. A challenger must be compared "
            "with the champion, so nothing was trained; restore the file, or roll back to another version",
        ) from error


def _learnt_through(run: Run, champion: Pointer | None) -> dt.date | None:
    """Return the last day that the champion was trained on; None if there is none that a challenger is compared with.

    A champion that predicts something else than the spec declares is not: its days are a hold-out like any other.
    """
    record = run.registry.find_version(champion.version) if champion else None
    if record is not None and record.other_task(run.spec.model.task, run.spec.model.target):
        return None
    return champion.data_end if champion else None


def _without_holdout(run: Run, champion: Pointer | None, newest: dt.date) -> InconclusiveTraining:
    """Return why no day is left for the hold-out: with the champion's spec, a training would find nothing new."""
    end = champion.data_end if champion else None
    record = run.registry.find_version(champion.version) if champion else None
    if record is not None and run.registry.manifest(record).spec_sha256 == spec_digest(run.spec):
        return InconclusiveTraining(
            GateReason.SAME_DATA,
            f"the champion {record.version} was trained with the same spec on days through {end}, and the newest day "
            f"with mature labels is {newest}; wait for newer data, or change the spec",
            RunOutcome.NOTHING_NEW,
        )
    return InconclusiveTraining(
        GateReason.TOO_FEW_ROWS,
        f"no day is left for the hold-out: the newest day with mature labels is {newest}, and the champion was trained "
        f"on days through {end}; wait for newer data",
    )


def version_of(run: Run, manifest: Manifest) -> str:
    """Return the name of the version that this run creates."""
    number = run.request.number
    return version_name(number, short_hash(run.request.monitor.uid, str(number), manifest.sha256))
