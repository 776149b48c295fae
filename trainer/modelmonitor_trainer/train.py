"""A training: freeze the data, fit, compare on later rows, write a version, promote it if it passes."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import skops.io

from modelmonitor_api.messages import MetricComparison, RunVerdict, TrainRequest
from modelmonitor_api.names import short_hash
from modelmonitor_api.spec import ModelMonitorSpec, Task
from modelmonitor_trainer import pipeline, registry
from modelmonitor_trainer.card import model_card
from modelmonitor_trainer.comparison_report import render_comparison
from modelmonitor_trainer.failures import BadConfiguration, NotFound
from modelmonitor_trainer.gate import GateResult, Scored, judge
from modelmonitor_trainer.manifest import Manifest, freeze, frozen, objects_of
from modelmonitor_trainer.registry import Pointer, Version
from modelmonitor_trainer.rows import LabelledRows, read_labelled
from modelmonitor_trainer.storage import HTML, JSON, Store
from modelmonitor_trainer.windows import Window

_LOG = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: With fewer labelled rows nothing is fitted.
MIN_TRAIN_ROWS = 100
_LIBRARIES = ("modelmonitor-trainer", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
class Run:
    """One training, and where it keeps what it has done.

    Attributes
    ----------
    store, request
        What is asked, and where.
    now
        When it began.
    """

    store: Store
    request: TrainRequest
    now: dt.datetime

    @property
    def spec(self) -> ModelMonitorSpec:
        """The monitor's spec."""
        return self.request.spec

    @property
    def prefix(self) -> str:
        """Everything of the monitor."""
        return registry.monitor_prefix(self.spec, self.request.monitor)

    @property
    def folder(self) -> str:
        """Everything of this training."""
        return f"{self.prefix}runs/{self.request.monitor.uid}/{self.request.number}/"


def train(store: Store, request: TrainRequest, now: dt.datetime) -> RunVerdict:
    """Do what a training request asks, going on where an earlier pod of the same Job was stopped.

    Parameters
    ----------
    store
        Where data and results are.
    request
        What is asked.
    now
        The time, with its time zone.

    Returns
    -------
    RunVerdict
        Promoted, Rejected, Inconclusive or AwaitingApproval, with the figures.
    """
    run = Run(store, request, now.replace(microsecond=0))
    said = _said(run)
    if said is not None:
        return said
    found = registry.read_pointer(store, run.prefix)
    champion = found[0] if found else None
    today = run.now.astimezone(dt.UTC).date()
    manifest = frozen(
        store,
        f"{run.folder}manifest.json",
        lambda: freeze(store, run.spec, champion.data_end if champion else None, today),
    )
    name = version_name(request, manifest)
    version = registry.read_version(store, run.prefix, name)
    verdict = _train_version(run, manifest, champion, name) if version is None else _verdict(run, version)
    store.write(f"{run.folder}verdict.json", json.dumps(verdict.to_wire(), indent=1).encode(), content_type=JSON)
    return verdict


def version_name(request: TrainRequest, manifest: Manifest) -> str:
    """Return the name of the version that a training makes: the same for each attempt at it."""
    digest = short_hash(request.monitor.uid, str(request.number), manifest.sha256())
    return f"v{request.number}-{digest}"


def _said(run: Run) -> RunVerdict | None:
    """Return the verdict of an earlier pod that was stopped just before it could say it."""
    try:
        return RunVerdict.model_validate_json(run.store.read(f"{run.folder}verdict.json"))
    except NotFound:
        return None


