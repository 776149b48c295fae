"""Evidence of a comparison as JSON data: stored with the version, and the only input of its report page.

A pod that is restarted after the version was written renders the page from the evidence, without reading the rows.
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
from modelmonitor_trainer.gate.comparison import GateInput, margin_of
from modelmonitor_trainer.gate.evaluation import GateResult
from modelmonitor_trainer.gate.interval import Difference, score_deviation
from modelmonitor_trainer.model.metrics import Undefined, greater_is_better, in_units, metric_value, title

#: Points of a curve.
_CURVE_POINTS = 100
#: Bins of a calibration curve.
_BINS = 10
#: Rows in a chart of residuals.
_SCATTER = 400
#: Classes that have an ROC curve, the most frequent ones.
_CLASSES = 6


def collect_evidence(
    spec: ModelMonitorSpec,
    manifest: Manifest,
    datasets: Mapping[str, Dataset],
    scores: GateInput,
    result: GateResult,
    champion: str | None,
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the evidence of a comparison as JSON data.

    Parameters
    ----------
    spec, manifest
        Spec and data manifest of the training.
    datasets
        Rows of the windows "train" and "holdout".
    scores, result
        Input and result of the gate.
    champion
        Version of the champion.
    classes
        Class names in the order of their indices.
    """
    return {
        "schemaVersion": 1,
        "task": spec.model.task.value,
        "metric": result.metric.value,
        "metricTitle": title(result.metric),
        "greaterIsBetter": greater_is_better(result.metric),
        "confidence": result.confidence or float(spec.promotion.confidence),
        "earlierComparisons": scores.earlier_comparisons,
        "bestVersion": scores.best_version or None,
        "requirement": spec.promotion.requirement.value,
        "margin": margin_of(
            spec.promotion, result.champion.champion, result.baseline.champion if result.baseline else None
        )
        if result.champion
        else 0.0,
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
        "checks": [{"name": check.name, "passed": check.passed, "sentence": check.sentence} for check in result.checks],
        "metrics": _all_metrics(spec.model.task, scores),
        "calibration": _calibrations(spec.model.task, scores),
        "curves": _curves(spec.model.task, scores, classes),
        "windows": [_window(name, datasets[name], manifest) for name in ("train", "holdout")],
        "objects": sum(len(day.objects) for day in (*manifest.features, *manifest.labels)),
        "bytes": sum(item.size for day in (*manifest.features, *manifest.labels) for item in day.objects),
        "manifestSHA256": manifest.sha256,
    }


def metric_comparison(evidence: Mapping[str, Any]) -> MetricComparison | None:
    """Return the figures of a comparison for the operator; None if nothing was compared."""
    difference = evidence["champion"]
    if difference is not None:
        return MetricComparison(
            name=evidence["metric"],
            champion=difference["champion"],
            challenger=difference["challenger"],
            difference=difference["value"],
            low=difference["low"],
            high=difference["high"],
        )
    if evidence["baseline"] is not None:
        return MetricComparison(name=evidence["metric"], challenger=evidence["baseline"]["challenger"])
    return None


def _difference(difference: Difference | None) -> dict[str, Any] | None:
    return None if difference is None else asdict(difference)


def _all_metrics(task: Task, scores: GateInput) -> list[dict[str, Any]]:
    """Return the values of all metrics of the task, with the standard deviation of the challenger's."""
    models = {
        "champion": scores.champion,
        "challenger": scores.challenger,
        "baseline": scores.baseline,
        "lastPeriod": scores.last_period,
    }
    return [
        {
            "metric": title(metric),
            "greaterIsBetter": greater_is_better(metric),
            **{name: _value_or_none(metric, scores.truth, predicted) for name, predicted in models.items()},
            "deviation": score_deviation(metric, scores.truth, scores.challenger, scores.days),
        }
        for metric in Metric
        if metric_fits(metric, task)
    ]


def _value_or_none(metric: Metric, truth: Array, scores: Array | None) -> float | None:
    if scores is None:
        return None
    try:
        return metric_value(metric, truth, scores)
    except Undefined:
        return None


