"""What a comparison found, as plain data: kept with the version, and all that its report page shows.

A pod that is started again after the version was written draws the page from this, without the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from modelmonitor_api.messages import MetricComparison
from modelmonitor_api.spec import Metric, ModelMonitorSpec, Task, metric_fits
from modelmonitor_trainer.arrays import Array, Floats
from modelmonitor_trainer.data.labels import Dataset
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.gate.evaluation import GateInput, GateResult, margin_of
from modelmonitor_trainer.gate.interval import Difference, score_deviation
from modelmonitor_trainer.model.metrics import Undefined, greater_is_better, in_units, score_places, title

_CURVE_POINTS = 100
_BINS = 10
_SCATTER = 400
#: Classes of which an ROC curve is drawn, the most frequent ones.
_CLASSES = 6


def evidence(
    spec: ModelMonitorSpec,
    manifest: Manifest,
    datasets: Mapping[str, Dataset],
    contest: GateInput,
    result: GateResult,
    champion: str | None,
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what a comparison found, as JSON data.

    Parameters
    ----------
    spec, manifest
        Of the training.
    datasets
        "train" and "holdout".
    contest, result
        What the gate was given, and what it said.
    champion
        Version of the champion.
    classes
        Names of the classes in the order of their places.
    """
    return {
        "schemaVersion": 1,
        "task": spec.model.task.value,
        "metric": result.metric.value,
        "metricTitle": title(result.metric),
        "greaterIsBetter": greater_is_better(result.metric),
        "confidence": float(spec.promotion.confidence),
        "requirement": spec.promotion.requirement.value,
        "margin": margin_of(spec.promotion, result.champion.champion) if result.champion else 0.0,
        "maxSliceDrop": float(spec.promotion.max_slice_drop),
        "isShareOfError": in_units(result.metric, 1.0, 2.0) != 1.0,
        "championVersion": champion,
        "outcome": result.outcome.value,
        "reason": result.reason.value,
        "message": result.message,
        "rows": result.rows,
        "champion": _difference(result.champion),
        "baseline": _difference(result.baseline),
        "lastPeriod": _difference(result.last_period),
        "slices": [asdict(part) for part in result.slices],
        "checks": [asdict(check) for check in result.checks],
        "metrics": _all_metrics(spec.model.task, contest),
        "calibration": _calibrations(spec.model.task, contest),
        "curves": _curves(spec.model.task, contest, classes),
        "windows": [_window(name, datasets[name], manifest) for name in ("train", "holdout")],
        "objects": sum(len(day.objects) for day in (*manifest.features, *manifest.labels)),
        "bytes": sum(item.size for day in (*manifest.features, *manifest.labels) for item in day.objects),
        "manifestSHA256": manifest.sha256,
    }


def metric_comparison(found: Mapping[str, Any]) -> MetricComparison | None:
    """Return the figures of a comparison for the operator; None where there are none."""
    difference = found["champion"]
    if difference is not None:
        return MetricComparison(
            name=found["metric"],
            champion=difference["champion"],
            challenger=difference["challenger"],
            difference=difference["value"],
            low=difference["low"],
            high=difference["high"],
        )
    if found["baseline"] is not None:
        return MetricComparison(name=found["metric"], challenger=found["baseline"]["challenger"])
    return None