def _train_version(run: Run, manifest: Manifest, champion: Pointer | None, name: str) -> RunVerdict:
    _LOG.info("training on %s to %s, comparing on %s to %s", *manifest.train, *manifest.holdout)
    train_rows = _rows(run, manifest, manifest.train)
    holdout = _rows(run, manifest, manifest.holdout)
    _LOG.info(
        "%d rows to train on, %d to compare on, %d without a label", len(train_rows), len(holdout), train_rows.unmatched
    )
    lacking = _lacking(run.spec, train_rows)
    if lacking is not None:
        return RunVerdict(
            outcome="Inconclusive",
            reason="TooFewRows",
            message=lacking,
            champion=champion.to_champion() if champion else None,
            train_rows=len(train_rows),
            holdout_rows=len(holdout),
        )
    begun = time.monotonic()
    fitted = _fit(run, train_rows)
    _LOG.info("fitted in %.1f s", time.monotonic() - begun)
    scored = _score(run, fitted, champion, train_rows, holdout)
    result = judge(scored, run.spec.promotion, run.spec.model.task, run.spec.retraining.random_seed)
    _LOG.info("%s (%s): %s", result.outcome, result.reason, result.message)
    version = _version(run, manifest, fitted, name, result, champion, len(train_rows))
    page = render_comparison(run.request, version, manifest, result, scored, train_rows, holdout)
    run.store.write(f"{run.folder}report.html", page.encode(), content_type=HTML)
    files = _files(fitted, manifest, version, result)
    version = registry.save_version(run.store, run.prefix, version, files)
    return _verdict(run, version, result)


def _rows(run: Run, manifest: Manifest, window: Window) -> LabelledRows:
    # A label lies in the partition of its row's day, or of a later one: all frozen ones are read.
    labels = objects_of(manifest.labels, (window[0], max(window[1], manifest.holdout_end)))
    return read_labelled(run.store, run.spec, objects_of(manifest.features, window), labels)


def _lacking(spec: ModelMonitorSpec, rows: LabelledRows) -> str | None:
    """Return why nothing can be learnt from `rows`, if so."""
    if len(rows) < MIN_TRAIN_ROWS:
        return (
            f"There are {len(rows)} labelled rows to train on ({rows.unmatched} have no label), and {MIN_TRAIN_ROWS} are "
            "needed; wait for data, or raise retraining.windowDays."
        )
    if spec.model.task is not Task.REGRESSION and len(np.unique(rows.target)) < 2:
        return f"All {len(rows)} rows to train on have the same outcome; raise retraining.windowDays."
    return None


def _fit(run: Run, rows: LabelledRows) -> Any:
    declared = run.spec.retraining.estimator
    if declared is None:
        raise BadConfiguration(
            "retraining.estimator is not set; a trainer image of your own is run by the operator, step by step"
        )
    made = pipeline.build(declared, run.spec.model.features, run.spec.retraining.random_seed)
    return pipeline.fit(made, declared, rows.features, rows.target)


def _score(run: Run, fitted: Any, champion: Pointer | None, train_rows: LabelledRows, holdout: LabelledRows) -> Scored:
    """Return the scores of challenger, champion and a trivial model on the same later rows."""
    task = run.spec.model.task
    own = fitted.classes_ if task is Task.MULTICLASS_CLASSIFICATION else None
    if not len(holdout):
        nothing = np.empty(0)
        return Scored(holdout.target, nothing, nothing, None, holdout.slices, own)
    challenger = pipeline.predict(fitted, holdout.features, task)
    baseline = trivial_scores(task, train_rows.target, len(holdout), own)
    if champion is None:
        return Scored(holdout.target, challenger, baseline, None, holdout.slices, own)
    model = registry.load_model(run.store, run.prefix, champion.version)
    try:
        theirs = model.predict_scores(holdout.features)
    except (ValueError, KeyError) as error:
        raise BadConfiguration(
            f"the champion {champion.version} cannot score these rows: {error}. Keep its features in model.features, or "
            "remove champion.json to begin anew"
        ) from error
    if own is None:
        return Scored(holdout.target, challenger, baseline, theirs, holdout.slices)
    known = np.asarray(model.fitted.classes_)
    classes = np.union1d(own, known)
    return Scored(
        holdout.target,
        _aligned(challenger, own, classes),
        _aligned(baseline, own, classes),
        _aligned(theirs, known, classes),
        holdout.slices,
        classes,
    )


def trivial_scores(task: Task, target: Array, rows: int, classes: Array | None) -> Array:
    """Return what a model says that knows nothing but the training outcomes: their mean, or the shares of classes."""
    if task is Task.MULTICLASS_CLASSIFICATION:
        assert classes is not None
        return np.tile([np.mean(target == label) for label in classes], (rows, 1))
    return np.full(rows, float(np.mean(target)))


