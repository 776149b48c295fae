"""The page of a training: before and after, on the same later rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from modelmonitor_api.messages import TrainRequest
from modelmonitor_api.spec import Task
from modelmonitor_trainer.gate import GateResult, Scored
from modelmonitor_trainer.manifest import Manifest
from modelmonitor_trainer.metrics import Interval, greater_is_better
from modelmonitor_trainer.registry import Version
from modelmonitor_trainer.report import render_page
from modelmonitor_trainer.rows import LabelledRows

Array = npt.NDArray[Any]

_TONES = {"Promoted": "good", "Rejected": "bad", "Inconclusive": "unsure", "AwaitingApproval": "unsure"}
_TITLES = {"AwaitingApproval": "Awaiting approval"}
_SIZE = 240
_POINTS = 120
_BINS = 10


def render_comparison(
    request: TrainRequest,
    version: Version,
    manifest: Manifest,
    result: GateResult,
    scored: Scored,
    train_rows: LabelledRows,
    holdout: LabelledRows,
) -> str:
    """Return the page: outcome, interval, slices, curves, data, and how to make it again."""
    monitor = request.monitor
    return render_page(
        "comparison.html.j2",
        {
            "title": f"{monitor.name}: training {request.number}",
            "tone": _TONES[result.outcome],
            "heading": _TITLES.get(result.outcome, result.outcome),
            "sentence": result.message,
            "subtitle": f"{monitor.namespace}/{monitor.name}, training {request.number}: {request.reason}. {request.message}",
            "version": version,
            "manifest": manifest,
            "result": result,
            "margin": float(request.spec.promotion.non_inferiority_margin),
            "better": "larger is better" if greater_is_better(result.metric) else "smaller is better",
            "forest": _forest(result, float(request.spec.promotion.non_inferiority_margin)),
            "curves": _curves(request.spec.model.task, scored),
            "calibration": _calibration(request.spec.model.task, scored),
            "size": _SIZE,
            "train_rows": train_rows,
            "holdout": holdout,
            "objects": sum(len(day.objects) for day in (*manifest.features, *manifest.labels)),
        },
    )


def _forest(result: GateResult, margin: float) -> dict[str, Any] | None:
    """Return the intervals of the difference, overall and by slice, as positions from 0 to 100."""
    rows: list[tuple[str, int, Interval, bool]] = []
    if result.interval is not None and np.isfinite(result.interval.low):
        rows.append(("all rows", result.rows, result.interval, False))
    rows += [
        (f"{one.column} = {one.value}", one.rows, one.interval, one.dropped)
        for one in result.slices
        if one.interval is not None and np.isfinite(one.interval.low)
    ]
    if not rows:
        return None
    extent = max(margin, *(abs(x) for _, _, i, _ in rows for x in (i.low, i.high))) * 1.1 or 1.0

    def at(value: float) -> float:
        return round(50 + 50 * value / extent, 2)

    return {
        "rows": [
            {
                "name": name,
                "rows": count,
                "low": at(interval.low),
                "high": at(interval.high),
                "value": at(interval.value),
                "text": f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})",
                "dropped": dropped,
            }
            for name, count, interval, dropped in rows
        ],
        "margin": at(-margin),
    }


def _curves(task: Task, scored: Scored) -> dict[str, str] | None:
    """Return the ROC curves of both models as SVG paths."""
    if task is not Task.BINARY_CLASSIFICATION or len(np.unique(scored.target)) < 2:
        return None
    found = {"challenger": _roc(scored.target, scored.challenger)}
    if scored.champion is not None:
        found["champion"] = _roc(scored.target, scored.champion)
    return found


def _roc(target: Array, scores: Array) -> str:
    false, true, _ = sk.roc_curve(target, scores)
    grid = np.linspace(0, 1, _POINTS)
    heights = np.interp(grid, false, true)
    return _path(grid, heights)


def _calibration(task: Task, scored: Scored) -> dict[str, str] | None:
    """Return the share of positives against the mean score, in bins of equally many rows, as SVG paths."""
    if task is not Task.BINARY_CLASSIFICATION or len(scored.target) < _BINS:
        return None
    found = {"challenger": _reliability(scored.target, scored.challenger)}
    if scored.champion is not None:
        found["champion"] = _reliability(scored.target, scored.champion)
    return found


def _reliability(target: Array, scores: Array) -> str:
    order = np.argsort(scores, kind="stable")
    bins = np.array_split(order, _BINS)
    return _path(np.array([scores[b].mean() for b in bins]), np.array([target[b].mean() for b in bins]))


def _path(x: Array, y: Array) -> str:
    points = [f"{_SIZE * a:.1f},{_SIZE * (1 - b):.1f}" for a, b in zip(x, y, strict=True)]
    return "M" + " L".join(points)