def _difference(found: Difference | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _all_metrics(task: Task, contest: GateInput) -> list[dict[str, Any]]:
    """Return every metric that fits the task, for readers who know another one better."""
    models = {
        "champion": contest.champion,
        "challenger": contest.challenger,
        "baseline": contest.baseline,
        "lastPeriod": contest.last_period,
    }
    return [
        {
            "metric": title(metric),
            "greaterIsBetter": greater_is_better(metric),
            **{name: _score_or_none(metric, contest.truth, scores) for name, scores in models.items()},
            "deviation": score_deviation(metric, contest.truth, contest.challenger, contest.days),
        }
        for metric in Metric
        if metric_fits(metric, task)
    ]


def _score_or_none(metric: Metric, truth: Array, scores: Array | None) -> float | None:
    if scores is None:
        return None
    try:
        return score_places(metric, truth, scores)
    except Undefined:
        return None


def _curves(task: Task, contest: GateInput, classes: Sequence[str]) -> dict[str, Any]:
    """Return the points of the charts, by model."""
    models = {"challenger": contest.challenger}
    if contest.champion is not None:
        models["champion"] = contest.champion
    if task is Task.REGRESSION:
        return {"residuals": {name: _residuals(contest.truth, scores) for name, scores in models.items()}}
    if task is Task.MULTICLASS_CLASSIFICATION:
        return {
            "rocByClass": _roc_by_class(contest.truth, models, classes),
            "calibration": {name: _curve(*_surest(contest.truth, scores)) for name, scores in models.items()},
        }
    if np.unique(contest.truth).size < 2:
        return {}
    return {
        "roc": {name: _roc(contest.truth, scores) for name, scores in models.items()},
        "calibration": {name: _curve(contest.truth, scores) for name, scores in models.items()},
    }


def _roc(truth: Array, scores: Floats) -> list[list[float]]:
    """Return points of the ROC curve: share of negatives, and of positives, at or above a threshold."""
    from sklearn.metrics import roc_curve

    negatives, positives, _ = roc_curve(truth, scores)
    places = np.unique(np.linspace(0, len(negatives) - 1, _CURVE_POINTS).astype(int))
    return _points(negatives[places], positives[places])


def _roc_by_class(truth: Array, models: Mapping[str, Floats], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the ROC curves of the most frequent classes, each against the rest."""
    places, counts = np.unique(truth[truth >= 0], return_counts=True)
    if places.size < 2:
        return []
    chosen = places[np.argsort(-counts, kind="stable")][:_CLASSES]
    return [
        {
            "class": classes[place] if place < len(classes) else str(place),
            "curves": {name: _roc(truth == place, scores[:, place]) for name, scores in models.items()},
        }
        for place in chosen.tolist()
    ]


def _calibrations(task: Task, contest: GateInput) -> dict[str, Any]:
    """Return by model how far its probabilities, or its predicted values, are from what came."""
    models = {"challenger": contest.challenger, "champion": contest.champion}
    return {
        name: None if scores is None else _calibration(task, contest.truth, scores) for name, scores in models.items()
    }


def _calibration(task: Task, truth: Array, scores: Floats) -> dict[str, float | None]:
    """Return the figures of one model.

    ``bias`` is what it says on average less what came. ``error`` is the expected calibration error: the mean distance
    of the calibration curve from the diagonal, weighted by rows (Naeini, Cooper, Hauskrecht: Obtaining well calibrated
    probabilities using Bayesian binning, AAAI 2015; bins of about equally many rows, equal scores in one). Of several
    classes, it is of the class that the model holds for the likeliest.
    """
    if task is Task.REGRESSION:
        return {"bias": float(np.mean(scores - truth)), "error": None}
    came, said = _surest(truth, scores) if task is Task.MULTICLASS_CLASSIFICATION else (truth, scores)
    parts = _bins(said)
    distance = sum(abs(float(said[part].mean() - came[part].mean())) * part.size for part in parts)
    return {"bias": float(np.mean(said) - np.mean(came)), "error": distance / len(came)}


def _surest(truth: Array, scores: Floats) -> tuple[Array, Floats]:
    """Return whether the likeliest class came, and its probability; (n,) each."""
    likeliest = scores.argmax(axis=1)
    return (truth == likeliest).astype(np.int64), scores[np.arange(len(scores)), likeliest]


def _bins(scores: Floats) -> list[Array]:
    """Return places of rows in at most ten bins of about equally many rows; equal scores are in one bin."""
    order = np.argsort(scores, kind="stable")
    rising = scores[order]
    ends = np.linspace(0, len(scores), _BINS + 1)[1:-1].round().astype(int)
    cuts = np.unique(np.searchsorted(rising, rising[np.maximum(ends - 1, 0)], side="right"))
    return [part for part in np.split(order, cuts) if part.size]


def _curve(truth: Array, scores: Floats) -> list[list[float]]:
    """Return mean score and share of positives in each bin."""
    parts = _bins(scores)
    return _points([scores[part].mean() for part in parts], [truth[part].mean() for part in parts])


def _residuals(truth: Array, scores: Floats) -> list[list[float]]:
    """Return predicted value and error of a sample of rows."""
    chosen = np.unique(np.linspace(0, len(truth) - 1, min(_SCATTER, len(truth))).astype(int))
    return _points(scores[chosen], (truth - scores)[chosen])


def _points(x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> list[list[float]]:
    return [[float(f"{a:.6g}"), float(f"{b:.6g}")] for a, b in zip(x, y, strict=True)]


def _window(name: str, dataset: Dataset, manifest: Manifest) -> dict[str, Any]:
    first, last = manifest.train if name == "train" else manifest.holdout
    report = dataset.report
    return {
        "name": name,
        "start": first.isoformat(),
        "end": last.isoformat(),
        "featureRows": report.feature_rows,
        "rows": report.matched,
        "unlabelled": report.unlabelled,
        "immature": report.immature,
        "duplicateKeys": report.duplicate_keys,
        "orphanedLabels": report.orphaned_labels,
    }