def _aligned(scores: Array, known: Array, classes: Array) -> Array:
    """Return scores with one column for each of `classes`; a class that a model does not know has probability 0."""
    wide = np.zeros((len(scores), len(classes)))
    wide[:, np.searchsorted(classes, known)] = scores
    return wide


def _version(
    run: Run, manifest: Manifest, fitted: Any, name: str, result: GateResult, champion: Pointer | None, rows: int
) -> Version:
    retraining = run.spec.retraining
    classes = fitted.classes_ if run.spec.model.task is Task.MULTICLASS_CLASSIFICATION else ()
    return Version(
        version=name,
        created=run.now,
        number=run.request.number,
        files={},
        task=run.spec.model.task,
        classes=[str(label) for label in classes],
        parameters={"retraining": retraining.to_wire(), "model": run.spec.model.to_wire()},
        seed=retraining.random_seed,
        trainer_image=run.request.trainer_image,
        libraries={library: metadata.version(library) for library in _LIBRARIES},
        manifest_sha256=manifest.sha256(),
        train_start=manifest.train_start,
        train_end=manifest.train_end,
        train_rows=rows,
        metric=result.metric.value,
        score=result.challenger,
        compared_with=champion.version if champion else None,
        outcome=result.outcome,
        reason=result.reason,
        message=result.message,
    )


def _files(fitted: Any, manifest: Manifest, version: Version, result: GateResult) -> Mapping[str, bytes]:
    return {
        "model.skops": skops.io.dumps(fitted),
        "manifest.json": manifest.to_json(),
        "metrics.json": json.dumps(metrics_of(result), indent=1).encode(),
        "card.md": model_card(version, manifest, result).encode(),
    }


def metrics_of(result: GateResult) -> dict[str, Any]:
    """Return the figures of a comparison as plain data."""
    return {
        "metric": result.metric.value,
        "rows": result.rows,
        "challenger": result.challenger,
        "champion": result.champion,
        "baseline": result.baseline,
        "difference": _interval(result.interval),
        "slices": [
            {
                "column": one.column,
                "value": one.value,
                "rows": one.rows,
                "champion": one.champion,
                "challenger": one.challenger,
                "difference": _interval(one.interval),
                "decides": one.decides,
                "dropped": one.dropped,
            }
            for one in result.slices
        ],
    }


def _interval(interval: Any) -> dict[str, float] | None:
    if interval is None or not np.isfinite(interval.low):
        return None
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _verdict(run: Run, version: Version, result: GateResult | None = None) -> RunVerdict:
    """Promote a version that has passed, and return the verdict; also for one that an earlier pod has written."""
    outcome, reason, message = version.outcome, version.reason, version.message
    found = registry.read_pointer(run.store, run.prefix)
    champion = found[0] if found else None
    if outcome == "Promoted":
        champion = registry.promote(run.store, run.prefix, version, version.compared_with, reason, run.now)
        if champion.version != version.version:
            outcome, reason = "Inconclusive", "ChampionChanged"
            message = (
                f"While {version.version} was compared with {version.compared_with or 'no champion'}, "
                f"{champion.version} became the champion; the next training compares with that."
            )
    return RunVerdict.model_validate(
        {
            "outcome": outcome,
            "reason": reason,
            "message": message[:1024],
            "version": version.version,
            "champion": champion.to_champion() if champion else None,
            "comparison": _comparison(version, result),
            "train_rows": version.train_rows,
            "holdout_rows": result.rows if result else None,
            "report_uri": f"{run.folder}report.html",
        }
    )


def _comparison(version: Version, result: GateResult | None) -> MetricComparison | None:
    if version.score is None:
        return None
    interval = _interval(result.interval) if result else None
    return MetricComparison(
        name=version.metric,
        champion=result.champion if result else None,
        challenger=version.score,
        difference=interval["value"] if interval else None,
        low=interval["low"] if interval else None,
        high=interval["high"] if interval else None,
    )