def _curves(task: Task, scores: GateInput, classes: Sequence[str]) -> dict[str, Any]:
    """Return the points of the charts by model."""
    models = {"challenger": scores.challenger}
    if scores.champion is not None:
        models["champion"] = scores.champion
    truth = scores.truth
    if task is Task.REGRESSION:
        return {"residuals": {name: _residuals(truth, predicted) for name, predicted in models.items()}}
    if task is Task.MULTICLASS_CLASSIFICATION:
        return {
            "rocByClass": _roc_by_class(truth, models, classes),
            "calibration": {name: _curve(*_top_class(truth, predicted)) for name, predicted in models.items()},
        }
    if np.unique(truth).size < 2:
        return {}
    return {
        "roc": {name: _roc(truth, predicted) for name, predicted in models.items()},
        "calibration": {name: _curve(truth, predicted) for name, predicted in models.items()},
    }


def _roc(truth: Array, scores: Floats) -> list[list[float]]:
    """Return points of the ROC curve: false positive rate and true positive rate by decreasing threshold."""
    from sklearn.metrics import roc_curve

    false_positives, true_positives, _ = roc_curve(truth, scores)
    kept = np.unique(np.linspace(0, len(false_positives) - 1, _CURVE_POINTS).astype(int))
    return _points(false_positives[kept], true_positives[kept])


def _roc_by_class(truth: Array, models: Mapping[str, Floats], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the one-vs-rest ROC curves of the most frequent classes."""
    present, counts = np.unique(truth[truth >= 0], return_counts=True)
    if present.size < 2:
        return []
    chosen = present[np.argsort(-counts, kind="stable")][:_CLASSES]
    return [
        {
            "class": classes[index] if index < len(classes) else str(index),
            "curves": {name: _roc(truth == index, scores[:, index]) for name, scores in models.items()},
        }
        for index in chosen.tolist()
    ]


def _calibrations(task: Task, scores: GateInput) -> dict[str, Any]:
    """Return the calibration of each model."""
    models = {"challenger": scores.challenger, "champion": scores.champion}
    return {
        name: None if predicted is None else _calibration(task, scores.truth, predicted)
        for name, predicted in models.items()
    }


def _calibration(task: Task, truth: Array, scores: Floats) -> dict[str, float | None]:
    """Return bias and calibration error of one model.

    ``bias`` is the mean prediction minus the mean outcome. ``error`` is the expected calibration error: the mean
    distance of the calibration curve from the diagonal, weighted by rows (Naeini, Cooper, Hauskrecht: Obtaining well
    calibrated probabilities using Bayesian binning, AAAI 2015), with bins of about equally many rows and equal scores
    in one bin. With several classes, both are those of the most probable class.
    """
    if task is Task.REGRESSION:
        return {"bias": float(np.mean(scores - truth)), "error": None}
    outcome, probability = _top_class(truth, scores) if task is Task.MULTICLASS_CLASSIFICATION else (truth, scores)
    distance = sum(
        abs(float(probability[rows].mean() - outcome[rows].mean())) * rows.size for rows in _bins(probability)
    )
    return {"bias": float(np.mean(probability) - np.mean(outcome)), "error": distance / len(outcome)}


def _top_class(truth: Array, scores: Floats) -> tuple[Array, Floats]:
    """Return whether the most probable class is the true one, and its probability; (n,) each."""
    top = scores.argmax(axis=1)
    return (truth == top).astype(np.int64), scores[np.arange(len(scores)), top]


def _bins(scores: Floats) -> list[Array]:
    """Return the row indices of at most ten bins of about equally many rows; equal scores are in one bin."""
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    ends = np.linspace(0, len(scores), _BINS + 1)[1:-1].round().astype(int)
    cuts = np.unique(np.searchsorted(ascending, ascending[np.maximum(ends - 1, 0)], side="right"))
    return [part for part in np.split(order, cuts) if part.size]


def _curve(truth: Array, scores: Floats) -> list[list[float]]:
    """Return mean score and share of positives in each bin."""
    bins = _bins(scores)
    return _points([scores[rows].mean() for rows in bins], [truth[rows].mean() for rows in bins])


def _residuals(truth: Array, scores: Floats) -> list[list[float]]:
    """Return predicted value and residual of a sample of rows."""
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
        "repeatedKeys": report.repeated_rows,
        "orphanedLabels": report.orphaned_labels,
    }
