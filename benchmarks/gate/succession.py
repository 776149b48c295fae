"""Successions: many challengers, each compared with the champion of its time, on rows of its own.

Each challenger differs from the champion by the same true step. The question is how far the model in production slides
down if every step is too small to be found, and how often equal challengers are still promoted.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.spec import Metric, Promotion
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.gate.comparison import GateInput
from modelmonitor_trainer.gate.evaluation import evaluate

_FIRST = 0.85
_TOGETHER = 0.98
_CHALLENGERS = 10
_DAYS = 14
_PROMOTION = Promotion(metric=Metric.ROC_AUC)


@dataclass(frozen=True)
class Succession:
    """Ten challengers, each better than the champion of its time by a true `step` in ROC AUC."""

    step: float
    rows: int
    with_best: bool
    sets: int


@dataclass(frozen=True)
class Slide:
    """The outcome of successions: how many challengers passed, and how much the score has changed in the end."""

    succession: Succession
    passed: float
    mean: float
    worst: float


def successions(sets: int) -> list[Succession]:
    """Return the rows of the table."""
    return [
        Succession(step, rows, with_best, sets)
        for step in (-0.003, -0.001, 0.0)
        for rows in (20_000, 60_000)
        for with_best in (False, True)
    ]


def measure(succession: Succession) -> Slide:
    """Return what happens in `sets` successions."""
    ends, passed = [], 0
    for number in range(succession.sets):
        champion = best = _FIRST
        for turn in range(_CHALLENGERS):
            scores = _contest(succession, [number, turn], champion, best)
            result = evaluate(scores, _PROMOTION, seed=0)
            if result.outcome is not GateOutcome.PASSED:
                continue
            passed += 1
            champion += succession.step
            if result.champion is not None and result.champion.low > 0:
                best = champion
        ends.append(champion - _FIRST)
    return Slide(succession, passed / (succession.sets * _CHALLENGERS), float(np.mean(ends)), min(ends))


def _contest(succession: Succession, seed: list[int], champion: float, best: float) -> GateInput:
    generator = np.random.default_rng([succession.rows, *seed])
    truth: Ints = (generator.random(succession.rows) < 0.5).astype(np.int64)
    common = generator.standard_normal(succession.rows) * np.sqrt(_TOGETHER)

    def scores(auc: float) -> Floats:
        own = generator.standard_normal(succession.rows) * np.sqrt(1 - _TOGETHER)
        drawn: Floats = special.expit(common + own + truth * np.sqrt(2) * special.ndtri(auc))
        return drawn

    before, challenger = scores(champion), scores(champion + succession.step)
    first: Array | None = scores(best) if succession.with_best and best != champion else None
    baseline = np.full(succession.rows, 0.5)
    days = np.sort(generator.integers(0, _DAYS, succession.rows))
    return replace(GateInput(truth, challenger, before, baseline, days=days), best=first, best_version="v1")


def table(pool: Executor, sets: int) -> tuple[list[str], bool]:
    """Return the section of the page, and whether the bar is met."""
    margin = float(_PROMOTION.non_inferiority_margin)
    lines = [
        "### Ten successors",
        "",
        f"Ten challengers in a row, each on {_DAYS} days of its own, each differing from the champion of its time by",
        f"the same true step; the first champion has ROC AUC {_FIRST}. Without the comparison with the best champion",
        "so far, steps that are smaller than the margin add up. The bar: with it, no succession ends worse than the",
        f"margin ({margin:g}) and one step.",
        "",
        "| true step | rows | compared with | successions | challengers passed | mean change | worst change | bar |",
        "|---|---|---|---|---|---|---|---|",
    ]
    met = True
    for slide in pool.map(measure, successions(sets)):
        succession = slide.succession
        bar = "–"
        if succession.with_best and succession.step < 0:
            holds = slide.worst >= -margin + succession.step - 1e-9
            met = met and holds
            bar = "PASS" if holds else "**FAIL**"
        rivals = "champion and best so far" if succession.with_best else "champion"
        lines.append(
            f"| {succession.step:+g} | {succession.rows:,} | {rivals} | {succession.sets} | {slide.passed:.2f} | "
            f"{slide.mean:+.4f} | {slide.worst:+.4f} | {bar} |"
        )
    return lines, met
